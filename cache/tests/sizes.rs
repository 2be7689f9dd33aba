//! The output ring gets other sizes once it is drained, and loses nothing by it.

mod common;

use std::os::unix::fs::FileExt;

use common::instance::{Instance, Out, receive, send, settle, typing};
use mixcord_event::topology;
use mixcord_ring::{Geometry, Ring};

fn sizes(slots: u32) -> Geometry {
    Geometry::new(slots, 1 << 19, 4, 4, 4).unwrap()
}

fn numbers(seen: &[Out]) -> Vec<u64> {
    assert!(seen.iter().all(|out| out.kind == "TYPING_START"), "{seen:?}");
    seen.iter().map(|out| out.data["n"].as_u64().unwrap()).collect()
}

fn output(instance: &Instance) -> Ring {
    Ring::attach(&instance.namespace, topology::OUTPUT_RING).unwrap()
}

/// The last record is written and committed, and not published: as after a death between the two.
fn unpublish(instance: &Instance) {
    /// Where the tail stands; `ringbuf-ipc/tests/layout.rs` fixes it.
    const TAIL: u64 = 4096;
    let tail = output(instance).tail();
    let path = format!("/dev/shm/{}.out", topology::namespace(&instance.name));
    let segment = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    segment.write_all_at(&(tail - 1).to_le_bytes(), TAIL).unwrap();
}

#[test]
fn a_drained_ring_gets_other_sizes_and_its_group_goes_on_where_it_stood() {
    let mut instance = Instance::new("grown");
    instance.output = sizes(64);
    instance.declare();
    let mut shard = instance.shard(0, 1);
    send(&mut shard, (0, 1), &[typing(1), typing(2)]);
    settle(&mut instance.engine());
    let id = output(&instance).id();

    instance.output = sizes(256);
    send(&mut shard, (0, 1), &[typing(3)]);
    settle(&mut instance.engine());
    assert_eq!(output(&instance).geometry(), sizes(64), "its group has records before it");
    assert_eq!(numbers(&receive(&mut instance.consumer())), [1, 2, 3]);

    let mut engine = instance.engine();
    let ring = output(&instance);
    assert_eq!((ring.geometry(), ring.id(), ring.tail()), (sizes(256), id, 3));
    assert_eq!(ring.groups()[0].lag, 0);
    send(&mut shard, (0, 1), &[typing(4)]);
    settle(&mut engine);
    assert_eq!(numbers(&receive(&mut instance.consumer())), [4]);
}

#[test]
fn what_was_committed_is_published_before_the_ring_gets_other_sizes() {
    for grouped in [true, false] {
        let mut instance = Instance::new(if grouped { "unread" } else { "nobody" });
        instance.output = sizes(64);
        if grouped {
            instance.declare();
        }
        let mut shard = instance.shard(0, 1);
        send(&mut shard, (0, 1), &[typing(1)]);
        settle(&mut instance.engine());
        if grouped {
            assert_eq!(numbers(&receive(&mut instance.consumer())), [1]);
        }
        send(&mut shard, (0, 1), &[typing(2)]);
        settle(&mut instance.engine());
        unpublish(&instance);

        instance.output = sizes(256);
        let mut engine = instance.engine();
        assert_eq!(output(&instance).tail(), 2);
        assert_eq!(
            output(&instance).geometry() == sizes(256),
            !grouped,
            "nobody has it before him"
        );
        let mut consumer = instance.consumer();
        send(&mut shard, (0, 1), &[typing(3)]);
        settle(&mut engine);
        // And no GAP, which would say that something was lost.
        let wanted: &[u64] = if grouped { &[2, 3] } else { &[3] };
        assert_eq!(numbers(&receive(&mut consumer)), wanted);
    }
}
