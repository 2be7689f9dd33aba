//! Objects: members sorted by key.

use std::cmp::Ordering;

use super::Val;

/// The name of a member: a documented key, or an id (as in the maps under `resolved`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Name(&'static str),
    Id(u64),
}

impl Key {
    /// Calls `with` with the key as text.
    pub(crate) fn with_text<T>(self, with: impl FnOnce(&str) -> T) -> T {
        match self {
            Self::Name(name) => with(name),
            Self::Id(id) => with(&id.to_string()),
        }
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Name(a), Self::Name(b)) => a.cmp(b),
            _ => self.with_text(|a| other.with_text(|b| a.cmp(b))),
        }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<&'static str> for Key {
    fn from(name: &'static str) -> Self {
        Self::Name(name)
    }
}

impl From<u64> for Key {
    fn from(id: u64) -> Self {
        Self::Id(id)
    }
}

/// An object. Its members are in the order of their keys, each key once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Obj(Vec<(Key, Val)>);

impl Obj {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Sorts `members`, whose keys must differ.
    pub(crate) fn from_members(mut members: Vec<(Key, Val)>) -> Self {
        if !members.is_sorted_by(|a, b| a.0 < b.0) {
            members.sort_by_key(|member| member.0);
        }
        debug_assert!(members.is_sorted_by(|a, b| a.0 < b.0), "a key occurs twice: {members:?}");
        Self(members)
    }

    /// Takes members whose keys are in order, each once: [`obj!`] checks that.
    pub(crate) fn from_sorted(members: Vec<(Key, Val)>) -> Self {
        Self(members)
    }

    pub(crate) fn members(&self) -> &[(Key, Val)] {
        &self.0
    }

    pub(crate) fn get(&self, key: impl Into<Key>) -> Option<&Val> {
        let key = key.into();
        self.0.binary_search_by(|member| member.0.cmp(&key)).ok().map(|at| &self.0[at].1)
    }

    /// The id under `key`; 0 when there is none.
    pub(crate) fn id(&self, key: &'static str) -> u64 {
        self.get(key).and_then(Val::as_id).unwrap_or(0)
    }

    pub(crate) fn int(&self, key: &'static str) -> i64 {
        match self.get(key) {
            Some(Val::Int(value)) => *value,
            _ => 0,
        }
    }

    pub(crate) fn set(&mut self, key: impl Into<Key>, value: impl Into<Val>) -> &mut Self {
        let (key, value) = (key.into(), value.into());
        match self.0.binary_search_by(|member| member.0.cmp(&key)) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (key, value)),
        }
        self
    }

    pub(crate) fn remove(&mut self, key: &'static str) -> &mut Self {
        if let Ok(at) = self.0.binary_search_by(|member| member.0.cmp(&Key::Name(key))) {
            self.0.remove(at);
        }
        self
    }

    /// A copy with one member set.
    pub(crate) fn with(&self, key: impl Into<Key>, value: impl Into<Val>) -> Self {
        let mut copy = self.clone();
        copy.set(key, value);
        copy
    }

    /// A copy without the named members.
    pub(crate) fn without(&self, keys: &[&'static str]) -> Self {
        let mut copy = self.clone();
        for key in keys {
            copy.remove(key);
        }
        copy
    }
}

/// Whether the keys stand in the order an object keeps them in, each once.
pub(crate) const fn is_sorted(keys: &[&str]) -> bool {
    let mut at = 1;
    while at < keys.len() {
        if !is_less(keys[at - 1].as_bytes(), keys[at].as_bytes()) {
            return false;
        }
        at += 1;
    }
    true
}

const fn is_less(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() {
        if a[at] != b[at] {
            return a[at] < b[at];
        }
        at += 1;
    }
    a.len() < b.len()
}

/// Builds an [`Obj`]: `obj! { "id" => Val::Id(1), "name" => "x" }`. The keys must stand in their
/// order, which the compiler checks.
macro_rules! obj {
    ($($key:literal => $value:expr),* $(,)?) => {{
        const { assert!($crate::value::is_sorted(&[$($key),*]), "keys out of order") };
        $crate::value::Obj::from_sorted(vec![$(
            ($crate::value::Key::Name($key), $crate::value::Val::from($value))
        ),*])
    }};
}
pub(crate) use obj;
