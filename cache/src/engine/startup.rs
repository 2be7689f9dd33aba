//! The comparison at the start: what the store, the output ring and the input rings say about each
//! other, before anything is written.

use std::collections::BTreeMap;

use mixcord_event::{Reason, topology};
use mixcord_ring::{Namespace, Pacer, Producer};
use mixcord_state::{Arena, Checkpoint, InputPosition, Read, compose, meta};

use super::batch::Batch;
use super::gap::Gap;
use super::input::Input;
use super::listing::Listing;
use super::notice::Notice;
use super::reached::{Reached, Stored};
use super::rest::Rest;
use super::{Engine, EngineError, Plan, beside, follow};
use crate::annotate::forget_uncached;
use crate::overlap::Times;
use crate::store::{DiskStore, Fate, Notes, OpenBatch, announce};

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
        let has_read = attached.as_ref().is_ok_and(|out| told(out).is_some());
        let opened = |plan: &Plan| -> Result<_, EngineError> {
            // Events have passed since any copy, and nobody gives them again.
            let copy = plan.state_from.as_ref().filter(|_| !has_read);
            Ok(match &plan.state {
                Some(dir) => Some(DiskStore::open_or_load(dir, plan.state_bytes_max, copy)?),
                None => None,
            })
        };
        let (out, store) = match attached {
            Ok(out) => (out, opened(plan)?),
            Err(mixcord_ring::AttachError::Locked { .. }) => return Err(EngineError::Running),
            Err(_) => {
                let store = opened(plan)?;
                let made = Producer::create_or_fit(
                    &namespace,
                    topology::OUTPUT_RING,
                    plan.output,
                    &[],
                    &bell,
                );
                (made.map_err(EngineError::output)?.0, store)
            }
        };
        announce(&plan.instance, plan.state.as_deref())?;
        let fate = store.as_ref().map(|(_, fate)| *fate);
        if let (Some(Fate::New), Some(dir)) = (fate, &plan.state) {
            tracing::info!("there was no state in {}: it begins anew", dir.display());
            if let Some(from) = &plan.state_from {
                tracing::warn!(
                    "this instance has passed events on since any copy of its state: {from} is not read"
                );
            }
        }
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
            refusal: String::new(),
            old_rings_kept: plan.old_rings_kept,
            refused: None,
            listing: Listing::default(),
            pacer: Pacer::default(),
            is_waited_for: false,
            looked: None,
            rest: Rest::default(),
            beside: None,
            notice: Notice::read(&plan.instance),
            reshard_times: Times::default(),
        };
        engine.compare(fate)?;
        engine.load_beside()?;
        let mut engine = engine.fit(plan.output)?;
        match engine.forget_uncached() {
            Err(EngineError::Store(error)) if error.is_damage() => {
                tracing::error!("{error}: beginning anew");
                engine.lose_state()?;
            }
            done => done?,
        }
        // From now on readers know which store is the current one, or that there is none.
        engine.set_checkpoint();
        engine.out.publish();
        Ok(engine)
    }

    /// Takes out of the store what an earlier run cached and this one does not.
    fn forget_uncached(&mut self) -> Result<(), EngineError> {
        let Some(store) = &mut self.store else { return Ok(()) };
        Ok(forget_uncached(
            &mut OpenBatch::new(store.writer_mut(), &mut Arena::default()),
            &self.settings,
        )?)
    }

    /// Makes store and output ring agree.
    fn compare(&mut self, fate: Option<Fate>) -> Result<(), EngineError> {
        let checkpoint = told(&self.out);
        let Some(store) = &self.store else {
            match checkpoint {
                Some(checkpoint) => self.reached = Reached::of_checkpoint(checkpoint),
                None => self.knew_positions = false,
            }
            return Ok(());
        };
        let arena = Arena::default();
        let view = store.view(&arena);
        let read = Stored::read(&view, store.writer().output())
            .and_then(|stored| Ok((stored, view.get(meta::COPIED_FROM)?)));
        let (stored, copied_from) = match read {
            Ok((stored, from)) => (stored, from.and_then(|id| compose::ids(id).next())),
            Err(error) if error.is_damage() => {
                tracing::error!("{error}: beginning anew");
                self.knew_positions = checkpoint.is_some();
                self.reached = Reached::of_checkpoint(checkpoint.unwrap_or_default());
                return self.lose_state();
            }
            Err(error) => return Err(error.into()),
        };
        let (id, tail) = (self.out.id().0, self.out.tail());
        if fate == Some(Fate::Discarded) {
            tracing::warn!("the store of an earlier run or version was discarded");
        }
        // Whatever the tails say: what was written with another store, or none, this one has not seen.
        let is_ours = |id| id == store.id() || Some(id) == copied_from;
        let is_anothers = checkpoint.as_ref().is_some_and(|at| !is_ours(at.store));
        let is_older = stored.output.is_some_and(|(ring, intended)| ring == id && intended < tail);
        if is_anothers || is_older || (checkpoint.is_some() && stored.output.is_none()) {
            tracing::error!(
                "the output ring was written with another store, or a later one: beginning anew"
            );
            self.reached = Reached::of_checkpoint(checkpoint.unwrap_or_default());
            return self.lose_state();
        }
        let Some((ring, intended)) = stored.output else {
            self.knew_positions = false;
            return Ok(());
        };
        self.reached = stored.reached;
        self.batch.resume(stored.gaps);
        if stored.is_loaded {
            return self.belong_here();
        }
        if ring != id {
            tracing::error!("the output ring is another one than before");
            self.tell(Reason::OutputLost);
        } else if intended > tail {
            match self.out.restage(intended) {
                Ok(()) => {
                    self.out.publish();
                    tracing::info!(records = intended - tail, "published what was committed");
                }
                Err(error) => {
                    tracing::error!("what was committed cannot be published: {error}");
                    self.tell(Reason::OutputLost);
                }
            }
        }
        Ok(())
    }

    /// The state is of no use any more: it begins anew at the positions reached.
    pub(super) fn lose_state(&mut self) -> Result<(), EngineError> {
        if self.beside.take().is_some() || self.store.as_ref().is_some_and(beside::is_in) {
            tracing::error!(
                "the change of the shard count is forgotten with the state: the rings of both counts are read one \
                 after the other"
            );
        }
        if let Some(store) = &mut self.store {
            store.rebuild()?;
        }
        self.forget_uncached()?;
        self.reached.positions.hold_none();
        // Notes are of the state that was.
        self.batch.notes = Notes::default();
        self.tell(Reason::StateLost);
        self.ask_all_anew();
        Ok(())
    }

    /// Tells a loss to every shard that was read before.
    fn tell(&mut self, reason: Reason) {
        let gaps = self.reached.positions.keys().map(|&shard| Gap { shard, reason });
        self.batch.gaps.extend(gaps);
    }

    /// A ring that appeared: where it is read from.
    pub(super) fn welcome(&mut self, shard: (u16, u16), input: Input) {
        let (id, floor) = (input.id(), input.floor());
        match self.reached.positions.get_mut(shard) {
            // Used again after all: what was in it then is read.
            Some(known) if known.is_of(id) && known.is_ended() => {
                *known = InputPosition::whole(id, floor);
            }
            Some(known) if known.is_of(id) => known.ring = id,
            Some(known) if known.is_ended() => *known = InputPosition::whole(id, 0),
            // Its records have been elsewhere before: they say where to go on.
            Some(known) if follow::is_followed(known) => {}
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
                    if reason == Reason::StateLost {
                        self.ask_anew(shard, InputPosition::whole(id, floor));
                    }
                }
                self.reached.positions.insert(shard, InputPosition::whole(id, floor));
            }
        }
        self.inputs.insert(shard, input);
    }
}

/// How far the output ring says that the inputs were read. A cache that has read nothing yet says which store it has,
/// and no more.
fn told(out: &Producer) -> Option<Checkpoint> {
    let read = Checkpoint::from_bytes(&out.checkpoint()?);
    let read = read.inspect_err(|error| tracing::warn!("{error}")).ok();
    read.filter(|checkpoint| !checkpoint.inputs.is_empty())
}
