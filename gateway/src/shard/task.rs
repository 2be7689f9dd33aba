//! The loop of one shard: carries messages, time and permits to the session machine, and does what
//! the machine says.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use mixcord_event::Shard;
use mixcord_ring::{AsyncBell, Wakes};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tracing::Instrument;

use super::attendance::Entry;
use super::connecting::Opened;
use super::context::{Context, ShardError, Start};
use super::former::{Awaited, Former};
use super::output::{Committed, Output};
use super::reading::Complaint;
use super::records::Records;
use super::refill::Arrived;
use super::restore::restore;
use super::stall::{STALL_WARNING, Turn};
use super::standing::Phase;
use super::successor::Successor;
use crate::commands::Ask;
use crate::identify::Permit;
use crate::limiter::Limiter;
use crate::random::Random;
use crate::session::{Action, Ended, Endpoint, Reading, Session, State, USUAL_INTERVAL};
use crate::wire::{Inflater, Socket};

/// How long closing may take.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub(super) struct Runner {
    pub(super) context: Arc<Context>,
    pub(super) shard: Shard,
    pub(super) session: Session,
    pub(super) output: Output,
    pub(super) inflater: Inflater,
    pub(super) limiter: Limiter,
    pub(super) bell: AsyncBell,
    pub(super) stop: watch::Receiver<bool>,
    /// How far a change of the shard count is.
    phases: watch::Receiver<Option<Phase>>,
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) socket: Option<Socket>,
    /// Wanted as soon as there is room for what it brings.
    pub(super) endpoint: Option<Endpoint>,
    pub(super) connecting: Option<Task<Opened>>,
    pub(super) permit: Option<Task<std::io::Result<Permit>>>,
    /// Had, and not used yet.
    pub(super) permitted: Option<Permit>,
    pub(super) closing: Option<Task<()>>,
    /// A session that is begun beside this one.
    pub(super) successor: Option<Task<Successor>>,
    /// It is there, and takes this one's place next.
    pub(super) arrived: Option<Arrived>,
    /// The connection of the session before, and the guilds for which it is read yet.
    pub(super) former: Option<Former>,
    pub(super) awaited: Awaited,
    /// The bot shows something else than the session began with.
    pub(super) owes_presence: bool,
    pub(super) outgoing: Vec<u8>,
    pub(super) complaint: Complaint,
    entry: Entry,
}

/// What woke the loop.
enum Wake {
    Stop,
    Phase,
    Deadline,
    Connected(Opened),
    Closed,
    Permit(std::io::Result<Permit>),
    Succeeded(Box<Successor>),
    Space,
    Ask(Ask),
    Message(Option<Result<Message, WsError>>),
    Former(Option<Result<Message, WsError>>),
}

/// Runs one shard until it is told to stop or no connection can succeed.
///
/// # Errors
/// When the ring or the identify queue fails; a new run may have more luck.
pub async fn run(context: Arc<Context>, start: Start) -> Result<Ended, ShardError> {
    // An error span, so that a quiet log names the shard, too.
    let span = tracing::error_span!("shard", id = start.shard.id);
    run_one(context, start).instrument(span).await
}

async fn run_one(context: Arc<Context>, start: Start) -> Result<Ended, ShardError> {
    let Start { shard, producer, bell, stop, failures } = start;
    let settings = context.settings.of_shard(shard.id, shard.count);
    let (mut checkpoint, restored) = restore(&producer, &settings, context.replaces_other_count);
    checkpoint.forget_presence(context.presence.as_ref());
    if restored.counter == 0 && checkpoint.presence(None).is_none() {
        // The bot shows on a set that is to take over what it shows on the one before.
        checkpoint.show(context.inherited.clone());
    }
    checkpoint.count_anew(std::process::id(), super::now_us(), restored.session.is_some());
    let now = Instant::now();
    let mut session =
        Session::new(now, restored, context.backoff, context.times, Random::unseeded());
    session.failed_before(failures);
    let mut output =
        Output::new(producer, Records::new(shard), settings, checkpoint, context.buffer);
    if context.tenure.is_some() {
        output.watch_bridge();
    }
    let runner = Runner {
        shard,
        session,
        output,
        inflater: Inflater::new(context.compression, context.message_max),
        limiter: Limiter::new(USUAL_INTERVAL),
        bell,
        stop,
        phases: context.standing.phases(),
        asks: context.desk.open(shard.id),
        socket: None,
        endpoint: None,
        connecting: None,
        permit: None,
        permitted: None,
        closing: None,
        successor: None,
        arrived: None,
        former: None,
        awaited: Awaited::default(),
        owes_presence: false,
        outgoing: Vec::new(),
        complaint: Complaint::default(),
        entry: context.attendance.entry(),
        context,
    };
    runner.run().await
}

