//! IDENTIFY and RESUME: what a client says of itself.

use mixcord::commands::PresenceUpdate;
use mixcord_wire::Close;
use serde_json::Value;

use crate::door::Shown;
use crate::intents::Intents;
use crate::requests;

/// An IDENTIFY that can be carried out.
#[derive(Debug)]
pub(super) struct Identify {
    pub(super) shown: Shown,
    pub(super) shard: u32,
    pub(super) shards: u32,
    pub(super) intents: Intents,
    pub(super) large: u32,
    pub(super) compress: bool,
    pub(super) presence: Option<PresenceUpdate>,
}

/// A RESUME.
pub(super) struct Resume {
    pub(super) shown: Shown,
    pub(super) session: String,
    pub(super) seq: u64,
}

/// The token in either.
fn shown(data: &Value) -> Result<Shown, Close> {
    data.get("token").and_then(Value::as_str).map(Shown::new).ok_or(Close::DecodeError)
}

impl Identify {
    pub(super) fn read(data: &Value) -> Result<Self, Close> {
        let shown = shown(data)?;
        if !data.get("properties").is_some_and(Value::is_object) {
            return Err(Close::DecodeError);
        }
        let (shard, shards) = shard(data.get("shard"))?;
        let bits = data.get("intents").and_then(Value::as_u64).ok_or(Close::InvalidIntents)?;
        let intents = Intents::from_bits(bits).ok_or(Close::InvalidIntents)?;
        let large = match data.get("large_threshold") {
            None | Some(Value::Null) => 50,
            Some(value) => match value.as_u64() {
                Some(value @ 50..=250) => value as u32,
                _ => return Err(Close::DecodeError),
            },
        };
        let presence = match data.get("presence") {
            None | Some(Value::Null) => None,
            Some(presence) => Some(requests::presence(presence).ok_or(Close::DecodeError)?),
        };
        let compress = data.get("compress").and_then(Value::as_bool).unwrap_or(false);
        Ok(Self { shown, shard, shards, intents, large, compress, presence })
    }
}

fn shard(data: Option<&Value>) -> Result<(u32, u32), Close> {
    let pair = match data {
        None | Some(Value::Null) => return Ok((0, 1)),
        Some(Value::Array(pair)) => pair,
        Some(_) => return Err(Close::DecodeError),
    };
    let number = |value: &Value| u32::try_from(value.as_u64()?).ok();
    match pair[..] {
        [ref shard, ref shards] => match (number(shard), number(shards)) {
            (Some(shard), Some(shards)) if shard < shards => Ok((shard, shards)),
            _ => Err(Close::InvalidShard),
        },
        _ => Err(Close::InvalidShard),
    }
}

impl Resume {
    pub(super) fn read(data: &Value) -> Result<Self, Close> {
        let shown = shown(data)?;
        let session = data.get("session_id").and_then(Value::as_str);
        let seq = data.get("seq").map(|seq| seq.as_u64().unwrap_or(0));
        match (session, seq) {
            (Some(session), Some(seq)) => Ok(Self { shown, session: session.to_owned(), seq }),
            _ => Err(Close::DecodeError),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(data: &Value) -> Result<(u32, u32), u16> {
        let mut whole = json!({"token": "t", "properties": {}, "intents": 1});
        for (key, value) in data.as_object().into_iter().flatten() {
            whole[key] = value.clone();
        }
        Identify::read(&whole).map(|read| (read.shard, read.shards)).map_err(Close::code)
    }

    #[test]
    fn what_discord_refuses_is_refused_with_its_code() {
        assert_eq!(read(&json!({})), Ok((0, 1)));
        assert_eq!(read(&json!({"shard": [3, 16]})), Ok((3, 16)));
        assert_eq!(read(&json!({"shard": [16, 16]})), Err(4010));
        assert_eq!(read(&json!({"shard": [0, 0]})), Err(4010));
        assert_eq!(read(&json!({"shard": [0]})), Err(4010));
        assert_eq!(read(&json!({"shard": 3})), Err(4002));
        assert_eq!(read(&json!({"intents": 1_u64 << 40})), Err(4013));
        assert_eq!(read(&json!({"intents": null})), Err(4013));
        assert_eq!(read(&json!({"large_threshold": 49})), Err(4002));
        assert_eq!(read(&json!({"properties": 1})), Err(4002));
        assert_eq!(read(&json!({"presence": {"activities": 1}})), Err(4002));
    }
}
