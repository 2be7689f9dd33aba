use super::*;
use crate::core::words::letter::{CHANGE, HEAD};
use crate::core::words::word::{Counts, Epoch};

const RING: u64 = 7;

/// A file that goes with the test.
struct Named(String);

impl Named {
    fn new(test: &str) -> Self {
        Self(format!("ringtest-{}-{test}.letters", std::process::id()))
    }

    fn open(&self, limit: u64) -> Letters {
        Letters::open(&self.0, RING, limit, true).unwrap().unwrap()
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(path_of(&self.0)).unwrap()
    }

    fn write(&self, bytes: &[u8]) {
        fs::write(path_of(&self.0), bytes).unwrap();
    }

    fn is_there(&self) -> bool {
        fs::exists(path_of(&self.0)).unwrap()
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

fn condition(kept: Kept) -> Condition {
    let (counts, epoch) = (Counts::default(), Epoch::of(1));
    Condition { kept, member: None, counts, epoch, revived: false, once: false }
}

fn parts(position: u64, kept: Kept, payload: &[u8]) -> Parts<'_> {
    let (key, order, tag, source, written_ms, lane) = (1, 2, 3, 4, 5, 7);
    let condition = condition(kept);
    Parts { condition, position, key, order, tag, source, written_ms, lane, reason: "why", payload }
}

fn heads(letters: &Letters) -> Vec<(u64, Kept)> {
    letters.index.all().map(|Placed { head, .. }| (head.position, head.condition.kept)).collect()
}

fn positions(letters: &Letters) -> Vec<u64> {
    heads(letters).into_iter().map(|(position, _)| position).collect()
}

fn number_of(letters: &Letters, position: u64) -> u64 {
    letters.of(position)[0].number
}

#[test]
fn entries_are_there_again_in_the_state_they_were_given_last() {
    let name = Named::new("again");
    let mut letters = name.open(1 << 16);
    for position in 0..3 {
        letters.append(&parts(position, Kept::Waiting, &[position as u8; 100])).unwrap().unwrap();
    }
    letters.change(number_of(&letters, 1), condition(Kept::Dead)).unwrap();
    letters.change(number_of(&letters, 0), condition(Kept::Gone)).unwrap();
    let letters = name.open(1 << 16);
    assert_eq!(heads(&letters), [(1, Kept::Dead), (2, Kept::Waiting)]);
    let body = letters.body(number_of(&letters, 2)).unwrap();
    assert_eq!(body, ("why".to_owned(), vec![2; 100]));
    assert_eq!((letters.live().len(), letters.dead().len()), (1, 1));
}

/// However much of the last item was written, the ones before are there, and the next takes its place.
#[test]
fn a_torn_end_is_cut_and_is_no_damage() {
    let name = Named::new("torn");
    let mut letters = name.open(1 << 16);
    letters.append(&parts(0, Kept::Waiting, b"first")).unwrap();
    let whole = letters.end;
    letters.append(&parts(1, Kept::Dead, &[9; 40])).unwrap();
    let entry = letters.end;
    letters.change(number_of(&letters, 0), condition(Kept::Dead)).unwrap();
    let bytes = name.bytes();
    for cut in whole as usize..bytes.len() {
        name.write(&bytes[..cut]);
        let mut letters = name.open(1 << 16);
        let kept: &[u64] = if cut < entry as usize { &[0] } else { &[0, 1] };
        assert_eq!(positions(&letters), kept, "cut at {cut}");
        assert_eq!(letters.damage(), Damage::default(), "cut at {cut}");
        letters.append(&parts(2, Kept::Dead, b"next")).unwrap();
        let letters = name.open(1 << 16);
        assert_eq!(positions(&letters), [kept, &[2]].concat());
        assert_eq!(letters.damage(), Damage::default(), "something torn was left, cut at {cut}");
    }
}

/// P8: whatever byte of the file is another, what was not in that item is there, and the damage is told; what was is
/// counted.
#[test]
fn damage_anywhere_costs_the_damaged_item_alone_and_is_counted() {
    let name = Named::new("damaged");
    let mut letters = name.open(1 << 16);
    for position in 0..4 {
        letters.append(&parts(position, Kept::Waiting, &[position as u8; 24])).unwrap();
    }
    letters.change(number_of(&letters, 3), condition(Kept::Dead)).unwrap();
    let places: Vec<_> = letters.index.all().collect();
    let bytes = name.bytes();
    let change = bytes.len() - CHANGE;
    for at in HEADER as usize..bytes.len() {
        let mut broken = bytes.clone();
        broken[at] ^= 0x10;
        name.write(&broken);
        let letters = name.open(1 << 16);
        let hit = places.iter().rposition(|placed| placed.at as usize <= at).unwrap();
        let is_head = at < places[hit].at as usize + HEAD;
        let expected: Vec<_> = if at >= change {
            (0..4).map(|position| (position, Kept::Waiting)).collect()
        } else {
            let kept = (0..4).filter(|&position| !is_head || position != hit as u64);
            kept.map(|p| (p, if p == 3 { Kept::Dead } else { Kept::Waiting })).collect()
        };
        assert_eq!(heads(&letters), expected, "byte {at}");
        let lost = u64::from(at < change && is_head);
        let times = u64::from(at >= change || is_head);
        assert_eq!(letters.damage(), Damage { times, lost }, "byte {at}");
        if !is_head && at < change {
            let body = letters.body(number_of(&letters, hit as u64));
            assert!(body.is_err() || at + 8 > places[hit].at as usize + HEAD + 27, "byte {at}");
            continue;
        }
        let kept = format!("{}.damaged", name.0);
        assert_eq!(fs::read(path_of(&kept)).unwrap(), broken, "what it was is kept");
        assert_eq!(name.open(1 << 16).damage(), Damage { times, lost }, "it is told but once");
    }
}

/// Entries that were gone by then are no loss; of several that stood side by side each is counted.
#[test]
fn what_was_gone_is_not_lost_with_its_damage() {
    let name = Named::new("gone");
    let mut letters = name.open(1 << 16);
    for position in 0..6 {
        letters.append(&parts(position, Kept::Waiting, &[0; 24])).unwrap();
    }
    letters.change(number_of(&letters, 2), condition(Kept::Gone)).unwrap();
    let places = name.open(1 << 16).index.all().map(|placed| placed.at).collect::<Vec<_>>();
    let mut bytes = name.bytes();
    bytes[places[1] as usize..places[3] as usize].fill(0xAA);
    name.write(&bytes);
    let mut letters = name.open(1 << 16);
    assert_eq!((positions(&letters), letters.damage().lost), (vec![0, 4, 5], 2));
    // A second time; what was lost before is remembered.
    letters.append(&parts(6, Kept::Dead, &[0; 24])).unwrap();
    let at = letters.index.all().nth(1).unwrap().at;
    let mut bytes = name.bytes();
    bytes[at as usize] ^= 1;
    name.write(&bytes);
    let letters = name.open(1 << 16);
    assert_eq!(
        (positions(&letters), letters.damage()),
        (vec![0, 5, 6], Damage { times: 2, lost: 3 })
    );
}

/// What others wrote into a payload is never taken for an entry.
#[test]
fn bytes_inside_a_damaged_payload_are_no_entries() {
    let name = Named::new("forged");
    let forged = parts(99, Kept::Dead, b"forged").encode(RING + 1, 2);
    let mut letters = name.open(1 << 16);
    letters.append(&parts(0, Kept::Dead, &forged)).unwrap();
    letters.append(&parts(1, Kept::Dead, b"x")).unwrap();
    let mut bytes = name.bytes();
    bytes[HEADER as usize] ^= 1;
    name.write(&bytes);
    assert_eq!(positions(&name.open(1 << 16)), [1]);
}

#[test]
fn when_it_is_full_the_oldest_dead_go_and_never_what_is_aside() {
    let name = Named::new("full");
    let limit = 4 * parts(0, Kept::Dead, &[0; 100]).bytes();
    let mut letters = name.open(limit);
    for (position, kept) in (0..).zip([Kept::Dead, Kept::Waiting, Kept::Dead, Kept::Dead]) {
        letters.append(&parts(position, kept, &[0; 100])).unwrap().unwrap();
    }
    letters.change(number_of(&letters, 0), condition(Kept::Gone)).unwrap();
    let dropped = |letters: &mut Letters, position| {
        letters
            .append(&parts(position, Kept::Waiting, &[0; 100]))
            .unwrap()
            .map(|dropped| dropped.iter().map(|head| head.position).collect::<Vec<_>>())
    };
    assert_eq!(dropped(&mut letters, 4), Some(vec![]));
    assert_eq!(dropped(&mut letters, 5), Some(vec![2]));
    assert_eq!(dropped(&mut letters, 6), Some(vec![3]));
    assert_eq!((dropped(&mut letters, 7), letters.room()), (None, 0), "all of it waits");
    assert_eq!(positions(&name.open(limit)), [1, 4, 5, 6]);
}

/// A reader at work beside sees everything, though it reads only what is new; the file stays near its limit.
#[test]
fn a_process_that_knows_the_file_follows_what_others_do() {
    let name = Named::new("follows");
    let limit = 1 << 14;
    let (mut writer, mut reader) = (name.open(limit), name.open(limit));
    let mut noise = 1u64;
    let (mut rewritten, mut longest) = (0, 0);
    for position in 0..20_000 {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let kept = if noise >> 63 == 0 { Kept::Waiting } else { Kept::Dead };
        if writer.append(&parts(position, kept, &[1; 60])).unwrap().is_none() || noise >> 62 == 0 {
            for head in writer.live().iter().take(3) {
                writer.change(head.number, condition(Kept::Gone)).unwrap();
            }
        }
        longest = longest.max(writer.end);
        if !writer.tidy().unwrap() {
            writer = name.open(limit);
        }
        if !reader.refresh().unwrap() {
            rewritten += 1;
            reader = name.open(limit);
        }
        if position % 64 == 0 {
            assert_eq!(heads(&reader), heads(&writer));
            assert_eq!(heads(&name.open(limit)), heads(&writer));
        }
    }
    assert!(rewritten > 10, "{rewritten}: it proves nothing");
    assert!(longest < limit + GARBAGE + 4096, "{longest}");
}

#[test]
fn a_file_in_which_nothing_is_left_is_removed() {
    let name = Named::new("empty");
    let mut letters = name.open(1 << 16);
    letters.append(&parts(0, Kept::Dead, b"x")).unwrap();
    assert!(letters.tidy().unwrap() && name.is_there());
    letters.change(1, condition(Kept::Gone)).unwrap();
    let mut reader = name.open(1 << 16);
    assert!(!letters.tidy().unwrap() && !name.is_there());
    assert!(!reader.refresh().unwrap(), "whoever knew it sees that it is another, or none");
}

#[test]
fn what_lies_beyond_any_length_it_may_have_is_not_looked_at() {
    let name = Named::new("beyond");
    name.open(1 << 10).append(&parts(0, Kept::Dead, b"x")).unwrap();
    let file = OpenOptions::new().write(true).open(path_of(&name.0)).unwrap();
    file.set_len(1 << 50).unwrap();
    let letters = name.open(1 << 10);
    assert_eq!((positions(&letters), letters.damage().times), (vec![0], 1));
    assert!(fs::metadata(path_of(&name.0)).unwrap().len() < 1 << 10);
}

#[test]
fn a_file_of_another_release_is_left_as_it_is() {
    let name = Named::new("release");
    name.open(1 << 16).append(&parts(0, Kept::Dead, b"x")).unwrap();
    let mut bytes = name.bytes();
    bytes[8] = 3;
    name.write(&bytes);
    let error = Letters::open(&name.0, RING, 1 << 16, true).unwrap_err();
    assert!(error.to_string().contains("another release"), "{error}");
    assert_eq!(name.bytes(), bytes);
}

#[test]
fn bytes_that_are_none_are_no_entries() {
    let name = Named::new("foreign");
    drop(name.open(1 << 16));
    for bytes in [&b""[..], &[0xFF; 63], &[0xFF; 4096], &[0; 4096]] {
        name.write(bytes);
        let mut letters = name.open(1 << 16);
        assert_eq!(letters.live().len() + letters.dead().len(), 0);
        assert_eq!(letters.damage().times, u64::from(bytes.len() > 64));
        letters.append(&parts(1, Kept::Dead, b"x")).unwrap();
        assert_eq!(positions(&name.open(1 << 16)), [1]);
    }
}

/// Sums are no secret: whoever may write the file can make items that we never would.
#[test]
fn forged_numbers_neither_overflow_nor_cost_memory() {
    let name = Named::new("forged");
    let mut letters = name.open(1 << 16);
    letters.append(&parts(0, Kept::Dead, &[0; 100])).unwrap().unwrap();
    let (sound, state) = (name.bytes(), condition(Kept::Dead));
    let mut head = letters.dead()[0];
    head.number = u64::MAX;
    let mut entry = sound[HEADER as usize..].to_vec();
    entry[..HEAD].copy_from_slice(&head.encode(RING));
    let last = Change { number: u64::MAX, condition: state }.encode(RING);
    for forged in [&entry[..], &last[..]] {
        name.write(&[&sound[..], &[9; 32], forged].concat());
        let mut letters = name.open(1 << 16);
        assert_eq!(positions(&letters), [0]);
        letters.append(&parts(1, Kept::Dead, &[1; 100])).unwrap().unwrap();
    }

    let far = (1..=40).map(|step| Change { number: step << 40, condition: state }.encode(RING));
    name.write(&[&sound[..], &[9; 32], &far.collect::<Vec<_>>().concat()].concat());
    let letters = name.open(1 << 16);
    assert_eq!(positions(&letters), [0]);
    assert!(letters.damage().lost <= 1 << 16, "{:?}", letters.damage());
}

/// Bytes copied from elsewhere in the file: the same entry once more, with its number.
#[test]
fn an_entry_that_is_there_twice_is_one() {
    let named = Named::new("twice");
    let mut letters = named.open(1 << 16);
    for kept in [Kept::Waiting, Kept::Dead] {
        letters.append(&parts(1, kept, b"text")).unwrap().unwrap();
    }
    let (used, room) = (letters.index.used(), letters.room());
    let bytes = named.bytes();
    named.write(&[&bytes[..], &bytes[HEADER as usize..]].concat());
    let mut letters = named.open(1 << 16);
    assert_eq!(heads(&letters), [(1, Kept::Waiting), (1, Kept::Dead)]);
    assert_eq!((letters.index.used(), letters.room()), (used, room), "counted once");
    for number in [1, 2] {
        letters.change(number, condition(Kept::Gone)).unwrap();
    }
    assert_eq!((letters.index.used(), letters.room()), (0, 1 << 16));
}

/// Whoever knew it longer knows nothing of it any more.
#[test]
fn a_file_that_got_shorter_is_read_anew() {
    let name = Named::new("shorter");
    let mut writer = name.open(1 << 16);
    writer.append(&parts(0, Kept::Dead, b"first")).unwrap();
    let first = writer.end;
    writer.append(&parts(1, Kept::Dead, b"second")).unwrap();
    let mut reader = name.open(1 << 16);
    assert!(reader.refresh().unwrap());
    let file = OpenOptions::new().write(true).open(path_of(&name.0)).unwrap();
    file.set_len(first).unwrap();
    assert!(!reader.refresh().unwrap());
    assert_eq!(positions(&name.open(1 << 16)), [0]);
}
