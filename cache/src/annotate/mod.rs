//! The annotator: (state, input record) → (state', output records), without I/O and clocks.
//!
//! One gateway event gives one record with index 0, and derived ones behind it. What each event
//! does is one row of `rows`; a family of rows has a module.

mod channel;
mod entity;
mod expiry;
mod expression;
mod forget;
mod guild;
mod member;
mod message;
mod output;
mod people;
mod reaction;
mod refresh;
mod role;
mod rows;
mod session;
mod thread;
mod user;
mod voice;
mod wants;
mod world;

pub use expiry::make_room;
pub use forget::forget_uncached;
pub use output::{Output, Outputs, Part};
pub use wants::Wants;

use mixcord_event::{Atom, Flags, Kind, Map, Reason, Record, Value};
use mixcord_state::StoreError;

use self::world::World;
use crate::settings::Settings;
use crate::store::Store;

/// What a row does.
type Handler = fn(&mut Step<'_>) -> Result<(), StoreError>;

/// How much of a record's outputs is wanted.
///
/// One READY may find thousands of guilds gone, more than a ring holds; a guild that goes or a role that is
/// deleted may have a million members. The record is then given again, with `from` raised by the outputs it
/// had, until it says that nothing is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slice {
    /// The index of the first output; those before were delivered.
    pub from: u16,
    /// Derived records after which to stop, one at least.
    pub records: usize,
    /// Their bytes after which to stop.
    pub bytes: usize,
    /// Bytes of changes after which to stop, those of the batch's earlier records included.
    pub changes: usize,
}

impl Slice {
    /// Everything.
    pub const WHOLE: Self =
        Self { from: 0, records: usize::MAX, bytes: usize::MAX, changes: usize::MAX };
}

/// Applies one record to the state, and replaces what `out` held by what is to be delivered; says
/// whether that was all.
///
/// # Errors
/// When the store cannot be read; the state may then hold half of the record's changes, which the
/// caller takes back.
pub fn annotate(
    store: &mut dyn Store,
    settings: &Settings,
    record: &Record<'_>,
    slice: Slice,
    out: &mut Outputs,
) -> Result<bool, StoreError> {
    out.clear();
    let header = record.header();
    let guild = record.guild_id();
    let mut step = Step {
        world: World {
            store,
            settings,
            now_us: header.received_us,
            member_events: header.flags.contains(Flags::MEMBER_EVENTS),
            changes_max: slice.changes,
        },
        data: record.data().as_map().unwrap_or(Map::EMPTY),
        shard: (header.shard.id, header.shard.count),
        guild,
        main: Output {
            kind: header.kind,
            reason: header.reason,
            flags: header.flags,
            key: header.key,
            data: Part::Payload,
            old: None,
        },
        slice,
        complete: true,
        postponed: false,
        out,
    };
    rows::handler(header.kind)(&mut step)?;
    let Step { main, out, complete, postponed, .. } = step;
    if slice.from == 0 && !postponed {
        out.insert_main(main);
    }
    Ok(complete)
}

/// A record in work.
struct Step<'a> {
    world: World<'a>,
    /// The payload.
    data: Map<'a>,
    /// The shard it came from, and out of how many.
    shard: (u16, u16),
    /// The guild it names.
    guild: Option<u64>,
    /// The record with index 0.
    main: Output,
    /// What of the outputs is wanted.
    slice: Slice,
    /// Whether nothing is left for another slice.
    complete: bool,
    /// Whether the event's own record comes with a later slice: what it tells is not all done.
    postponed: bool,
    /// Derived records so far, and spare buffers.
    out: &'a mut Outputs,
}

impl<'a> Step<'a> {
    /// The snowflake under `key` of the payload.
    fn id(&self, key: Atom) -> Option<u64> {
        self.data.get(key)?.as_id()
    }

    /// The map under `key` of the payload.
    fn map(&self, key: Atom) -> Option<Map<'a>> {
        self.data.get(key)?.as_map()
    }

    /// The maps in the list under `key` of the payload; none if there is no list.
    fn maps(&self, key: Atom) -> impl Iterator<Item = Map<'a>> + use<'a> {
        maps(self.data.get(key))
    }

    /// Delivers `document` as `old`.
    fn old(&mut self, document: Vec<u8>) {
        self.main.old = Some(document);
    }

    /// Delivers `document` as `data`.
    fn data(&mut self, document: Vec<u8>) {
        self.main.data = Part::Document(document);
    }

    fn flag(&mut self, flag: Flags) {
        self.main.flags = self.main.flags | flag;
    }

    /// The rest, and the event's own record with it, is for another slice.
    fn postpone(&mut self) {
        (self.complete, self.postponed) = (false, true);
    }

    /// Adds a record behind the event's own.
    fn derive(&mut self, kind: Kind, key: u64, data: Vec<u8>, old: Option<Vec<u8>>) {
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
    fn buffer(&mut self) -> Vec<u8> {
        self.out.buffer()
    }

    /// Gives a buffer back.
    fn recycle(&mut self, buffer: Vec<u8>) {
        self.out.recycle(buffer);
    }
}

/// The maps in a list.
fn maps(list: Option<Value<'_>>) -> impl Iterator<Item = Map<'_>> + use<'_> {
    let list = list.and_then(Value::as_list);
    list.into_iter().flat_map(|list| list.iter()).filter_map(Value::as_map)
}

/// The snowflakes in a list.
fn ids(list: Option<Value<'_>>) -> impl Iterator<Item = u64> + use<'_> {
    let list = list.and_then(Value::as_list);
    list.into_iter().flat_map(|list| list.iter()).filter_map(Value::as_id)
}

/// The snowflake under `key`.
fn id_in(map: Map<'_>, key: Atom) -> Option<u64> {
    map.get(key)?.as_id()
}
