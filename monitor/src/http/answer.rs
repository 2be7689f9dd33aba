//! Which path is answered with what.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use mixcord_process::loopback::is_loopback_name;

use super::{Body, Site, live};
use crate::findings::{Severity, of_instance};
use crate::metrics::Format;

const PAGE: &str = include_str!("../../web/index.html");
const STYLE: &str = include_str!("../../web/style.css");
const SCRIPT: &str = include_str!("../../web/page.js");

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
/// Nothing of another host, and nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What is read of shared memory is read in a thread of its own.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

pub(super) async fn answer(
    site: Arc<Site>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let is_head = request.method() == Method::HEAD;
    let mut response = route(site, &request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if is_head {
        *response.body_mut() = Full::new(Bytes::new()).boxed_unsync();
    }
    Ok(response)
}

async fn route(site: Arc<Site>, request: &Request<Incoming>) -> Response<Body> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let named =
        |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if site.is_local && !named(header::HOST).is_none_or(is_loopback_name) {
        let why = "this monitor listens on loopback and answers to names of loopback alone\n";
        return text(StatusCode::MISDIRECTED_REQUEST, TEXT, why);
    }
    match request.uri().path() {
        "/" => text(StatusCode::OK, "text/html; charset=utf-8", PAGE),
        "/style.css" => text(StatusCode::OK, "text/css; charset=utf-8", STYLE),
        "/page.js" => text(StatusCode::OK, "text/javascript; charset=utf-8", SCRIPT),
        "/healthz" => text(StatusCode::OK, TEXT, "ok\n"),
        "/readyz" => blocking(move || readiness(&site)).await.unwrap_or_else(failed),
        "/api/status" => blocking(move || status(&site)).await.unwrap_or_else(failed),
        "/api/events" => events(site),
        "/metrics" => {
            let format = Format::wanted(named(header::ACCEPT));
            blocking(move || match site.metrics.text(format) {
                Ok(body) => text(StatusCode::OK, format.content_type(), body),
                Err(_) => failed(),
            })
            .await
            .unwrap_or_else(failed)
        }
        _ => text(
            StatusCode::NOT_FOUND,
            TEXT,
            "not here: / /metrics /healthz /readyz /api/status /api/events\n",
        ),
    }
}

/// Ready is an instance of which nothing is broken.
fn readiness(site: &Site) -> Response<Body> {
    let Ok(sample) = site.source.look() else { return failed() };
    let found = of_instance(&sample.overview);
    let broken = found.iter().filter(|finding| finding.severity == Severity::Broken);
    let waits = found.iter().filter(|finding| finding.name == "shard-not-connected");
    let mut why = String::new();
    for finding in broken.chain(waits) {
        let _ = writeln!(why, "{}\n  {}", finding.text, finding.command);
    }
    if why.is_empty() {
        text(StatusCode::OK, TEXT, "ready\n")
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, TEXT, why)
    }
}

/// What `mixcord ls --json` prints.
fn status(site: &Site) -> Response<Body> {
    let json =
        site.source.look().ok().and_then(|sample| serde_json::to_string(&sample.overview).ok());
    json.map_or_else(failed, |json| text(StatusCode::OK, JSON, json))
}

fn events(site: Arc<Site>) -> Response<Body> {
    let mut response = Response::new(StreamBody::new(live::stream(site)).boxed_unsync());
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}

fn failed() -> Response<Body> {
    text(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "/dev/shm cannot be read\n")
}

fn text(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
