//! New documents out of old ones. Each function appends one document to `out`.
//!
//! The decoder guesses how long a container will be. What was given a wide length without need gets a
//! narrow one here, so that the same members have the same bytes, whatever message they came in.

use crate::{
    atom::Atom,
    compare,
    format::{self, RawKey},
    key::Key,
    put,
    value::{Map, RawEntries, Value},
    writer::Writer,
};

/// `base` with the members of `over` put over it: a member that `over` lacks stays, one that is
/// null there becomes null. Members are replaced whole, at their old place; new ones follow.
///
/// No document of a decoder has a key twice; of one that has, any of its members counts.
pub fn merge(base: Map<'_>, over: Map<'_>, out: &mut Vec<u8>) {
    if covers(base, over) {
        return out.extend_from_slice(over.as_bytes());
    }
    let len = base.as_bytes().len() + over.as_bytes().len();
    out.reserve(len);
    let open = put::open(out, wide(len));
    let (mut base_index, mut over_index) = (Index::new(base), Index::new(over));
    members(base, out, |key| over_index.find(key).map_or(Choice::Keep, Choice::Raw));
    members(over, out, |key| base_index.find(key).map_or(Choice::Keep, |_| Choice::Drop));
    put::close_map(out, open);
}

/// Whether `over` has every member of `base`, in the same order and before all others, as most updates
/// have: nothing of `base` is left then, and [`merge`] gives `over` as it is.
pub fn covers(base: Map<'_>, over: Map<'_>) -> bool {
    if over.as_bytes().first() == Some(&format::MAP32) {
        return false;
    }
    let mut over = over.raw_entries();
    base.raw_entries().all(|(key, _)| over.next().is_some_and(|(other, _)| other == key))
}

/// `map` without the members under `keys`.
pub fn without(map: Map<'_>, keys: &[Atom], out: &mut Vec<u8>) {
    let len = map.as_bytes().len();
    out.reserve(len);
    let open = put::open(out, wide(len));
    members(map, out, |key| match keys.iter().any(|dropped| key == dropped.raw()) {
        true => Choice::Drop,
        false => Choice::Keep,
    });
    put::close_map(out, open);
}

/// `map` with `members` set: replaced at their old place, or added at the end. Of two members
/// with one key the last counts.
pub fn with(map: Map<'_>, members: &[(Atom, Value<'_>)], out: &mut Vec<u8>) {
    let len = map.as_bytes().len();
    out.reserve(len);
    let open = put::open(out, wide(len));
    // A bit for each of the first of them that the map has: it is gone through once.
    let mut had = 0_u64;
    let choose = |key: RawKey<'_>| {
        let Some(index) = members.iter().rposition(|(candidate, _)| candidate.raw() == key) else {
            return Choice::Keep;
        };
        had |= u32::try_from(index).ok().and_then(|index| 1_u64.checked_shl(index)).unwrap_or(0);
        Choice::Put(members[index].1)
    };
    self::members(map, out, choose);
    for (index, (key, value)) in members.iter().enumerate() {
        let later = members[index + 1..].iter().any(|(other, _)| other == key);
        let is_had = if index < 64 { had >> index & 1 == 1 } else { map.contains(*key) };
        if !later && !is_had {
            atom_entry(out, *key, *value);
        }
    }
    put::close_map(out, open);
}

/// [`with`], by name: also under keys that Discord does not have.
pub fn with_named(map: Map<'_>, members: &[(&str, Value<'_>)], out: &mut Vec<u8>) {
    let members: Vec<_> = members.iter().map(|(name, value)| (Key::named(name), *value)).collect();
    let open = put::open(out, wide(map.as_bytes().len()));
    let set = |key: RawKey<'_>| members.iter().rfind(|(candidate, _)| candidate.raw() == key);
    self::members(map, out, |key| set(key).map_or(Choice::Keep, |(_, value)| Choice::Put(*value)));
    for (index, (key, value)) in members.iter().enumerate() {
        let later = members[index + 1..].iter().any(|(other, _)| other == key);
        if !later && map.get_key(*key).is_none() {
            entry(out, key.raw(), *value);
        }
    }
    put::close_map(out, open);
}

