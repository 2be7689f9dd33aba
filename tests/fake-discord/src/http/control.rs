//! `/fake/…`: what a test asks of the fake itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Body, Request, Response};
use crate::gateway::close::Close;
use crate::gateway::connection::Command;
use crate::gateway::hub::Hub;
use crate::gateway::session::Session;

/// Answers `path`, the part after `/fake/`.
pub(crate) async fn route(hub: &Arc<Hub>, request: &Request, path: &str) -> Response {
    match (request.method.as_str(), path) {
        ("GET", "journal") => journal(hub, request),
        ("GET", "log") => Response::json(200, &hub.log.to_json()),
        ("GET", "status") => Response::json(200, &status(hub)),
        ("GET", "world") => {
            Response::raw(200, crate::world::dump::dump(hub, request.number("shard")))
        }
        ("POST", "disconnect") => match command(request) {
            Ok(command) => tell(hub, request, command),
            Err(why) => Response::error(400, 0, &why),
        },
        ("POST", "outage") => {
            let away = request.param("back").is_none();
            let known = request.number("guild").is_some_and(|guild| hub.outage(guild, away));
            if known {
                Response::json(200, &json!({ "unavailable": away }))
            } else {
                Response::error(404, 10004, "Unknown Guild")
            }
        }
        ("POST", "heartbeat") => tell(hub, request, Command::AskHeartbeat),
        ("POST", "stall") => {
            let time = Duration::from_millis(request.number("ms").unwrap_or(1000));
            tell(hub, request, Command::Stall(time))
        }
        ("POST", "miss-acks") => {
            let count = request.number("count").unwrap_or(1) as u32;
            tell(hub, request, Command::MissAcks(count))
        }
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

fn command(request: &Request) -> Result<Command, String> {
    match request.param("how").unwrap_or("cut") {
        "cut" => Ok(Command::Cut),
        "op7" => Ok(Command::Reconnect),
        "op9true" => Ok(Command::InvalidSession(true)),
        "op9false" => Ok(Command::InvalidSession(false)),
        "close" => {
            let code = request.number("code").unwrap_or(4000);
            let code = u16::try_from(code).ok().filter(|code| (1000..5000).contains(code));
            code.map(|code| Command::Close(Close::Other(code)))
                .ok_or_else(|| "code must be from 1000 to 4999".to_owned())
        }
        other => Err(format!("how={other}: cut, op7, op9true, op9false or close")),
    }
}

/// Sends a command to the connections of one shard, or of all.
fn tell(hub: &Hub, request: &Request, command: Command) -> Response {
    let shard = request.number("shard");
    let told = hub
        .live_sessions()
        .iter()
        .filter(|session| shard.is_none_or(|shard| session.shard == shard))
        .filter(|session| session.command(command))
        .count();
    Response::json(200, &json!({ "connections": told }))
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
            session.with_journal(|journal| {
                for entry in journal.entries() {
                    crate::journal::write_line(&session, entry, &mut out);
                }
            });
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
                progress.over || progress.sent_seq == progress.last_seq
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
        "identifies_remaining": hub.remaining_identifies(),
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
        "journal": session.with_journal(crate::journal::Journal::len),
        "journal_forgotten": session.with_journal(crate::journal::Journal::forgotten),
    })
}
