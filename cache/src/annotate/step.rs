//! A record in work: what it says, the state, and what is to be delivered.

use mixcord_event::{Atom, Flags, Kind, Map, Reason, atoms, edit};
use mixcord_state::{Key, compose};

use super::Others;
use super::document::maps;
use super::names::Names;
use super::output::{Output, Outputs, Part, Slice};
use super::world::World;

/// A record in work.
pub(super) struct Step<'a> {
    pub(super) world: World<'a>,
    /// The payload.
    pub(super) data: Map<'a>,
    /// What it names.
    pub(super) names: Names<'a>,
    /// The shard it came from, and out of how many.
    pub(super) shard: (u16, u16),
    /// The guild it names.
    pub(super) guild: Option<u64>,
    /// The record with index 0.
    pub(super) main: Output,
    /// What of the outputs is wanted.
    pub(super) slice: Slice,
    /// Guilds of which READY says nothing.
    pub(super) others: Others<'a>,
    /// Whether nothing is left for another slice.
    pub(super) complete: bool,
    /// Whether the event's own record comes with a later slice: what it tells is not all done.
    pub(super) postponed: bool,
    /// Derived records so far, and spare buffers.
    pub(super) out: &'a mut Outputs,
}

impl<'a> Step<'a> {
    /// The snowflake under `key` of the payload.
    #[inline]
    pub(super) fn id(&self, key: Atom) -> Option<u64> {
        match key {
            atoms::ID => self.names.id,
            atoms::CHANNEL_ID => self.names.channel,
            atoms::MESSAGE_ID => self.names.message,
            atoms::USER_ID => self.names.user_id,
            _ => self.data.get(key)?.as_id(),
        }
    }

    /// The map under `key` of the payload.
    #[inline]
    pub(super) fn map(&self, key: Atom) -> Option<Map<'a>> {
        match key {
            atoms::USER => self.names.user,
            _ => self.data.get(key)?.as_map(),
        }
    }

    /// The maps in the list under `key` of the payload; none if there is no list.
    pub(super) fn maps(&self, key: Atom) -> impl Iterator<Item = Map<'a>> + use<'a> {
        maps(self.data.get(key))
    }

    /// Delivers `document` as `old`.
    pub(super) fn old(&mut self, document: Vec<u8>) {
        self.main.old = Some(document);
    }

    /// Delivers `document` as `data`.
    pub(super) fn data(&mut self, document: Vec<u8>) {
        self.main.data = Part::Document(document);
    }

    /// The payload merged over `held`, an entity as it was.
    pub(super) fn merged(&mut self, held: &[u8]) -> Part {
        let held = compose::stored_map(held);
        if edit::covers(held, self.data) {
            return Part::Payload;
        }
        let mut merged = self.buffer();
        edit::merge(held, self.data, &mut merged);
        Part::Document(merged)
    }

    /// Merges the payload over `held`, which stands under `key`, and has it written where that changed it. Both are
    /// delivered.
    pub(super) fn merge_over(&mut self, key: Key, held: Vec<u8>) {
        let merged = self.merged(&held);
        let new = merged.bytes(self.data.as_bytes());
        if new != held {
            self.world.store.put(key, &[new]);
        }
        self.main.data = merged;
        self.old(held);
    }

    pub(super) fn flag(&mut self, flag: Flags) {
        self.main.flags = self.main.flags | flag;
    }

    /// The rest, and the event's own record with it, is for another slice.
    pub(super) fn postpone(&mut self) {
        (self.complete, self.postponed) = (false, true);
    }

    /// Adds a record behind the event's own.
    pub(super) fn derive(&mut self, kind: Kind, key: u64, data: Vec<u8>, old: Option<Vec<u8>>) {
        self.out.push(Output {
            kind,
            reason: Reason::Derived,
            flags: Flags::DERIVED,
            key,
            data: Part::Document(data),
            old,
        });
    }

    /// An empty buffer.
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        self.out.buffer()
    }

    /// Gives a buffer back.
    pub(super) fn recycle(&mut self, buffer: Vec<u8>) {
        self.out.recycle(buffer);
    }
}