/// Only the members of `map` under `keys`, in the map's order.
pub fn only(map: Map<'_>, keys: &[Atom], out: &mut Vec<u8>) {
    let len = map.as_bytes().len();
    out.reserve(len);
    let open = put::open(out, wide(len));
    members(map, out, |key| match keys.iter().any(|kept| key == kept.raw()) {
        true => Choice::Keep,
        false => Choice::Drop,
    });
    put::close_map(out, open);
}

/// The null document.
pub fn null(out: &mut Vec<u8>) {
    Writer::new(out).value(Value::Null);
}

/// A place where two values differ.
#[derive(Clone, PartialEq, Debug)]
pub struct Change<'a> {
    /// The keys that lead there; empty when the values themselves differ.
    pub path: Vec<Key<'a>>,
    /// What stood there before; `None` where there was nothing.
    pub old: Option<Value<'a>>,
    /// What stands there now; `None` where there is nothing any more.
    pub new: Option<Value<'a>>,
}

impl Change<'_> {
    /// The path as text: `author.global_name`.
    pub fn path_text(&self) -> String {
        self.path.iter().map(|key| key.as_str()).collect::<Vec<_>>().join(".")
    }
}

/// Every place where `new` differs from `old`. Maps are compared member by member, lists as a
/// whole. Null and absent differ.
pub fn changes<'a>(old: Value<'a>, new: Value<'a>) -> Vec<Change<'a>> {
    let mut found = Vec::new();
    collect(&mut Vec::new(), old, new, &mut found);
    found
}

fn collect<'a>(
    path: &mut Vec<Key<'a>>,
    old: Value<'a>,
    new: Value<'a>,
    found: &mut Vec<Change<'a>>,
) {
    let (old_map, new_map) = match (old, new) {
        (Value::Map(old), Value::Map(new)) if path.len() < crate::format::DEPTH_MAX => (old, new),
        _ if old == new => return,
        _ => {
            found.push(Change { path: path.clone(), old: Some(old), new: Some(new) });
            return;
        }
    };
    let (mut old_index, mut new_index) = (Index::new(old_map), Index::new(new_map));
    for (key, old) in old_map {
        path.push(key);
        match new_index.find(key.raw()).map(Value::from_raw) {
            Some(new) => collect(path, old, new, found),
            None => found.push(Change { path: path.clone(), old: Some(old), new: None }),
        }
        path.pop();
    }
    for (key, new) in new_map {
        if old_index.find(key.raw()).is_none() {
            path.push(key);
            found.push(Change { path: path.clone(), old: None, new: Some(new) });
            path.pop();
        }
    }
}

/// Whether `over` would change `base` at all when merged over it.
pub fn merge_changes(base: Map<'_>, over: Map<'_>) -> bool {
    merge_changes_except(base, over, &[])
}

/// The same, the members of `over` under `except` left aside.
pub fn merge_changes_except(base: Map<'_>, over: Map<'_>, except: &[Atom]) -> bool {
    let mut base = Index::new(base);
    over.raw_entries().any(|(key, value)| {
        !except.iter().any(|aside| key == aside.raw())
            && base.find(key).is_none_or(|old| !compare::raw_equal(old, value, 1))
    })
}

/// Finds the members of a map. They are mostly asked for in their order, so that each is the one behind
/// the last; once that turns out to be wrong too often they are sorted, or two large maps would take for
/// ever.
enum Index<'a> {
    Ordered {
        map: Map<'a>,
        /// What stands behind the member found last.
        behind: RawEntries<'a>,
        /// Members that may still be passed over.
        patience: u32,
    },
    Sorted(Vec<(RawKey<'a>, &'a [u8])>),
}

impl<'a> Index<'a> {
    /// Members passed over until sorting is cheaper.
    const PATIENCE: u32 = 2048;

    fn new(map: Map<'a>) -> Self {
        Self::Ordered { map, behind: map.raw_entries(), patience: Self::PATIENCE }
    }

