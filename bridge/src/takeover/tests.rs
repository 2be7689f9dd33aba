use mixcord_ring::Entry;

use super::*;
use crate::pack::{About, Packer, Sizes};
use crate::receiver::{Begin, Receiver, Step};
use crate::sender::{Fault, Found, Outcome, Sender};

/// The ring that died, and the one that goes on.
const OLD: u64 = 7;
const NEW: u64 = 9;
/// Another shard's, which the old machine sends in the same stream.
const OTHER: u64 = 8;
/// The lease of each.
const BEFORE: u64 = 5;
const SINCE: u64 = 8;
/// Messages that the old sender has under way, of so many records each.
const MESSAGES: usize = 5;
const RECORDS: u64 = 2;

/// Two lanes' log: a message is refused that expects another end.
#[derive(Default)]
struct Log(Vec<(usize, Vec<u8>)>);

impl Log {
    fn append(&mut self, expected: u64, lane: usize, message: &[u8]) -> Answer {
        if expected != self.0.len() as u64 {
            return Answer::Missing;
        }
        self.0.push((lane, message.to_vec()));
        Answer::Stored(expected + 1)
    }

    /// The last sequence number, and a lane's last message.
    fn last(&self, lane: usize) -> (u64, Option<(u64, Head)>) {
        let at = self.0.iter().rposition(|message| message.0 == lane);
        let last = at.map(|at| (at as u64 + 1, Head::read(&self.0[at].1).expect("a pack").0));
        (self.0.len() as u64, last)
    }

    fn found(&self, lane: usize) -> Found {
        let last = self.last(lane).1.map(|(sequence, head)| (sequence, Some(head)));
        Found { last, tail: 1_000 }
    }
}

fn packer() -> Packer {
    Packer::new(Sizes { records: RECORDS as usize, pack: 1 << 16, message: 1 << 16 })
}

/// Has the sender's next pack made. Gives what it expects, and the message.
fn send(sender: &mut Sender, lane: usize, about: &About<'_>) -> (u64, usize, Vec<u8>) {
    let start = sender.start(lane).expect("it may send");
    let entries = (start.first..start.first + RECORDS).map(entry);
    let packed = packer().pack(&start, entries, about);
    let expected = sender.sent(lane, &packed);
    (expected, lane, packed.messages[0].to_vec())
}

fn entry(position: u64) -> Entry<'static> {
    let payload = b"record";
    Entry { position, key: 0, tag: 0, source: 0, order: 0, seal: 0, payload, lost: false }
}

/// What a receiver was given.
#[derive(Default)]
struct Mirror {
    place: Place,
    records: Vec<(u64, u64)>,
    losses: usize,
}

impl Mirror {
    /// Reads the log up to that message, as a process that was started anew.
    fn read(&mut self, log: &Log, end: usize) {
        let mut receiver = Receiver::new(self.place);
        'again: loop {
            let mark = receiver.place().mark.sequence as usize;
            let found = mark.checked_sub(1).and_then(|at| log.0.get(at));
            let from = match receiver.begin(found.map(|(_, message)| &**message)) {
                Begin::Behind(sequence) => sequence as usize,
                Begin::AtFirst => 0,
            };
            let messages = log.0.iter().enumerate().take(end).skip(from);
            for (index, (_, message)) in messages.filter(|(_, message)| message.0 == 0) {
                let place = match receiver.message(index as u64 + 1, message).expect("a pack") {
                    Step::Pass => continue,
                    Step::Again => continue 'again,
                    Step::Take(take) => {
                        self.losses += usize::from(take.loss.is_some());
                        self.records.extend(take.rows().map(|(at, _)| (take.log(), at)));
                        take.done()
                    }
                };
                receiver.settle(place);
            }
            break;
        }
        self.place = receiver.place();
    }
}

