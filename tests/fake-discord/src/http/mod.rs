//! HTTP/1.1 on the gateway's own port: Discord's few routes, the control of the fake, and the
//! handshake that makes a connection a websocket.

mod api;
mod commands;
mod control;
mod draft;
mod interactions;
mod messages;
mod parse;
mod people;
pub(crate) mod trouble;
mod upgrade;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::gateway::connection;
use crate::gateway::hub::Hub;
use crate::journal::What;
pub(crate) use parse::Request;

/// How long a connection may stay without a request.
const IDLE: Duration = Duration::from_secs(75);
/// How long a request may take to arrive once it has begun.
const ARRIVAL: Duration = Duration::from_secs(30);
/// How long a client may take no byte of its answer.
const TAKING: Duration = Duration::from_secs(30);

/// What a route answers.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: Body,
    pub(crate) headers: Vec<(&'static str, String)>,
}

#[derive(Debug)]
pub(crate) enum Body {
    None,
    Json(Vec<u8>),
    /// JSON lines.
    Lines(Vec<u8>),
}

impl Response {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::raw(status, body.to_string().into_bytes())
    }

    pub(crate) fn raw(status: u16, body: Vec<u8>) -> Self {
        Self { status, body: Body::Json(body), headers: Vec::new() }
    }

    pub(crate) fn empty() -> Self {
        Self { status: 204, body: Body::None, headers: Vec::new() }
    }

    /// An error as Discord words it.
    pub(crate) fn error(status: u16, code: u32, message: &str) -> Self {
        Self::json(status, &serde_json::json!({ "message": message, "code": code }))
    }

    fn write(&self, close: bool, head_only: bool, out: &mut Vec<u8>) {
        let (kind, body): (_, &[u8]) = match &self.body {
            Body::None => ("", &[]),
            Body::Json(body) => ("application/json", body),
            Body::Lines(body) => ("application/x-ndjson", body),
        };
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        if self.status != 204 {
            head.push_str(&format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len()));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(if close {
            "Connection: close\r\n\r\n"
        } else {
            "Connection: keep-alive\r\n\r\n"
        });
        out.extend_from_slice(head.as_bytes());
        if !head_only {
            out.extend_from_slice(body);
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        400 => "Bad Request",
        403 => "Forbidden",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Status",
    }
}

/// Serves one TCP connection until it ends.
pub(crate) async fn serve(hub: Arc<Hub>, mut stream: TcpStream) -> io::Result<()> {
    let mut input = Vec::with_capacity(4096);
    loop {
        let request = match next_request(&mut stream, &mut input).await? {
            Some(Ok(request)) => request,
            Some(Err(status)) => {
                let mut out = Vec::new();
                Response::error(status, 0, reason(status)).write(true, false, &mut out);
                return send(&mut stream, &out).await;
            }
            None => return Ok(()),
        };
        if hub.down.load(Ordering::Relaxed) && !request.path.starts_with("/fake/") {
            // The server is being restarted: the client sees its connection end.
            return Ok(());
        }
        if request.is_upgrade() {
            let accepted = match hub.troubles.of_upgrade().await {
                Some(response) => Err(response),
                None => upgrade::accept(&hub, &request),
            };
            let (answer, wish) = match accepted {
                Ok(accepted) => accepted,
                Err(response) => {
                    hub.log.add(None, None, What::Refused { status: response.status });
                    let mut out = Vec::new();
                    response.write(true, false, &mut out);
                    return send(&mut stream, &out).await;
                }
            };
            let wait = hub.slow_accept_ms.swap(0, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(wait)).await;
            send(&mut stream, answer.as_bytes()).await?;
            connection::serve(hub, stream, wish, input).await;
            return Ok(());
        }
        let response = route(&hub, &request).await;
        let close = request.wants_close();
        let mut out = Vec::new();
        response.write(close, request.method == "HEAD", &mut out);
        send(&mut stream, &out).await?;
        if close {
            return Ok(());
        }
    }
}

/// Writes all of it, unless the client stops taking it.
async fn send(stream: &mut TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = tokio::time::timeout(TAKING, stream.write(bytes)).await??;
        bytes = &bytes[written..];
    }
    Ok(())
}

async fn next_request(
    stream: &mut TcpStream,
    input: &mut Vec<u8>,
) -> io::Result<Option<Result<Request, u16>>> {
    let mut limit = Instant::now() + IDLE;
    let mut begun = false;
    loop {
        match parse::take_request(input) {
            Ok(Some(request)) => return Ok(Some(Ok(request))),
            Ok(None) => {}
            Err(status) => return Ok(Some(Err(status))),
        }
        if parse::expects_continue(input) {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        if !input.is_empty() && !begun {
            begun = true;
            limit = Instant::now() + ARRIVAL;
        }
        match tokio::time::timeout_at(limit, stream.read_buf(input)).await {
            Ok(Ok(0)) | Err(_) => return Ok(None),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error),
        }
    }
}

async fn route(hub: &Arc<Hub>, request: &Request) -> Response {
    if let Some(rest) = request.path.strip_prefix("/fake/") {
        return control::route(hub, request, rest).await;
    }
    let versions = ["/api/v10/", "/api/v9/", "/api/"];
    match versions.iter().find_map(|version| request.path.strip_prefix(version)) {
        Some(rest) => {
            let response = match hub.troubles.of_rest(rest).await {
                Some(response) => response,
                None => api::route(hub, request, rest),
            };
            if rest.trim_end_matches('/') == "gateway/bot" {
                hub.log.add(None, None, What::Asked { status: response.status });
            }
            response
        }
        None if request.path == "/" => Response::error(426, 0, "this is a websocket's address"),
        None => Response::error(404, 0, "404: Not Found"),
    }
}
