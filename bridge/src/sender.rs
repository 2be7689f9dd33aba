//! The sending machine of one stream: what is appended where, and what to make of the answers.
//!
//! A message is appended with the sequence number that it expects the log to end with, so that several can be under
//! way: each lands behind the one before it, or is refused. At the first answer that is not the expected one
//! everything under way is forgotten, the log is looked at, and each lane begins again with what is not
//! acknowledged. So answers may be lost or late, elections may take time, and a second writer is noticed.
//!
//! What the log ends with is not believed to follow what stands before it: a message that was under way when its
//! sender died may land behind one that came into its place, and then positions are missing between the two. So what
//! is not acknowledged is sent again whatever the log has of it, and readers leave out what they know, and what does
//! not follow.

use std::collections::VecDeque;

use crate::pack::{Head, Packed};

/// Which of a stream's lanes, in the order they were added.
pub type LaneIndex = usize;

/// The machine.
#[derive(Debug, Default)]
pub struct Sender {
    lanes: Vec<Lane>,
    /// The sequence number that the log ends with once everything under way is there; `None` until it is looked at.
    last: Option<u64>,
    flights: VecDeque<Flight>,
}

#[derive(Debug)]
struct Lane {
    log: u64,
    /// At least this.
    since: u64,
    /// 0 until the log was looked at.
    generation: u64,
    /// This process found or wrote its own log in the lane.
    owns: bool,
    /// Every position before it was acknowledged, or is gone.
    kept: u64,
    /// Where the next pack begins.
    next: u64,
    /// Sequence number of its last message; 0 where there is none.
    sequence: u64,
    fault: Option<Fault>,
}

#[derive(Debug)]
struct Flight {
    lane: LaneIndex,
    sequence: u64,
    /// Where the lane stands then; `None` for a part that is not the last.
    end: Option<u64>,
}

/// What the log has of a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// The last message, with its sequence number; `None` where there is none. Without a head it is none of a
    /// bridge: whoever wrote it, the lane goes on behind it.
    pub last: Option<(u64, Option<Head>)>,
    /// The tail of the lane's ring, read after that.
    pub tail: u64,
}

/// Why nothing more is sent in a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    /// Somebody else began a log in it, or took this one over.
    #[error(
        "another mixcord-bridge sends this shard (generation {theirs}, this one has {ours}): two gateways run it. \
         Stop one of them, and its bridge"
    )]
    Superseded {
        /// Its generation.
        theirs: u64,
        /// This one's.
        ours: u64,
    },
    /// The log has positions that the ring has not written yet.
    #[error(
        "the log has records up to {log} of a ring that ends at {ring}: this is a copy of the ring that was sent. \
         Remove the stream, or the ring"
    )]
    Ahead {
        /// Where the log stands.
        log: u64,
        /// Where the ring does.
        ring: u64,
    },
}

/// Where a lane's next pack begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Start {
    /// The log's id.
    pub log: u64,
    /// What the pack is sent as.
    pub generation: u64,
    /// Every position before it is in the log, or never will be.
    pub kept: u64,
    /// Its first position.
    pub first: u64,
}

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It is in the log, at this sequence number.
    Stored(u64),
    /// It was refused, or nothing came in time.
    Missing,
}

/// What an answer means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Every position before `through` of the lane is in the log: the ring may let go of them.
    Kept {
        /// The lane.
        lane: LaneIndex,
        /// The first that is not.
        through: u64,
    },
    /// A part is there; the rest is under way.
    Part,
    /// The log has to be looked at: everything under way is forgotten.
    Look,
}

impl Sender {
    /// Adds a lane: the ring `log`, whose group let go of everything before `floor`. The log is looked at next.
    /// It is sent since generation `since` ([`crate::lease`]); what others sent in the lane before has a lower one,
    /// and where it has not, as a bucket or a log lost its tail, this one's is raised.
    pub fn add(&mut self, log: u64, floor: u64, since: u64) -> LaneIndex {
        self.lanes.push(Lane::new(log, floor, since));
        self.forget();
        self.lanes.len() - 1
    }

    /// The lane's ring is another one now, or is sent since another generation.
    pub fn replace(&mut self, lane: LaneIndex, log: u64, floor: u64, since: u64) {
        self.lanes[lane] = Lane::new(log, floor, since);
        self.forget();
    }

    /// Whether the log has to be looked at: first its last sequence number, then the last message of every lane.
    #[must_use]
    pub const fn must_look(&self) -> bool {
        self.last.is_none()
    }

