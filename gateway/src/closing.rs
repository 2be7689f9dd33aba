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

#[cfg(test)]
mod tests {
    use mixcord_event::sections;
    use mixcord_event::status::{MIRROR, is_closed};
    use mixcord_ring::{Geometry, Ring};

    use super::*;

    fn checkpoint() -> Checkpoint {
        let mut checkpoint = Checkpoint::default();
        checkpoint.status.state = "connected".into();
        checkpoint.status.seq = Some(7);
        checkpoint
    }

    /// Of three shards one is let go by a gateway that was killed, one is written, and one is another machine's.
    #[test]
    fn rings_that_nobody_writes_any_more_say_that_they_are_closed() {
        let name = format!("t{}-g-closing", std::process::id());
        let namespace = Namespace::new(&topology::namespace(&name)).expect("a name");
        let bell = namespace.bell().expect("a bell");
        let geometry = Geometry::new(64, 1 << 16, 4, 1, 4).expect("a ring");
        let make = |shard, bytes: &[u8]| {
            let ring = topology::shard_ring(shard, 3);
            let mut producer =
                Producer::create(&namespace, &ring, geometry, &[], &bell).expect("made");
            producer.set_checkpoint(bytes).expect("it fits");
            producer.publish();
            producer
        };
        let left = checkpoint().encode();
        let mut mirrored = left.clone();
        sections::put(&mut mirrored, MIRROR, 1, b"whatever");
        drop(make(0, &left));
        let written = make(1, &left);
        drop(make(2, &mirrored));
        close(&namespace, &ShardSet::whole(4));
        close(&namespace, &ShardSet::whole(3));
        let says = |shard| {
            let ring = Ring::attach(&namespace, &topology::shard_ring(shard, 3)).expect("there");
            ring.checkpoint().expect("there")
        };
        assert!(is_closed(&says(0)));
        assert_eq!((says(1), says(2)), (left, mirrored));
        drop((written, bell));
        namespace.remove_all().expect("nobody has them");
    }
}