    #[inline]
    fn find(&mut self, key: RawKey<'_>) -> Option<&'a [u8]> {
        match self {
            Self::Ordered { map, patience: 0, .. } => {
                *self = Self::sorted(*map);
                self.find(key)
            }
            Self::Ordered { map, behind, patience } => {
                // From there to the end, then what stands before.
                let left = behind.rest().len();
                for (mut rest, end) in [(behind.clone(), 0), (map.raw_entries(), left)] {
                    while rest.rest().len() > end {
                        let Some((candidate, value)) = rest.next() else { break };
                        if candidate == key {
                            *behind = rest;
                            return Some(value);
                        }
                        *patience = patience.saturating_sub(1);
                    }
                }
                None
            }
            Self::Sorted(members) => {
                let place = members.partition_point(|(candidate, _)| *candidate < key);
                members.get(place).filter(|(found, _)| *found == key).map(|(_, value)| *value)
            }
        }
    }

    fn sorted(map: Map<'a>) -> Self {
        let mut members: Vec<_> = map.raw_entries().collect();
        members.sort_by_key(|(key, _)| *key);
        Self::Sorted(members)
    }
}

/// What becomes of a member.
enum Choice<'v> {
    Keep,
    Drop,
    /// Another value in its place;
    Put(Value<'v>),
    /// the same as the bytes of another document.
    Raw(&'v [u8]),
}

/// Appends the members of a map as `choose` says; those that stay and follow each other, by one copy.
fn members<'v>(map: Map<'_>, out: &mut Vec<u8>, mut choose: impl FnMut(RawKey<'_>) -> Choice<'v>) {
    let mut entries = map.raw_entries();
    let mut run = entries.rest();
    loop {
        let before = entries.rest();
        let next = entries.next();
        let choice = next.map(|(key, value)| (key, value, choose(key)));
        if let Some((_, value, Choice::Keep)) = choice
            && !is_needlessly_wide(value)
        {
            continue;
        }
        out.extend_from_slice(&run[..run.len() - before.len()]);
        run = entries.rest();
        match choice {
            None => return,
            Some((key, value, Choice::Keep)) => raw_entry(out, key, value),
            Some((key, _, Choice::Raw(value))) => raw_entry(out, key, value),
            Some((key, _, Choice::Put(value))) => entry(out, key, value),
            Some((_, _, Choice::Drop)) => {}
        }
    }
}

fn atom_entry(out: &mut Vec<u8>, key: Atom, value: Value<'_>) {
    entry(out, key.raw(), value);
}

fn entry(out: &mut Vec<u8>, key: RawKey<'_>, value: Value<'_>) {
    raw_key(out, key);
    match value {
        Value::Map(map) => narrow(out, map.as_bytes(), 1),
        Value::List(list) => narrow(out, list.as_bytes(), 1),
        scalar => scalar.write_to(out),
    }
}

fn raw_entry(out: &mut Vec<u8>, key: RawKey<'_>, value: &[u8]) {
    raw_key(out, key);
    narrow(out, value, 1);
}

fn raw_key(out: &mut Vec<u8>, key: RawKey<'_>) {
    match key {
        RawKey::Atom(number) => out.extend_from_slice(&number.to_le_bytes()),
        RawKey::Text(text) => {
            let word = format::TEXT_KEY | text.len() as u16;
            out.extend_from_slice(&word.to_le_bytes());
            out.extend_from_slice(text);
        }
    }
}

/// Appends a value without needlessly wide lengths.
fn narrow(out: &mut Vec<u8>, value: &[u8], depth: usize) {
    if !is_needlessly_wide(value) || depth >= format::DEPTH_MAX {
        return out.extend_from_slice(value);
    }
    let open = put::open(out, false);
    match Value::from_raw(value) {
        Value::Map(map) => {
            for (key, value) in map.raw_entries() {
                raw_key(out, key);
                narrow(out, value, depth + 1);
            }
            put::close_map(out, open);
        }
        Value::List(list) => {
            list.iter().raw().for_each(|element| narrow(out, element, depth + 1));
            put::close_list(out, open);
        }
        _ => {}
    }
}

#[inline]
fn is_needlessly_wide(value: &[u8]) -> bool {
    matches!(value.first(), Some(&(format::LIST32 | format::MAP32))) && !wide(value.len())
}

const fn wide(content_max: usize) -> bool {
    content_max > u16::MAX as usize
}
