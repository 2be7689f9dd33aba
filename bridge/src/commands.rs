//! Commands from a machine that receives to the gateway that runs the shard.
//!
//! A command is asked for in two steps, each a request with an answer: first for a *ticket*, then with it. A request
//! may wait for long in a client whose connection is gone, and arrive when nobody waits for it any more: a ticket is
//! good for one command and a few seconds, by the clock of who gave it. So a command is carried out soon, or never,
//! and at most once.

use std::collections::VecDeque;

/// How long a ticket is good, in milliseconds.
pub const TICKET_MS: u64 = 3_000;
/// Bytes of a ticket before its command.
pub const TICKET_BYTES: usize = 17;
/// Tickets at once: older ones are good no longer.
const TICKETS_MAX: usize = 1_024;

const VERSION: u8 = 1;
const ANSWERED: u8 = 0;
const NOT_SENT: u8 = 1;
const UNKNOWN: u8 = 2;

/// Leave for one command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket {
    /// Who gave it: the one to ask.
    pub giver: u64,
    /// Which.
    pub number: u64,
}

impl Ticket {
    /// As it is sent.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.giver.to_le_bytes());
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes
    }

    /// Reads it, and what follows it.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let rest = bytes.strip_prefix(&[VERSION])?;
        let (giver, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let ticket =
            Self { giver: u64::from_le_bytes(*giver), number: u64::from_le_bytes(*number) };
        Some((ticket, rest))
    }
}

/// What became of a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The gateway's answer.
    Answered(Vec<u8>),
    /// It was not sent, by anybody.
    NotSent,
    /// Perhaps it was.
    Unknown,
}

impl Outcome {
    /// As it is sent.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Answered(answer) => {
                let mut bytes = vec![VERSION, ANSWERED];
                bytes.extend_from_slice(answer);
                bytes
            }
            Self::NotSent => vec![VERSION, NOT_SENT],
            Self::Unknown => vec![VERSION, UNKNOWN],
        }
    }

    /// Reads it. What cannot be read is from somebody who was asked.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        match bytes {
            [VERSION, ANSWERED, answer @ ..] if !answer.is_empty() => {
                Self::Answered(answer.to_vec())
            }
            [VERSION, NOT_SENT] => Self::NotSent,
            _ => Self::Unknown,
        }
    }
}

/// The tickets that one process gave.
#[derive(Debug)]
pub struct Tickets<T> {
    giver: u64,
    next: u64,
    given: VecDeque<(u64, u64, T)>,
}

impl<T> Tickets<T> {
    /// None so far. Numbers of another process of the same giver are none of this one's.
    #[must_use]
    pub const fn new(giver: u64) -> Self {
        Self { giver, next: 0, given: VecDeque::new() }
    }

    /// Gives one, for `what`. Times are milliseconds of any one clock that does not go back.
    pub fn give(&mut self, now_ms: u64, what: T) -> Ticket {
        if self.given.len() == TICKETS_MAX {
            self.given.pop_front();
        }
        let number = self.next;
        self.next += 1;
        self.given.push_back((number, now_ms, what));
        Ticket { giver: self.giver, number }
    }

    /// What it is good for: once, and for some seconds.
    pub fn take(&mut self, now_ms: u64, ticket: Ticket) -> Option<T> {
        self.given.retain(|(_, given_ms, _)| now_ms.saturating_sub(*given_ms) < TICKET_MS);
        if ticket.giver != self.giver {
            return None;
        }
        let at = self.given.iter().position(|(number, ..)| *number == ticket.number)?;
        self.given.remove(at).map(|(.., what)| what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_good_once_for_a_while_and_where_it_was_given() {
        let (mut tickets, mut others) = (Tickets::new(7), Tickets::new(8));
        let ticket = tickets.give(10, "a");
        others.give(10, "b");
        assert_eq!(others.take(10, ticket), None);
        assert_eq!(tickets.take(10 + TICKET_MS - 1, ticket), Some("a"));
        assert_eq!(tickets.take(10, ticket), None, "a command is carried out once");
        let late = tickets.give(10, "c");
        assert_eq!(tickets.take(10 + TICKET_MS, late), None, "what comes late is not carried out");
        let first = tickets.give(0, "d");
        for _ in 0..TICKETS_MAX {
            tickets.give(0, "e");
        }
        assert_eq!(tickets.given.len(), TICKETS_MAX);
        assert_eq!(tickets.take(0, first), None);
    }

    #[test]
    fn what_is_sent_is_read_back_and_what_cannot_be_read_may_have_been_carried_out() {
        let ticket = Ticket { giver: 1 << 60, number: 3 };
        let mut bytes = ticket.encode();
        assert_eq!(bytes.len(), TICKET_BYTES);
        bytes.extend_from_slice(b"packet");
        assert_eq!(Ticket::decode(&bytes), Some((ticket, &b"packet"[..])));
        assert!((0..ticket.encode().len()).all(|end| Ticket::decode(&bytes[..end]).is_none()));
        for outcome in [Outcome::Answered(vec![4]), Outcome::NotSent, Outcome::Unknown] {
            assert_eq!(Outcome::decode(&outcome.encode()), outcome);
        }
        for bytes in [&b""[..], b"\x01", b"\x02\x01", b"\x01\x00", b"\x01\x09"] {
            assert_eq!(Outcome::decode(bytes), Outcome::Unknown);
        }
    }
}
