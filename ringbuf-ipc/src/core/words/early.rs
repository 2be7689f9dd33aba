//! Deaths of members that had settled nothing.
//!
//! Such a death is laid to no record: it may be the program that cannot work at all, and soon every record would be
//! dead. But a record that kills its process at once, and has none beside it, would be given for ever. So the group
//! remembers with which record its members died so, and how often in a row:
//!
//! * from the first such death on, a member that has settled nothing takes no other record within [`ALONE_NS`] of the
//!   last as long as one is out, and a death is laid to the last: so what kills at once is known also beside a handler
//!   that takes long. After [`ALONE_MAX`] records it takes on as ever: that many may take long, and no other waits for
//!   them;
//! * a record with which [`FEARED_AT`] died in a row is given last, when there is nothing else. A program that works
//!   settles something else first, and then its death counts like any other;
//! * from [`COUNTS_AT`] in a row on, a death with it counts though it settled nothing, if no other record is there;
//! * from [`COUNTS_ANYHOW_AT`] in a row on, it counts whatever is there: others of its order key wait for it, and
//!   cannot be offered. The same holds once a record was given up so: the next of its kind is the program's fault more
//!   likely than its own.
//!
//! So a program that dies of everything costs nothing as long as there are records of two keys, since it dies of
//! another in between; nothing in its first hundred starts where there are several of one key; and one record where
//! there is but one. The first record that a member settles ends all of this.
//!
//! What is remembered is too little rather than too much, but for one case: the death of what kills only after
//! [`ALONE_NS`] is laid to a record that was given behind it and is still out. Who dies between taking a record and
//! saying so is not counted. A member of a release that does not say what it has taken leaves what its predecessor in
//! the seat said: its death may be laid to that record, if it had it too.

use super::super::Position;

/// A record with which so many died in a row is given last.
pub(crate) const FEARED_AT: u64 = 2;
/// With a record with which so many died in a row, a death counts, if there is no other record.
pub(crate) const COUNTS_AT: u64 = 5;
/// The same whatever is there.
pub(crate) const COUNTS_ANYHOW_AT: u64 = 100;
/// How long no other is taken beside what a member took last.
pub(crate) const ALONE_NS: u64 = 1_000_000_000;
/// So many records a member takes so, as long as it has settled nothing.
pub(crate) const ALONE_MAX: u8 = 8;

const TIMES_MAX: u64 = 127;
const GAVE_UP: u64 = 128;

/// What members of a group died with before they had settled anything, in one word.
///
/// ```text
///  63                          8  7         6       0
/// ┌─────────────────────────────┬───────────┬────────┐
/// │ position + 1, 0 for several │ one was   │ in a   │   all zeros: none did, or a member settled its first since
/// │                             │ given up  │ row    │
/// └─────────────────────────────┴───────────┴────────┘
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fear(pub(crate) u64);

/// What a member has taken that has settled nothing yet, in a word of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum First {
    /// Nothing, or it is of a release that does not say.
    #[default]
    Nothing,
    /// One record, perhaps several times, or the last of some that it took one by one: its death is laid to that.
    One(Position),
    /// More than one.
    Several,
}

/// What the death of a member says of a record that it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// It counts against it.
    Counts,
    /// It is to be remembered, and with which record: `None` where it had several.
    Early(Option<Position>),
    /// Nothing.
    Unknown,
}

impl Fear {
    pub(crate) const NONE: Self = Self(0);

    /// Whether anybody died so.
    pub(crate) const fn is_any(self) -> bool {
        self.0 != 0
    }

    /// With which record; `None` where it was with several, or nobody did.
    pub(crate) const fn position(self) -> Option<Position> {
        (self.0 >> 8).checked_sub(1)
    }

    /// Whether the record is given last.
    pub(crate) fn is_feared(self, position: Position) -> bool {
        self.times(position) >= FEARED_AT
    }

    /// Whether a death with it counts; `is_only` where no other record is there.
    pub(crate) fn counts(self, position: Position, is_only: bool) -> bool {
        let soon = is_only && self.0 & GAVE_UP == 0;
        self.times(position) >= if soon { COUNTS_AT } else { COUNTS_ANYHOW_AT }
    }

