//! The comparison at the start: what the store, the output ring and the input rings say about each
//! other, before anything is written.

use std::collections::BTreeMap;
use std::time::Instant;

use mixcord_event::{Reason, topology};
use mixcord_ring::{Namespace, Position, Producer};
use mixcord_state::{
    Checkpoint, InputPosition, Inputs, Key, Read, StoreError, Table, compose, meta,
};

use super::batch::{Batch, Reached};
use super::gap::Gap;
use super::input::Input;
use super::{Engine, EngineError, Plan};
use crate::annotate::forget_uncached;
use crate::kill;
use crate::store::{Changes, DiskStore, Fate, announce};

/// What the store says about the rings.
#[derive(Default, Debug)]
struct Stored {
    /// The output ring's id and the tail it was to reach.
    output: Option<(u64, Position)>,
    inputs: Inputs,
    shards: Option<u16>,
}

impl Engine {
    /// Takes the output ring and the store, and makes them agree.
    ///
    /// # Errors
    /// Another cache runs, or there is no room; [`EngineError::is_configuration`] tells these from
    /// what a restart may cure.
    pub fn start(plan: &Plan) -> Result<Self, EngineError> {
        let namespace = Namespace::new(&topology::namespace(&plan.instance))?;
        let bell = namespace.bell()?;
        // A store that cannot be had leaves no ring behind.
        let attached = Producer::attach(&namespace, topology::OUTPUT_RING, &bell);
        let opened = |plan: &Plan| -> Result<_, EngineError> {
            Ok(match &plan.state {
                Some(dir) => Some(DiskStore::open(dir, plan.state_bytes_max)?),
                None => None,
            })
        };
        let (out, store) = match attached {
            Ok(out) => (out, opened(plan)?),
            Err(mixcord_ring::AttachError::Locked { .. }) => return Err(EngineError::Running),
            Err(_) => {
                let store = opened(plan)?;
                let made = Producer::create_or_attach(
                    &namespace,
                    topology::OUTPUT_RING,
                    plan.output,
                    &[],
                    &bell,
                );
                (made.map_err(EngineError::output)?, store)
            }
        };
        announce(&plan.instance, plan.state.as_deref())?;
        let fate = store.as_ref().map(|(_, fate)| *fate);
        let mut engine = Self {
            namespace,
            bell,
            out,
            store: store.map(|(store, _)| store),
            settings: plan.settings.clone(),
            inputs: BTreeMap::new(),
            reached: Reached::default(),
            batch: Batch::default(),
            knew_positions: true,
            complaints: BTreeMap::new(),
            housekeeping: Instant::now(),
            looked: None,
        };
        engine.compare(fate)?;
        engine.forget_uncached()?;
        // From now on readers know which store is the current one, or that there is none.
        engine.set_checkpoint();
        engine.out.publish();
        Ok(engine)
    }

    /// Takes out of the store what an earlier run cached and this one does not, in one transaction.
    fn forget_uncached(&mut self) -> Result<(), EngineError> {
        let Some(store) = &mut self.store else { return Ok(()) };
        loop {
            let mut txn = store.env()?.write()?;
            kill::point();
            let forgotten = forget_uncached(&mut txn, &self.settings);
            match forgotten.and_then(|()| txn.commit()) {
                Ok(()) => break,
                Err(StoreError::Full) if store.grow()? => {}
                Err(error) => return Err(error.into()),
            }
        }
        kill::point();
        Ok(())
    }

    /// Makes store and output ring agree.
    fn compare(&mut self, fate: Option<Fate>) -> Result<(), EngineError> {
        let checkpoint = self.out.checkpoint().and_then(|bytes| {
            let read = Checkpoint::from_bytes(&bytes);
            let read = read.inspect_err(|error| tracing::warn!("{error}")).ok();
            // A cache that has read nothing yet says which store it has, and no more.
            read.filter(|checkpoint| !checkpoint.inputs.is_empty())
        });
        let stored = match &self.store {
            Some(store) => stored(&store.env()?.read()?)?,
            None => Stored::default(),
        };
        let (id, tail) = (self.out.id().0, self.out.tail());
        self.reached.shards = stored.shards;
        self.reached.persisted.clone_from(&stored.inputs);
        match stored.output {
            Some((ring, intended)) if ring == id => {
                let behind = checkpoint.as_ref().is_some_and(|at| is_behind(&stored.inputs, at));
                if intended < tail || behind {
                    tracing::error!("the store is older than the output ring: beginning anew");
                    return self.begin_anew(checkpoint);
                }
                self.reached.positions = stored.inputs;
                if intended > tail {
                    match self.out.restage(intended) {
                        Ok(()) => {
                            self.set_checkpoint();
                            self.out.publish();
                            tracing::info!(
                                records = intended - tail,
                                "published what was committed"
                            );
                        }
                        Err(error) => {
                            tracing::error!("what was committed cannot be published: {error}");
                            self.tell(Reason::OutputLost);
                        }
                    }
                }
            }
            Some(_) => {
                tracing::error!("the output ring is another one than before");
                self.reached.positions = stored.inputs;
                self.tell(Reason::OutputLost);
            }
            None if checkpoint.is_some() && self.store.is_some() => {
                tracing::error!("the store is lost: beginning anew");
                self.take_positions(checkpoint);
                self.tell(Reason::StateLost);
            }
            None if checkpoint.is_some() => self.take_positions(checkpoint),
            None => self.knew_positions = false,
        }
        if fate == Some(Fate::Discarded) {
            tracing::warn!("the store of an earlier run or version was discarded");
        }
        Ok(())
    }

