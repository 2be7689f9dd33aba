//! Shards that another machine runs, and this one receives: waits until that machine died, and has their rings let go
//! (DESIGN §10). Their sessions stand in the rings then, as those of this machine's own gateway would.

use std::path::Path;
use std::time::{Duration, Instant};

use mixcord_event::permit::{Answer, Ask, Shards};
use mixcord_event::takeover::{Taken, is_mirror};
use mixcord_event::topology;
use mixcord_process::sole::STOPS;
use mixcord_ring::{AttachError, Namespace, Ring};
use tokio::sync::watch;

use crate::alone::Alone;
use crate::config::ShardSet;
use crate::failure::Failure;
use crate::set::Common;
use crate::tenure::ask;

/// How soon to ask again where nobody answers.
const PAUSE: Duration = Duration::from_millis(500);
/// How often it is said what is waited for.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Waits until no ring of these shards is another machine's; false when it is time to stop.
///
/// # Errors
/// It will never be, or another process waits for one of them.
pub(crate) async fn wait(
    common: &Common,
    shards: &ShardSet,
    mut stop: watch::Receiver<bool>,
) -> Result<bool, Failure> {
    let (namespace, service) = (&common.namespace, common.attendance.service());
    let socket = topology::takeover_socket(&common.options.instance);
    let ShardSet { first, last, count } = *shards;
    let question = Ask::TakeOver(Shards { first, last, count });
    let (mut told, mut alone) = (None::<(Instant, String)>, None);
    loop {
        let Rings { received, missing } = Rings::of(namespace, shards);
        if (received, missing) == (0, 0) {
            return Ok(true);
        }
        if alone.is_none() {
            alone = Some(tokio::select! {
                alone = Alone::with(&common.options.instance, shards, STOPS) => alone?,
                _ = stop.wait_for(|stop| *stop) => return Ok(false),
            });
        }
        // A standby does what it is for.
        service.ready();
        service.alive();
        let (pause, why) = match ask(Path::new(&socket), question).await {
            Some(Answer::Wait { ms, why }) => (Duration::from_millis(ms), why.unwrap_or_default()),
            Some(Answer::Over { why }) => return Err(Failure::configuration(why)),
            // Nobody ever ran them.
            Some(Answer::Noted) if received == 0 => return Ok(true),
            Some(Answer::Noted) => (PAUSE, "their rings are let go".to_owned()),
            Some(_) => (PAUSE, "the bridge is of another release".to_owned()),
            None => (PAUSE, "no mixcord-bridge receive runs here".to_owned()),
        };
        let waiting = received + missing;
        service.status(format!("stands by to take {waiting} shards over: {why}"));
        let is_old = |(at, said): &(Instant, String)| at.elapsed() >= TELL_EVERY || *said != why;
        if told.as_ref().is_none_or(is_old) {
            tracing::info!(shards = waiting, "standing by to take them over: {why}");
            told = Some((Instant::now(), why));
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => return Ok(false),
        }
    }
}

/// Rings that are not this machine's.
struct Rings {
    /// mixcord-bridge writes them.
    received: usize,
    /// They are not there: perhaps they will be received.
    missing: usize,
}

impl Rings {
    fn of(namespace: &Namespace, shards: &ShardSet) -> Self {
        let mut found = Self { received: 0, missing: 0 };
        for shard in shards.ids() {
            let name = topology::shard_ring(shard, shards.count);
            match Ring::attach(namespace, &name) {
                Ok(ring) => found.received += usize::from(is_received(&ring)),
                Err(AttachError::NotFound { .. }) => found.missing += 1,
                // It is complained about when it is opened.
                Err(_) => {}
            }
        }
        found
    }
}

fn is_received(ring: &Ring) -> bool {
    let Some(checkpoint) = ring.checkpoint() else {
        // One that is being made.
        return ring.tail() == 0 && ring.producer_alive();
    };
    // The bridge says first that it lets go, and then does.
    is_mirror(&checkpoint) || (Taken::decode(&checkpoint).is_some() && ring.producer_alive())
}