    /// Whether a record that is given up now may be so for deaths that counted here.
    pub(crate) fn may_have_counted(self, position: Position) -> bool {
        self.times(position) >= COUNTS_AT
    }

    /// After a record was given up for such deaths.
    pub(crate) const fn given_up() -> Self {
        Self(GAVE_UP)
    }

    fn times(self, position: Position) -> u64 {
        if self.position() == Some(position) { self.0 & TIMES_MAX } else { 0 }
    }

    /// After another death, with one record or with several. What is known of one record is not forgotten for that.
    #[must_use]
    pub(crate) fn after(self, with: Option<Position>) -> Self {
        match with {
            Some(position) => {
                let times = (self.times(position) + 1).min(TIMES_MAX);
                Self((position + 1) << 8 | self.0 & GAVE_UP | times)
            }
            None if self.is_any() => self,
            None => Self(1),
        }
    }
}

impl First {
    pub(crate) const fn word(self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::One(position) => position.saturating_add(1),
            Self::Several => u64::MAX,
        }
    }

    pub(crate) const fn of(word: u64) -> Self {
        match word {
            0 => Self::Nothing,
            u64::MAX => Self::Several,
            word => Self::One(word - 1),
        }
    }
}

impl Death {
    /// Of a member that had settled nothing; `is_only` says whether no other record is there.
    pub(crate) fn early(
        first: First,
        fear: Fear,
        position: Position,
        is_only: impl FnOnce() -> bool,
    ) -> Self {
        match first {
            First::Nothing => Self::Unknown,
            First::One(one) if one != position => Self::Early(None),
            First::One(_)
                if fear.may_have_counted(position) && fear.counts(position, is_only()) =>
            {
                Self::Counts
            }
            First::One(_) => Self::Early(Some(position)),
            First::Several => Self::Early(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deaths_are_counted_in_a_row_and_never_for_another() {
        let mut fear = Fear::NONE.after(None);
        assert_eq!((fear.is_any(), fear.position()), (true, None));
        for times in 1..=300 {
            fear = fear.after(Some(7));
            assert_eq!(fear.is_feared(7), times >= FEARED_AT);
            assert_eq!(fear.counts(7, true), times >= COUNTS_AT);
            assert_eq!(fear.counts(7, false), times >= COUNTS_ANYHOW_AT);
            assert!(!fear.is_feared(8) && !fear.counts(0, true));
            assert_eq!(fear.after(None), fear);
        }
        let other = fear.after(Some(0));
        assert_eq!(
            (other.position(), other.is_feared(7), other.is_feared(0)),
            (Some(0), false, false)
        );
    }

    #[test]
    fn one_that_was_given_up_makes_the_next_dearer() {
        let mut fear = Fear::given_up();
        assert_eq!((fear.is_any(), fear.position(), fear.after(None)), (true, None, fear));
        for times in 1..=300 {
            fear = fear.after(Some(7));
            assert_eq!(fear.is_feared(7), times >= FEARED_AT);
            assert_eq!(fear.counts(7, true), times >= COUNTS_ANYHOW_AT);
        }
    }

    #[test]
    fn a_death_is_of_the_one_record_that_it_had() {
        let fear = (0..COUNTS_AT).fold(Fear::NONE, |fear, _| fear.after(Some(7)));
        let death =
            |first, position| Death::early(First::of(First::word(first)), fear, position, || true);
        assert_eq!(death(First::One(7), 7), Death::Counts);
        assert_eq!(death(First::One(8), 8), Death::Early(Some(8)));
        assert_eq!(death(First::One(7), 8), Death::Early(None));
        assert_eq!(death(First::Several, 7), Death::Early(None));
        assert_eq!(death(First::Nothing, 7), Death::Unknown);
        let beside = Death::early(First::One(7), fear, 7, || false);
        assert_eq!(beside, Death::Early(Some(7)), "others wait");
    }
}
