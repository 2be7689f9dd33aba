//! Opening a connection, in the background.

use std::time::{Duration, Instant};

use super::task::Runner;
use crate::limiter::Limiter;
use crate::session::{Endpoint, USUAL_INTERVAL};
use crate::wire::{Socket, connect, gateway_url};

/// A connection, or for how long the server wants to be left alone.
pub(super) type Opened = Result<Box<Socket>, Duration>;

impl Runner {
    pub(super) fn begin_connecting(&mut self) {
        if !self.output.has_room() {
            return;
        }
        let Some(endpoint) = self.endpoint.take() else { return };
        self.inflater.reset();
        let context = self.context.clone();
        self.connecting = Some(Box::pin(async move {
            let base = match endpoint {
                Endpoint::Resume(url) => url,
                Endpoint::Gateway { ask_again } => {
                    context.gateway.url(ask_again, &context.gate).await
                }
            };
            let url = gateway_url(&base, context.encoding, context.compression);
            let encrypted = context.gateway.is_encrypted();
            match connect(url, context.tls.clone(), context.message_max, encrypted).await {
                Ok(socket) => Ok(Box::new(socket)),
                Err(error) => {
                    tracing::warn!(%error, "no connection");
                    Err(error.retry_after().unwrap_or_default())
                }
            }
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
