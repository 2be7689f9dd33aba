//! Words of a table overwritten at random: whoever reads it, or takes it over and writes it, gets an error
//! or values, and nobody panics, hangs or reaches outside (the block is bounded, and AddressSanitizer
//! watches it in `prove.sh asan`).

use std::sync::atomic::AtomicBool;

use mixcord_memory::Ordering;

use crate::layout::{AT_APPLIED, AT_BUCKETS, AT_COMMITTED, AT_META, AT_MOVED, AT_NUMBERS, CHUNK};
use crate::tests::{Done, Shared, pairs, singles};
use crate::{Key, Reader, Want, Writer};

const BYTES: u64 = 3 << 20;
const ROUNDS: u64 = if cfg!(ring_plain) { 40 } else { 80 };

struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    /// A word that may hurt.
    fn word(&mut self) -> u64 {
        match self.roll(6) {
            0 => 0,
            1 => u64::MAX,
            2 => self.roll(64),
            3 => (self.roll(BYTES / 64) << 24) | self.roll(40),
            4 => 1 << self.roll(64),
            _ => (self.roll(1 << 31) << 33) ^ self.roll(1 << 31),
        }
    }

    /// Where a word lies: of the header, of the directory, or of what is used.
    fn place(&mut self, writer: &Writer) -> usize {
        let header =
            [AT_BUCKETS, AT_COMMITTED, AT_APPLIED, AT_NUMBERS, AT_META[0], AT_META[1], AT_MOVED];
        let first = writer.fixed.first_chunk() * CHUNK;
        let used = writer.usage().used_bytes + 2 * CHUNK;
        // One that is read below: its slot, or its head.
        let id = self.roll(40) * 17;
        let (table, key) = (pairs(), Key::new(id / 17 % 3, id));
        let slot = writer.slot(writer.fixed.hash.of(table, key), table, key).ok().flatten();
        (match self.roll(7) {
            0 => header[self.roll(header.len() as u64) as usize] as u64 + self.roll(7) * 8,
            1 => CHUNK + self.roll(64) * 8,
            2 => writer.fixed.redo(writer.redo_next) - self.roll(64).min(8) * 64 + self.roll(8) * 8,
            3 => slot.map_or(first, |(slot, _)| slot.at + 8),
            4 => slot.map_or(first, |(slot, _)| slot.place.offset() + self.roll(4) * 8),
            _ => first + self.roll(used / 8) * 8,
        }) as usize
            % (BYTES as usize - 8)
            / 8
            * 8
    }
}

fn fill(writer: &mut Writer) {
    for id in 0..700u64 {
        let key = Key::new(id / 17 % 3, id);
        writer.put(pairs(), key, &[&vec![id as u8; (id % 90) as usize]]).unwrap();
        writer.put(singles(), Key::new(id, 0), &[b"one"]).unwrap();
        if id % 50 == 0 {
            writer.commit([id, id]).unwrap();
        }
    }
    writer.commit([1; 2]).unwrap();
}

/// Whatever it gives. Bounded, since a list that changes under it need not end.
fn read(reader: &Reader) {
    let mut bytes = Vec::new();
    for id in 0..40 {
        bytes.clear();
        let _ = reader.get(pairs(), Key::new(id % 3, id * 17), &mut bytes);
        let _ = reader.get(singles(), Key::new(id * 17, 0), &mut bytes);
    }
    for table in [pairs(), singles()] {
        let (mut ids, mut from) = (Vec::new(), Some(0));
        while let Some(begin) = from.filter(|_| ids.len() < 10_000) {
            from = reader.owners(table, begin, &mut ids).unwrap_or(None);
        }
        let _ = reader.ids(table, 1, 0, &mut ids);
    }
    let _ = reader.last_batch();
    let _ = reader.moment(&[Want::Owner(pairs(), 1)], 1 << 20, |_, _, _, _| {});
}

fn write(writer: &mut Writer, dice: &mut Dice) {
    for _ in 0..30 {
        let id = dice.roll(900);
        let key = Key::new(id / 17 % 3, id);
        let _ = writer.get(pairs(), key, &mut Vec::new());
        let _ = match dice.roll(3) {
            0 => writer.delete(pairs(), key),
            1 => writer.put(singles(), Key::new(id, 0), &[b"another"]),
            _ => writer.put(pairs(), key, &[&vec![7; dice.roll(2000) as usize]]),
        };
        if dice.roll(5) == 0 {
            writer.take_back();
        }
    }
    let _ = writer.ids(pairs(), 1, 0, &mut Vec::new());
    if writer.commit([3; 2]).is_err() {
        writer.discard();
    }
}

#[test]
fn words_overwritten_before_somebody_looks() {
    let sound = Shared::new(BYTES);
    fill(&mut sound.create());
    let mut opened = 0;
    for round in 0..ROUNDS {
        let mut dice = Dice(round);
        let shared = sound.copy();
        let mut writer = shared.take_over();
        for _ in 0..=dice.roll(12) {
            let at = dice.place(&writer);
            writer.space.memory().store(at, dice.word(), Ordering::Release);
        }
        read(&shared.reader());
        // One that knew the table as it was, and one that begins with what is there.
        write(&mut writer, &mut dice);
        drop(writer);
        if let Ok(mut next) = shared.try_take_over() {
            opened += 1;
            write(&mut next, &mut dice);
        }
        read(&shared.reader());
    }
    assert!(opened > ROUNDS / 20 && opened < ROUNDS, "{opened} of {ROUNDS}");
}

#[test]
fn words_overwritten_while_readers_and_a_restarting_writer_go_on() {
    let sound = Shared::new(BYTES);
    fill(&mut sound.create());
    for round in 0..2 {
        let shared = sound.copy();
        let mut writer = shared.take_over();
        let done = AtomicBool::new(false);
        let reader = shared.reader();
        std::thread::scope(|scope| {
            let places = shared.take_over();
            let (done, shared) = (&done, &shared);
            scope.spawn(move || {
                let mut dice = Dice(round + 1000);
                while !done.load(Ordering::Acquire) {
                    let at = dice.place(&places);
                    places.space.memory().store(at, dice.word(), Ordering::Release);
                    std::thread::yield_now();
                }
            });
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    read(&reader);
                }
            });
            let _done = Done(done);
            let mut dice = Dice(round);
            for _ in 0..10 {
                write(&mut writer, &mut dice);
                writer = shared.try_take_over().unwrap_or_else(|_| {
                    // Begun anew, as whoever finds damage does.
                    sound.copy().take_over()
                });
            }
        });
    }
}
