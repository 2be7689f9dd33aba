//! Who holds a full ring up, since when, with which event, and what ends it.
//!
//! Whoever is held up says it in the same words: the gateway and the cache in their logs, `mixcord ls` and
//! `top` on the screen (P10).
//!
//! ```no_run
//! # fn tell(ring: &mixcord_ring::Ring) {
//! if let Some(holdup) = mixcord_holdup::of(ring) {
//!     eprintln!("the ring is full: {holdup}");
//! }
//! # }
//! ```

mod oldest;
mod text;

use std::time::Duration;

use mixcord_event::topology;
use mixcord_ring::{GroupInfo, Namespace, Policy, Ring};

pub use self::oldest::Oldest;
pub use self::text::span;

/// A group that holds a ring: the one that is furthest behind.
#[derive(Debug, Clone)]
pub struct Holdup {
    /// The instance.
    pub instance: String,
    /// The ring.
    pub ring: String,
    /// The group.
    pub group: String,
    /// How many of its members live.
    pub members: u16,
    /// For how long none has, as far as that was noticed.
    pub absent: Option<Duration>,
    /// After how long without a member it is let go.
    pub max_absence: Option<Duration>,
    /// How many records it is behind.
    pub lag: u64,
    /// The first record that it has not acknowledged; `None` where that cannot be read.
    pub oldest: Option<Oldest>,
    /// What the cache or a stage waits for, where this is its group.
    pub behind: Option<Box<Self>>,
}

/// How full a ring is of one group's records when that group is said to hold it up, 0 to 1. One that waits for
/// room may have some left, too little for what comes next.
pub const FULL: f64 = 0.75;

/// More stages behind each other than anybody has: where they read each other, it ends here.
const CHAIN_MAX: usize = 16;

/// Who holds this ring: the group that is furthest behind. `None` when no group is behind.
#[must_use]
pub fn of(ring: &Ring) -> Option<Holdup> {
    within(ring, CHAIN_MAX)
}

fn within(ring: &Ring, left: usize) -> Option<Holdup> {
    let groups = ring.groups().into_iter();
    let holding = groups.filter(|group| group.lag > 0 && !group.evicted && !group.damaged);
    let slowest = holding.min_by_key(|group| group.floor)?;
    Some(Holdup::new(ring, slowest, left))
}

impl Holdup {
    fn new(ring: &Ring, group: GroupInfo, left: usize) -> Self {
        let instance = topology::parse_namespace(ring.prefix()).unwrap_or_default();
        let max_absence = match group.policy {
            Policy::Durable { max_absence } => max_absence,
            _ => None,
        };
        let is_cache = group.name == topology::CACHE_GROUP
            && topology::parse_shard_ring(ring.name()).is_some();
        let output =
            if is_cache { Some(topology::OUTPUT_RING) } else { stage_of(ring, &group.name) };
        // The cache stands still where its own output does, and so does a stage.
        let output = output.filter(|_| group.members > 0);
        let behind = left.checked_sub(1).zip(output);
        let behind = behind.and_then(|(left, output)| of_full(instance, output, left));
        Self {
            instance: instance.to_owned(),
            ring: ring.name().to_owned(),
            group: group.name,
            members: group.members,
            absent: group.absent,
            max_absence,
            lag: group.lag,
            oldest: Oldest::at(ring, group.floor),
            behind: behind.map(Box::new),
        }
    }

    /// The stage whose group it is.
    #[must_use]
    pub fn stage(&self) -> Option<&str> {
        topology::source_of(&self.ring).and_then(|_| topology::parse_stage_ring(&self.group))
    }

    /// Is it the cache in the ring of a shard?
    #[must_use]
    pub fn is_cache(&self) -> bool {
        self.group == topology::CACHE_GROUP && topology::parse_shard_ring(&self.ring).is_some()
    }
}

/// The ring of the stage whose group this is.
fn stage_of<'a>(ring: &Ring, group: &'a str) -> Option<&'a str> {
    // A stage reads no ring of a shard, nor its own.
    let is_source = topology::source_of(ring.name()).is_some() && ring.name() != group;
    Some(group).filter(|group| is_source && topology::parse_stage_ring(group).is_some())
}

/// Who holds a ring of the instance, if that is full.
fn of_full(instance: &str, ring: &str, left: usize) -> Option<Holdup> {
    let namespace = Namespace::new(&topology::namespace(instance)).ok()?;
    let output = Ring::attach(&namespace, ring).ok()?;
    let is_full = output.pressure().fullness >= FULL;
    is_full.then(|| within(&output, left)).flatten()
}
