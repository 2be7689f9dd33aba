//! What the peers do with the same bytes.

use anyhow::{Context, Result, ensure};
use mixcord_event::{Value, from_value};
use serde::de::DeserializeSeed;
use twilight_model::gateway::event::{GatewayEvent, GatewayEventDeserializer};
use twilight_model::gateway::payload::incoming::MessageCreate;

use crate::payload::Payload;

/// All of them do understand the payload, and nobody is fast by giving up early.
pub(super) fn check(payload: &Payload) -> Result<()> {
    ensure!(super::skip::message(&payload.etf) == Some(&[]), "the skip ends elsewhere");
    eetf::Term::decode(&payload.etf[..]).context("eetf")?;
    sonic_rs::from_str::<sonic_rs::Value>(&payload.json).context("sonic-rs")?;
    simd_json::to_borrowed_value(&mut payload.json.clone().into_bytes()).context("simd-json")?;
    parse_twilight(&payload.json).context("twilight-model")?;
    Ok(())
}

pub(super) fn serde_value(text: &[u8]) -> serde_json::Value {
    serde_json::from_slice(text).expect("our own payload is JSON")
}

pub(super) fn twilight(text: &str) -> GatewayEvent {
    parse_twilight(text).expect("checked before")
}

fn parse_twilight(text: &str) -> Result<GatewayEvent> {
    let seed = GatewayEventDeserializer::from_json(text).context("no envelope")?;
    Ok(seed.deserialize(&mut serde_json::Deserializer::from_str(text))?)
}

pub(super) fn twilight_message(data: Value<'_>) -> MessageCreate {
    from_value(data).expect("the record holds a message")
}

pub(super) fn five_fields(data: &serde_json::Value) -> Option<(u64, u64, &str, u64, u64)> {
    Some((
        data.get("id")?.as_str()?.parse().ok()?,
        data.get("channel_id")?.as_str()?.parse().ok()?,
        data.get("content")?.as_str()?,
        data.get("author")?.get("id")?.as_str()?.parse().ok()?,
        data.get("type")?.as_u64()?,
    ))
}
