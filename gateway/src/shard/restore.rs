//! What a new run goes on with.

use mixcord_event::status::ShardStatus;
use mixcord_ring::Producer;

use crate::checkpoint::{Checkpoint, Settings};
use crate::session::{GapReason, Restored};

/// What the ring remembers.
///
/// With `replaces`, a ring without a word follows sessions of another shard count.
pub(super) fn restore(
    producer: &Producer,
    settings: &Settings,
    replaces: bool,
) -> (Checkpoint, Restored) {
    let Some(bytes) = producer.checkpoint() else {
        return (Checkpoint::default(), first(replaces));
    };
    let Some(mut checkpoint) = Checkpoint::decode(&bytes) else {
        tracing::error!("the ring's checkpoint cannot be read: a new session begins");
        let restored = Checkpoint::unreadable(super::now_us() / 1_000_000);
        return (Checkpoint::default(), restored);
    };
    let mut restored = checkpoint.restore(settings);
    if restored == Restored::nothing() {
        restored = first(replaces);
    }
    let (session, seq) = (checkpoint.status.session, checkpoint.status.seq);
    checkpoint.status = ShardStatus { session, seq, ..ShardStatus::default() };
    (checkpoint, restored)
}

/// No session ever began in the ring.
fn first(replaces: bool) -> Restored {
    Restored { lost: replaces.then_some(GapReason::ShardCountChanged), ..Restored::nothing() }
}
