//! What is passed on to Discord's REST, untouched: method, path, headers and bodies as they come and go, in streams.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::{Body, error};
use crate::moved::Moved;
use crate::site::Site;

/// Headers that are of one connection, and no part of what is passed on (RFC 9110, 7.6.1).
const OF_CONNECTION: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// How long a connection to Discord may take to open.
const CONNECT: Duration = Duration::from_secs(10);
/// After so long without a byte the system asks whether the other end is there: what sits between forgets silent ones.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long the head of an answer may take, from the last byte of the request on: longer than Discord's own limit.
const ANSWER: Duration = Duration::from_secs(100);

/// The way to Discord's REST.
pub(super) struct Pass {
    client: Client<HttpsConnector<HttpConnector>, Upload>,
    to: Uri,
}

impl Pass {
    /// `to`: only its scheme and its host count.
    pub(super) fn new(to: Uri) -> Self {
        let provider = rustls::crypto::ring::default_provider();
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT));
        http.set_keepalive(Some(KEEPALIVE));
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(provider)
            .unwrap_or_else(|error| unreachable!("ring has every version of TLS: {error}"))
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        Self { client: Client::builder(TokioExecutor::new()).build(connector), to }
    }

    pub(super) async fn on(
        self: Arc<Self>,
        site: &Site,
        mut request: Request<Incoming>,
    ) -> Response<Body> {
        strip(request.headers_mut());
        if site.door.has_secrets() && !authorize(site, request.headers_mut()) {
            return error(StatusCode::UNAUTHORIZED, "401: Unauthorized");
        }
        let Some(uri) = self.uri(request.uri()) else {
            return error(StatusCode::BAD_REQUEST, "a path that cannot be passed on");
        };
        let host = self.to.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok());
        if let Some(host) = host {
            request.headers_mut().insert(header::HOST, host);
        }
        *request.uri_mut() = uri;
        *request.version_mut() = hyper::Version::HTTP_11;
        let moved = Moved::default();
        let request = request.map(|body| Upload { body, moved: moved.clone() });
        let Some(answer) = moved.within(ANSWER, self.client.request(request)).await else {
            tracing::warn!(limit_s = ANSWER.as_secs(), "Discord's REST does not answer");
            let why = "Discord did not answer mixcord-proxy in time";
            return error(StatusCode::GATEWAY_TIMEOUT, why);
        };
        match answer {
            Ok(mut response) => {
                strip(response.headers_mut());
                response.map(BodyExt::boxed_unsync)
            }
            Err(failed) => {
                tracing::warn!(error = %chain(&failed), "Discord's REST cannot be reached");
                error(StatusCode::BAD_GATEWAY, "mixcord-proxy cannot reach Discord: see its log")
            }
        }
    }

    fn uri(&self, asked: &Uri) -> Option<Uri> {
        let mut parts = self.to.clone().into_parts();
        parts.path_and_query = Some(asked.path_and_query()?.clone());
        Uri::from_parts(parts).ok()
    }
}

/// A request's body, which may take as long as its client does.
struct Upload {
    body: Incoming,
    moved: Moved,
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if frame.is_ready() {
            self.moved.now();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Puts the token in the place of a secret. False when what stands there is neither; what carries nothing, such as
/// an answer to an interaction, needs nothing.
fn authorize(site: &Site, headers: &mut HeaderMap) -> bool {
    let Some(shown) = headers.get(header::AUTHORIZATION) else { return true };
    let shown = shown.to_str().unwrap_or_default();
    // A user's own grant is no business of ours.
    if shown.starts_with("Bearer ") || shown.starts_with("Basic ") {
        return true;
    }
    let Ok(token) = site.door.token_for(shown) else { return false };
    let Ok(mut value) = HeaderValue::from_str(&format!("Bot {token}")) else { return false };
    value.set_sensitive(true);
    headers.insert(header::AUTHORIZATION, value);
    true
}

fn strip(headers: &mut HeaderMap) {
    let named: Vec<_> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse::<HeaderName>().ok())
        .collect();
    for name in OF_CONNECTION.into_iter().chain(named) {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