impl Runner {
    async fn run(mut self) -> Result<Ended, ShardError> {
        loop {
            if let Some(ended) = self.act().await? {
                return Ok(ended);
            }
            self.begin_connecting();
            self.watch_reading()?;
            self.watch_state();
            self.watch_former().await;
            if self.follow().await? {
                continue;
            }
            self.show_owed().await;
            match self.wake().await {
                Wake::Stop if self.context.standing.is_retired() => {
                    self.output.end_session();
                    self.session.retire();
                }
                Wake::Stop => self.session.stop(),
                Wake::Phase => {
                    let phase = *self.phases.borrow_and_update();
                    self.write_state(self.session.state(), phase)?;
                }
                Wake::Deadline => {
                    self.session.tick(Instant::now(), self.output.reading());
                    self.fill_figures();
                }
                Wake::Connected(opened) => self.connected(opened),
                Wake::Closed => self.closing = None,
                Wake::Permit(granted) => {
                    self.permit = None;
                    self.permitted = Some(granted.map_err(ShardError::Permit)?);
                    self.session.permit();
                }
                Wake::Succeeded(successor) => {
                    self.successor = None;
                    self.arrived = Some(Arrived::new(successor));
                }
                Wake::Space => {
                    self.output.drain()?;
                    self.commit()?;
                }
                Wake::Ask(ask) => {
                    self.answer(ask).await;
                    self.commit()?;
                }
                Wake::Message(first) => {
                    if let Some(arrived) = &mut self.arrived {
                        arrived.brought();
                    }
                    self.former_first()?;
                    self.burst(first)?;
                }
                Wake::Former(first) => self.former(first)?,
            }
        }
    }

    /// Notices when the socket stops being read and when it is read again.
    fn watch_reading(&mut self) -> Result<(), ShardError> {
        let now = Instant::now();
        let Some(turn) = self.output.watch_room(now) else { return Ok(()) };
        if turn == Turn::Resumed {
            self.session.read_again(now);
        }
        self.commit()
    }