    /// What was found, by lane. What had been under way may still land: then the first append is refused.
    pub fn looked(&mut self, last_sequence: u64, found: &[Found]) {
        self.flights.clear();
        self.last = Some(last_sequence);
        for (lane, found) in self.lanes.iter_mut().zip(found) {
            lane.found(found);
        }
    }

    /// Where the lane's next pack begins; `None` where nothing is to be sent.
    #[must_use]
    pub fn start(&self, lane: LaneIndex) -> Option<Start> {
        let lane = self.lanes.get(lane).filter(|lane| lane.fault.is_none())?;
        self.last?;
        let Lane { log, generation, kept, next: first, .. } = *lane;
        Some(Start { log, generation, kept, first })
    }

    /// The group lost what is before `position`: it was evicted, or its ring damaged.
    pub fn skip_to(&mut self, lane: LaneIndex, position: u64) {
        let lane = &mut self.lanes[lane];
        if position > lane.next {
            (lane.kept, lane.next) = (position, position);
        }
    }

    /// A pack from [`Sender::start`] is on its way. Gives the sequence number that its first message expects the log
    /// to end with; each further one expects one more.
    pub fn sent(&mut self, index: LaneIndex, packed: &Packed) -> u64 {
        let expected = self.last.unwrap_or_default();
        let lane = &mut self.lanes[index];
        lane.next = packed.end;
        let count = packed.messages.len() as u64;
        let flights = (1..=count).map(|part| Flight {
            lane: index,
            sequence: expected + part,
            end: (part == count).then_some(packed.end),
        });
        self.flights.extend(flights);
        self.last = Some(expected + count);
        expected
    }

    /// Messages under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Whether any of them is of a lane.
    #[must_use]
    pub fn is_under_way(&self, lane: LaneIndex) -> bool {
        self.flights.iter().any(|flight| flight.lane == lane)
    }

    /// The answer to the oldest message under way.
    pub fn answered(&mut self, answer: Answer) -> Outcome {
        let Some(flight) = self.flights.pop_front() else {
            self.forget();
            return Outcome::Look;
        };
        if answer != Answer::Stored(flight.sequence) {
            self.forget();
            return Outcome::Look;
        }
        let lane = &mut self.lanes[flight.lane];
        lane.sequence = flight.sequence;
        lane.owns = true;
        let Some(end) = flight.end else { return Outcome::Part };
        lane.kept = lane.kept.max(end);
        Outcome::Kept { lane: flight.lane, through: lane.kept }
    }

    /// Everything under way is forgotten, and the log is to be looked at: the connection is another one.
    pub fn forget(&mut self) {
        self.flights.clear();
        self.last = None;
    }

    /// Every position of the lane before it is in the log.
    #[must_use]
    pub fn kept(&self, lane: LaneIndex) -> u64 {
        self.lanes[lane].kept
    }

    /// Whether a message of the lane's own log is known to be in it.
    #[must_use]
    pub fn has_begun(&self, lane: LaneIndex) -> bool {
        self.lanes[lane].owns
    }

    /// Sequence number of the lane's last message that is known to be there; 0 where there is none.
    #[must_use]
    pub fn sequence(&self, lane: LaneIndex) -> u64 {
        self.lanes[lane].sequence
    }

    /// Why nothing is sent in a lane.
    #[must_use]
    pub fn fault(&self, lane: LaneIndex) -> Option<Fault> {
        self.lanes[lane].fault
    }
}

impl Lane {
    const fn new(log: u64, floor: u64, since: u64) -> Self {
        Self {
            log,
            since,
            generation: 0,
            owns: false,
            kept: floor,
            next: floor,
            sequence: 0,
            fault: None,
        }
    }

    /// Begins again with what is not acknowledged, whatever the log has of it.
    fn found(&mut self, found: &Found) {
        self.next = self.kept;
        let Some((sequence, head)) = found.last else {
            self.sequence = 0;
            self.generation = self.generation.max(self.since);
            return;
        };
        self.sequence = sequence;
        let Some(head) = head else {
            self.generation = self.generation.max(self.since);
            return;
        };
        let (ours, theirs) = (self.generation, head.generation);
        let is_ours = head.log == self.log;
        // Each log raises it, and so does who takes over a log that this process wrote.
        if self.owns && (theirs > ours || (!is_ours && theirs == ours)) {
            self.fault = Some(Fault::Superseded { theirs, ours });
        } else if !is_ours {
            self.generation = ours.max(theirs.saturating_add(1)).max(self.since);
        } else if head.end() > found.tail {
            self.fault = Some(Fault::Ahead { log: head.end(), ring: found.tail });
        } else {
            (self.owns, self.generation) = (true, theirs.max(ours).max(self.since));
        }
    }
}
