//! The receiving machine of one lane: what of each message is new, and what is missing before it.
//!
//! It believes positions only. Sequence numbers say where to look; a message that was read is known again by its
//! head. So it does not matter from where a reader begins, or how often, as long as nothing before its place is left
//! out.
//!
//! A pack that does not follow is a stray (see [`crate::sender`]), is not where the reader looked for it, or shows
//! that something is lost. Reading anew tells the second from the others, and a pack that says that all of it was in
//! the log once ([`Head::kept`]) tells the third from the first.

use crate::pack::{Assembler, Head, PackError, Row, Whole};
use crate::place::{Mark, Place};

/// The machine.
#[derive(Debug)]
pub struct Receiver {
    place: Place,
    assembler: Assembler,
    /// Reading began anew as positions from this one of this log were missing, and nothing was taken since: if they
    /// are missing still, they are not there.
    doubted: Option<(u64, u64)>,
    /// The next log, which nothing was taken of: its id, and from where on it is read.
    next_log: Option<(u64, u64)>,
}

/// Where to begin reading.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begin {
    /// Right behind this sequence number.
    Behind(u64),
    /// At the first message that is there.
    AtFirst,
}

/// What to do about a message.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one a message, and taken apart at once")]
pub enum Step<'a> {
    /// Nothing: it is known, of an ended generation, or a part.
    Pass,
    /// Take what is new of it.
    Take(Take<'a>),
    /// Something is missing before it. Begin reading anew: perhaps it is not where it was looked for.
    Again,
}

/// What is new of a pack.
#[derive(Clone, Copy, Debug)]
pub struct Take<'a> {
    /// What is missing before it.
    pub loss: Option<Loss>,
    whole: Whole<'a>,
    skip: usize,
    /// Before any of it is taken, and behind the loss.
    before: Place,
    mark: Mark,
}

/// Positions that will not come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Loss {
    /// Of which log.
    pub log: u64,
    /// The first of them.
    pub from: u64,
    /// The first that is not missing; `None` where nobody knows how many there were: another log follows.
    pub to: Option<u64>,
}

impl<'a> Take<'a> {
    /// The records that are new, with their positions.
    pub fn rows(&self) -> impl Iterator<Item = (u64, Row<'a>)> + use<'a> {
        (self.before.next..).zip(self.whole.body.rows().skip(self.skip))
    }

    /// How the shard stands, if the pack says so.
    #[must_use]
    pub const fn checkpoint(&self) -> Option<&'a [u8]> {
        self.whole.body.about.checkpoint
    }

    /// The log that the records are of.
    #[must_use]
    pub const fn log(&self) -> u64 {
        self.whole.head.log
    }

    /// The place once the loss is told and so many records are taken.
    #[must_use]
    pub const fn after(&self, records: u64) -> Place {
        Place { next: self.before.next + records, ..self.before }
    }

    /// The place once all of it is taken.
    #[must_use]
    pub const fn done(&self) -> Place {
        Place { next: self.whole.head.end(), mark: self.mark, ..self.before }
    }
}

impl Receiver {
    /// Goes on where the mirror stands.
    #[must_use]
    pub fn new(place: Place) -> Self {
        Self { place, assembler: Assembler::default(), doubted: None, next_log: None }
    }

    /// How far the mirror is.
    #[must_use]
    pub const fn place(&self) -> Place {
        self.place
    }

    /// Where to begin reading; `found` is the message at the mark's sequence number, if there is one.
    pub fn begin(&mut self, found: Option<&[u8]>) -> Begin {
        self.assembler.forget();
        let mark = self.place.mark;
        let known = found.is_some_and(|message| Mark::of(mark.sequence, message) == mark);
        if known { Begin::Behind(mark.sequence) } else { Begin::AtFirst }
    }

    /// The next message of the lane.
    ///
    /// # Errors
    /// It cannot be read. Unless a later release wrote it, go on behind it: what was in it is told as missing.
    pub fn message(&mut self, sequence: u64, message: &[u8]) -> Result<Step<'_>, PackError> {
        let mark = Mark::of(sequence, message);
        let (head, body) = match Head::read(message) {
            Ok(read) => read,
            Err(error) if error.is_of_another_release() => return Err(error),
            Err(error) => {
                self.passed(mark);
                return Err(error);
            }
        };
        let place = self.place;
        let begins = head.log != place.log;
        // Each log raises the generation: what does not is of one that was ended.
        if begins && place.log != 0 && head.generation <= place.generation {
            self.passed(mark);
            return Ok(Step::Pass);
        }
        // Within a log, it was under way when its sender died: who came after it sent all of that again, or took the
        // shard over and found its end ([`crate::takeover`]).
        if !begins && head.generation < place.generation {
            self.passed(mark);
            return Ok(Step::Pass);
        }
        let whole = match self.assembler.push(head, body) {
            Ok(Some(whole)) => whole,
            Ok(None) => return Ok(Step::Pass),
            // The rest of a pack that began in front of where reading did, or a stray; or the log lost its tail, and the
            // first parts came where reading was already: so it is no place to go on from.
            Err(PackError::Part { .. }) => return Ok(Step::Pass),
            Err(error) => {
                self.place.mark = mark;
                return Err(error);
            }
        };
        if !begins && head.end() < place.next {
            self.place.mark = mark;
            self.place.generation = place.generation.max(head.generation);
            return Ok(Step::Pass);
        }
        let from = match self.next_log {
            _ if !begins => place.next,
            Some((log, from)) if log == head.log => from,
            _ => self.next_log.insert((head.log, head.kept)).1,
        };
        if head.first > from {
            let doubt = Some((head.log, from));
            if self.doubted != doubt {
                self.doubted = doubt;
                return Ok(Step::Again);
            }
            if head.kept <= from {
                self.place.mark = mark;
                if !begins {
                    self.place.generation = place.generation.max(head.generation);
                }
                return Ok(Step::Pass);
            }
        }
        self.doubted = None;
        let loss = missing(&place, &whole);
        let next = if begins { head.first } else { place.next.max(head.first) };
        let generation = place.generation.max(head.generation);
        let before = Place { log: head.log, next, generation, ..place };
        let skip = (next - head.first) as usize;
        Ok(Step::Take(Take { loss, whole, skip, before, mark }))
    }

    /// A message has nothing for the mirror: reading goes on behind it another time, too, unless parts of a pack stand
    /// before it.
    const fn passed(&mut self, mark: Mark) {
        if !self.assembler.is_gathering() {
            self.place.mark = mark;
        }
    }

    /// The mirror holds everything up to there.
    pub fn settle(&mut self, place: Place) {
        self.place = place;
    }
}

/// What is missing between the place and the pack.
fn missing(place: &Place, whole: &Whole<'_>) -> Option<Loss> {
    let head = &whole.head;
    if head.log == place.log {
        let jumps = head.first > place.next;
        return jumps.then_some(Loss { log: place.log, from: place.next, to: Some(head.first) });
    }
    // A reader without a past misses nothing.
    if place.log == 0 {
        return None;
    }
    match whole.body.about.predecessor {
        Some(before) if before.log == place.log => {
            let to = Some(before.position);
            (before.position > place.next).then_some(Loss { log: place.log, from: place.next, to })
        }
        _ => Some(Loss { log: place.log, from: place.next, to: None }),
    }
}
