//! The annotator against a naive model: random sequences of events of every row, with resources switched
//! off or not; every output is compared, and at the end what is left in the store.
//!
//! The model keeps entities as JSON in one map and does what the table says by hand.

mod channels;
#[path = "../common/mod.rs"]
mod common;
mod events;
mod messages;
mod people;
mod rows;
mod world;

use common::{Cache, invariants};
use mixcord_cache::annotate::forget_uncached;
use mixcord_cache::settings::Settings;
use mixcord_event::Flags;
use mixcord_state::Resource;
use proptest::prelude::*;

use events::event;
use world::World;

/// Messages kept in a channel by the test, and for how long.
const HISTORY: u32 = 3;
const AGE_US: u64 = 400;
/// How long a thread is kept that is archived.
const THREADS_AGE_US: u64 = 150;

fn settings(off: &[usize]) -> Settings {
    let mut settings = Settings::default();
    for &resource in off {
        settings = settings.without(Resource::ALL[resource % Resource::ALL.len()]);
    }
    settings.messages_per_channel = HISTORY;
    settings.messages_age = std::time::Duration::from_micros(AGE_US);
    settings.threads_age = std::time::Duration::from_micros(THREADS_AGE_US);
    settings
}

/// Some of all cases run with everything on, others with some resources off.
fn off() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        2 => Just(Vec::new()),
        1 => prop::collection::vec(0..Resource::ALL.len(), 1..4),
    ]
}

/// An event's dice.
type Dice = [u8; 8];

/// Feeds events to both, and compares.
fn agree(cache: &mut Cache, world: &mut World, dice: &[Dice]) -> Result<(), TestCaseError> {
    for (position, dice) in dice.iter().enumerate() {
        let (kind, data) = event(dice);
        // Now and then time passes, so that messages grow old.
        cache.at.us += u64::from(dice[7] % 4) * 10;
        let seen = cache.feed(kind, data.clone());
        let expected = world.apply(kind, &data, cache.at.us);
        let what = format!("event {position}: {kind} {data}");
        prop_assert_eq!(seen.len(), expected.len(), "{}", &what);
        for (seen, expected) in seen.iter().zip(expected) {
            prop_assert_eq!(&seen.kind, &expected.kind, "kind of {}", &what);
            prop_assert_eq!(&seen.old, &expected.old, "old of {}", &what);
            prop_assert_eq!(&seen.data, &expected.data, "data of {}", &what);
            prop_assert_eq!(seen.reason, expected.reason, "reason of {}", &what);
            prop_assert_eq!(seen.flags.contains(Flags::STALE), expected.stale, "{}", &what);
            let unchanged = seen.flags.contains(Flags::UNCHANGED);
            prop_assert_eq!(unchanged, expected.unchanged, "{}", &what);
        }
        for (table, count) in world.counts() {
            prop_assert_eq!(cache.store.len(table), count, "{:?} after {}", table, &what);
        }
        invariants::check(&cache.store);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_annotator_agrees_with_the_model(
        off in off(),
        member_events in any::<bool>(),
        channels_apart in any::<bool>(),
        dice in prop::collection::vec(any::<Dice>(), 1..250),
    ) {
        let settings = settings(&off);
        let mut cache = Cache { settings: settings.clone(), ..Cache::over(channels_apart) };
        let mut world = World::new(settings);
        world.channels_apart = channels_apart;
        (cache.at.member_events, world.member_events) = (member_events, member_events);
        agree(&mut cache, &mut world, &dice)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_does_when_resources_are_switched_between_two_runs(
        runs in prop::collection::vec((off(), prop::collection::vec(any::<Dice>(), 1..100)), 2..6),
        channels_apart in any::<bool>(),
    ) {
        agree_over(runs, channels_apart)?;
    }
}

/// Run after run on one store, each with resources of its own.
fn agree_over(
    runs: Vec<(Vec<usize>, Vec<Dice>)>,
    channels_apart: bool,
) -> Result<(), TestCaseError> {
    let mut cache = Cache::over(channels_apart);
    let mut world = World::new(Settings::default());
    world.channels_apart = channels_apart;
    for (off, dice) in runs {
        cache.settings = settings(&off);
        forget_uncached(&mut cache.store, &cache.settings).unwrap();
        cache.begin();
        world.open(cache.settings.clone());
        agree(&mut cache, &mut world, &dice)?;
    }
    Ok(())
}

/// Facts of a channel that was never cached outlive a run; they go when something is switched.
#[test]
fn it_does_over_two_runs_with_the_same_resources() {
    let first = vec![
        [64, 157, 0, 0, 0, 0, 0, 0],
        [83, 155, 77, 0, 0, 0, 32, 0],
        [51, 55, 17, 0, 0, 0, 211, 45],
    ];
    let second = vec![[11, 2, 178, 152, 235, 105, 95, 12]];
    for channels_apart in [false, true] {
        let runs = vec![(Vec::new(), first.clone()), (Vec::new(), second.clone())];
        agree_over(runs, channels_apart).unwrap();
    }
}
