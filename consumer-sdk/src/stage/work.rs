//! One record: what the function says of it, and what is staged of that.

use std::future::Future;
use std::sync::Arc;

use mixcord_event::{Reason, Record, RecordError, Seal};
use mixcord_ring::{Entry, Records};

use super::OnFailure;
use super::call::{Called, call};
use super::emit::{Emit, Emits, Own};
use super::input::shards;
use super::line::{Flow, Line, commit};
use super::outlet::{Need, Output, Place, outputs};
use crate::{Error, Event, operator};

/// What a record is to the stage.
enum Look<'a> {
    /// The function is asked.
    Wanted(Record<'a>),
    /// It is passed on as it is.
    Other,
    Lost(Reason),
}

impl Line {
    /// Does one record; nothing of it is committed yet.
    pub(super) async fn record<F, Fut>(
        &mut self,
        function: &F,
        records: &Arc<Records>,
        index: usize,
    ) -> Result<Flow, Error>
    where
        F: Fn(Event) -> Fut,
        Fut: Future,
        Fut::Output: Emits,
    {
        let Some(entry) = records.get(index) else { return Ok(Flow::On) };
        let at =
            Place { position: entry.position, key: entry.key, order: entry.order, tag: entry.tag };
        let record = match self.look_at(&entry)? {
            Look::Wanted(record) => record,
            Look::Other => {
                self.progress.passed += 1;
                return Ok(self.pass(&entry, at).await);
            }
            Look::Lost(reason) => {
                let shard = Record::parse_head(entry.payload).map(|record| record.header().shard);
                let shards = shard.map_or_else(|_| shards(self.namespace()), |shard| vec![shard]);
                return Ok(self.tell(reason, &shards, at).await);
            }
        };
        let emit = match self.ask(function, records, index).await {
            Called::Emit(emit) => {
                // It was lived through: who is killed while he waits for room did not die of it.
                self.progress.begun = 0;
                emit
            }
            Called::Failed(reason) => self.give_up(&record, at, &reason)?,
            Called::Stopped => return Ok(Flow::Stopped),
        };
        let (emit, flow) = match self.publish(&outputs(&emit, &record, &entry), at).await {
            Ok(flow) => (emit, flow),
            Err(too_much) => {
                let emit = self.give_up(&record, at, &too_much)?;
                let flow = if emit.is_dropped() { Flow::On } else { self.pass(&entry, at).await };
                (emit, flow)
            }
        };
        self.count(&emit);
        Ok(flow)
    }

