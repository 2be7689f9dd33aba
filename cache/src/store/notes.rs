//! Notes about members: which documents, merged over the cached member and user, change nothing.
//!
//! Most events carry their author's member, and it is nearly always the one that is cached. A note
//! saves two lookups and a comparison. It is a print of 64 bits, keyed by chance, in a table where each
//! place is shared by many: what is not noted is looked up. A member has a note for each form in which
//! events carry it, with its user inside or beside it.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

/// Notes that are kept at most; a power of two.
const PLACES: usize = 1 << 20;
/// Counters of changes, each shared by many members or users; a power of two.
const EPOCHS: usize = 1 << 18;

/// The notes.
pub(super) struct Notes {
    hasher: RandomState,
    /// Prints; 0 is none.
    prints: Vec<u64>,
    /// Raised when one of its members or users changes, which outdates the notes about it.
    epochs: Vec<u32>,
    /// Places written since the last commit, in order.
    fresh: Vec<u32>,
}

/// What a note is about: guild, user, and the two documents.
type Subject<'a> = (u64, u64, [&'a [u8]; 2]);

impl Default for Notes {
    fn default() -> Self {
        Self {
            hasher: RandomState::default(),
            prints: vec![0; PLACES],
            epochs: vec![0; EPOCHS],
            fresh: Vec::new(),
        }
    }
}

impl Notes {
    pub(super) fn has(&self, subject: Subject<'_>) -> bool {
        let print = self.print(subject);
        self.prints[place(print)] == print
    }

    pub(super) fn add(&mut self, subject: Subject<'_>) {
        let print = self.print(subject);
        self.prints[place(print)] = print;
        self.fresh.push(place(print) as u32);
    }

    /// The member changes.
    pub(super) fn forget_member(&mut self, guild: u64, user: u64) {
        let epoch = self.member_epoch(guild, user);
        self.epochs[epoch] = self.epochs[epoch].wrapping_add(1);
    }

    /// The user changes.
    pub(super) fn forget_user(&mut self, user: u64) {
        let epoch = self.user_epoch(user);
        self.epochs[epoch] = self.epochs[epoch].wrapping_add(1);
    }

    /// How many notes were added since the last commit.
    pub(super) fn fresh(&self) -> usize {
        self.fresh.len()
    }

    /// Changes are taken back, and with them all notes since there were `fresh` ones.
    pub(super) fn take_back(&mut self, fresh: usize) {
        for place in self.fresh.drain(fresh..) {
            self.prints[place as usize] = 0;
        }
    }

    /// What was noted stays.
    pub(super) fn keep(&mut self) {
        self.fresh.clear();
    }

    fn member_epoch(&self, guild: u64, user: u64) -> usize {
        self.hasher.hash_one((guild, user)) as usize & (EPOCHS - 1)
    }

    fn user_epoch(&self, user: u64) -> usize {
        self.hasher.hash_one(user) as usize & (EPOCHS - 1)
    }

    fn print(&self, (guild, user, documents): Subject<'_>) -> u64 {
        let epochs = [self.member_epoch(guild, user), self.user_epoch(user)];
        let epochs = epochs.map(|epoch| self.epochs[epoch]);
        self.hasher.hash_one((guild, user, epochs, documents)).max(1)
    }
}

const fn place(print: u64) -> usize {
    print as usize & (PLACES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BESIDE: Subject<'_> = (1, 2, [b"member", b"user"]);
    const INSIDE: Subject<'_> = (1, 2, [b"member and user", b"user"]);

    fn noted() -> Notes {
        let mut notes = Notes::default();
        notes.add(BESIDE);
        notes.add(INSIDE);
        notes.keep();
        notes
    }

    #[test]
    fn a_member_is_noted_in_every_form() {
        let notes = noted();
        assert!(notes.has(BESIDE) && notes.has(INSIDE));
        assert!(!notes.has((1, 2, [b"member", b"another"])));
        assert!(!notes.has((9, 2, BESIDE.2)));
    }

    #[test]
    fn a_change_outdates_every_form() {
        let changes: [fn(&mut Notes); 2] =
            [|notes| notes.forget_member(1, 2), |notes| notes.forget_user(2)];
        for change in changes {
            let mut notes = noted();
            change(&mut notes);
            assert!(!notes.has(BESIDE) && !notes.has(INSIDE));
        }
    }

    #[test]
    fn what_was_noted_since_is_taken_back() {
        let mut notes = Notes::default();
        notes.add(BESIDE);
        let before = notes.fresh();
        notes.add(INSIDE);
        notes.take_back(before);
        assert!(notes.has(BESIDE) && !notes.has(INSIDE));
    }
}