/// Whatever of the old sender's messages landed before the taker looked, and before its fence did; whether the taker heard
/// what became of that one.
fn take_over(landed: usize, late: usize, read: usize, heard: bool) {
    let (mut log, mut old) = (Log::default(), Sender::default());
    for lane in [OLD, OTHER] {
        old.add(lane, 0, BEFORE);
    }
    old.looked(0, &[log.found(0), log.found(1)]);
    let none = About::default();
    let sent: Vec<_> = (0..MESSAGES).map(|message| send(&mut old, message % 2, &none)).collect();
    let land = |log: &mut Log, message: &(u64, usize, Vec<u8>)| {
        log.append(message.0, message.1, &message.2)
    };
    // Its machine froze there, having heard of all of these.
    for message in &sent[..landed] {
        assert!(matches!(old.answered(land(&mut log, message)), Outcome::Kept { .. }));
    }
    let (mut mirror, mut other) = (Mirror::default(), Mirror::default());
    mirror.read(&log, read);

    let mut taker = Takeover::new(SINCE);
    let mut fences = 0;
    while taker.must_look() {
        let (sequence, last) = log.last(0);
        let fence = taker.looked(sequence, last.map(|(_, head)| head));
        let fence = fence.expect("there is something");
        for message in sent.iter().skip(landed).take(if fences == 0 { late } else { 0 }) {
            assert!(matches!(land(&mut log, message), Answer::Stored(_)), "it was on its way");
        }
        let packed = packer().pack(&fence.start, [], &none);
        let answer = log.append(fence.expected, 0, &packed.messages[0]);
        taker.answered(if fences == 0 && !heard { Answer::Missing } else { answer });
        fences += 1;
    }
    assert_eq!(fences, 1 + usize::from(late > 0 || !heard));
    assert_eq!(taker.end(&mirror.place), None, "there may be more before the fence");
    // The fences came into the places of the first of the rest.
    let taken = 1 + usize::from(late == 0 && !heard);
    for (number, message) in sent.iter().skip(landed + late).enumerate() {
        assert_eq!(matches!(land(&mut log, message), Answer::Stored(_)), number >= taken);
    }
    mirror.read(&log, usize::MAX);
    let position = (landed + late).div_ceil(2) as u64 * RECORDS;
    let end = taker.end(&mirror.place);
    assert_eq!(end, Some(Predecessor { log: OLD, position }));

    // The frozen machine comes back.
    old.forget();
    let found = [log.found(0), log.found(1)];
    old.looked(log.0.len() as u64, &found);
    let mut new = Sender::default();
    new.add(NEW, 0, SINCE + 1);
    new.looked(log.0.len() as u64, &found[..1]);
    let (expected, lane, message) =
        send(&mut new, 0, &About { predecessor: end, ..About::default() });
    assert!(matches!(log.append(expected, lane, &message), Answer::Stored(_)));
    old.looked(log.0.len() as u64, &[log.found(0), log.found(1)]);
    assert!(matches!(old.fault(0), Some(Fault::Superseded { .. })), "{:?}", old.fault(0));
    let all: Vec<_> = (0..position).map(|at| (OLD, at)).chain([(NEW, 0), (NEW, 1)]).collect();
    for mirror in [&mut mirror, &mut other] {
        mirror.read(&log, usize::MAX);
        assert_eq!((&mirror.records, mirror.losses), (&all, 0), "each record once, and no loss");
    }
}

#[test]
fn a_shard_goes_on_behind_the_last_record_that_anybody_will_have() {
    for landed in 1..=MESSAGES {
        for late in 0..=MESSAGES - landed {
            for read in 0..=landed {
                take_over(landed, late, read, true);
                take_over(landed, late, read, false);
            }
        }
    }
}

#[test]
fn what_was_never_sent_or_is_run_elsewhere_is_not_taken_over() {
    let mut log = Log::default();
    let mut taker = Takeover::new(SINCE);
    assert_eq!(taker.looked(0, None), Err(Refused::Nothing));
    let mut other = Sender::default();
    other.add(NEW, 0, SINCE + 1);
    other.looked(0, &[log.found(0)]);
    let (expected, lane, message) = send(&mut other, 0, &About::default());
    log.append(expected, lane, &message);
    let (sequence, last) = log.last(0);
    let refused = Refused::Superseded { theirs: SINCE + 1, ours: SINCE };
    assert_eq!(taker.looked(sequence, last.map(|(_, head)| head)), Err(refused));
    assert_eq!(taker.end(&Place::default()), None);
}

#[test]
fn a_sender_that_finds_a_fence_in_its_own_log_stops_for_good() {
    let (mut log, mut old) = (Log::default(), Sender::default());
    old.add(OLD, 0, BEFORE);
    old.looked(0, &[log.found(0)]);
    let (expected, lane, message) = send(&mut old, 0, &About::default());
    assert!(matches!(old.answered(log.append(expected, lane, &message)), Outcome::Kept { .. }));
    let mut taker = Takeover::new(SINCE);
    let (sequence, last) = log.last(0);
    let fence = taker.looked(sequence, last.map(|(_, head)| head)).expect("there is something");
    let packed = packer().pack(&fence.start, [], &About::default());
    taker.answered(log.append(fence.expected, 0, &packed.messages[0]));
    old.forget();
    old.looked(2, &[log.found(0)]);
    assert_eq!(old.fault(0), Some(Fault::Superseded { theirs: SINCE, ours: BEFORE }));
    assert_eq!(old.start(0), None);
}

/// A message that was under way landed behind one that came into its place: what is between the two is nowhere.
#[test]
fn behind_a_stray_it_goes_on_where_receivers_are() {
    let start = |first| Start { log: OLD, generation: BEFORE, kept: 0, first };
    let mut log = Log::default();
    for first in [0, 4] {
        let packed = packer().pack(&start(first), (first..).take(2).map(entry), &About::default());
        log.0.push((0, packed.messages[0].to_vec()));
    }
    let mut taker = Takeover::new(SINCE);
    let (sequence, last) = log.last(0);
    let fence = taker.looked(sequence, last.map(|(_, head)| head)).expect("there is something");
    let packed = packer().pack(&fence.start, [], &About::default());
    taker.answered(log.append(fence.expected, 0, &packed.messages[0]));
    // Records that follow what there is, in the old generation, behind the fence.
    let packed = packer().pack(&start(2), (2..4).map(entry), &About::default());
    log.0.push((0, packed.messages[0].to_vec()));
    let mut mirror = Mirror::default();
    mirror.read(&log, usize::MAX);
    assert_eq!(taker.end(&mirror.place), Some(Predecessor { log: OLD, position: 2 }));
    assert_eq!((mirror.records.len(), mirror.losses), (2, 0));
}
