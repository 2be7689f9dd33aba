//! Work with effects elsewhere: retried when it fails, done once although it may be tried twice, and put aside where
//! it never succeeds.
//!
//! `mixcord groups dead worker` shows what was given up, `mixcord groups retry worker` gives it again.
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mixcord::{Consumer, Event, Identity, Kind, Router, Shared};

/// What is wanted of a message.
#[derive(serde::Deserialize)]
pub(crate) struct Order {
    content: String,
}

/// A database in real life. What it has done it knows by the event's identity, which no other event has.
#[derive(Default)]
pub(crate) struct Ledger {
    done: Mutex<HashSet<Identity>>,
}

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the ledger is busy")]
    Busy,
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let _log = mixcord::log::init();
    let consumer = Consumer::builder()
        .group("worker")
        .attempts(5)
        .retry(Duration::from_millis(200), Duration::from_secs(10))
        .handler_timeout(Duration::from_secs(5))
        .on_dead(|letter| {
            eprintln!("given up after {} attempts: {}", letter.attempts, letter.error);
        })
        .stop_on_signals();
    mixcord::exit(consumer.route(router(Arc::default())).await)
}

pub(crate) fn router(ledger: Arc<Ledger>) -> Router<Arc<Ledger>> {
    Router::with(ledger).on(Kind::MESSAGE_CREATE, carry_out)
}

pub(crate) async fn carry_out(
    order: Order,
    event: Event,
    ledger: Shared<Arc<Ledger>>,
) -> Result<(), Failure> {
    let Some(what) = order.content.strip_prefix("!order ") else { return Ok(()) };
    if what.is_empty() {
        // No attempt would do better.
        event.term("an order of nothing");
        return Ok(());
    }
    if ledger.is_done(event.identity()) {
        println!("{what}: done before");
        return Ok(());
    }
    // The first attempt at an order for the busy fails.
    if what == "busy" && event.attempt() == 1 {
        return Err(Failure::Busy);
    }
    ledger.note(event.identity());
    println!("{what}: done, at attempt {}", event.attempt());
    Ok(())
}

impl Ledger {
    pub(crate) fn is_done(&self, identity: Identity) -> bool {
        self.done.lock().is_ok_and(|done| done.contains(&identity))
    }

    fn note(&self, identity: Identity) {
        if let Ok(mut done) = self.done.lock() {
            done.insert(identity);
        }
    }
}
