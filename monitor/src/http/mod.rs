//! HTTP for a few paths, for whoever connects: bounded in connections, bytes and time.

mod answer;
mod live;
mod patience;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use mixcord::Stop;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::patience::Patience;
use crate::Limits;
use crate::events::Events;
use crate::metrics::Metrics;
use crate::sample::Source;
use crate::watch::Ticker;

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Its header lines.
const HEADERS_MAX: usize = 64;
/// How often it is looked whether to stop.
const LOOK: Duration = Duration::from_millis(100);

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What there is to be told.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) source: Arc<Source>,
    pub(crate) metrics: Metrics,
    pub(crate) ticker: Ticker,
    pub(crate) events: Events,
    pub(crate) shows_events: bool,
    /// Does it listen on loopback? Then only names of loopback are answered.
    pub(crate) is_local: bool,
}

pub(crate) struct Server {
    listener: TcpListener,
    site: Arc<Site>,
    limits: Limits,
}

impl Server {
    pub(crate) const fn new(listener: TcpListener, site: Arc<Site>, limits: Limits) -> Self {
        Self { listener, site, limits }
    }

    /// Serves until `stop`; whoever is connected then is left.
    pub(crate) async fn run(self, stop: &Stop) {
        let stopped = async {
            while !stop.is_stopped() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            () = stopped => {}
            () = self.accept() => {}
        }
    }

    async fn accept(&self) {
        let room = Arc::new(Semaphore::new(self.limits.connections));
        let mut connections = JoinSet::new();
        loop {
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let (site, limits) = (Arc::clone(&self.site), self.limits);
                    connections.spawn(async move {
                        let _place = place;
                        let service =
                            service_fn(move |request| answer::answer(Arc::clone(&site), request));
                        let served = http1::Builder::new()
                            .timer(TokioTimer::new())
                            .header_read_timeout(limits.request)
                            .max_headers(HEADERS_MAX)
                            .max_buf_size(HEAD_BYTES_MAX)
                            .serve_connection(
                                TokioIo::new(Patience::new(stream, limits.write)),
                                service,
                            );
                        if let Err(error) = served.await {
                            tracing::debug!(%error, "a connection ended");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept");
                    tokio::time::sleep(LOOK).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
    }
}