    /// Empties the store, and goes on from the output ring's checkpoint.
    fn begin_anew(&mut self, checkpoint: Option<Checkpoint>) -> Result<(), EngineError> {
        self.take_positions(checkpoint);
        self.lose_state()
    }

    /// The state is of no use any more: it begins anew at the positions reached.
    pub(super) fn lose_state(&mut self) -> Result<(), EngineError> {
        if let Some(store) = &mut self.store {
            store.rebuild()?;
        }
        self.forget_uncached()?;
        self.reached.persisted.clear();
        // Notes are of the state that was.
        self.batch.changes = Changes::default();
        self.tell(Reason::StateLost);
        Ok(())
    }

    fn take_positions(&mut self, checkpoint: Option<Checkpoint>) {
        self.reached.positions = checkpoint.map(|checkpoint| checkpoint.inputs).unwrap_or_default();
    }

    /// Tells a loss to every shard that was read before.
    fn tell(&mut self, reason: Reason) {
        let gaps = self.reached.positions.keys().map(|&shard| Gap { shard, reason });
        self.batch.gaps.extend(gaps);
    }

    /// A ring that appeared: where it is read from.
    pub(super) fn welcome(&mut self, shard: (u16, u16), input: Input) {
        let (id, floor) = (input.id(), input.floor());
        match self.reached.positions.get_mut(&shard) {
            Some(known) if known.ring == id || Checkpoint::is_ring(known.ring, id) => {
                known.ring = id;
            }
            Some(known) => {
                tracing::error!(shard = shard.1, "the shard's ring is another one than before");
                *known = InputPosition::whole(id, 0);
                self.batch.gaps.push(Gap { shard, reason: Reason::RingLost });
            }
            None => {
                if floor > 0 {
                    let knew = self.knew_positions;
                    let reason = if knew { Reason::RecordsLost } else { Reason::StateLost };
                    self.batch.gaps.push(Gap { shard, reason });
                }
                self.reached.positions.insert(shard, InputPosition::whole(id, floor));
            }
        }
        self.inputs.insert(shard, input);
    }
}

fn stored(txn: &impl Read) -> Result<Stored, StoreError> {
    let pair = |bytes: &[u8]| {
        let mut ids = compose::ids(bytes);
        Some((ids.next()?, ids.next()?))
    };
    let input = |bytes: &[u8]| {
        let mut words = compose::ids(bytes);
        let (ring, position) = (words.next()?, words.next()?);
        let index = words.next().and_then(|index| u16::try_from(index).ok())?;
        Some(InputPosition { ring, position, index })
    };
    let mut stored =
        Stored { output: txn.get(Table::Meta, meta::OUTPUT)?.and_then(pair), ..Stored::default() };
    let shards = txn.get(Table::Meta, meta::SHARDS)?.and_then(|bytes| compose::ids(bytes).next());
    stored.shards = shards.and_then(|shards| u16::try_from(shards).ok());
    txn.scan(Table::Meta, Key::all_of(meta::INPUTS), &mut |key, bytes| {
        let shard = ((key.id() >> 16) as u16, key.id() as u16);
        stored.inputs.extend(input(bytes).map(|input| (shard, input)));
        true
    })?;
    Ok(stored)
}

/// Whether the output ring was written for positions that the store has not reached.
fn is_behind(stored: &Inputs, checkpoint: &Checkpoint) -> bool {
    checkpoint.inputs.iter().any(|(shard, reached)| {
        stored.get(shard).is_some_and(|held| {
            Checkpoint::is_ring(reached.ring, held.ring)
                && (held.position, held.index) < (reached.position, reached.index)
        })
    })
}
