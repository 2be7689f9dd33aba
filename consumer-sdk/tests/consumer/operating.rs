//! What an operator sees and does.

use mixcord::operator::{Error, Instance, instances};

use crate::rig::{Rig, next};

#[test]
fn rings_and_groups_are_shown_as_they_are() {
    let mut rig = Rig::new();
    let mut consumer = rig.consumer().group("bot").connect_blocking().expect("connected");
    (0..10).for_each(|number| rig.message(1, number));
    next(&mut consumer).ack();

    assert!(instances().expect("a list").contains(&rig.instance));
    let rings = rig.operator().rings().expect("rings");
    assert_eq!(rings.len(), 1);
    let ring = &rings[0];
    assert_eq!((ring.name.as_str(), ring.tail, ring.slots, ring.partitions), ("out", 10, 256, 8));
    assert!(ring.producer_alive && ring.fullness > 0.0);
    let group = &ring.groups[0];
    assert_eq!((group.name.as_str(), group.policy, group.members), ("bot", "durable", 1));
    assert_eq!(group.lag, 9);

    rig.end_producer();
    assert!(!rig.operator().rings().expect("rings")[0].producer_alive);
}

#[test]
fn groups_are_created_once_and_removed_when_nobody_is_in_them() {
    let rig = Rig::new();
    let operator = rig.operator();
    assert!(operator.create_group("bot", true, false, None).expect("created"));
    assert!(!operator.create_group("bot", true, false, None).expect("there already"));
    let consumer = rig.consumer().group("bot").connect_blocking().expect("connected");
    assert!(matches!(operator.remove_group("bot"), Err(Error::Group { .. })));
    drop(consumer);
    operator.remove_group("bot").expect("removed");
    assert!(matches!(operator.remove_group("bot"), Err(Error::Group { .. })));
    let error = operator.create_group("A Bad Name!", true, false, None).expect_err("a bad name");
    assert!(error.is_configuration(), "{error}");
}

#[test]
fn an_instance_in_use_is_not_removed_and_one_that_is_not_goes_completely() {
    let mut rig = Rig::new();
    let consumer = rig.consumer().group("bot").connect_blocking().expect("connected");
    assert!(matches!(rig.operator().remove(), Err(Error::Remove { .. })));
    rig.end_producer();
    assert!(matches!(rig.operator().remove(), Err(Error::Remove { .. })));
    drop(consumer);
    assert!(rig.operator().remove().expect("removed"));
    assert!(!rig.operator().remove().expect("nothing there"));
    assert!(!instances().expect("a list").contains(&rig.instance));
}

#[test]
fn without_an_output_ring_it_is_said_what_to_start() {
    let rig = Rig::without_ring();
    let error = rig.operator().create_group("bot", true, false, None).expect_err("no ring");
    assert!(error.to_string().contains("mixcord-cache"), "{error}");
    assert!(Instance::open("Not A Name").is_err());
}