    fn look_at<'a>(&self, entry: &Entry<'a>) -> Result<Look<'a>, Error> {
        let (position, filter) = (entry.position, &self.options.filter);
        if entry.lost {
            tracing::error!(position, "the file of a large record is gone: it is lost");
            return Ok(Look::Lost(Reason::RecordsLost));
        }
        if !filter.admits_tag(entry.tag) {
            return Ok(Look::Other);
        }
        match Record::parse_sealed(entry.payload, Seal::from_bits(entry.seal)) {
            Ok(record) if filter.admits(record.kind(), record.kind_name()) => {
                Ok(Look::Wanted(record))
            }
            Ok(_) => Ok(Look::Other),
            Err(source) if source.is_of_another_release() => Err(self.newer(position, source)),
            Err(error) => {
                tracing::error!(position, "unreadable record: {error}");
                Ok(Look::Lost(Reason::Undecodable))
            }
        }
    }

    /// Asks the function, again where it fails.
    async fn ask<F, Fut>(&mut self, function: &F, records: &Arc<Records>, index: usize) -> Called
    where
        F: Fn(Event) -> Fut,
        Fut: Future,
        Fut::Output: Emits,
    {
        let (attempts, begun) = (self.options.policy.attempts, self.progress.begun);
        if self.progress.position < self.careful_until {
            if begun >= attempts {
                return Called::Failed(format!("the process died of it {begun} times"));
            }
            // Before it is called: should the process die now, that is known.
            self.progress.begun = begun + 1;
            self.commit();
        }
        let mut attempt = 1;
        loop {
            let before = u32::from(begun);
            let event = Event::kept(records, index, &self.context, before + attempt);
            let Some(event) = event else { return Called::Failed("it cannot be read".to_owned()) };
            let Self { options, outlet, claim, progress, .. } = self;
            let waits = || commit(outlet, claim.as_mut(), *progress);
            let called = call(function, event, options, waits).await;
            let Called::Failed(reason) = called else {
                if matches!(called, Called::Stopped) {
                    self.progress.begun = begun;
                }
                return called;
            };
            if attempt >= u32::from(attempts) {
                return Called::Failed(reason);
            }
            tracing::warn!(stage = self.name, attempt, reason, "the stage's function failed");
            // Who is killed in the pause did not die of it.
            let counted = std::mem::replace(&mut self.progress.begun, begun);
            self.commit();
            if self.pause(self.options.policy.pause(attempt)).await == Flow::Stopped {
                return Called::Stopped;
            }
            if counted != begun {
                self.progress.begun = counted;
                self.commit();
            }
            attempt += 1;
        }
    }

    /// The function failed with it for the last time.
    fn give_up(&mut self, record: &Record<'_>, at: Place, reason: &str) -> Result<Emit, Error> {
        let kind = record.kind_name();
        if self.on_failure == OnFailure::Stop {
            return Err(Error::Stage {
                stage: self.name.clone(),
                kind: kind.to_owned(),
                position: at.position,
                reason: reason.to_owned(),
            });
        }
        self.progress.failed += 1;
        let (stage, position) = (self.name.as_str(), at.position);
        if self.on_failure == OnFailure::Drop {
            tracing::error!(stage, kind, position, reason, "the stage leaves out an event");
            return Ok(Emit::nothing());
        }
        tracing::error!(stage, kind, position, reason, "the stage passes an event on as it is");
        Ok(Emit::pass())
    }

    fn count(&mut self, emit: &Emit) {
        let progress = &mut self.progress;
        match emit.own {
            Own::Passed => progress.passed += 1,
            Own::Changed(..) => progress.changed += 1,
            Own::Dropped => progress.dropped += 1,
        }
        progress.added += emit.added.len() as u64;
    }

    async fn pass(&mut self, entry: &Entry<'_>, at: Place) -> Flow {
        self.publish(&[Output::passed(entry)], at).await.unwrap_or_else(|error| {
            tracing::error!(
                stage = self.name,
                position = at.position,
                "the event is lost: {error}"
            );
            Flow::On
        })
    }

    /// Stages them all in one piece, waiting for room. An error says why no ring of this size takes them.
    pub(super) async fn publish(
        &mut self,
        outputs: &[Output<'_>],
        at: Place,
    ) -> Result<Flow, String> {
        // What is staged of several has to be taken back where the next is refused: nothing else is, then.
        let in_parts = outputs.len() > 1 || self.outlet.needs_files(outputs);
        if in_parts {
            self.commit();
        }
        loop {
            let Err(need) = self.outlet.stage(outputs, at) else { return Ok(Flow::On) };
            if in_parts {
                self.outlet.producer.discard_staged();
            }
            self.commit();
            let bytes = match need {
                Need::Less(reason) => return Err(reason),
                Need::Room(bytes) => {
                    self.remind(None);
                    Some(bytes)
                }
                Need::File(reason) => {
                    self.remind(Some(&reason));
                    None
                }
            };
            if self.wait_for_room(bytes).await == Flow::Stopped {
                return Ok(Flow::Stopped);
            }
        }
    }

    fn newer(&self, position: u64, source: RecordError) -> Error {
        let writer =
            operator::writer(self.source()).unwrap_or_else(|| "another mixcord-cache".to_owned());
        Error::Newer { instance: self.options.instance.clone(), position, writer, source }
    }
}
