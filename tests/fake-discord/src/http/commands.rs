//! A bot's own commands: told back as Discord would, with an id each, and not remembered.

use serde_json::{Map, Value, json};

use super::{Request, Response};
use crate::gateway::hub::Hub;

/// Answers `applications/{id}/[guilds/{id}/]commands…`.
pub(crate) fn route(hub: &Hub, request: &Request, rest: &[&str]) -> Option<Response> {
    let answer = match (request.method.as_str(), rest) {
        ("GET", []) => Response::json(200, &json!([])),
        ("PUT", []) => match request.json() {
            Ok(Value::Array(list)) => {
                let list = list.into_iter().enumerate();
                Response::json(200, &list.map(|(at, given)| command(hub, given, at)).collect())
            }
            Ok(_) => Response::error(400, 50035, "Invalid Form Body"),
            Err(response) => response,
        },
        ("POST", []) | ("PATCH", [_]) => match request.json() {
            Ok(given) => Response::json(200, &command(hub, given, 0)),
            Err(response) => response,
        },
        ("DELETE", [_]) => Response::empty(),
        _ => return None,
    };
    Some(answer)
}

/// The command as given, with what Discord adds.
fn command(hub: &Hub, given: Value, at: usize) -> Value {
    let application = hub.application_id();
    let mut command = match given {
        Value::Object(command) => command,
        _ => Map::new(),
    };
    let id = (application + 1 + at as u64).to_string();
    for (key, value) in [
        ("application_id", json!(application.to_string())),
        ("default_member_permissions", Value::Null),
        ("description", json!("")),
        ("id", json!(id)),
        ("name", json!("")),
        ("nsfw", json!(false)),
        ("type", json!(1)),
        ("version", json!(id)),
    ] {
        command.entry(key).or_insert(value);
    }
    command.into()
}
