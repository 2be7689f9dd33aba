//! A state that was lost is filled again: Discord sends all guilds of a shard at the beginning of a session and at
//! no other time, so another one is begun while the old one goes on (DESIGN §6; see [`crate::session`]).
//!
//! The cache leaves the wish in the ring: up to where it lost what was said. The ring's checkpoint says where the
//! session began, and is committed with its READY. So each wish is met once, whoever dies at what moment; only an
//! IDENTIFY whose READY did not reach the ring is sent again.

use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt};

use super::context::ShardError;
use super::former::{Former, guilds_of};
use super::frame::decode;
use super::now_us;
use super::reading::take;
use super::successor::{self, Successor};
use super::task::Runner;
use crate::session::{ENDING_CLOSE, State, USUAL_INTERVAL};

/// A shard begins no second session for a lost state within this time: a cache that loses its state again and again
/// shall not spend the day's identifies.
const PAUSE: Duration = Duration::from_secs(10 * 60);
/// How long the old connection brings nothing before it counts as read to its end: what Discord sent while the ring was
/// full comes once there is room, and no sooner than the way from there takes.
const QUIET: Duration = Duration::from_millis(100);
/// How often it may bring something; one that brings more and more is not waited for.
const BURSTS_MAX: u32 = 64;

/// A session that is ready while the old one is read to its end.
pub(super) struct Arrived {
    successor: Box<Successor>,
    /// Bursts that the old connection brought since.
    bursts: u32,
    /// Until when it has to be silent; `None` while the ring is full, or after a burst.
    quiet: Option<Instant>,
}

impl Arrived {
    pub(super) fn new(successor: Box<Successor>) -> Self {
        Self { successor, bursts: 0, quiet: None }
    }

    /// When it takes the old one's place unless that brings something before.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.quiet
    }

    /// The old connection brought something.
    pub(super) fn brought(&mut self) {
        self.bursts += 1;
        self.quiet = None;
    }
}

impl Runner {
    /// Begins another session if the state is asked for anew, and gives up one that is of no use any more.
    pub(super) fn watch_state(&mut self) {
        if self.context.refills.is_none() {
            return;
        }
        if !self.output.is_asked_anew() || self.session.state() == State::Paused {
            // A session was begun since, or nobody wants one now.
            self.successor = None;
            if let Some(arrived) = self.arrived.take() {
                self.say_goodbye(arrived.successor.socket, ENDING_CLOSE);
            }
            return;
        }
        if self.session.session_id().is_none() {
            // One will be begun once this shard is connected.
            self.successor = None;
        }
        // What waits for the ring may be the READY that is asked for.
        let is_free = self.session.is_connected() && !self.output.is_waiting();
        let is_under_way = self.successor.is_some() || self.arrived.is_some();
        if is_under_way || !is_free || !self.may_begin_again() {
            return;
        }
        tracing::warn!(
            session = self.session.counter(),
            "the state of this shard was lost: a new session is begun, which brings all guilds; this one goes on until \
             then"
        );
        let presence = self.output.presence(self.context.presence.as_ref());
        let begun = successor::begin(self.context.clone(), self.shard, presence);
        self.successor = Some(Box::pin(begun));
    }

    fn may_begin_again(&self) -> bool {
        let last = self.output.figures().refilled_us;
        let since = now_us().checked_sub(last);
        last == 0 || since.is_none_or(|us| u128::from(us) >= PAUSE.as_micros())
    }

    /// Once the new session is there: puts it in the old one's place when that is silent, having been read to its end as
    /// far as the ring has room. False while there is nothing of this to do.
    pub(super) async fn follow(&mut self) -> Result<bool, ShardError> {
        let (is_full, is_open) = (self.output.is_waiting(), self.socket.is_some());
        let Some(arrived) = &mut self.arrived else { return Ok(false) };
        if is_full {
            arrived.quiet = None;
            return Ok(false);
        }
        let now = Instant::now();
        let is_silent = now >= *arrived.quiet.get_or_insert(now + QUIET);
        if is_open && !is_silent && arrived.bursts < BURSTS_MAX {
            return Ok(false);
        }
        // Whether there is more is known once the runtime has asked the system.
        tokio::task::yield_now().await;
        let Some(mut arrived) = self.arrived.take() else { return Ok(false) };
        let socket = self.socket.as_mut().filter(|_| arrived.bursts < BURSTS_MAX);
        match socket.and_then(|socket| socket.next().now_or_never()) {
            Some(first) => {
                arrived.brought();
                self.arrived = Some(arrived);
                self.burst(first)?;
            }
            None => self.take_over(*arrived.successor)?,
        }
        Ok(true)
    }

    /// The old connection is read on for the guilds that have not come yet.
    fn take_over(&mut self, successor: Successor) -> Result<(), ShardError> {
        let Successor { session, socket, inflater, limiter, presence, ready, identifies } =
            successor;
        self.output.count(|figures| figures.identifies += identifies);
        let (was_well, counter) = (self.session.is_connected(), self.session.counter());
        let accepted = self.session.accepted().unwrap_or(0);
        let interval = self.session.heartbeat_interval().unwrap_or(USUAL_INTERVAL);
        if !self.session.succeed(session) {
            return Ok(());
        }
        self.leave_former();
        (self.connecting, self.endpoint, self.permit, self.permitted) = (None, None, None, None);
        let old = self.socket.replace(socket);
        let old_inflater = std::mem::replace(&mut self.inflater, inflater);
        let old_limiter = std::mem::replace(&mut self.limiter, limiter);
        // A command may have set another one since.
        self.owes_presence = self.output.presence(self.context.presence.as_ref()) != presence;
        self.output.refills_next();
        let context = self.context.clone();
        let mut workbench = context.workbenches.take();
        let now = Instant::now();
        let origin = self.origin();
        let taken = match decode(context.encoding, &mut workbench.decoder, &ready) {
            Ok(frame) => {
                let guilds = guilds_of(&frame);
                let Self { session, output, awaited, .. } = &mut *self;
                let taken = take(frame, now, origin, session, output, awaited);
                *awaited = guilds;
                taken
            }
            // It could be a moment ago.
            Err(_) => {
                self.session.corrupt(now);
                Ok(())
            }
        };
        context.workbenches.give_back(workbench);
        taken?;
        match old {
            Some(socket) if was_well => {
                let of = (counter, accepted);
                self.former = Some(Former::new(socket, old_inflater, old_limiter, interval, of));
            }
            Some(socket) => self.say_goodbye(socket, ENDING_CLOSE),
            None => {}
        }
        if self.former.is_none() {
            self.awaited.clear();
        }
        tracing::info!(session = self.session.counter(), "a new session fills the state again");
        self.commit()
    }
}
