//! Notes about members and users: which documents, merged over the stored one, change nothing.
//!
//! Most events carry their author's member and user, and nearly always they are as they are stored. A
//! note saves the lookup and the comparison. It is a print of a document's fields as they stand there:
//! of the stored document itself from when it was written, and of other forms, such as another order, once they
//! were compared.
//! The prints about a subject lie in one cache line that it shares with others, by chance; what found no
//! room there is looked up.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hasher};

use foldhash::quality::RandomState;
use mixcord_event::{Atom, Map};
use mixcord_state::{Key, Table};

/// Whom a note is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Subject {
    /// A member, without its user.
    Member {
        /// The guild's id.
        guild: u64,
        /// The user's.
        user: u64,
    },
    /// The user with this id.
    User(u64),
}

impl Subject {
    /// Whom an entry is about, if there are notes about such.
    pub(super) const fn of(key: Key) -> Option<Self> {
        match key.table() {
            Table::Members => Some(Self::Member { guild: key.owner(), user: key.id() }),
            Table::Users => Some(Self::User(key.owner())),
            _ => None,
        }
    }
}

/// The notes, 8 MiB of them at most.
#[derive(Default)]
pub struct Notes {
    /// Seeded by chance, so that nobody can aim at the print of another document.
    hasher: RandomState,
    /// None until there is a note: without a store there never is.
    buckets: Vec<Bucket>,
    /// Places written since the last commit, in order: bucket and place in it.
    fresh: Vec<u32>,
    /// How many of them there were before the record in work.
    marked: usize,
    /// Of a print; kept for its memory.
    joined: RefCell<Vec<u8>>,
}

impl std::fmt::Debug for Notes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notes").field("fresh", &self.fresh.len()).finish_non_exhaustive()
    }
}

/// A power of two.
const BUCKETS: usize = 1 << 17;
const PLACES: usize = 8;

/// One cache line of prints; 0 is none.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Bucket([u64; PLACES]);

/// The bits of a print that tell subjects in one bucket apart; the others are the document's, and the
/// subject's as well.
const TAG: u64 = 0xFF << 56;

impl Notes {
    /// Whether `document` without the fields under `except` is noted.
    pub(super) fn has(&self, subject: Subject, document: Map<'_>, except: &[Atom]) -> bool {
        let hash = self.hasher.hash_one(subject);
        // It is far away, mostly: fetched now, it comes while the print is made.
        let Some(prints) = std::hint::black_box(self.buckets.get(bucket(hash)).copied()) else {
            return false;
        };
        prints.0.contains(&self.print(hash, document, except))
    }

    /// Says that `has` will be asked about a subject some records later.
    pub fn expect(&self, subject: Subject) {
        if let Some(held) = self.buckets.get(bucket(self.hasher.hash_one(subject))) {
            mixcord_memory::expect(held);
        }
    }

    /// Notes it; another note may have to go.
    pub(super) fn add(&mut self, subject: Subject, document: Map<'_>, except: &[Atom]) {
        let hash = self.hasher.hash_one(subject);
        let print = self.print(hash, document, except);
        if self.buckets.is_empty() {
            self.buckets.resize(BUCKETS, Bucket::default());
        }
        let prints = &mut self.buckets[bucket(hash)].0;
        if prints.contains(&print) {
            return;
        }
        let free = prints.iter().position(|&held| held == 0);
        let place = free.unwrap_or(print as usize % PLACES);
        prints[place] = print;
        self.fresh.push((bucket(hash) * PLACES + place) as u32);
    }

    /// The subject changes.
    pub(super) fn forget(&mut self, subject: Subject) {
        let hash = self.hasher.hash_one(subject);
        let Some(prints) = self.buckets.get_mut(bucket(hash)) else { return };
        for print in &mut prints.0 {
            if *print & TAG == hash & TAG {
                *print = 0;
            }
        }
    }

    /// A record begins: what is noted from here on goes with it, if it is taken back.
    pub fn begin_record(&mut self) {
        self.marked = self.fresh.len();
    }

    /// The record's changes are taken back, and its notes.
    pub fn take_back_record(&mut self) {
        self.take_back_to(self.marked);
    }

    /// All changes since the last commit are taken back, and their notes.
    pub fn take_back(&mut self) {
        self.take_back_to(0);
        self.marked = 0;
    }

    fn take_back_to(&mut self, count: usize) {
        for place in self.fresh.drain(count..) {
            let place = place as usize;
            self.buckets[place / PLACES].0[place % PLACES] = 0;
        }
    }

    /// What was changed is committed: what was noted stays.
    pub fn committed(&mut self) {
        self.fresh.clear();
        self.marked = 0;
    }

    /// The hash of the fields' bytes, and of the subject.
    fn print(&self, subject: u64, document: Map<'_>, except: &[Atom]) -> u64 {
        let mut whole: &[u8] = &[];
        let mut joined = self.joined.borrow_mut();
        joined.clear();
        document.pieces(except, |piece| {
            // Mostly there is one, or all the others are empty.
            if whole.is_empty() {
                whole = piece;
            } else if !piece.is_empty() {
                if joined.is_empty() {
                    joined.extend_from_slice(whole);
                }
                joined.extend_from_slice(piece);
            }
        });
        let fields = if joined.is_empty() { whole } else { &joined };
        let mut hasher = self.hasher.build_hasher();
        hasher.write(fields);
        let print = hasher.finish().wrapping_add(subject);
        ((print & !TAG) | (subject & TAG)).max(1)
    }
}

