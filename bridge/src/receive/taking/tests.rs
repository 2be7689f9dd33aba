use mixcord_event::bridge::GatewayFigures;
use mixcord_event::permit::Shards;

use super::*;

const fn shards(first: u16, last: u16) -> Shards {
    Shards { first, last, count: 16 }
}

fn lanes(shards: std::ops::Range<u16>) -> impl Iterator<Item = Lane> {
    shards.map(|shard| Lane { shard, count: 16 })
}

fn asked(taker: &Taker, shards: Shards) -> Answer {
    taker.answer(&Ask::TakeOver(shards).encode())
}

fn shown(taker: &Taker) -> Vec<(u16, String, String)> {
    let all = taker.asking.figures().into_iter();
    all.map(|GatewayFigures { first, state, why, .. }| (first, state, why)).collect()
}

#[test]
fn two_gateways_of_one_machine_stand_by_each_for_its_own_shards() {
    let taker = Taker::new("prod");
    taker.known(lanes(0..16));
    let waits = |first, last, why: &str| {
        let answer = asked(&taker, shards(first, last));
        matches!(answer, Answer::Wait { why: Some(said), .. } if said.contains(why))
    };
    assert!(waits(0, 7, "is looked at") && waits(8, 15, "is looked at"));
    assert!(lanes(0..16).all(|lane| taker.wants(lane)), "neither is forgotten for the other");
    lanes(0..8).for_each(|lane| taker.waits(lane, "the lease of a"));
    assert!(waits(8, 15, "is looked at") && waits(0, 7, "the lease of a"));
    let standby = |first, why: &str| (first, "standby".to_owned(), why.to_owned());
    let looked = "whether the machine that runs its shards lives is looked at";
    assert_eq!(shown(&taker), [standby(0, "the lease of a"), standby(8, looked)]);
    // One of them has all of its own.
    lanes(0..8).for_each(|lane| taker.done(lane));
    assert_eq!(asked(&taker, shards(0, 7)), Answer::Noted);
    assert!(waits(8, 15, "is looked at"));
    assert_eq!(shown(&taker), [standby(8, looked)]);
}

#[test]
fn who_waits_for_shards_that_nobody_ever_sent_is_told_and_shown_so() {
    let taker = Taker::new("prod");
    let wait = asked(&taker, shards(0, 7));
    assert!(matches!(wait, Answer::Wait { .. }), "the broker was not asked yet: {wait:?}");
    taker.known(lanes(8..16));
    assert_eq!(asked(&taker, shards(0, 7)), Answer::Noted);
    let why = "nothing was sent of its shards".to_owned();
    assert_eq!(shown(&taker), [(0, "standby".to_owned(), why)]);
    assert!(matches!(asked(&taker, shards(0, 8)), Answer::Wait { .. }), "one of them is sent");
}
