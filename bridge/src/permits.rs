//! Identify permits of one token, shared by gateways on several machines.
//!
//! Discord lets one shard of a rate-limit bucket identify at a time. Each of these buckets has an entry at the broker,
//! changed by compare-and-set: *granted*, then *used* once IDENTIFY was written, or *free* where it was not. Times are
//! those that the server stamps; nobody compares clocks of two machines.
//!
//! # Without the broker
//! Nobody can be asked. Machines that were there when it was last asked take turns by its clock, which each of them goes
//! on with: a *slot* each, far enough apart, of which only the beginning is used. Not before every grant of the
//! broker is over; and for a while after it came back both count, as others may not have noticed yet. A machine that
//! alone is cut off knows nothing of what the others are granted meanwhile, nor they of it.

use serde::{Deserialize, Serialize};

/// How long IDENTIFY may be written after a permit was asked for, in milliseconds.
pub const VALID_MS: u64 = 30_000;
/// After the broker came back turns are kept for so long: others may find it later.
const RETURN_MS: u64 = 15_000;
/// Others may have lost it so much earlier than this process has seen.
const EARLIER_MS: u64 = 10_000;

/// What the broker has of a bucket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The process, by a random number.
    pub by: u64,
    /// Its permit.
    pub permit: u64,
    /// What became of it.
    pub state: State,
    /// Time between two identifies there, in milliseconds.
    pub spacing_ms: u64,
}

/// What became of a permit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// IDENTIFY may be written.
    Granted,
    /// It was.
    Used,
    /// It was not, and will not be.
    Free,
}

impl Entry {
    /// From when on the next one may be granted, where this was put at `put_ms`; by the server's clock.
    #[must_use]
    pub fn free_at_ms(&self, put_ms: u64, spacing_ms: u64) -> u64 {
        let spacing_ms = spacing_ms.max(self.spacing_ms);
        match self.state {
            State::Free => 0,
            State::Used => put_ms.saturating_add(spacing_ms),
            // It was sent before it was put.
            State::Granted => put_ms.saturating_add(VALID_MS).saturating_add(spacing_ms),
        }
    }
}

/// The server's clock, as one process can know it: never ahead.
#[derive(Clone, Copy, Default, Debug)]
pub struct ServerClock {
    /// The server's time, and that of this process when it was heard.
    heard: Option<(u64, u64)>,
}

impl ServerClock {
    /// A message was put at `put_ms`, and that was heard at `now_ms` of a clock that counts the time asleep.
    pub const fn hear(&mut self, put_ms: u64, now_ms: u64) {
        self.heard = Some((put_ms, now_ms));
    }

    /// The server's time, or a little less.
    #[must_use]
    pub fn at(&self, now_ms: u64) -> Option<u64> {
        let (put_ms, heard_ms) = self.heard?;
        Some(put_ms.saturating_add(now_ms.saturating_sub(heard_ms)))
    }
}

/// Who takes turns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Roster {
    /// Which of them this process is, from 0.
    pub rank: u64,
    /// How many there are.
    pub count: u64,
}

impl Roster {
    /// Of processes with these numbers, of which one is `own`.
    #[must_use]
    pub fn of(writers: impl IntoIterator<Item = u64>, own: u64) -> Option<Self> {
        let writers: std::collections::BTreeSet<u64> = writers.into_iter().collect();
        let rank = writers.iter().position(|writer| *writer == own)?;
        Some(Self { rank: rank as u64, count: writers.len() as u64 })
    }
}

/// A turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    /// Its number, for a bucket gets one permit in it.
    pub number: u64,
    /// How long a permit that is given now is valid, in milliseconds.
    pub valid_ms: u64,
}

/// This process's turn, where it has one at `at_ms` of the server's clock.
///
/// # Errors
/// In how many milliseconds it has.
pub fn slot(at_ms: u64, spacing_ms: u64, roster: Roster) -> Result<Slot, u64> {
    let spacing_ms = spacing_ms.max(4);
    // The last moment of one is further from the next one than the spacing, by a quarter of it for clocks.
    let (length_ms, used_ms) = (spacing_ms * 7 / 4, spacing_ms / 4);
    let period_ms = length_ms * roster.count.max(1);
    let begins_ms = roster.rank * length_ms;
    let now_ms = at_ms % period_ms;
    if (begins_ms..begins_ms + used_ms).contains(&now_ms) {
        return Ok(Slot { number: at_ms / period_ms, valid_ms: used_ms });
    }
    Err((begins_ms + period_ms - now_ms) % period_ms)
}

/// Whether the broker is there, as one process sees it.
#[derive(Clone, Copy, Default, Debug)]
pub struct Contact {
    /// When it answered last.
    heard_ms: Option<u64>,
    /// It came back after others may have begun to take turns.
    back_ms: Option<u64>,
}

/// How permits are given now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// By the broker.
    Broker,
    /// By the broker, in turns.
    Both,
}

impl Contact {
    /// It answered.
    pub fn heard(&mut self, now_ms: u64) {
        let longest_ms = VALID_MS - EARLIER_MS;
        if self.heard_ms.is_some_and(|heard_ms| now_ms.saturating_sub(heard_ms) >= longest_ms) {
            self.back_ms = Some(now_ms);
        }
        self.heard_ms = Some(now_ms);
    }

    /// How permits are given while it answers.
    #[must_use]
    pub fn way(&self, now_ms: u64) -> Way {
        match self.back_ms {
            Some(back_ms) if now_ms.saturating_sub(back_ms) < RETURN_MS => Way::Both,
            _ => Way::Broker,
        }
    }

    /// It does not answer: in how many milliseconds turns are taken, 0 for now; `None` where it never answered.
    #[must_use]
    pub fn alone_in(&self, now_ms: u64, spacing_ms: u64) -> Option<u64> {
        let over_ms = self.heard_ms?.saturating_add(VALID_MS).saturating_add(spacing_ms);
        Some(over_ms.saturating_sub(now_ms))
    }
}

#[cfg(test)]
mod tests;