const fn bucket(subject: u64) -> usize {
    subject as usize & (BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use mixcord_event::{Document, atoms};

    use super::*;

    const MEMBER: Subject = Subject::Member { guild: 1, user: 2 };
    const USER: Subject = Subject::User(2);
    const EXCEPT: &[Atom] = &[atoms::GUILD_ID, atoms::USER];

    fn has(notes: &Notes, subject: Subject, json: &str) -> bool {
        let document = Document::from_json(json).unwrap();
        notes.has(subject, document.value().as_map().unwrap(), EXCEPT)
    }

    fn add(notes: &mut Notes, subject: Subject, json: &str) {
        let document = Document::from_json(json).unwrap();
        notes.add(subject, document.value().as_map().unwrap(), EXCEPT);
    }

    const ANN: &str = r#"{"nick": "ann", "roles": ["30"], "deaf": true, "mute": false, "new": 1}"#;

    #[test]
    fn without_a_note_they_take_no_memory() {
        let mut notes = Notes::default();
        assert!(!has(&notes, MEMBER, ANN));
        notes.forget(MEMBER);
        notes.take_back();
        assert_eq!(notes.buckets.capacity(), 0);
    }

    #[test]
    fn a_note_is_of_the_fields_that_count() {
        let mut notes = Notes::default();
        add(&mut notes, MEMBER, ANN);
        for same in [
            ANN,
            r#"{"guild_id": "1", "nick": "ann", "roles": ["30"], "deaf": true, "mute": false, "new": 1, "user": {"id": "2"}}"#,
            r#"{"nick": "ann", "user": {}, "roles": ["30"], "deaf": true, "guild_id": "1", "mute": false, "new": 1}"#,
        ] {
            assert!(has(&notes, MEMBER, same), "{same}");
        }
        for other in [
            r#"{"new": 1, "mute": false, "deaf": true, "roles": ["30"], "nick": "ann"}"#,
            r#"{"nick": "bob", "roles": ["30"], "deaf": true, "mute": false, "new": 1}"#,
            r#"{"nick": "ann", "roles": [], "deaf": true, "mute": false, "new": 1}"#,
            r#"{"nick": "ann", "roles": ["30"], "deaf": false, "mute": true, "new": 1}"#,
            r#"{"nick": "ann", "roles": ["30"], "deaf": true, "mute": false, "old": 1}"#,
            r#"{"nick": "ann", "roles": ["30"], "deaf": true, "mute": false}"#,
            r#"{"nick": "ann", "roles": ["30"], "deaf": true, "mute": false, "new": 1, "flags": 0}"#,
            "{}",
        ] {
            assert!(!has(&notes, MEMBER, other), "{other}");
        }
    }

    #[test]
    fn a_note_is_of_one_subject_and_goes_when_that_changes() {
        let subjects = [
            MEMBER,
            USER,
            Subject::Member { guild: 1, user: 3 },
            Subject::Member { guild: 3, user: 2 },
            Subject::User(1),
        ];
        for changed in subjects {
            let mut notes = Notes::default();
            for subject in subjects {
                assert!(!has(&notes, subject, ANN), "{subject:?}");
                add(&mut notes, subject, ANN);
                add(&mut notes, subject, "{}");
            }
            notes.forget(changed);
            for subject in subjects {
                let known = [ANN, "{}"].map(|json| has(&notes, subject, json));
                assert_eq!(known, [subject != changed; 2], "{subject:?} when {changed:?} changes");
            }
        }
    }

    #[test]
    fn whoever_shares_a_bucket_stays_noted() {
        let mut notes = Notes::default();
        for user in 0..20_000 {
            add(&mut notes, Subject::User(user), "{}");
        }
        for user in 0..10_000 {
            notes.forget(Subject::User(user));
        }
        let known = (10_000..20_000).filter(|&user| has(&notes, Subject::User(user), "{}")).count();
        // Without a tag 700 or so were forgotten.
        assert!(known > 9_900, "{known}");
    }

    #[test]
    fn what_was_noted_since_is_taken_back() {
        let mut notes = Notes::default();
        add(&mut notes, MEMBER, ANN);
        notes.begin_record();
        add(&mut notes, MEMBER, "{}");
        add(&mut notes, MEMBER, ANN);
        notes.take_back_record();
        assert!(has(&notes, MEMBER, ANN) && !has(&notes, MEMBER, "{}"));
        notes.committed();
        notes.take_back();
        assert!(has(&notes, MEMBER, ANN));
    }

    #[test]
    fn a_full_bucket_forgets_and_never_lies() {
        let mut notes = Notes::default();
        let form = |n: usize| format!(r#"{{"flags": {n}}}"#);
        for n in 0..100 {
            add(&mut notes, MEMBER, &form(n));
            assert!(has(&notes, MEMBER, &form(n)), "the latest is noted");
        }
        let known = (0..200).filter(|&n| has(&notes, MEMBER, &form(n)));
        let known: Vec<_> = known.collect();
        assert_eq!(known.len(), PLACES);
        assert!(known.iter().all(|&n| n < 100));
        notes.forget(MEMBER);
        assert!(!known.iter().any(|&n| has(&notes, MEMBER, &form(n))));
    }
}
