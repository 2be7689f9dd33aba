//! Opening a connection, in the background.

use std::time::{Duration, Instant};

use tokio::sync::SemaphorePermit;

use super::context::Context;
use super::task::Runner;
use crate::limiter::Limiter;
use crate::random::Random;
use crate::session::{Endpoint, USUAL_INTERVAL};
use crate::wire::{Socket, connect, gateway_url};

/// How much later.
const JITTER: Duration = Duration::from_millis(100);

/// A connection, or for how long the server wants to be left alone.
pub(super) type Opened = Result<Box<Socket>, Duration>;

impl Context {
    /// Waits until there are not too many connections being opened. Who had to wait comes a little later
    /// still, so that a server that is coming back is not met by all of them at once (G-7).
    async fn opening_place(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(place) = self.opening.try_acquire() {
            return Some(place);
        }
        // The semaphore is never closed.
        let place = self.opening.acquire().await.ok();
        tokio::time::sleep(Random::unseeded().between(Duration::ZERO, JITTER)).await;
        place
    }

    /// Opens a connection to `base`.
    pub(super) async fn open(&self, base: &str) -> Opened {
        let url = gateway_url(base, self.encoding, self.compression);
        let encrypted = self.gateway.is_encrypted();
        let _place = self.opening_place().await;
        let (tls, proxy) = (self.gateway.tls().clone(), self.gateway.proxy().cloned());
        match connect(url, tls, proxy, self.message_max, encrypted).await {
            Ok(socket) => Ok(Box::new(socket)),
            Err(error) => {
                tracing::warn!(%error, "no connection");
                Err(error.retry_after().unwrap_or_default())
            }
        }
    }
}

impl Runner {
    pub(super) fn begin_connecting(&mut self) {
        if !self.output.has_room() {
            return;
        }
        let Some(endpoint) = self.endpoint.take() else { return };
        self.inflater.reset();
        let context = self.context.clone();
        // While REST is down since the start nobody knows the gateway's URL, and a session does not outlive
        // the wait for it: its own URL, though it failed, is tried again.
        let own = self.session.resume_url().filter(|_| !context.gateway.has_answered());
        let own = own.map(str::to_owned);
        self.connecting = Some(Box::pin(async move {
            let base = match endpoint {
                Endpoint::Resume(url) => url,
                Endpoint::Gateway { ask_again } => match own {
                    Some(url) => url,
                    None => context.gateway.url(ask_again, &context.gate).await,
                },
            };
            context.until_it_may_run().await;
            context.open(&base).await
        }));
    }

    /// The attempt is over; without a connection the next one has to wait for what was asked for.
    pub(super) fn connected(&mut self, opened: Opened) {
        self.connecting = None;
        let now = Instant::now();
        match opened {
            Ok(socket) => {
                self.socket = Some(*socket);
                self.limiter = Limiter::new(USUAL_INTERVAL);
                self.session.connected(now);
            }
            Err(pause) => self.session.connect_failed(now, pause),
        }
    }
}
