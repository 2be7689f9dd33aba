//! Rings of a shard count that was left say that their sessions are closed for good, also where the process that closed
//! them was killed before: mixcord-bridge and caches on other machines wait for that.

use mixcord_event::takeover::is_mirror;
use mixcord_event::topology;
use mixcord_ring::{Namespace, Producer};

use crate::checkpoint::Checkpoint;
use crate::config::ShardSet;

/// Says it in the rings that are there, and that nobody writes.
pub(crate) fn close(namespace: &Namespace, shards: &ShardSet) {
    let Ok(bell) = namespace.bell() else { return };
    for shard in shards.ids() {
        let name = topology::shard_ring(shard, shards.count);
        let Ok(mut producer) = Producer::attach(namespace, &name, &bell) else { continue };
        let Some(bytes) = producer.checkpoint().filter(|bytes| !is_mirror(bytes)) else { continue };
        let Some(mut checkpoint) = Checkpoint::decode(&bytes) else { continue };
        checkpoint.close();
        let closed = checkpoint.encode();
        if closed == bytes {
            continue;
        }
        match producer.set_checkpoint(&closed) {
            Ok(()) => drop(producer.publish()),
            Err(error) => tracing::warn!(ring = name, %error, "that it is closed cannot be said"),
        }
    }
}
