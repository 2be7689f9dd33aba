//! The one port: HTTP, and websockets that begin as HTTP.

mod gateway;
mod pass;
#[cfg(test)]
mod pass_tests;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use mixcord_process::loopback::is_loopback_name;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::pass::Pass;
use crate::site::Site;

/// Connections at a time, websockets among them; more wait in the kernel's queue.
const CONNECTIONS: usize = 4096;
/// How long a request's head may take to arrive.
const HEAD: Duration = Duration::from_secs(30);
/// Bytes of it.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// How long to wait when the system has no descriptor left.
const AGAIN: Duration = Duration::from_millis(100);
/// How long connections may take to end.
const LEAVE: Duration = Duration::from_secs(3);

type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// Serves until the site stops.
pub(crate) async fn serve(listener: TcpListener, site: Arc<Site>) {
    let mut stopping = site.stopping.subscribe();
    let pass = site.settings.rest_url.clone().map(|url| Arc::new(Pass::new(url)));
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let next = async { (Arc::clone(&room).acquire_owned().await, listener.accept().await) };
        let accepted = tokio::select! {
            _ = stopping.changed() => break,
            accepted = next => accepted,
        };
        match accepted {
            (Ok(place), Ok((stream, _))) => {
                let (site, pass) = (Arc::clone(&site), pass.clone());
                connections.spawn(async move {
                    let _place = place;
                    connection(stream, site, pass).await;
                });
            }
            (_, Err(error)) => {
                tracing::warn!(%error, "cannot accept");
                tokio::time::sleep(AGAIN).await;
            }
            // The semaphore is never closed.
            (Err(_), _) => break,
        }
        while connections.try_join_next().is_some() {}
    }
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(LEAVE, all).await;
}

async fn connection(stream: TcpStream, site: Arc<Site>, pass: Option<Arc<Pass>>) {
    // Small messages must not wait for each other; failing costs only latency.
    let _ = stream.set_nodelay(true);
    let (sockets, mut opened) = tokio::sync::mpsc::unbounded_channel();
    let mut stopping = site.stopping.subscribe();
    let service = service_fn(|request| {
        let (site, pass, sockets) = (Arc::clone(&site), pass.clone(), sockets.clone());
        async move { Ok::<_, Infallible>(answer(site, pass, request, &sockets).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::select! {
        served = served => if let Err(error) = served {
            tracing::debug!(%error, "a connection ended");
        },
        _ = stopping.changed() => {}
    }
    drop(sockets);
    // One at most: an upgraded connection serves no other request.
    if let Ok(socket) = opened.try_recv() {
        gateway::speak(site, socket).await;
    }
}

async fn answer(
    site: Arc<Site>,
    pass: Option<Arc<Pass>>,
    request: Request<Incoming>,
    sockets: &tokio::sync::mpsc::UnboundedSender<gateway::Opened>,
) -> Response<Body> {
    let named =
        |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if site.settings.is_local && !named(header::HOST).is_none_or(is_loopback_name) {
        return error(
            StatusCode::MISDIRECTED_REQUEST,
            "this proxy answers to names of loopback alone",
        );
    }
    // How long it is would be one thing here and another behind us (RFC 9112, 6.1).
    let has = |name| request.headers().contains_key(name);
    if has(header::TRANSFER_ENCODING) && has(header::CONTENT_LENGTH) {
        let why = "a request has Content-Length or Transfer-Encoding, not both";
        let mut refused = error(StatusCode::BAD_REQUEST, why);
        refused.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        return refused;
    }
    // Another protocol that is offered, such as h2c, is not taken (RFC 9110, 7.8).
    if named(header::UPGRADE).is_some_and(|to| to.eq_ignore_ascii_case("websocket")) {
        return gateway::upgrade(&site, request, sockets);
    }
    match (of_api(request.uri().path()), request.method()) {
        (Some("/gateway"), &Method::GET) => gateway::gateway(&site, &request),
        (Some("/gateway/bot"), &Method::GET) => gateway::gateway_bot(&site, &request),
        (Some(_), _) => match pass {
            Some(pass) => pass.on(&site, request).await,
            None => error(
                StatusCode::NOT_FOUND,
                "mixcord-proxy runs with --no-rest: it answers /gateway and /gateway/bot alone",
            ),
        },
        (None, _) => {
            error(StatusCode::NOT_FOUND, "not here: /api/v10/gateway/bot, or a websocket at /")
        }
    }
}

/// An error as Discord words them.
fn error(status: StatusCode, message: &str) -> Response<Body> {
    json(status, &serde_json::json!({ "message": message, "code": 0 }))
}

fn json(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    let body = Full::new(Bytes::from(value.to_string())).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// What of the API a path names, whatever its version: of one that we do not speak, too, Discord itself must not be
/// asked for its gateway. `None` of what is none of the API.
fn of_api(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/api").filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
    let versioned = rest.strip_prefix("/v").and_then(|rest| {
        let end = rest.find('/').unwrap_or(rest.len());
        let (version, rest) = rest.split_at(end);
        let is_number = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then_some(rest)
    });
    Some(versioned.unwrap_or(rest).trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::of_api;

    #[test]
    fn g1_no_version_of_the_api_leads_past_our_gateway() {
        for path in [
            "/api/gateway/bot",
            "/api/v8/gateway/bot",
            "/api/v10/gateway/bot",
            "/api/v10/gateway/bot/",
            "/api/v123/gateway/bot//",
        ] {
            assert_eq!(of_api(path), Some("/gateway/bot"), "{path}");
        }
        assert_eq!(of_api("/api/v10/voice/regions"), Some("/voice/regions"));
        assert_eq!(of_api("/api/voice/regions"), Some("/voice/regions"));
        assert_eq!(of_api("/api"), Some(""));
        for path in ["/", "/apix/gateway", "/v10/gateway"] {
            assert_eq!(of_api(path), None, "{path}");
        }
    }
}
