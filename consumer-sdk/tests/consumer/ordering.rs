//! Which events wait for each other.

use std::collections::HashMap;
use std::time::Duration;

use mixcord::event::record::Record;
use mixcord::{Consumer, Event, Kind, Order};

use crate::rig::{Rig, next};

/// Publishes messages of these guilds and channels, numbered from 0.
fn messages(rig: &mut Rig, places: &[(u64, u64)]) {
    for (number, (guild, channel)) in (0..).zip(places) {
        let data = format!(r#"{{"id":"{number}","channel_id":"{channel}"}}"#);
        rig.publish(Kind::MESSAGE_CREATE, *guild, number, &data, None);
    }
}

/// Takes what can be out side by side.
fn take_all(consumer: &mut Consumer) -> Vec<Event> {
    std::iter::from_fn(|| consumer.next_timeout(Duration::ZERO).expect("no error").event())
        .collect()
}

fn seqs(events: &[Event]) -> Vec<u64> {
    events.iter().map(Event::seq).collect()
}

const PLACES: [(u64, u64); 5] = [(1, 10), (1, 11), (1, 10), (2, 20), (2, 20)];

fn by_number(record: &Record<'_>) -> u64 {
    record.header().seq % 3
}

#[test]
fn the_order_decides_who_waits_for_whom() {
    let orders: [(Option<Order>, &[u64]); 5] = [
        (None, &[0, 3]),
        (Some(Order::Guild), &[0, 3]),
        (Some(Order::Channel), &[0, 1, 3]),
        (Some(Order::Key(by_number)), &[0, 1, 2]),
        (Some(Order::None), &[0, 1, 2, 3, 4]),
    ];
    for (order, expected) in orders {
        let mut rig = Rig::new();
        messages(&mut rig, &PLACES);
        let builder = rig.consumer().group("bot").from_earliest();
        let builder = match order {
            Some(order) => builder.order(order),
            None => builder,
        };
        let mut consumer = builder.connect_blocking().expect("connected");
        let mut events = take_all(&mut consumer);
        assert_eq!(seqs(&events), expected, "{order:?}");
        // In whatever order they come back, each key's next one is given.
        let mut given: HashMap<u64, u64> = HashMap::new();
        while let Some(event) = events.pop() {
            event.ack();
            *given.entry(event.seq()).or_default() += 1;
            events.extend(take_all(&mut consumer));
        }
        assert_eq!(given, (0..5).map(|seq| (seq, 1)).collect(), "{order:?}");
        assert_eq!(consumer.lag(), 0);
    }
}

#[test]
fn a_member_that_asks_for_another_order_is_refused_and_one_that_asks_for_none_takes_what_there_is()
{
    let mut rig = Rig::new();
    messages(&mut rig, &PLACES);
    let builder = || rig.consumer().group("bot").from_earliest();
    let first = builder().order(Order::Channel).connect_blocking().expect("connected");
    let error = builder().order(Order::Guild).connect_blocking().expect_err("another order");
    assert!(error.is_configuration() && error.to_string().contains("bot"), "{error}");
    drop(first);
    let mut second = builder().connect_blocking().expect("connected");
    assert_eq!(seqs(&take_all(&mut second)), [0, 1, 3]);
    let both = builder().order(Order::Guild).in_ring_order().connect_blocking();
    assert!(both.expect_err("one or the other").is_configuration());
}

#[test]
fn the_order_of_the_ring_is_one_event_after_the_other() {
    // Also in a group that was made with an order by guild.
    for made_before in [false, true] {
        let mut rig = Rig::new();
        if made_before {
            rig.operator().create_group("bot", true, false, None).expect("a group");
        }
        let places: Vec<_> = (0..100).map(|number| (number * 7 % 5, number)).collect();
        messages(&mut rig, &places);
        let builder = rig.consumer().group("bot").from_earliest().in_ring_order();
        let mut consumer = builder.connect_blocking().expect("connected");
        for expected in 0..100 {
            let event = next(&mut consumer);
            assert_eq!(event.seq(), expected);
            assert!(take_all(&mut consumer).is_empty());
            event.ack();
        }
        assert_eq!(consumer.lag(), 0);
    }
}

/// 5,000 events of as many guilds are out in one process.
#[test]
fn thousands_of_events_may_be_out_in_one_process() {
    let mut rig = Rig::with_slots(8192, 4 << 20);
    let builder = rig.consumer().group("bot").concurrency(5_000).handler_timeout(None);
    let mut consumer = builder.connect_blocking().expect("connected");
    (1..=6_000).for_each(|guild| rig.message(guild, 1));
    let mut out = take_all(&mut consumer);
    assert_eq!((out.len(), consumer.meter().read().in_work), (5_000, 5_000));
    out.drain(..).for_each(|event| event.ack());
    assert_eq!(take_all(&mut consumer).len(), 1_000);
}
