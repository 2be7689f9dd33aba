//! A round: what waits is taken, committed as one batch, published and released.

use std::time::Instant;

use mixcord_state::{Arena, StoreError};

use super::batch::Around;
use super::input::{self, Input};
use super::reshard::is_read;
use super::{Engine, EngineError, Progress, follow};
use crate::annotate;
use crate::kill;
use crate::store::{OpenBatch, Tables};

impl Engine {
    pub(super) fn commit_round(&mut self) -> Result<Progress, EngineError> {
        if !self.fill() {
            return Ok(Progress::Idle);
        }
        let Self { out, store, settings, inputs, reached, batch, refusal, beside, .. } = self;
        let store = store.as_mut();
        let mut around = Around { out, store, settings, inputs, reached, refusal, beside };
        let began = Instant::now();
        match batch.commit(&mut around) {
            Ok(None) => {}
            Ok(Some(progress)) => {
                self.each_waiting(Input::leave);
                return Ok(progress);
            }
            Err(EngineError::Store(error)) if !error.is_damage() => return self.make_room(error),
            Err(error) => return Err(error),
        }
        self.set_checkpoint();
        self.pacer.took(self.out.staged_tail() - self.out.tail());
        self.out.publish();
        self.batch.tally.took(began.elapsed());
        kill::point();
        self.each_waiting(Input::release);
        self.each_waiting(Input::leave);
        self.batch.published();
        self.refused()?;
        self.beside_committed();
        self.knew_positions = true;
        self.keep_room()?;
        Ok(Progress::Worked)
    }

    /// The store does not take the batch, which begins anew: shorter, if it can be; else with less beside it.
    fn make_room(&mut self, error: StoreError) -> Result<Progress, EngineError> {
        self.take_back()?;
        if !self.batch.shorten() {
            return Ok(Progress::Worked);
        }
        match error {
            StoreError::Full { .. } if self.let_go()? => Ok(Progress::Worked),
            StoreError::Full { .. } => Ok(Progress::StoreFull),
            StoreError::NoSpace { .. } => {
                self.refusal = error.to_string();
                Ok(Progress::Refused)
            }
            // No other try will change that; the shard would stand still for good.
            StoreError::TooMany { .. } | StoreError::TooLong { .. } if self.batch.give_up() => {
                tracing::error!("one record is too much for the store: {error}: the event is lost");
                Ok(Progress::Worked)
            }
            error => Err(error.into()),
        }
    }

    /// Before the store is full, the oldest of it goes: what goes takes a little room itself.
    pub(super) fn keep_room(&mut self) -> Result<(), EngineError> {
        if self.store.as_ref().is_some_and(|store| store.writer().is_nearly_full()) {
            self.let_go()?;
        }
        Ok(())
    }

    /// Lets go of what is missed least; false where nothing of it is left, or where nothing can be changed now.
    fn let_go(&mut self) -> Result<bool, EngineError> {
        let Some(store) = &mut self.store else { return Ok(false) };
        let mut arena = Arena::default();
        // What goes needs places itself before it gives any back: fewer at once need fewer.
        for entries_max in [1024, 64, 4, 1] {
            let mut batch = OpenBatch::new(store.writer_mut(), &mut arena);
            batch.begin_record();
            let some = annotate::make_room(&mut batch, entries_max);
            match some.and_then(|some| batch.settle().map(|()| some)) {
                Err(error) if error.is_damage() => return Err(error.into()),
                Err(_) => store.writer_mut().discard(),
                Ok(some) => return Ok(some),
            }
        }
        Ok(false)
    }

    /// Forgets the batch; nothing of it was committed.
    fn take_back(&mut self) -> Result<(), StoreError> {
        self.discard();
        if self.beside.is_some() { self.reload_beside() } else { Ok(()) }
    }

    /// The same where the state is of no use any more.
    pub(super) fn discard(&mut self) {
        self.batch.take_back(&mut self.out, self.store.as_mut(), &mut self.inputs);
    }

    /// Keeps the positions in the output ring too.
    pub(super) fn set_checkpoint(&mut self) {
        let store = self.store.as_ref().map_or(0, |store| store.id());
        let limit = self.out.geometry().checkpoint_bytes as usize;
        let mut bytes = self.reached.checkpoint(store, limit);
        self.batch.tally.put(&mut bytes, limit);
        if let Err(error) = self.out.set_checkpoint(&bytes) {
            tracing::error!("{error}");
        }
    }

    /// Of many inputs few have records: the others are left alone.
    fn each_waiting(&mut self, change: impl Fn(&mut Input)) {
        for key in &self.batch.waiting {
            self.inputs.get_mut(key).into_iter().for_each(&change);
        }
    }

    /// Takes what waits in the rings; says whether there is anything to do.
    fn fill(&mut self) -> bool {
        let limits = input::limits(self.inputs.len());
        self.batch.waiting.clear();
        let is_read = is_read(self.beside.as_ref(), self.reached.shards);
        for (key, input) in &mut self.inputs {
            if is_read(key.0) && !input.is_idle() {
                let (positions, gaps) = (&mut self.reached.positions, &mut self.batch.gaps);
                if follow::fill(positions, gaps, (*key, input), limits) {
                    self.batch.waiting.push(*key);
                    self.is_waited_for |= input.is_waited_for();
                }
            }
        }
        !self.batch.waiting.is_empty()
            || !self.batch.gaps.is_empty()
            || self.beside_waits()
            || self.reached.has_ended
    }
}
