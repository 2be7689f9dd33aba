//! An event as a line of JSON: the contract's members, whoever prints it.

use mixcord::event::Record;
use mixcord::{Event, Value};
use serde::{Serialize, Serializer};

/// One line of output.
#[derive(Serialize)]
pub(crate) struct Line<'a> {
    kind: &'a str,
    shard: u16,
    shards: u16,
    session: u32,
    seq: u64,
    index: u16,
    #[serde(serialize_with = "id_text")]
    guild_id: Option<u64>,
    reason: Option<&'static str>,
    old: Option<Value<'a>>,
    data: Value<'a>,
}

impl<'a> Line<'a> {
    pub(crate) fn of_event(event: &'a Event) -> Self {
        Self {
            kind: event.name(),
            shard: event.shard().id,
            shards: event.shard().count,
            session: event.session(),
            seq: event.seq(),
            index: event.index(),
            guild_id: event.guild_id(),
            reason: event.reason().as_str(),
            old: event.old(),
            data: event.data(),
        }
    }

    pub(crate) fn of_record(record: &Record<'a>) -> Self {
        let header = record.header();
        Self {
            kind: record.kind_name(),
            shard: header.shard.id,
            shards: header.shard.count,
            session: header.session,
            seq: header.seq,
            index: header.index,
            guild_id: record.guild_id(),
            reason: header.reason.as_str(),
            old: record.old(),
            data: record.data(),
        }
    }
}

#[allow(clippy::ref_option, reason = "serde's signature")]
fn id_text<S: Serializer>(id: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => serializer.collect_str(id),
        None => serializer.serialize_none(),
    }
}
