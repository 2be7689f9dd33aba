//! `/fake/…`: what a test asks of the fake itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Body, Request, Response};
use crate::faults::{self, Fault};
use crate::gateway::connection::Command;
use crate::gateway::hub::{Hub, Whom};
use crate::gateway::session::Session;

/// Answers `path`, the part after `/fake/`.
pub(crate) async fn route(hub: &Arc<Hub>, request: &Request, path: &str) -> Response {
    match (request.method.as_str(), path) {
        ("GET", "journal") => journal(hub, request),
        ("GET", "events") => events(hub, request),
        ("POST", "set") => set(hub, request),
        ("GET", "log") => Response::json(200, &hub.log.to_json()),
        ("GET", "status") => Response::json(200, &status(hub)),
        ("GET", "world") => {
            Response::raw(200, crate::world::dump::dump(hub, request.number("shard")))
        }
        ("POST", "disconnect" | "fault") => match fault(request) {
            Ok(fault) => {
                let time = Duration::from_millis(request.number("ms").unwrap_or(1000));
                told(faults::bring(hub, fault, whom(request), time))
            }
            Err(why) => Response::error(400, 0, &why),
        },
        ("POST", "outage") => {
            let away = request.param("back").is_none();
            let change = |guild| match request.number("shards") {
                None => hub.outage(guild, away),
                Some(shards) => hub.outage_of(shards, guild, away),
            };
            let known = request.number("guild").is_some_and(change);
            if known {
                Response::json(200, &json!({ "unavailable": away }))
            } else {
                Response::error(404, 10004, "Unknown Guild")
            }
        }
        ("POST", "bot") => hub.troubles.change_bot(hub, request),
        ("POST", "rest") => hub.troubles.change_rest(request),
        ("POST", "upgrade") => hub.troubles.change_upgrade(request),
        ("POST", "heartbeat") => told(hub.tell(whom(request), Command::AskHeartbeat)),
        ("POST", pause @ ("pause" | "resume")) => {
            hub.paused.store(pause == "pause", Ordering::Relaxed);
            for feed in &hub.feeds {
                feed.wake.notify_one();
            }
            Response::json(200, &json!({ "paused": pause == "pause" }))
        }
        _ => Response::error(404, 0, "404: Not Found"),
    }
}

/// The fault that `how` names.
fn fault(request: &Request) -> Result<Fault, String> {
    let fault = Fault::parse(request.param("how").unwrap_or("cut"))?;
    let Some(code) = request.param("code").filter(|_| fault == Fault::Close(None)) else {
        return Ok(fault);
    };
    let code = code.parse().ok().filter(|code| (1000..5000).contains(code));
    code.map(|code| Fault::Close(Some(code)))
        .ok_or_else(|| "code must be from 1000 to 4999".to_owned())
}

/// Whom a request names: `shard`, `shards` or both; nobody is everybody.
fn whom(request: &Request) -> Whom {
    Whom { shards: request.number("shards"), shard: request.number("shard") }
}

/// How the sessions of `shards` are served from now on.
fn set(hub: &Hub, request: &Request) -> Response {
    match hub.sets.change(&request.query) {
        Ok((shards, manner)) => {
            let (least, most) = manner.delay_ms;
            let kinds: Vec<&str> = manner.kinds.iter().map(|kind| kind.name()).collect();
            let delay = format!("{least}..{most}");
            let withhold = manner.withhold;
            let now =
                json!({ "shards": shards, "delay": delay, "withhold": withhold, "kinds": kinds });
            Response::json(200, &now)
        }
        Err(why) => Response::error(400, 0, &why),
    }
}

/// What happened in the world; `?from=` is the number of the first that is wanted.
fn events(hub: &Hub, request: &Request) -> Response {
    let mut out = Vec::new();
    hub.world_journal.write(request.number("from").unwrap_or(1), &mut out);
    Response { status: 200, body: Body::Lines(out), headers: Vec::new() }
}

fn told(connections: usize) -> Response {
    Response::json(200, &json!({ "connections": connections }))
}

/// `?shard=` and `?session=` (the ordinal) choose; `?format=array` gives one JSON array.
fn journal(hub: &Hub, request: &Request) -> Response {
    let shard = request.number("shard");
    let ordinal = request.number("session");
    let mut out = Vec::new();
    for session in hub.all_sessions() {
        let chosen = shard.is_none_or(|shard| session.shard == shard)
            && ordinal.is_none_or(|ordinal| session.ordinal == ordinal);
        if chosen {
            session.with_journal(|journal| journal.write(&mut out));
        }
    }
    if request.param("format") == Some("array") {
        let mut array = Vec::with_capacity(out.len() + 2);
        array.push(b'[');
        array.extend(out.strip_suffix(b"\n").unwrap_or(&out).iter().map(|byte| match byte {
            b'\n' => b',',
            other => *other,
        }));
        array.push(b']');
        return Response::raw(200, array);
    }
    Response { status: 200, body: Body::Lines(out), headers: Vec::new() }
}

fn status(hub: &Hub) -> Value {
    let sessions: Vec<Value> = hub.all_sessions().iter().map(|session| one(session)).collect();
    let lanes: Vec<Value> = hub
        .feeds
        .iter()
        .enumerate()
        .map(|(shard, feed)| {
            let finished = feed.finished.load(Ordering::Acquire);
            let drained = feed.listeners().iter().all(|session| {
                let progress = session.progress();
                let all = progress.held == 0 && progress.sent_seq == progress.last_seq;
                progress.over || progress.replaced || all
            });
            json!({
                "shard": shard,
                "events": feed.made.load(Ordering::Relaxed),
                "finished": finished,
                "drained": finished && drained,
            })
        })
        .collect();
    let all = |key: &str| lanes.iter().all(|lane| lane[key] == Value::Bool(true));
    json!({
        "uptime_ms": hub.log.now_ms(),
        "paused": hub.paused.load(Ordering::Relaxed),
        "finished": all("finished"),
        "drained": all("drained"),
        "events": hub.feeds.iter().map(|feed| feed.made.load(Ordering::Relaxed)).sum::<u64>(),
        "happened": hub.world_journal.len(),
        "identifies_remaining": hub.budget.account().remaining,
        "shards": lanes,
        "sessions": sessions,
    })
}

fn one(session: &Session) -> Value {
    let progress = session.progress();
    json!({
        "shard": session.shard,
        "shards": session.shards,
        "session": session.ordinal,
        "session_id": session.id,
        "intents": session.viewer.intents.bits(),
        "connected": progress.connected,
        "over": progress.over,
        "last_seq": progress.last_seq,
        "sent_seq": progress.sent_seq,
        "held": progress.held,
        "journal": session.with_journal(crate::journal::Journal::len),
        "journal_forgotten": session.with_journal(crate::journal::Journal::forgotten),
    })
}
