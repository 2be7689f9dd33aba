//! The bits of a delivery word.
//!
//! ```text
//!  63            40 39      28 27  25 24      15 14       7 6       0
//! ┌────────────────┬──────────┬──────┬──────────┬──────────┬─────────┐
//! │ lap            │ epoch    │ state│ member+1 │ failures │ deaths  │
//! │ 24             │ 12       │ 3    │ 10       │ 8        │ 7       │
//! └────────────────┴──────────┴──────┴──────────┴──────────┴─────────┘
//! ```
//!
//! Bounds, and what happens at each:
//!
//! * lap, 2²⁴: a word is written for every record before the cursor passes it, so a word that is looked at is
//!   of this lap, of the one before, or, by a member that lags, of a later one. Half the range is each way.
//! * epoch, 4,095, half of them each way: all words are wiped when the epoch is raised, so another one is met
//!   only through a process that was stopped, for so many epochs, before a CAS or its next look.
//! * member, 1,023: the geometry allows fewer.
//! * failures, 255, and deaths, 127: they stay there. A limit is at most [`ATTEMPTS_MAX`], so a record is dead
//!   before; without a limit the count stands still, and is never too low below it.

use super::super::Position;

/// The most attempts that may be asked for; what the two counts can count to together stays above.
pub(crate) const ATTEMPTS_MAX: u8 = 120;
/// A record that was out at so many deaths is given alone.
pub(crate) const SUSPECT_AT: u8 = 2;

const LAP_AT: u32 = 40;
const EPOCH_AT: u32 = 28;
const STATE_AT: u32 = 25;
const MEMBER_AT: u32 = 15;
const FAILURES_AT: u32 = 7;
/// The state of what is acknowledged, or dead and in the file.
const DONE: u64 = 6;
const LAP_MASK: u64 = 0xFF_FFFF;
const EPOCH_BITS: u32 = 12;
const EPOCH_MASK: u64 = 0xFFF;
/// Epochs there are; one number less than its bits could hold, since 0 is none.
const EPOCHS: u64 = EPOCH_MASK;
const MEMBER_MASK: u64 = 0x3FF;
const FAILURES_MAX: u8 = u8::MAX;
const DEATHS_MAX: u8 = 127;

/// An epoch of a group, 1 to 4,095: 0 is that of words that were wiped, and of nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch(u16);

impl Epoch {
    /// The epoch of a generation.
    pub(crate) const fn of(generation: u64) -> Self {
        Self((generation % EPOCHS) as u16 + 1)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0 as u64
    }

    /// Half of all epochs are later than any, the other half are earlier; that of wiped words is earliest.
    pub(crate) const fn is_later_than(self, other: Self) -> bool {
        let ahead = (self.bits() + EPOCHS - other.bits()) % EPOCHS;
        self.0 != 0 && ahead != 0 && ahead <= EPOCHS / 2
    }

    /// What [`bits`](Self::bits) gave.
    pub(crate) const fn from_bits(bits: u16) -> Self {
        Self(bits & EPOCH_MASK as u16)
    }
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Waits to be given.
    Free,
    /// Given to a member, given back if that dies.
    Out,
    /// Given to a member for the first and last time.
    Once,
    /// Waits for its member to try again, or for anybody where there is no member.
    Retry,
    /// Copied into the group's file, and given from there.
    Aside,
    /// At its limit, and on its way into the group's file.
    Dying,
    /// Acknowledged, or dead and in the file.
    Done,
    /// Said by a word of a later lap or epoch, and never written: the cursor passed it, so that it is done or aside.
    Passed,
}

/// How often a record was given in vain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Its handler failed.
    pub(crate) failures: u8,
    /// The process that had it died, after it had acknowledged anything at all.
    pub(crate) deaths: u8,
}

/// One delivery word, decoded only as far as is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) u64);

/// What every word of a group at one slot and lap has in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp(u64);

impl Stamp {
    pub(crate) const fn new(lap: u64, epoch: Epoch) -> Self {
        Self(lap << LAP_AT | epoch.bits() << EPOCH_AT)
    }

    /// What a word says of this record. Of an earlier epoch or lap: that it is free. Of a later lap: that the
    /// cursor passed it, else its slot had not been used again. Of a later epoch: the same, so that those of
    /// the last one keep their hands off.
    #[inline]
    pub(crate) const fn read(self, raw: u64) -> Word {
        let (found, own) = (raw >> EPOCH_AT, self.0 >> EPOCH_AT);
        if found == own {
            return Word(raw);
        }
        let later = if (found ^ own) & EPOCH_MASK == 0 {
            let ahead = (found >> EPOCH_BITS).wrapping_sub(own >> EPOCH_BITS) & LAP_MASK;
            ahead <= LAP_MASK / 2
        } else {
            Epoch((found & EPOCH_MASK) as u16).is_later_than(Epoch((own & EPOCH_MASK) as u16))
        };
        let word = Word(self.0);
        if later { word.to(State::Passed, None, Counts { failures: 0, deaths: 0 }) } else { word }
    }

