//! The ring that a lane is written into.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use mixcord_bridge::names::Lane;
use mixcord_bridge::pack::Predecessor;
use mixcord_bridge::place::{Place, hand_over};
use mixcord_bridge::receiver::{Loss, Take};
use mixcord_event::takeover::{Progress, Taken, is_mirror};
use mixcord_event::{Header, Kind, Origin, Reason, Record, Shard, Value, Writer, record, topology};
use mixcord_ring::{GroupSpec, Meta, Producer, Ring, StageError, Start};

use super::Setting;

/// A mirror.
pub(super) struct Mirror {
    setting: Arc<Setting>,
    lane: Lane,
    producer: Producer,
    /// How the shard stands, as was received last.
    shard: Vec<u8>,
    /// How far its sessions came in what is staged.
    progress: Progress,
    checkpoint: Vec<u8>,
    record: Vec<u8>,
}

/// Why a mirror cannot be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum MirrorError {
    #[error("{0}")]
    Create(#[from] mixcord_ring::CreateError),
    #[error(
        "a mixcord-gateway wrote the ring {name} of instance {instance}: what is received needs an instance, or a \
         machine, of its own; or `mixcord rm` the ring"
    )]
    Foreign { name: String, instance: String, ring: u64 },
    #[error("a gateway of this machine took it over")]
    Taken,
    #[error("the ring refused a record: {0}")]
    Stage(StageError),
    #[error("the ring refused the checkpoint: {0}")]
    Checkpoint(#[from] mixcord_ring::CheckpointError),
}

impl Mirror {
    /// Opens the ring, or makes it, and says how far it is.
    pub(super) fn open(setting: Arc<Setting>, lane: Lane) -> Result<(Self, Place), MirrorError> {
        let name = topology::shard_ring(lane.shard, lane.count);
        let group = |feed: &String| GroupSpec::durable(feed).from(Start::Earliest);
        let groups: Vec<GroupSpec> = setting.feeds.iter().map(group).collect();
        let bell = setting.bell.bell();
        let foreign = |ring: u64| {
            let (name, instance) = (name.clone(), setting.instance.clone());
            MirrorError::Foreign { name, instance, ring }
        };
        if let Ok(ring) = Ring::attach(&setting.namespace, &name) {
            let checkpoint = ring.checkpoint().unwrap_or_default();
            if Taken::decode(&checkpoint).is_some() {
                return Err(MirrorError::Taken);
            }
            if !checkpoint.is_empty() && !is_mirror(&checkpoint) {
                return Err(foreign(ring.id().0));
            }
        }
        let producer =
            Producer::create_or_attach(&setting.namespace, &name, setting.geometry, &groups, bell)?;
        let shard = producer.checkpoint().unwrap_or_default();
        let place = Place::decode(&shard);
        if place.is_none() && (producer.tail() > 0 || !shard.is_empty()) {
            return Err(foreign(producer.id().0));
        }
        let receiver = setting.reporter.id;
        let place = Place { receiver, ..place.unwrap_or_default() };
        let (checkpoint, record) = (Vec::new(), Vec::new());
        let progress = Progress::decode(&shard);
        Ok((Self { setting, lane, producer, shard, progress, checkpoint, record }, place))
    }

    /// Writes what is new of a pack, and with it the place. Waits while the ring is full, with all that fits
    /// published.
    pub(super) async fn take(&mut self, take: &Take<'_>) -> Result<Place, MirrorError> {
        if let Some(checkpoint) = take.checkpoint() {
            self.shard.clear();
            self.shard.extend_from_slice(checkpoint);
        }
        if let Some(loss) = &take.loss {
            let Lane { shard, count } = self.lane;
            tracing::warn!(
                shard, count, log = format!("{:016x}", loss.log), from = loss.from, to = ?loss.to,
                "records are lost between the machines: gap record written"
            );
            self.record = gap(self.lane, loss, Reason::StreamLost);
            // The place before the first record has the loss behind it.
            self.stage(&gap_meta(), None).await?;
        }
        for ((position, row), taken) in take.rows().zip(0..) {
            let whole = row.bytes.filter(|bytes| bytes.len() as u64 <= mixcord_ring::RECORD_MAX);
            let mut event = None;
            let meta = match whole {
                Some(bytes) => {
                    event = event_of(bytes);
                    self.record.clear();
                    self.record.extend_from_slice(bytes);
                    record::set_origin(&mut self.record, Origin { ring: take.log(), position });
                    row.meta()
                }
                None => {
                    let loss = Loss { log: take.log(), from: position, to: Some(position + 1) };
                    self.record = gap(self.lane, &loss, Reason::RecordsLost);
                    gap_meta()
                }
            };
            let before = (taken > 0 || take.loss.is_some()).then(|| take.after(taken));
            self.stage(&meta, before).await?;
            if let Some((session, seq)) = event {
                self.progress.event(session, seq);
            }
        }
        let done = take.done();
        self.commit(done)?;
        Ok(done)
    }

