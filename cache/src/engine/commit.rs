//! A round: what waits is taken, committed as one batch, published and released.

use std::time::Instant;

use mixcord_state::StoreError;

use super::batch::Around;
use super::input::{self, Input};
use super::{Engine, EngineError, Progress};
use crate::kill;

impl Engine {
    pub(super) fn commit_round(&mut self) -> Result<Progress, EngineError> {
        if !self.fill() {
            return Ok(Progress::Idle);
        }
        let Self { out, store, settings, inputs, reached, batch, refusal, .. } = self;
        let mut around = Around { out, store: store.as_ref(), settings, inputs, reached, refusal };
        let began = Instant::now();
        match batch.commit(&mut around) {
            Ok(None) => {}
            Ok(Some(progress)) => {
                self.inputs.values_mut().for_each(Input::leave);
                return Ok(progress);
            }
            Err(EngineError::Store(StoreError::Full)) => return self.make_room(),
            Err(error) => return Err(error),
        }
        self.set_checkpoint();
        self.pacer.took(self.out.staged_tail() - self.out.tail());
        self.out.publish();
        self.batch.tally.took(began.elapsed());
        kill::point();
        self.inputs.values_mut().for_each(Input::release);
        self.inputs.values_mut().for_each(Input::leave);
        self.batch.published();
        self.knew_positions = true;
        Ok(Progress::Worked)
    }

    /// The store has no room for the batch, which begins anew once there is.
    fn make_room(&mut self) -> Result<Progress, EngineError> {
        self.take_back();
        let Some(store) = &mut self.store else { return Ok(Progress::Idle) };
        store.clear_stale_readers()?;
        let grown = store.grow();
        // A page that a batch touches is there twice until the batch ends: a shorter one may fit.
        if matches!(grown, Ok(true)) || !self.batch.shorten() {
            return Ok(Progress::Worked);
        }
        Ok(match grown {
            Ok(_) => Progress::StoreFull { oldest_reader: store.oldest_reader() },
            Err(error) => {
                self.refusal = error.to_string();
                Progress::Refused
            }
        })
    }

    /// Forgets the batch; nothing of it was committed.
    pub(super) fn take_back(&mut self) {
        self.batch.take_back(&mut self.out, &mut self.inputs);
    }

    /// Keeps the positions in the output ring too.
    pub(super) fn set_checkpoint(&mut self) {
        let store = self.store.as_ref().map_or(0, |store| store.id());
        let checkpoint = self.reached.to_checkpoint(store);
        let limit = self.out.geometry().checkpoint_bytes as usize;
        let mut bytes = checkpoint.to_bytes(limit);
        self.batch.tally.figures().put(&mut bytes, limit);
        if let Err(error) = self.out.set_checkpoint(&bytes) {
            tracing::error!("{error}");
        }
    }

    /// Takes what waits in the rings; says whether there is anything to do.
    fn fill(&mut self) -> bool {
        let limits = input::limits(self.inputs.len());
        let mut some = false;
        for (key, input) in &mut self.inputs {
            if Some(key.0) == self.reached.shards {
                let from = self.reached.positions.get(key).map_or(0, |known| known.position);
                if let Some(reason) = input.fill(from, limits) {
                    self.batch.gaps.push(super::Gap { shard: *key, reason });
                }
                some |= input.next().is_some();
            }
        }
        some || !self.batch.gaps.is_empty()
    }
}