    /// Whether a word says, in one of the ways it nearly always does, that nobody has had this record yet: it is
    /// still that of the record one lap before, or was wiped, or it was given back.
    #[inline]
    pub(crate) const fn is_fresh(self, raw: u64) -> bool {
        let behind = (self.0 >> EPOCH_AT).wrapping_sub(raw >> EPOCH_AT);
        behind == 1 << EPOCH_BITS || raw == 0 || raw == self.0
    }

    /// The word of this record when a member takes it that nobody has had yet.
    #[inline]
    pub(crate) const fn taken(self, state: State, member: u16) -> Word {
        Word(self.0).to(state, Some(member), Counts { failures: 0, deaths: 0 })
    }

    /// Whether a word says that this record, and no other, is done.
    #[inline]
    pub(crate) const fn is_done(self, raw: u64) -> bool {
        raw >> STATE_AT == self.0 >> STATE_AT | DONE
    }
}

impl Counts {
    /// Times it was given in vain and through its own doing: a death counts once it was out alone.
    pub(crate) const fn attempts(self) -> u16 {
        self.failures as u16 + self.deaths.saturating_sub(SUSPECT_AT) as u16
    }

    /// Times it was given, whoever's doing it was.
    pub(crate) const fn given(self) -> u16 {
        self.failures as u16 + self.deaths as u16
    }

    /// Whether it may have killed who had it, so that it is given alone.
    pub(crate) const fn is_suspect(self) -> bool {
        self.deaths >= SUSPECT_AT
    }

    /// Whether it is not to be given again; 0 is no limit.
    pub(crate) const fn is_spent(self, limit: u8) -> bool {
        limit != 0 && self.attempts() >= limit as u16
    }

    #[must_use]
    pub(crate) const fn failed(self) -> Self {
        let failures = if self.failures == FAILURES_MAX { FAILURES_MAX } else { self.failures + 1 };
        Self { failures, ..self }
    }

    #[must_use]
    pub(crate) const fn died(self) -> Self {
        let deaths = if self.deaths == DEATHS_MAX { DEATHS_MAX } else { self.deaths + 1 };
        Self { deaths, ..self }
    }
}

impl Word {
    pub(crate) const fn state(self) -> State {
        match (self.0 >> STATE_AT) & 7 {
            0 => State::Free,
            1 => State::Out,
            2 => State::Once,
            3 => State::Retry,
            4 => State::Aside,
            5 => State::Dying,
            DONE => State::Done,
            _ => State::Passed,
        }
    }

    /// The same, acknowledged.
    #[inline]
    #[must_use]
    pub(crate) const fn done(self) -> Self {
        Self(self.0 & !(0b111 << STATE_AT) | DONE << STATE_AT)
    }

    /// Whose it is.
    pub(crate) const fn member(self) -> Option<u16> {
        match (self.0 >> MEMBER_AT) & MEMBER_MASK {
            0 => None,
            member => Some(member as u16 - 1),
        }
    }

    pub(crate) const fn counts(self) -> Counts {
        Counts { failures: (self.0 >> FAILURES_AT) as u8, deaths: self.0 as u8 & DEATHS_MAX }
    }

    /// Whether the cursor may pass it.
    pub(crate) const fn is_past(self) -> bool {
        matches!(self.state(), State::Done | State::Aside | State::Passed)
    }

    /// The same record in another state.
    #[must_use]
    pub(crate) const fn to(self, state: State, member: Option<u16>, counts: Counts) -> Self {
        let state = match state {
            State::Free => 0,
            State::Out => 1,
            State::Once => 2,
            State::Retry => 3,
            State::Aside => 4,
            State::Dying => 5,
            State::Done => 6,
            State::Passed => 7,
        };
        let member = match member {
            None => 0,
            Some(member) => (member as u64 + 1) & MEMBER_MASK,
        };
        let stamp = self.0 >> EPOCH_AT << EPOCH_AT;
        Self(
            stamp
                | state << STATE_AT
                | member << MEMBER_AT
                | (counts.failures as u64) << FAILURES_AT
                | (counts.deaths & DEATHS_MAX) as u64,
        )
    }

    /// The same in another epoch: for what is carried over.
    #[must_use]
    pub(crate) const fn in_epoch(self, epoch: Epoch) -> Self {
        Self(self.0 & !(EPOCH_MASK << EPOCH_AT) | epoch.bits() << EPOCH_AT)
    }
}

