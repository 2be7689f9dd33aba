//! What a producer that died between its checkpoint and its tail leaves, and what becomes of it.

use std::sync::Arc;

use super::{Meta, Writer};
use crate::core::Core;
use crate::core::checkpoint::newest_checkpoint;
use crate::core::stress_tests::ring;

fn publish(writer: &mut Writer, records: u64, checkpoint: Option<&str>) {
    for _ in 0..records {
        writer.stage(&Meta::default(), &[b"record"]).unwrap();
    }
    if let Some(checkpoint) = checkpoint {
        writer.set_checkpoint(checkpoint.as_bytes()).unwrap();
    }
    writer.publish();
}

/// Dies with its checkpoint written whole, and its tail not.
fn die_before_the_tail(core: &Arc<Core>, checkpoint: &str) {
    let mut writer = Writer::resume(Arc::clone(core)).unwrap();
    writer.stage(&Meta::default(), &[b"never committed"]).unwrap();
    writer.set_checkpoint(checkpoint.as_bytes()).unwrap();
    writer.checkpoint.prepare(core, writer.tail, writer.staged);
}

fn committed(core: &Core) -> Option<String> {
    newest_checkpoint(core, core.tail()).map(|found| String::from_utf8(found.bytes).unwrap())
}

/// The slot of the ghost is used again by a publish without records; the next one with records must not
/// take what stands there now for the ghost.
#[test]
fn a_checkpoint_committed_in_the_place_of_a_ghost_stays() {
    for first in [None, Some("one")] {
        let core = ring(1);
        publish(&mut Writer::resume(Arc::clone(&core)).unwrap(), 1, first);
        die_before_the_tail(&core, "ghost");
        let mut writer = Writer::resume(Arc::clone(&core)).unwrap();
        assert_eq!(committed(&core).as_deref(), first);
        publish(&mut writer, 0, Some("three"));
        assert_eq!(committed(&core).as_deref(), Some("three"));
        for _ in 0..3 {
            publish(&mut writer, 1, None);
            assert_eq!(committed(&core).as_deref(), Some("three"), "after {first:?}");
        }
    }
}

/// Other records take the places of those the ghost belongs to: it must not come to life with them.
#[test]
fn a_ghost_is_laid_before_the_tail_reaches_it() {
    for first in [None, Some("one")] {
        let core = ring(1);
        publish(&mut Writer::resume(Arc::clone(&core)).unwrap(), 1, first);
        die_before_the_tail(&core, "ghost");
        let mut writer = Writer::resume(Arc::clone(&core)).unwrap();
        for _ in 0..3 {
            publish(&mut writer, 1, None);
            assert_eq!(committed(&core).as_deref(), first);
        }
    }
}

/// The records it belongs to are adopted, and it with them.
#[test]
fn a_ghost_comes_to_life_with_its_records() {
    let core = ring(1);
    publish(&mut Writer::resume(Arc::clone(&core)).unwrap(), 1, Some("one"));
    die_before_the_tail(&core, "two");
    let mut writer = Writer::resume(Arc::clone(&core)).unwrap();
    writer.restage(core.tail() + 1).unwrap();
    assert_eq!(committed(&core).as_deref(), Some("one"));
    writer.publish();
    assert_eq!(committed(&core).as_deref(), Some("two"));
}
