//! What a member at work has to know of the others of its group.

use super::super::Position;
use super::early::{Death, Fear, First};

/// What a member knows of others.
pub(crate) trait Peers {
    /// Whether the member in that seat lives.
    fn is_alive(&self, member: u16) -> bool;
    /// Whether it had acknowledged anything before it died.
    fn is_proven(&self, member: u16) -> bool;
    /// What the death of that member says of a record that it had; whether the group's file has others `beside` it.
    fn death(&self, member: u16, _position: Position, _beside: bool) -> Death {
        if self.is_proven(member) { Death::Counts } else { Death::Unknown }
    }
    /// A member had died that had settled nothing: with that record, or with several.
    fn died_early(&self, _with: Option<Position>) {}
    /// A record is given up with which such members died.
    fn gave_up(&self) {}
    /// What members died with that had settled nothing.
    fn fear(&self) -> Fear {
        Fear::NONE
    }
    /// Says what this member has taken, that settled nothing yet.
    fn took_first(&self, _first: First) {}
    /// Now, in the ring's clock.
    fn now_ns(&self) -> u64;
    /// Runs `take` while it is sure that the member in that seat is dead, and that nobody takes the seat: whoever
    /// did would write the same words as the dead one. `None`, and nothing done, where that cannot be had now.
    fn while_dead<T>(&self, member: u16, take: impl FnOnce() -> T) -> Option<T>;
    /// Whether this member may take that record at all.
    fn is_ours(&self, _position: Position) -> bool {
        true
    }
    /// Whether nobody else may take what this member may: then what another waits to try again is this one's.
    fn is_exclusive(&self) -> bool {
        false
    }
}
