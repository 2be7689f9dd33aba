//! What a lost state asks for: Discord sends guilds only at the beginning of a session, and sessions go on for weeks.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Instant;

use mixcord_event::topology::{self, CACHE_GROUP};
use mixcord_ring::{AttachError, Position, Ring};
use mixcord_state::{InputPosition, compose};

use super::Engine;
use super::discover::REMIND;

/// What could not be asked for yet: by (shard count, shard), up to where in the ring.
pub(super) type Wishes = BTreeMap<(u16, u16), Wish>;

/// What was said in a ring before `before` is lost to the state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    ring: InputPosition,
    before: Position,
    /// When it was said last that it cannot be told.
    said: Option<Instant>,
}

impl Wish {
    const fn new(ring: InputPosition, before: Position) -> Self {
        Self { ring, before, said: None }
    }

    fn complain(&mut self, ring: &str, error: &dyn Display) {
        if self.said.is_none_or(|said| said.elapsed() >= REMIND) {
            self.said = Some(Instant::now());
            tracing::warn!(ring, "its gateway cannot be asked for all guilds yet: {error}");
        }
    }
}

/// Wishes as the store keeps them.
pub(super) fn wish_bytes(wishes: &Wishes) -> Vec<u8> {
    let words = wishes.iter().flat_map(|(&(shards, shard), wish)| {
        [shards.into(), shard.into(), wish.ring.ring, wish.before]
    });
    words.flat_map(u64::to_le_bytes).collect()
}

pub(super) fn wishes(bytes: &[u8]) -> Wishes {
    let words: Vec<u64> = compose::ids(bytes).collect();
    let wishes = words.as_chunks().0.iter().map(|&[shards, shard, ring, before]| {
        let ring = InputPosition::whole(ring, before);
        ((shards as u16, shard as u16), Wish::new(ring, before))
    });
    wishes.collect()
}

impl Engine {
    /// Asks whoever writes the shard's ring for all that the state lost of it. The wish stands in the ring before
    /// anything is committed that would let a restart take the state for whole; where it cannot, it is committed too.
    pub(super) fn ask_anew(&mut self, shard: (u16, u16), at: InputPosition) {
        // Of a record that is delivered in part, a part is lost.
        let before = at.position + u64::from(at.index > 0);
        if self.store.is_none() || at.is_ended() || before == 0 {
            return;
        }
        self.reached.wishes.insert(shard, Wish::new(at, before));
        self.tell_wishes();
    }

    /// The same for all shards that were read.
    pub(super) fn ask_all_anew(&mut self) {
        let positions: Vec<_> = self.reached.positions.iter().map(|(of, at)| (*of, *at)).collect();
        for (shard, at) in positions {
            self.ask_anew(shard, at);
        }
    }

    /// Leaves in the rings what was not left there yet.
    pub(super) fn tell_wishes(&mut self) {
        let namespace = &self.namespace;
        self.reached.wishes.retain(|&(shards, shard), wish| {
            let name = topology::shard_ring(shard, shards);
            let ring = match Ring::attach(namespace, &name) {
                Ok(ring) => ring,
                // Without its ring a shard has no session either: the next one brings all guilds.
                Err(AttachError::NotFound { .. }) => return false,
                Err(error) => {
                    wish.complain(&name, &error);
                    return true;
                }
            };
            if !wish.ring.is_of(ring.id().0) {
                return false;
            }
            match ring.ask_anew(CACHE_GROUP, wish.before) {
                Ok(()) => {
                    tracing::warn!(
                        ring = name,
                        before = wish.before,
                        "the state has lost what came before: mixcord-gateway is asked to begin a new session of the \
                         shard, which brings all guilds"
                    );
                    false
                }
                Err(error) => {
                    wish.complain(&name, &error);
                    true
                }
            }
        });
    }
}