impl std::fmt::Debug for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Word")
            .field("lap", &(self.0 >> LAP_AT))
            .field("epoch", &((self.0 >> EPOCH_AT) & EPOCH_MASK))
            .field("state", &self.state())
            .field("member", &self.member())
            .field("counts", &self.counts())
            .finish()
    }
}

/// A cursor and the epoch in which it stands, in one word: whoever moves it must be of that epoch.
///
/// ```text
///  63      52 51                                        0
/// ┌──────────┬───────────────────────────────────────────┐
/// │ epoch 12 │ position 52                               │
/// └──────────┴───────────────────────────────────────────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stand(pub(crate) u64);

impl Stand {
    /// No position is that large: at ten million records a second it takes 14 years.
    pub(crate) const POSITION_MAX: Position = (1 << 52) - 2;

    pub(crate) const fn new(epoch: Epoch, position: Position) -> Self {
        Self(epoch.bits() << 52 | position)
    }

    pub(crate) const fn epoch(self) -> Epoch {
        Epoch((self.0 >> 52) as u16)
    }

    pub(crate) const fn position(self) -> Position {
        self.0 & ((1 << 52) - 1)
    }

    /// Whether it holds a position of this epoch.
    #[inline]
    pub(crate) const fn is_of(self, epoch: Epoch) -> bool {
        self.epoch().0 == epoch.0 && self.0 != Self::NOTHING.0
    }

    /// The word of a group that holds nothing.
    pub(crate) const NOTHING: Self = Self(u64::MAX);

    /// The position, or [`Position::MAX`] of a word that holds nothing.
    pub(crate) const fn held(self) -> Position {
        if self.0 == u64::MAX { Position::MAX } else { self.position() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [State; 7] = [
        State::Free,
        State::Out,
        State::Once,
        State::Retry,
        State::Aside,
        State::Dying,
        State::Done,
    ];

    #[test]
    fn every_field_keeps_to_its_bits() {
        let epoch = Epoch::of(0xABC);
        for lap in [0, 1, 0xFF_FFFF, 0x100_0001] {
            let stamp = Stamp::new(lap, epoch);
            for state in STATES {
                for member in [None, Some(0), Some(63), Some(1022)] {
                    for (failures, deaths) in [(0, 0), (255, 0), (0, 127), (255, 127), (3, 2)] {
                        let counts = Counts { failures, deaths };
                        let word = stamp.read(0).to(state, member, counts);
                        assert_eq!(word.state(), state);
                        assert_eq!(word.member(), member);
                        assert_eq!(word.counts(), counts);
                        assert_eq!(stamp.read(word.0), word, "its own lap and epoch");
                        let next = Stamp::new(lap + 1, epoch);
                        assert_eq!(next.read(word.0).state(), State::Free, "an earlier lap");
                        assert_eq!(next.read(word.0).counts(), Counts::default());
                        let last = Stamp::new(lap.wrapping_sub(1), epoch);
                        assert_eq!(last.read(word.0).state(), State::Passed, "a later lap");
                        let other = Stamp::new(lap, Epoch::of(0xABD));
                        assert_eq!(other.read(word.0).state(), State::Free, "an earlier epoch");
                        assert_eq!(other.read(word.in_epoch(Epoch::of(0xABD)).0).state(), state);
                        let other = Stamp::new(lap, Epoch::of(0xABB));
                        assert_eq!(other.read(word.0).state(), State::Passed, "a later epoch");
                        assert_eq!(stamp.read(0).state(), State::Free, "wiped");
                    }
                }
            }
        }
    }

    #[test]
    fn counts_stay_at_their_bounds_and_a_limit_is_met_before() {
        let mut counts = Counts::default();
        for _ in 0..300 {
            counts = counts.failed().died();
        }
        assert_eq!(counts, Counts { failures: 255, deaths: 127 });
        for only in [Counts { failures: 255, deaths: 0 }, Counts { failures: 0, deaths: 127 }] {
            assert!(only.is_spent(ATTEMPTS_MAX));
            assert!(!only.is_spent(0));
        }
    }

    #[test]
    fn deaths_count_once_a_record_is_given_alone() {
        let mut counts = Counts::default();
        for deaths in 1..=2 {
            counts = counts.died();
            assert_eq!((counts.attempts(), counts.given()), (0, deaths));
        }
        assert!(counts.is_suspect());
        assert_eq!(counts.died().attempts(), 1);
        assert_eq!(counts.failed().died().attempts(), 2);
    }

    #[test]
    fn a_stand_holds_epoch_and_position() {
        let stand = Stand::new(Epoch::of(0xFFE), Stand::POSITION_MAX);
        assert_eq!(stand.epoch(), Epoch::of(0xFFE));
        assert_eq!(stand.position(), Stand::POSITION_MAX);
        assert_ne!(stand.0, u64::MAX, "which holds nothing");
    }
}
