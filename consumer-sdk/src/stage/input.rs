//! Where a stage reads: the comparison of what its own ring says with what is in its source.

use mixcord_event::{Reason, Shard, topology};
use mixcord_ring::{Bell, Member, Namespace, Order, Position, Ring, Start};
use mixcord_state::Checkpoint;

use super::progress::Progress;
use crate::Error;
use crate::options::Options;

/// A source, as a stage begins to read it.
pub(super) struct Input {
    pub(super) ring: Ring,
    pub(super) member: Member,
    /// The first record to do.
    pub(super) position: Position,
    /// What is to be told before that.
    pub(super) loss: Option<Reason>,
}

impl Input {
    /// Joins the source's group. `known` is how far the stage was, as its own ring says.
    pub(super) fn join(
        options: &Options,
        ring: Ring,
        known: Option<Progress>,
        bell: &Bell,
    ) -> Result<Self, Error> {
        let is_first = known == Some(Progress::FIRST);
        let known = known.filter(|_| !is_first);
        let known = known.map(|known| (known.source == ring.id().0, known.position));
        let start = match known {
            Some((true, position)) => Start::At(position),
            Some((false, _)) => Start::Earliest,
            None => options.start,
        };
        let group = options.group.as_deref().unwrap_or_default();
        let spec = options.spec(group, start, Order::Ring).follow();
        let member = ring.join(&spec, bell).map_err(|source| Error::Join {
            instance: options.instance.clone(),
            group: group.to_owned(),
            source,
        })?;
        let floor = member.floor();
        let (position, loss) = match known {
            Some((true, position)) if floor > position => (floor, Some(Reason::RecordsLost)),
            Some((true, position)) => (position, None),
            Some((false, _)) => (floor, Some(Reason::RingLost)),
            // Nothing was ever committed here, and the group is older: another ring of this name is gone, whoever made
            // this one.
            None if !is_first && member.began_at().is_none() => (floor, Some(Reason::OutputLost)),
            None => (floor, None),
        };
        Ok(Self { ring, member, position, loss })
    }
}

/// Whether a group is there already.
pub(super) fn has_group(source: &Ring, options: &Options) -> bool {
    source.groups().iter().any(|group| Some(group.name.as_str()) == options.group.as_deref())
}

/// Whether this source gets its events from this stage, by itself or through others that run.
pub(super) fn is_circle(namespace: &Namespace, stage: &str, source: &Ring) -> bool {
    let mut rings = vec![topology::stage_ring(stage)];
    let mut next = 0;
    while let Some(name) = rings.get(next) {
        next += 1;
        let Ok(ring) = Ring::attach(namespace, name) else { continue };
        // A stage's group has the name of its ring. Who is away is refused when he comes back.
        for group in ring.groups().into_iter().filter(|group| group.members > 0) {
            if topology::parse_stage_ring(&group.name).is_some() && !rings.contains(&group.name) {
                rings.push(group.name);
            }
        }
    }
    rings.iter().any(|ring| ring == source.name())
}

/// The shards whose events an instance has: each is told a loss, for it may concern any.
pub(super) fn shards(namespace: &Namespace) -> Vec<Shard> {
    let known = || -> Option<Vec<Shard>> {
        let output = Ring::attach(namespace, topology::OUTPUT_RING).ok()?;
        let checkpoint = Checkpoint::from_bytes(&output.checkpoint()?).ok()?;
        let count = checkpoint.shards?;
        let shards = checkpoint.inputs.keys().filter(|(of, _)| *of == count);
        Some(shards.map(|&(count, id)| Shard { id, count }).collect())
    };
    // Of which nobody knows anything, it is told once.
    known().filter(|shards| !shards.is_empty()).unwrap_or_else(|| vec![Shard::default()])
}
