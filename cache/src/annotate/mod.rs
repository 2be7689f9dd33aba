//! The annotator: (state, input record) → (state', output records), without I/O and clocks. While the shard count changes,
//! READY depends on which guilds are another set's, too.
//!
//! One gateway event gives one record with index 0, and derived ones behind it. What each event
//! does is one row of `rows`; a family of rows has a module.

mod channel;
mod document;
mod entity;
mod erase;
mod expiry;
mod expression;
mod forget;
mod guild;
mod known;
mod member;
mod message;
mod names;
mod output;
mod part;
mod people;
mod places;
mod presence;
mod reaction;
mod refresh;
mod role;
mod rows;
mod session;
mod step;
mod thread;
mod user;
mod voice;
mod wants;
mod world;

pub use expiry::make_room;
pub use forget::forget_uncached;
pub use names::Names;
pub use output::{Output, Outputs, Part, Slice};
pub use part::keep_shards;
pub use wants::Wants;

use mixcord_event::{Flags, Kind, Map, Record};
use mixcord_state::StoreError;

use self::document::{id_in, ids, maps};
use self::step::Step;
use self::world::World;
use crate::settings::Settings;
use crate::store::Store;

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
    let names = Names::of(record.data().as_map().unwrap_or(Map::EMPTY));
    annotate_beside(store, settings, (record, names), slice, &|_| false, out)
}

/// Whether a guild is another's: READY says nothing of it.
pub type Others<'a> = &'a dyn Fn(u64) -> bool;

/// Replaces what `out` held by the record as it is.
pub fn show(record: &Record<'_>, out: &mut Outputs) {
    out.clear();
    out.insert_main(main_of(record));
}

/// The event's own output.
fn main_of(record: &Record<'_>) -> Output {
    let header = record.header();
    Output {
        kind: header.kind,
        reason: header.reason,
        flags: header.flags,
        key: header.key,
        data: Part::Payload,
        old: None,
    }
}

/// The same as [`annotate`], where what the payload names is known already, and another set of sessions may have some
/// of the guilds.
///
/// # Errors
/// As for [`annotate`].
pub fn annotate_beside(
    store: &mut dyn Store,
    settings: &Settings,
    (record, names): (&Record<'_>, Names<'_>),
    slice: Slice,
    others: Others<'_>,
    out: &mut Outputs,
) -> Result<bool, StoreError> {
    out.clear();
    let header = record.header();
    let guild = match header.kind {
        Kind::GUILD_CREATE | Kind::GUILD_UPDATE | Kind::GUILD_DELETE => names.id,
        _ => names.guild,
    };
    let mut step = Step {
        world: World {
            store,
            settings,
            now_us: header.received_us,
            member_events: header.flags.contains(Flags::MEMBER_EVENTS),
            changes_max: slice.changes,
        },
        data: record.data().as_map().unwrap_or(Map::EMPTY),
        names,
        shard: (header.shard.id, header.shard.count),
        guild,
        main: main_of(record),
        slice,
        others,
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
