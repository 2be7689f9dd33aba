//! The state of an instance that has none, or whose ring says otherwise. What it answers when it is there
//! is tried with a cache that runs, in tests/e2e.

use mixcord::State;
use mixcord::state::{Error, Resource};
use mixcord_ring::Namespace;
use mixcord_state::Checkpoint;

use crate::rig::{Rig, next};

fn refused(state: &State) -> Error {
    let error = state.guild(1).expect_err("there is no state");
    let listed = state.guilds().next().expect("an error").expect_err("the same");
    assert_eq!(error.to_string(), listed.to_string());
    assert_eq!(error.to_string(), state.count(Resource::Users).expect_err("the same").to_string());
    assert_eq!(error.to_string().lines().count(), 1);
    error
}

#[test]
fn without_a_cache_it_is_said_what_to_start_and_nothing_is_left_behind() {
    let mut rig = Rig::without_ring();
    let state = State::attach(&rig.instance).expect("a name");
    assert!(refused(&state).is_not_yet());
    assert!(!mixcord::operator::instances().expect("a list").contains(&rig.instance));
    // A cache that has not made its store yet.
    rig.create_ring();
    let error = refused(&state);
    assert!(error.is_not_yet() && error.to_string().contains("start mixcord-cache"), "{error}");
    rig.end_producer();
    assert!(rig.operator().remove().expect("removed"), "a state that was asked holds nothing");
}

#[test]
fn a_cache_without_a_store_says_so_to_every_handler() {
    let mut rig = Rig::new();
    let none = Checkpoint::default().to_bytes(4032);
    rig.producer.as_mut().expect("a producer").set_checkpoint(&none).expect("it fits");
    rig.message(1, 1);
    let member = rig.consumer().group("bot").from_earliest().connect_blocking();
    let observer = rig.consumer().observer().from_earliest().connect_blocking();
    for mut consumer in [member.expect("connected"), observer.expect("connected")] {
        let event = next(&mut consumer);
        let error = refused(event.state());
        assert!(matches!(error, Error::Off { .. }) && !error.is_not_yet(), "{error}");
        assert!(error.to_string().contains("--store none"), "{error}");
        assert_eq!(consumer.state().instance(), rig.instance);
    }
}

#[test]
fn a_store_whose_ring_is_damaged_is_not_guessed_at() {
    let mut rig = Rig::new();
    let state = State::attach(&rig.instance).expect("a name");
    rig.end_producer();
    let path = Namespace::directory().join(format!("{}.out", rig.namespace.prefix()));
    std::fs::write(path, [0x5A; 4096]).expect("written");
    assert!(matches!(refused(&state), Error::Ring { .. }));
}

#[test]
fn another_name_is_another_state_and_the_same_name_the_same() {
    let wrong = State::attach("Not A Name").expect_err("no name");
    assert!(wrong.is_configuration(), "{wrong}");
    let (one, other) = (Rig::without_ring(), Rig::without_ring());
    let state = State::attach(&one.instance).expect("a name");
    assert_eq!(state.instance(), one.instance);
    assert_ne!(state.instance(), State::attach(&other.instance).expect("a name").instance());
}
