//! An input that goes on in another ring: after a copy of the state on another machine, or where a mirror was made
//! anew.
//!
//! Each record has a name that is the same on every machine, its *origin*: the log that it was written to first, and
//! its position there. The store keeps that of the record which comes next, so the ring that is there now is passed
//! over up to it.

use mixcord_event::{Origin, Reason};
use mixcord_ring::Limits;
use mixcord_state::InputPosition;

use super::gap::Gap;
use super::input::{Found, Input};
use super::positions::Positions;

/// Whether the shard's next ring is compared by origin. Not so where a gateway of this machine wrote the one before:
/// none of its records comes again in another.
pub(super) const fn is_followed(known: &InputPosition) -> bool {
    known.origin.ring != 0 && known.origin.ring != known.ring
}

/// Takes what waits of an input from where it was read to; whether there is anything to be staged.
pub(super) fn fill(
    positions: &mut Positions,
    gaps: &mut Vec<Gap>,
    (shard, input): ((u16, u16), &mut Input),
    limits: Limits,
) -> bool {
    let known = positions.get(&shard).copied();
    let position = match known {
        Some(known) if !known.is_of(input.id()) && is_followed(&known) => {
            let Some(found) = input.find(known.origin, limits) else { return false };
            let (next, loss) = go_on(&known, input.id(), found);
            if let Some(reason) = loss {
                let Origin { ring, position } = known.origin;
                tracing::error!(
                    shard = shard.1,
                    log = format!("{ring:016x}"),
                    position,
                    "what the state is to go on with is not there"
                );
                gaps.push(Gap { shard, reason });
            }
            positions.insert(shard, next);
            next.position
        }
        known => known.map_or(0, |known| known.position),
    };
    if let Some(reason) = input.fill(position, limits) {
        gaps.push(Gap { shard, reason });
    }
    input.next().is_some()
}

/// Where an input goes on in `ring`, and what was lost before that.
fn go_on(known: &InputPosition, ring: u64, found: Found) -> (InputPosition, Option<Reason>) {
    let Found { position, at, lost } = found;
    let next =
        InputPosition { origin: at.unwrap_or_default(), ..InputPosition::whole(ring, position) };
    match at {
        Some(at) if at == known.origin => {
            (InputPosition { index: known.index, ..next }, lost.then_some(Reason::RecordsLost))
        }
        Some(at) if at.ring == known.origin.ring => (next, Some(Reason::RecordsLost)),
        Some(_) => (next, Some(Reason::RingLost)),
        // Of another release: it is left where it is.
        None => (next, None),
    }
}
