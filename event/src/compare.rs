//! When two values are equal: by meaning, whatever the order of members and the width of lengths.

use crate::{
    format::{DEPTH_MAX, RawKey},
    value::{List, Map, Value},
};

/// Maps with more members than this are sorted when their orders differ.
const SCAN_MAX: usize = 64;

impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        equal(*self, *other, 0)
    }
}

impl PartialEq for Map<'_> {
    fn eq(&self, other: &Self) -> bool {
        maps_equal(*self, *other, 0)
    }
}

impl PartialEq for List<'_> {
    fn eq(&self, other: &Self) -> bool {
        lists_equal(*self, *other, 0)
    }
}

fn equal(a: Value<'_>, b: Value<'_>, depth: usize) -> bool {
    match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Uint(a), Value::Uint(b)) | (Value::Id(a), Value::Id(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Str(a), Value::Str(b)) => a == b,
        (Value::List(a), Value::List(b)) => lists_equal(a, b, depth),
        (Value::Map(a), Value::Map(b)) => maps_equal(a, b, depth),
        _ => false,
    }
}

/// Equality of two raw values.
pub(crate) fn raw_equal(a: &[u8], b: &[u8], depth: usize) -> bool {
    // Equal bytes mean equal values; unequal ones may too, by order or by width.
    a == b || (depth < DEPTH_MAX && equal(Value::from_raw(a), Value::from_raw(b), depth))
}

fn lists_equal(a: List<'_>, b: List<'_>, depth: usize) -> bool {
    if a.as_bytes() == b.as_bytes() {
        return true;
    }
    let (mut a, mut b) = (a.iter().raw(), b.iter().raw());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if raw_equal(a, b, depth + 1) => {}
            _ => return false,
        }
    }
}

fn maps_equal(a: Map<'_>, b: Map<'_>, depth: usize) -> bool {
    if a.as_bytes() == b.as_bytes() {
        return true;
    }
    let len = a.len();
    if len != b.len() {
        return false;
    }
    // Mostly the orders agree.
    let (mut left, mut right) = (a.raw_entries(), b.raw_entries());
    loop {
        let (before_left, before_right) = (left.clone(), right.clone());
        match (left.next(), right.next()) {
            (None, None) => return true,
            (Some((a_key, a)), Some((b_key, b))) if a_key == b_key => {
                if !raw_equal(a, b, depth + 1) {
                    return false;
                }
            }
            (Some(_), Some(_)) => {
                (left, right) = (before_left, before_right);
                break;
            }
            _ => return false,
        }
    }
    if len > SCAN_MAX {
        return sorted_equal(left.collect(), right.collect(), depth);
    }
    left.all(|(key, a)| {
        right.clone().any(|(candidate, b)| candidate == key && raw_equal(a, b, depth + 1))
    })
}

fn sorted_equal<'a>(
    mut a: Vec<(RawKey<'a>, &'a [u8])>,
    mut b: Vec<(RawKey<'a>, &'a [u8])>,
    depth: usize,
) -> bool {
    a.sort_by_key(|(key, _)| *key);
    b.sort_by_key(|(key, _)| *key);
    a.iter().zip(&b).all(|((a_key, a), (b_key, b))| a_key == b_key && raw_equal(a, b, depth + 1))
}