    async fn wake(&mut self) -> Wake {
        let deadline = self.session.deadline(self.output.reading());
        let readable = self.output.has_room();
        let stalled = self.output.reading() == Reading::Stalled;
        let Self {
            stop,
            phases,
            connecting,
            closing,
            permit,
            successor,
            arrived,
            output,
            bell,
            socket,
            asks,
            former,
            ..
        } = self;
        let former_deadline = former.as_ref().map(Former::deadline);
        let arrived_deadline = arrived.as_ref().and_then(Arrived::deadline);
        let deadline = [deadline, former_deadline, arrived_deadline].into_iter().flatten().min();
        let waiting = output.is_waiting();
        let ask = async { when(asks.recv().await.map(Wake::Ask)).await };
        let space = async {
            when(waiting.then_some(())).await;
            output.space(bell).await;
            Wake::Space
        };
        let message = async {
            when(readable.then_some(())).await;
            let former = async { when(former.as_mut()).await.socket.next().await };
            tokio::select! {
                message = next(socket) => Wake::Message(message),
                message = former => Wake::Former(message),
            }
        };
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Wake::Stop,
            Ok(()) = phases.changed() => Wake::Phase,
            () = until(deadline) => Wake::Deadline,
            opened = finished(connecting) => Wake::Connected(opened),
            () = finished(closing) => Wake::Closed,
            granted = finished(permit) => Wake::Permit(granted),
            successor = finished(successor) => Wake::Succeeded(Box::new(successor)),
            wake = in_turn(ask, space, message) => wake,
            () = tokio::time::sleep(STALL_WARNING), if stalled => Wake::Deadline,
        }
    }

    /// Does what the machine asked for.
    async fn act(&mut self) -> Result<Option<Ended>, ShardError> {
        while let Some(action) = self.session.next_action() {
            match action {
                Action::Connect(endpoint) => self.endpoint = Some(endpoint),
                Action::Send(payload) => self.send(payload).await,
                Action::AskPermit { failures } => {
                    // One that was not used would hold its own bucket up.
                    self.permitted = None;
                    let (context, shard) = (self.context.clone(), self.shard.id);
                    self.permit =
                        Some(Box::pin(async move { context.gate.permit(shard, failures).await }));
                }
                Action::CancelPermit => (self.permit, self.permitted) = (None, None),
                Action::CancelConnect => (self.connecting, self.endpoint) = (None, None),
                Action::Close(code) => self.close(code),
                Action::State(state) => {
                    self.entry.note(state == State::Connected);
                    if state == State::Connected {
                        tracing::info!(session = self.session.counter(), "connected");
                    }
                    self.fill_figures();
                    let phase = *self.phases.borrow();
                    self.write_state(state, phase.filter(|phase| phase.stage.is_under_way()))?;
                }
                Action::Ended(ended) => {
                    self.connecting = None;
                    if let Some(closing) = self.closing.take() {
                        let _ = tokio::time::timeout(CLOSE_TIMEOUT * 2, closing).await;
                    }
                    return Ok(Some(ended));
                }
            }
        }
        Ok(None)
    }

    /// Says in the stream how the shard stands, and how a change of the shard count does.
    fn write_state(&mut self, state: State, phase: Option<Phase>) -> Result<(), ShardError> {
        let (counter, latency) = (self.session.counter(), self.session.latencies().last());
        self.output.state(state, counter, self.session.session_id(), latency, phase)?;
        self.commit()
    }

    pub(super) fn commit(&mut self) -> Result<(), ShardError> {
        self.commit_quietly().map(drop)
    }

    /// The same, and whoever sleeps on the ring is woken once what is given is dropped.
    pub(super) fn commit_quietly(&mut self) -> Result<Option<Wakes>, ShardError> {
        self.fill_status();
        let Committed { seq, wakes } = self.output.commit()?;
        if let Some((counter, seq)) = seq {
            self.session.committed(counter, seq);
        }
        Ok(wakes)
    }

    /// What changes seldom, and is looked at as seldom.
    fn fill_figures(&mut self) {
        let (budget, last_close) = (self.context.gate.budget(), self.session.last_close());
        let recommended = self.context.gateway.recommended();
        let told = self.output.figures();
        if (told.budget, told.last_close, told.recommended) != (budget, last_close, recommended) {
            self.output.count(|figures| {
                figures.budget = budget;
                figures.last_close = last_close;
                figures.recommended = recommended;
            });
        }
    }

    fn fill_status(&mut self) {
        let status = self.output.status();
        status.reconnects = self.session.reconnects();
        status.latencies_us.clear();
        status.latencies_us.extend(
            self.session
                .latencies()
                .as_slice()
                .iter()
                .map(|latency| u64::try_from(latency.as_micros()).unwrap_or(u64::MAX)),
        );
    }
}

/// None of these keeps another waiting, however often it is ready: neither a flood of commands nor one
/// of events (G-6).
async fn in_turn<T>(
    one: impl Future<Output = T>,
    other: impl Future<Output = T>,
    third: impl Future<Output = T>,
) -> T {
    tokio::select! {
        one = one => one,
        other = other => other,
        third = third => third,
    }
}

/// What there is; nothing never comes.
async fn when<T>(it: Option<T>) -> T {
    match it {
        Some(it) => it,
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    tokio::time::sleep_until(when(deadline).await.into()).await;
}

async fn finished<T>(task: &mut Option<Task<T>>) -> T {
    when(task.as_mut()).await.await
}

async fn next(socket: &mut Option<Socket>) -> Option<Result<Message, WsError>> {
    when(socket.as_mut()).await.next().await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::future::ready;

    use super::in_turn;

    #[tokio::test]
    async fn g6_what_is_always_ready_keeps_nothing_else_waiting() {
        let mut seen = BTreeSet::new();
        for _ in 0..1_000 {
            seen.insert(in_turn(ready(1), ready(2), ready(3)).await);
        }
        assert_eq!(seen.len(), 3);
    }
}
