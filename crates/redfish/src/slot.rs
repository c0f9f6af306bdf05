// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Virtual media slots, and their order of preference.

use std::cmp::Ordering;

use serde_json::Value;

use crate::client::Resource;

/// Kind of drive that the host sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A CD or DVD drive.
    Cd,
    /// A USB stick. An ISO 9660 image on it is found by its label too.
    Usb,
}

/// How an image is inserted, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum InsertMethod {
    /// The action `InsertMedia`.
    Action,
    /// PATCH, which the resource lists in `Allow`.
    Patch,
    /// PATCH, possibly: the BMC sends no `Allow`.
    Unknown,
}

/// A slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The resource.
    pub path: String,
    /// Its `Id`.
    pub id: String,
    /// Kind of drive that the host sees.
    pub kind: Kind,
    pub(crate) way: InsertMethod,
}

/// Most slots that are tried. BMCs have up to ten.
const MOST: usize = 16;

/// Orders the slots by preference: CDs before USB sticks, then by the way to insert an image, then
/// by id. Empty without a CD, which the host boots from.
pub(crate) fn choose(mut slots: Vec<Slot>) -> Vec<Slot> {
    slots.sort_by(|left, right| {
        (left.kind, left.way)
            .cmp(&(right.kind, right.way))
            .then_with(|| compare_natural(&left.id, &right.id))
    });
    slots.truncate(MOST);
    if slots.first().is_some_and(|slot| slot.kind == Kind::Cd) { slots } else { Vec::new() }
}

impl Slot {
    /// Reads a `VirtualMedia` resource; `None` if it takes no image by URL.
    pub(crate) fn parse(resource: &Resource) -> Option<Self> {
        let value = &resource.value;
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let path = text("@odata.id")?.to_owned();
        let last = || path.trim_end_matches('/').rsplit('/').next();
        let id = text("Id").or_else(last)?.to_owned();
        let types = value.get("MediaTypes").and_then(Value::as_array);
        let has = |name: &str| types.into_iter().flatten().any(|kind| kind.as_str() == Some(name));
        let kind = if has("CD") || has("DVD") {
            Kind::Cd
        } else if has("USBStick") {
            Kind::Usb
        } else {
            return None;
        };
        let action = value.pointer("/Actions/#VirtualMedia.InsertMedia/target");
        let way = match (action, resource.allows_patch()) {
            (Some(_), _) => InsertMethod::Action,
            (None, Some(true)) => InsertMethod::Patch,
            (None, None) => InsertMethod::Unknown,
            // Takes images from a remote console only.
            (None, Some(false)) => return None,
        };
        Some(Self { path, id, kind, way })
    }
}

/// Natural order: 2 before 10.
fn compare_natural(left: &str, right: &str) -> Ordering {
    let split = |text: &str| {
        let begin = text.trim_end_matches(|character: char| character.is_ascii_digit()).len();
        let (name, digits) = text.split_at(begin);
        (name.to_owned(), digits.parse::<u64>().unwrap_or_default())
    };
    split(left).cmp(&split(right)).then_with(|| left.cmp(right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile;
    use proptest::prelude::*;
    use serde_json::json;

    fn slot(id: &str, types: &[&str]) -> Option<Slot> {
        let value = json!({"@odata.id": format!("/m/{id}"), "Id": id, "MediaTypes": types});
        Slot::parse(&Resource::without_headers(value))
    }

    fn choose_slots(vendor: &str, slots: &[(&str, &[&str])]) -> Vec<String> {
        let profile = profile::find_profile(vendor).unwrap();
        let slots = slots.iter().filter_map(|(id, types)| slot(id, types));
        let slots = slots.filter(|slot| profile.can_use_slot(&slot.id)).collect();
        choose(slots).into_iter().map(|slot| slot.id).collect()
    }

    #[test]
    fn cds_come_before_sticks_and_in_natural_order() {
        let (cd, usb, floppy) = (&["CD", "DVD"][..], &["USBStick"][..], &["Floppy"][..]);
        let none: [&str; 0] = [];
        assert_eq!(choose_slots("idrac", &[("2", cd), ("1", cd)]), ["1", "2"]);
        assert_eq!(choose_slots("supermicro", &[("CD10", cd), ("CD2", cd)]), ["CD2", "CD10"]);
        assert_eq!(choose_slots("ilo", &[("1", usb), ("2", cd)]), ["2", "1"]);
        assert_eq!(choose_slots("generic", &[("Cd", cd), ("Floppy", floppy)]), ["Cd"]);
        let stick = &["Floppy", "USBStick"][..];
        assert_eq!(choose_slots("sushy-tools", &[("Cd", cd), ("Floppy", stick)]), ["Cd"]);
        assert_eq!(choose_slots("generic", &[("1", usb)]), none);
        assert_eq!(choose_slots("generic", &[]), none);
        let xcc = [("RDOC1", cd), ("Remote1", cd), ("EXT2", cd), ("EXT1", cd)];
        assert_eq!(choose_slots("xcc", &xcc), ["EXT1", "EXT2"]);
    }

    proptest! {
        /// The choice does not depend on the order in which a BMC lists its slots.
        #[test]
        fn the_order_of_the_list_does_not_matter(
            mut slots in proptest::collection::vec(("[A-Z]{0,2}[0-9]{0,3}", any::<bool>()), 0..6),
            seed in any::<u64>(),
        ) {
            slots.sort();
            slots.dedup_by(|left, right| left.0 == right.0);
            let make = |slots: &[(String, bool)]| {
                choose(slots.iter().map(|(id, cd)| Slot {
                    path: format!("/{id}"),
                    id: id.clone(),
                    kind: if *cd { Kind::Cd } else { Kind::Usb },
                    way: InsertMethod::Action,
                }).collect())
            };
            let before = make(&slots);
            fastrand::Rng::with_seed(seed).shuffle(&mut slots);
            prop_assert_eq!(make(&slots), before);
        }
    }
}
