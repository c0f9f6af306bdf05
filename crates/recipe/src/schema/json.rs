// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Strict JSON parser: a duplicate member is reported, because two readers of the same recipe could
//! each use another one, and nesting is limited.

use std::{cell::RefCell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::fault::{Fault, pointer_to};

/// Deepest nesting of objects and lists.
const MAX_DEPTH: usize = 64;

/// Most duplicates that are reported: a recipe can consist of nothing else.
const MAX_DUPLICATES: usize = 100;

/// Returns the value, and a fault for each duplicate member (the last one counts). The error has
/// line and column, and no contents.
pub(crate) fn parse(json: &[u8]) -> Result<(Value, Vec<Fault>), serde_json::Error> {
    let duplicates = RefCell::new(Vec::new());
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = Strict { place: &Place::Root, depth: 0, duplicates: &duplicates }
        .deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok((value, duplicates.into_inner()))
}

/// Position of a value as a list up to the root. A pointer as text for every value would take
/// quadratic time and memory.
enum Place<'a> {
    Root,
    Item(&'a Place<'a>, usize),
    Member(&'a Place<'a>, &'a str),
}

impl Place<'_> {
    /// The JSON pointer.
    fn pointer(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Item(list, index) => pointer_to(&list.pointer(), &index.to_string()),
            Self::Member(object, name) => pointer_to(&object.pointer(), name),
        }
    }
}

/// A value at a position.
struct Strict<'a> {
    place: &'a Place<'a>,
    depth: usize,
    duplicates: &'a RefCell<Vec<Fault>>,
}

impl<'a> Strict<'a> {
    /// A value one level deeper.
    fn descend<'b, E: Error>(&self, place: &'b Place<'b>) -> Result<Strict<'b>, E>
    where
        'a: 'b,
    {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format_args!("nested more than {MAX_DEPTH} deep")));
        }
        Ok(Strict { place, depth: self.depth + 1, duplicates: self.duplicates })
    }

    /// Records a duplicate of the member at `place`.
    fn record_duplicate(&self, place: &Place<'_>) {
        let mut duplicates = self.duplicates.borrow_mut();
        if duplicates.len() < MAX_DUPLICATES {
            let message = "occurs more than once".to_owned();
            duplicates.push(Fault::new(place.pointer(), "duplicate", message));
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let place = Place::Item(self.place, list.len());
            match items.next_element_seed(self.descend(&place)?)? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let place = Place::Member(self.place, &name);
            let member = members.next_value_seed(self.descend(&place)?)?;
            if object.contains_key(&name) {
                self.record_duplicate(&place);
            }
            object.insert(name, member);
        }
        Ok(Value::Object(object))
    }
}
