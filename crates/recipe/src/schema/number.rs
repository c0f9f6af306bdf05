// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares numbers and values as JSON Schema does: by value, so that 1 equals 1.0.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// Whether `number` has no fraction, in any notation (draft-07, 6.1.1).
pub(super) fn is_integer(number: &Number) -> bool {
    number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|float| float.fract() == 0.0)
}

/// Compares two numbers exactly, whatever their type.
pub(super) fn compare(left: &Number, right: &Number) -> Ordering {
    match (as_i128(left), as_i128(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        (Some(left), None) => whole_with_float(left, float(right)),
        (None, Some(right)) => whole_with_float(right, float(left)).reverse(),
        // JSON has neither NaN nor infinity.
        (None, None) => float(left).partial_cmp(&float(right)).unwrap_or(Ordering::Equal),
    }
}

/// Whether two values are the same JSON.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => compare(left, right).is_eq(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(a, b)| equal(a, b))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, a)| right.get(key).is_some_and(|b| equal(a, b)))
        }
        (left, right) => left == right,
    }
}

/// `number` as an integer, if it is stored as one.
fn as_i128(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

fn float(number: &Number) -> f64 {
    number.as_f64().unwrap_or(0.0)
}

/// Compares without rounding `whole`, which a float of 53 bits may not represent.
fn whole_with_float(whole: i128, float: f64) -> Ordering {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a cast of a float saturates, and a whole number of JSON is far within i128"
    )]
    let floor = float.floor() as i128;
    whole.cmp(&floor).then(if float.fract() == 0.0 { Ordering::Equal } else { Ordering::Less })
}