    /// Stages the record; first publishes what is staged, up to `before`, where the ring is full.
    async fn stage(&mut self, meta: &Meta, before: Option<Place>) -> Result<(), MirrorError> {
        loop {
            match self.producer.stage(meta, &[&self.record]) {
                Ok(_) => return Ok(()),
                Err(StageError::Full) => {
                    if let Some(place) = before {
                        self.commit(place)?;
                    }
                    let bell = self.setting.bell.clone();
                    self.producer.space(self.record.len(), &bell).await;
                }
                Err(error @ StageError::TooLarge { .. }) => {
                    tracing::error!(
                        "{error}: gap record instead; raise --ring-bytes for a new ring"
                    );
                    let header = record_origin(&self.record);
                    let loss = Loss {
                        log: header.ring,
                        from: header.position,
                        to: Some(header.position + 1),
                    };
                    self.record = gap(self.lane, &loss, Reason::RecordsLost);
                }
                Err(error) => return Err(MirrorError::Stage(error)),
            }
        }
    }

    /// Says where the log is gone on with, before there is any record.
    pub(super) fn begin(&mut self, place: Place) -> Result<(), MirrorError> {
        self.commit(place)
    }

    /// Lets go of the ring for the gateway that takes it over, with all there is of the log of before. Gives the ring's id.
    pub(super) fn hand_over(
        mut self,
        end: Predecessor,
        generation: u64,
    ) -> Result<u64, MirrorError> {
        let Predecessor { log, position } = end;
        let taken = Taken { log, position, generation, from: self.producer.tail() };
        self.producer.set_checkpoint(&hand_over(&self.shard, self.progress, &taken))?;
        self.producer.publish();
        Ok(self.producer.id().0)
    }

    fn commit(&mut self, place: Place) -> Result<(), MirrorError> {
        place.encode(&self.shard, self.progress, &mut self.checkpoint);
        self.producer.set_checkpoint(&self.checkpoint)?;
        self.producer.publish();
        Ok(())
    }
}

/// The session's counter and Discord's number, where a record is an event of Discord's.
fn event_of(bytes: &[u8]) -> Option<(u32, u64)> {
    let record = Record::parse_head(bytes).ok()?;
    let header = record.header();
    (!header.kind.is_internal()).then_some((header.session, header.seq))
}

fn record_origin(bytes: &[u8]) -> Origin {
    mixcord_event::Record::parse_head(bytes)
        .map(|record| record.header().origin)
        .unwrap_or_default()
}

fn gap_meta() -> Meta {
    Meta { key: 0, tag: u64::from(Kind::GAP.number()), ..Meta::default() }
}

/// `{shard, from_seq, to_seq, reason, log, from, to}`: Discord's numbers are not known here; the last three say which
/// positions of which log are missing. It stands in the place of the first of them.
fn gap(lane: Lane, loss: &Loss, reason: Reason) -> Vec<u8> {
    let mut data = Vec::with_capacity(160);
    let mut map = Writer::new(&mut data).map();
    map.named("shard", Value::Uint(u64::from(lane.shard)));
    map.named("from_seq", Value::Null);
    map.named("to_seq", Value::Null);
    map.named("reason", reason.as_str().map_or(Value::Null, Value::Str));
    map.named("log", Value::Str(&format!("{:016x}", loss.log)));
    map.named("from", Value::Uint(loss.from));
    map.named("to", loss.to.map_or(Value::Null, Value::Uint));
    map.end();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let header = Header {
        kind: Kind::GAP,
        reason,
        shard: Shard { id: lane.shard, count: lane.count },
        received_us: u64::try_from(now.as_micros()).unwrap_or(u64::MAX),
        origin: Origin { ring: loss.log, position: loss.from },
        ..Header::default()
    };
    let mut bytes = Vec::with_capacity(data.len() + 80);
    record::encode(&header, None, &data, None, &mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p3_a_gap_says_what_is_missing_and_stands_in_its_place() {
        let lane = Lane { shard: 3, count: 8 };
        let bytes = gap(lane, &Loss { log: 0xabc, from: 7, to: Some(9) }, Reason::StreamLost);
        let record = Record::parse(&bytes).unwrap();
        assert_eq!(record.header().origin, Origin { ring: 0xabc, position: 7 });
        let said: serde_json::Value = serde_json::from_str(&record.data().to_json()).unwrap();
        assert_eq!(
            said,
            serde_json::json!({
                "shard": 3, "from_seq": null, "to_seq": null, "reason": "stream_lost",
                "log": "0000000000000abc", "from": 7, "to": 9
            })
        );
    }
}
