//! Building documents by hand.

use crate::{
    atom::Atom,
    key::Key,
    put::{self, Open},
    value::Value,
};

/// Writes one value into a buffer.
///
/// ```
/// use mixcord_event::{Value, Writer, atoms};
///
/// let mut bytes = Vec::new();
/// let mut map = Writer::new(&mut bytes).map();
/// map.entry(atoms::GUILD_ID, Value::Id(41));
/// let mut roles = map.list(atoms::ROLES);
/// roles.push(Value::Id(42));
/// roles.end();
/// map.end();
/// assert_eq!(Value::parse(&bytes)?.to_json(), r#"{"guild_id":"41","roles":["42"]}"#);
/// # Ok::<(), mixcord_event::DocumentError>(())
/// ```
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// Appends to `out`.
    pub const fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Writes a value that exists.
    pub fn value<'v>(self, value: impl Into<Value<'v>>) {
        value.into().write_to(self.out);
    }

    /// Begins a map.
    pub fn map(self) -> MapWriter<'a> {
        let open = put::open(self.out, false);
        MapWriter { out: self.out, open }
    }

    /// Begins a list.
    pub fn list(self) -> ListWriter<'a> {
        let open = put::open(self.out, false);
        ListWriter { out: self.out, open }
    }
}

/// Writes the members of a map; the map is complete when this is dropped.
///
/// Each key may be written once: a document with two members of one key reads as the first.
#[derive(Debug)]
pub struct MapWriter<'a> {
    out: &'a mut Vec<u8>,
    open: Open,
}

impl MapWriter<'_> {
    /// Writes a member.
    pub fn entry<'v>(&mut self, key: Atom, value: impl Into<Value<'v>>) {
        put::atom_key(self.out, key);
        value.into().write_to(self.out);
    }

    /// Writes a member under any key.
    pub fn named<'v>(&mut self, key: &str, value: impl Into<Value<'v>>) {
        self.name(key);
        value.into().write_to(self.out);
    }

    /// Writes a member under a key of another map.
    pub fn keyed<'v>(&mut self, key: Key<'_>, value: impl Into<Value<'v>>) {
        match key {
            Key::Atom(key) => self.entry(key, value),
            Key::Text(key) => self.named(key, value),
            Key::Unknown(number) => {
                put::unknown_key(self.out, number);
                value.into().write_to(self.out);
            }
        }
    }

    /// Begins a member that is a map.
    pub fn map(&mut self, key: Atom) -> MapWriter<'_> {
        put::atom_key(self.out, key);
        Writer::new(self.out).map()
    }

    /// Begins a member that is a list.
    pub fn list(&mut self, key: Atom) -> ListWriter<'_> {
        put::atom_key(self.out, key);
        Writer::new(self.out).list()
    }

    /// Begins a member that is a map, under any key.
    pub fn named_map(&mut self, key: &str) -> MapWriter<'_> {
        self.name(key);
        Writer::new(self.out).map()
    }

    /// Begins a member that is a list, under any key.
    pub fn named_list(&mut self, key: &str) -> ListWriter<'_> {
        self.name(key);
        Writer::new(self.out).list()
    }

    /// Completes the map.
    pub fn end(self) {}

    fn name(&mut self, key: &str) {
        match Atom::lookup(key.as_bytes()) {
            Some(atom) => put::atom_key(self.out, atom),
            None => put::text_key(self.out, key),
        }
    }
}

impl Drop for MapWriter<'_> {
    fn drop(&mut self) {
        put::close_map(self.out, self.open);
    }
}

/// Writes the elements of a list; the list is complete when this is dropped.
#[derive(Debug)]
pub struct ListWriter<'a> {
    out: &'a mut Vec<u8>,
    open: Open,
}

impl ListWriter<'_> {
    /// Writes an element.
    pub fn push<'v>(&mut self, value: impl Into<Value<'v>>) {
        value.into().write_to(self.out);
    }

    /// Begins an element that is a map.
    pub fn map(&mut self) -> MapWriter<'_> {
        Writer::new(self.out).map()
    }

    /// Begins an element that is a list.
    pub fn list(&mut self) -> ListWriter<'_> {
        Writer::new(self.out).list()
    }

    /// Completes the list.
    pub fn end(self) {}
}

impl Drop for ListWriter<'_> {
    fn drop(&mut self) {
        put::close_list(self.out, self.open);
    }
}
