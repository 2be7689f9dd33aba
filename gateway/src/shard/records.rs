//! Mixcord's own records: gaps and shard states.

use std::time::Duration;

use mixcord_event::{Header, Kind, Origin, Reason, Shard, Value, Writer, record};
use mixcord_ring::Meta;

use super::standing::Phase;
use crate::session::{Gap, GapReason, State};

/// Makes the records of one shard.
#[derive(Debug, Clone, Copy)]
pub(super) struct Records {
    shard: Shard,
}

impl Records {
    pub(super) fn new(shard: Shard) -> Self {
        Self { shard }
    }

    /// `{shard, session, from_seq, to_seq, reason}`, in the session with `counter`: the one that
    /// follows the gap. `session` is the counter of the one whose events are missing.
    pub(super) fn gap(&self, gap: &Gap, counter: u32) -> (Meta, Vec<u8>) {
        let reason = match gap.reason {
            GapReason::Hole => Reason::ReplayHole,
            GapReason::Undecodable | GapReason::TooLarge => Reason::Undecodable,
            _ => Reason::SessionLost,
        };
        self.record(Kind::GAP, reason, counter, gap.from_seq, |map| {
            map.named("session", Value::Uint(u64::from(gap.counter)));
            map.named("from_seq", Value::Uint(gap.from_seq));
            map.named("to_seq", gap.to_seq.map_or(Value::Null, Value::Uint));
            map.named("reason", gap.reason.as_str());
        })
    }

    /// `{shard, shards, state, session_id, latency_ms}`, and `reshard: {from, to, stage}` where a change of the shard
    /// count is told.
    pub(super) fn state(
        &self,
        state: State,
        counter: u32,
        session_id: Option<&str>,
        latency: Option<Duration>,
        phase: Option<Phase>,
    ) -> (Meta, Vec<u8>) {
        self.record(Kind::SHARD_STATE, Reason::None, counter, 0, |map| {
            map.named("shards", Value::Uint(u64::from(self.shard.count)));
            map.named("state", state.as_str());
            map.named("session_id", session_id.map_or(Value::Null, Value::Str));
            let ms = latency.map(|latency| u64::try_from(latency.as_millis()).unwrap_or(u64::MAX));
            map.named("latency_ms", ms.map_or(Value::Null, Value::Uint));
            if let Some(Phase { from, to, stage }) = phase {
                let mut reshard = map.named_map("reshard");
                reshard.named("from", Value::Uint(from.into()));
                reshard.named("to", Value::Uint(to.into()));
                reshard.named("stage", stage.name());
                reshard.end();
            }
        })
    }

    /// Is this the descriptor of a state?
    pub(super) fn is_state(&self, meta: &Meta) -> bool {
        meta.tag == u64::from(Kind::SHARD_STATE.number())
    }

    fn record(
        &self,
        kind: Kind,
        reason: Reason,
        session: u32,
        seq: u64,
        fill: impl FnOnce(&mut mixcord_event::MapWriter<'_>),
    ) -> (Meta, Vec<u8>) {
        let mut data = Vec::with_capacity(160);
        let mut map = Writer::new(&mut data).map();
        map.named("shard", Value::Uint(u64::from(self.shard.id)));
        fill(&mut map);
        map.end();
        let header = Header {
            kind,
            reason,
            shard: self.shard,
            session,
            seq,
            received_us: super::now_us(),
            origin: Origin::default(),
            ..Header::default()
        };
        let mut bytes = Vec::with_capacity(data.len() + 80);
        record::encode(&header, None, &data, None, &mut bytes);
        (Meta { key: 0, tag: u64::from(kind.number()), source: seq, ..Meta::default() }, bytes)
    }
}

#[cfg(test)]
mod tests {
    use mixcord_event::Record;
    use mixcord_event::reshard::Stage;

    use super::*;

    fn json(bytes: &[u8]) -> serde_json::Value {
        let record = Record::parse(bytes).expect("a record");
        serde_json::from_str(&record.data().to_json()).expect("json")
    }

    #[test]
    fn p3_a_gap_says_what_is_missing() {
        let records = Records::new(Shard { id: 3, count: 8 });
        let gap = Gap { counter: 4, from_seq: 10, to_seq: None, reason: GapReason::InvalidSession };
        let (meta, bytes) = records.gap(&gap, 5);
        assert_eq!(meta.key, 0);
        let record = Record::parse(&bytes).expect("a record");
        assert_eq!(record.kind(), Kind::GAP);
        assert_eq!(record.header().session, 5);
        assert_eq!(
            json(&bytes),
            serde_json::json!({"shard": 3, "session": 4, "from_seq": 10, "to_seq": null, "reason": "invalid_session"})
        );
    }

    #[test]
    fn a_state_says_how_the_shard_stands() {
        let records = Records::new(Shard { id: 0, count: 1 });
        let latency = Some(Duration::from_millis(42));
        let (meta, bytes) = records.state(State::Connected, 1, Some("abc"), latency, None);
        assert!(records.is_state(&meta));
        assert_eq!(
            json(&bytes),
            serde_json::json!({"shard": 0, "shards": 1, "state": "connected", "session_id": "abc", "latency_ms": 42})
        );
        let phase = Some(Phase { from: 1, to: 2, stage: Stage::CalledOff });
        let (_, bytes) = records.state(State::Paused, 1, None, None, phase);
        assert_eq!(
            json(&bytes)["reshard"],
            serde_json::json!({"from": 1, "to": 2, "stage": "called-off"})
        );
    }
}
