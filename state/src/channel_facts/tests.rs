//! Facts are what was said of a channel, whatever was asked of them meanwhile.

use super::*;

const GUILD: u64 = 0x0102_0304_0506_0708;

fn cached(id: u64) -> Cached {
    Cached { id, received_us: 1_000 + id }
}

fn ids(facts: &ChannelFacts<'_>) -> Vec<u64> {
    facts.history().map(|message| message.id).collect()
}

#[test]
fn messages_stand_in_the_order_of_their_receipt_and_no_two_in_one_place() {
    let sent = |us: u64, n: u64| ((us / 1000 - 1_420_070_400_000) << 22) | n;
    let begin = 1_795_080_861_000_000;
    let mut keys = Vec::new();
    for received_us in (begin..begin + 200_000_000).step_by(999_983) {
        keys.push(Cached { id: sent(received_us - 80_000, 1), received_us }.key());
    }
    assert!(keys.is_sorted() && keys.windows(2).all(|pair| pair[0] != pair[1]));
    keys.dedup_by_key(|key| key.owner());
    assert!(keys.len() <= 8, "{} owners", keys.len());
    let odd = [0, 1, u64::MAX, 1 << 38, (1 << 38) - 1, 1 << 63];
    let times = [0, 1, begin, begin + 1, (1 << 52) - 1, 1 << 26, (1 << 26) - 1];
    let all = odd.iter().flat_map(|&id| times.map(|received_us| Cached { id, received_us }.key()));
    let mut all: Vec<_> = all.collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), odd.len() * times.len());
}

#[test]
fn a_key_says_when_its_message_was_received() {
    for received_us in [0, 1, (1 << 26) - 1, 1 << 26, 1_795_080_861_000_001] {
        let minute = received_us >> 26 << 26;
        let range = Cached::received_by(received_us);
        for id in [0, 1, 1 << 38, u64::MAX] {
            let key = Cached { id, received_us }.key();
            assert_eq!(Cached::received_us_of(key), received_us);
            assert!(range.contains(key));
            assert!(range.contains(Cached { id, received_us: minute }.key()));
            assert!(!range.contains(Cached { id, received_us: minute + (1 << 26) }.key()));
        }
    }
}

#[test]
fn a_history_stays_in_the_order_of_ids() {
    let mut facts = ChannelFacts::of(GUILD);
    for id in [5, 9, 7, 3] {
        assert_eq!(facts.insert(cached(id)), None);
    }
    let again = Cached { received_us: 1, ..cached(7) };
    assert_eq!(facts.insert(again), Some(cached(7)));
    assert_eq!(ids(&facts), [3, 5, 7, 9]);
    assert_eq!(facts.message(7), Some(again));
    assert_eq!(facts.message(4), None);
    let between = |range| facts.history_in(range).map(|it| it.id).collect::<Vec<_>>();
    assert_eq!(between(4..=7), [5, 7]);
    assert_eq!(between(0..=u64::MAX).len(), 4);
    #[expect(clippy::reversed_empty_ranges, reason = "a range that is empty")]
    let none = between(7..=4);
    assert!(none.is_empty());
}

#[test]
fn messages_go_by_choice_or_from_the_front() {
    let mut facts = ChannelFacts::of(GUILD);
    facts.set_last_message(LastMessage::Id(9));
    for id in 1..=6 {
        facts.insert(cached(id));
    }
    facts.retain(|message| !matches!(message.id, 2 | 5 | 6));
    assert_eq!((facts.count(), ids(&facts)), (3, vec![1, 3, 4]));
    facts.remove_first(2);
    assert_eq!(ids(&facts), [4]);
    facts.remove_first(2);
    assert_eq!((facts.count(), facts.last_message()), (0, LastMessage::Id(9)));
}

#[test]
fn facts_come_back_as_written() {
    for last_message in [LastMessage::Unknown, LastMessage::None, LastMessage::Id(u64::MAX)] {
        let mut facts = ChannelFacts::of(GUILD);
        facts.insert(cached(1));
        facts.set_last_message(last_message);
        let bytes = facts.as_bytes().to_vec();
        let mut read = ChannelFacts::from_bytes(&bytes).unwrap();
        assert_eq!((read.last_message(), ids(&read)), (last_message, vec![1]));
        read.clear_history();
        assert_eq!((read.last_message(), read.count()), (last_message, 0));
        assert_eq!(read.guild(), GUILD);
        read.set_guild(7);
        assert_eq!((read.guild(), read.last_message()), (7, last_message));
    }
}

#[test]
fn foreign_bytes_are_refused() {
    for bytes in [&[][..], &[0; 8], &[0; 16], &[3; 17], &[0; 18], &[0; 32]] {
        assert_eq!(ChannelFacts::from_bytes(bytes), None, "{bytes:?}");
    }
}

/// Stores of before hold the parts, and this release puts them together.
#[test]
fn p11_facts_are_the_guild_and_what_was_known_of_it_before() {
    let mut facts = ChannelFacts::of(GUILD);
    facts.set_last_message(LastMessage::Id(9));
    facts.insert(cached(5));
    let (guild, rest) = facts.parts();
    assert_eq!(guild, [8, 7, 6, 5, 4, 3, 2, 1]);
    let numbers: Vec<u8> = [9_u64, 5, 1005].into_iter().flat_map(u64::to_le_bytes).collect();
    assert_eq!(rest, [&[2], &numbers[..]].concat());
    let whole = [guild, rest].concat();
    assert_eq!(ChannelFacts::from_bytes(&whole), Some(facts));
}
