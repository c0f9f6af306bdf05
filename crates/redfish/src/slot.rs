// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Virtual media slots, and the choice of slots for the two images.

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
pub(crate) enum Way {
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
    pub(crate) way: Way,
}

/// The slots that a job uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Two slots: the host boots the maintenance image from one, the task is in the other.
    Two {
        /// Slot of the maintenance image.
        maintenance: Slot,
        /// Slot of the task image.
        task: Slot,
    },
    /// One slot, which needs a combined image.
    One {
        /// Slot of the combined image.
        combined: Slot,
    },
}

impl Plan {
    /// The slots, the one to boot from first.
    pub fn slots(&self) -> Vec<&Slot> {
        match self {
            Self::Two { maintenance, task } => vec![maintenance, task],
            Self::One { combined } => vec![combined],
        }
    }

    /// Chooses two CDs, else a CD and a USB stick, else one CD.
    pub(crate) fn choose(mut slots: Vec<Slot>) -> Option<Self> {
        slots.sort_by(|left, right| {
            (left.kind, left.way)
                .cmp(&(right.kind, right.way))
                .then_with(|| natural(&left.id, &right.id))
        });
        let mut slots = slots.into_iter();
        let first = slots.next().filter(|slot| slot.kind == Kind::Cd)?;
        Some(match slots.next() {
            Some(task) => Self::Two { maintenance: first, task },
            None => Self::One { combined: first },
        })
    }
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
            (Some(_), _) => Way::Action,
            (None, Some(true)) => Way::Patch,
            (None, None) => Way::Unknown,
            // Takes images from a remote console only.
            (None, Some(false)) => return None,
        };
        Some(Self { path, id, kind, way })
    }
}

/// Natural order: 2 before 10.
fn natural(left: &str, right: &str) -> Ordering {
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

    fn plan(vendor: &str, slots: &[(&str, &[&str])]) -> Option<Vec<String>> {
        let profile = profile::named(vendor).unwrap();
        let slots = slots.iter().filter_map(|(id, types)| slot(id, types));
        let slots = slots.filter(|slot| profile.lists(&slot.id)).collect();
        Some(Plan::choose(slots)?.slots().iter().map(|slot| slot.id.clone()).collect())
    }

    #[test]
    fn two_cds_then_a_cd_and_a_stick_then_one() {
        let (cd, usb, floppy) = (&["CD", "DVD"][..], &["USBStick"][..], &["Floppy"][..]);
        let ids = |ids: &[&str]| Some(ids.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(plan("idrac", &[("2", cd), ("1", cd)]), ids(&["1", "2"]));
        assert_eq!(plan("supermicro", &[("CD10", cd), ("CD2", cd)]), ids(&["CD2", "CD10"]));
        assert_eq!(plan("ilo", &[("1", usb), ("2", cd)]), ids(&["2", "1"]));
        assert_eq!(plan("generic", &[("Cd", cd), ("Floppy", floppy)]), ids(&["Cd"]));
        let stick = &["Floppy", "USBStick"][..];
        assert_eq!(plan("sushy-tools", &[("Cd", cd), ("Floppy", stick)]), ids(&["Cd"]));
        assert_eq!(plan("generic", &[("1", usb)]), None);
        assert_eq!(plan("generic", &[]), None);
        let xcc = [("RDOC1", cd), ("Remote1", cd), ("EXT2", cd), ("EXT1", cd)];
        assert_eq!(plan("xcc", &xcc), ids(&["EXT1", "EXT2"]));
    }

    proptest! {
        /// The plan does not depend on the order in which a BMC lists its slots.
        #[test]
        fn the_order_of_the_list_does_not_matter(
            mut slots in proptest::collection::vec(("[A-Z]{0,2}[0-9]{0,3}", any::<bool>()), 0..6),
            seed in any::<u64>(),
        ) {
            slots.sort();
            slots.dedup_by(|left, right| left.0 == right.0);
            let make = |slots: &[(String, bool)]| {
                Plan::choose(slots.iter().map(|(id, cd)| Slot {
                    path: format!("/{id}"),
                    id: id.clone(),
                    kind: if *cd { Kind::Cd } else { Kind::Usb },
                    way: Way::Action,
                }).collect())
            };
            let before = make(&slots);
            fastrand::Rng::with_seed(seed).shuffle(&mut slots);
            prop_assert_eq!(make(&slots), before);
        }
    }
}
