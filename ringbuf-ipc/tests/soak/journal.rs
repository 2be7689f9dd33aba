//! What members note before and after each acknowledgement, and what must be true of all notes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::Write;
use std::path::Path;

use nix::time::{ClockId, clock_gettime};

use crate::roles::key;

/// One write a note, so that a note is whole or not there.
pub(crate) struct Journal(File);

impl Journal {
    pub(crate) fn new(file: File) -> Self {
        Self(file)
    }

    pub(crate) fn given(&mut self, positions: &[u64]) {
        self.note('G', positions);
    }

    pub(crate) fn acknowledged(&mut self, positions: &[u64]) {
        self.note('A', positions);
    }

    fn note(&mut self, what: char, positions: &[u64]) {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
        let now = now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64;
        let positions: String = positions.iter().map(|position| format!(" {position}")).collect();
        self.0.write_all(format!("{what} {now}{positions} .\n").as_bytes()).unwrap();
    }
}

struct Note {
    at: u64,
    given: bool,
    positions: Vec<u64>,
}

fn read(path: &Path) -> Vec<Note> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let parse = |line: &str| {
        let mut words = line.strip_suffix(" .")?.split(' ');
        let given = words.next()? == "G";
        let at = words.next()?.parse().ok()?;
        Some(Note { at, given, positions: words.map(|word| word.parse().unwrap()).collect() })
    };
    text.lines().filter_map(parse).collect()
}

/// What a group went through.
#[derive(Debug, Default)]
#[allow(dead_code)]
pub(crate) struct Judged {
    records: u64,
    batches: u64,
    given_again: u64,
    deaths_with_a_batch: u64,
}

/// Every record once, but for those a member died with; in order of each key.
pub(crate) fn judge<'a>(
    directory: &Path,
    group: &str,
    members: impl Iterator<Item = &'a (&'static str, usize, u32)>,
    tail: u64,
) -> Judged {
    let mut judged = Judged::default();
    let mut notes = Vec::new();
    for &(_, number, lives) in members {
        for life in 0..lives {
            let own = read(&directory.join(format!("{group}-{number}-{life}")));
            // One batch at a time: only the last may be without its acknowledgement.
            for pair in own.chunks(2) {
                if let [given, acknowledged] = pair {
                    assert!(given.given && !acknowledged.given);
                    assert_eq!(given.positions, acknowledged.positions);
                }
            }
            judged.deaths_with_a_batch += own.len() as u64 % 2;
            notes.extend(own);
        }
    }
    notes.sort_by_key(|note| note.at);
    let mut keys: HashMap<u64, Vec<u64>> = HashMap::new();
    for position in 0..tail {
        keys.entry(key(position)).or_default().push(position);
    }
    // By key, how many of its records were given so far.
    let mut given: BTreeMap<u64, usize> = BTreeMap::new();
    let mut acknowledged = HashSet::new();
    let mut times = HashMap::new();
    for note in &notes {
        for &position in &note.positions {
            let key = key(position);
            if !note.given {
                assert!(acknowledged.insert(position), "{position} is acknowledged twice");
                continue;
            }
            // The note comes after the acknowledgement, so whatever is noted was acknowledged before.
            assert!(
                !acknowledged.contains(&position),
                "{position} is given although it was acknowledged"
            );
            let count = given.entry(key).or_default();
            match keys[&key].get(*count) {
                Some(&next) if next == position => *count += 1,
                next => {
                    let known = keys[&key][..*count].contains(&position);
                    assert!(known, "{position} is given before {next:?} of its key");
                    judged.given_again += 1;
                }
            }
            *times.entry(position).or_insert(0u32) += 1;
        }
        judged.batches += u64::from(note.given);
    }
    for position in 0..tail {
        assert!(times.contains_key(&position), "{position} is lost");
    }
    judged.records = tail;
    assert!(judged.given_again <= judged.deaths_with_a_batch * 16, "{judged:?}");
    judged
}
