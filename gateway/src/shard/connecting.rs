//! Opening a connection, in the background.

use std::time::Instant;

use super::task::Runner;
use crate::session::Endpoint;
use crate::wire::{Socket, connect, gateway_url};

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
                    context.gateway.url(ask_again, &context.gate).await?
                }
            };
            let url = gateway_url(&base, context.encoding, context.compression);
            let encrypted = context.gateway.is_encrypted();
            match connect(url, context.tls.clone(), context.message_max, encrypted).await {
                Ok(socket) => Some(Box::new(socket)),
                Err(error) => {
                    tracing::warn!(%error, "no connection");
                    None
                }
            }
        }));
    }

    pub(super) fn connected(&mut self, socket: Option<Box<Socket>>) {
        self.connecting = None;
        let now = Instant::now();
        match socket {
            Some(socket) => {
                self.socket = Some(*socket);
                self.session.connected(now);
            }
            None => self.session.connect_failed(now),
        }
    }
}
