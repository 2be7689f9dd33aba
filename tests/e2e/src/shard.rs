//! A shard's ring filled by the test itself, where it must be known exactly what the cache was given.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mixcord_event::{Document, Header, Kind, Shard as ShardId, record, topology};
use mixcord_ring::{Bell, Geometry, GroupSpec, Meta, Namespace, Producer, StageError, Start};
use serde_json::Value;

use crate::stack::Stack;

/// How long the cache may leave a full ring unread.
const PATIENCE: Duration = Duration::from_secs(60);

/// The only shard of an instance, in the gateway's place.
#[derive(Debug)]
pub struct Shard {
    producer: Producer,
    _bell: Bell,
    sent: u64,
}

impl Shard {
    /// Makes its ring, with the cache's group.
    ///
    /// # Errors
    /// When there is one already, or no room.
    pub fn new(stack: &Stack) -> Result<Self> {
        let namespace = Namespace::new(&topology::namespace(stack.instance()))?;
        let bell = namespace.bell()?;
        let geometry = Geometry::new(1024, 1 << 20, 4, 1, 4)?;
        let group = GroupSpec::durable(topology::CACHE_GROUP).from(Start::Earliest);
        let name = topology::shard_ring(0, 1);
        let producer = Producer::create_or_attach(&namespace, &name, geometry, &[group], &bell)?;
        Ok(Self { producer, _bell: bell, sent: 0 })
    }

    /// Publishes one event of a guild, waiting for room.
    ///
    /// # Errors
    /// When the cache does not read.
    pub fn send(&mut self, kind: &str, guild: u64, payload: &Value) -> Result<()> {
        if !self.offer(kind, guild, payload, PATIENCE)? {
            bail!("the cache did not read for {PATIENCE:?}");
        }
        Ok(())
    }

    /// The same, for at most so long; false when there was no room.
    ///
    /// # Errors
    /// When the event cannot be sent at all.
    pub fn offer(
        &mut self,
        kind: &str,
        guild: u64,
        payload: &Value,
        patience: Duration,
    ) -> Result<bool> {
        let document = Document::from_json(&payload.to_string())?;
        let header = Header {
            kind: Kind::from_name(kind.as_bytes()).with_context(|| kind.to_owned())?,
            shard: ShardId { id: 0, count: 1 },
            session: 1,
            seq: self.sent + 1,
            key: guild,
            received_us: 1_700_000_000_000_000 + self.sent,
            ..Header::default()
        };
        let mut bytes = Vec::new();
        record::encode(&header, None, document.as_bytes(), None, &mut bytes);
        let meta = Meta {
            key: guild,
            tag: header.kind.number().into(),
            source: header.seq,
            ..Meta::default()
        };
        let deadline = Instant::now() + patience;
        loop {
            match self.producer.stage(&meta, &[&bytes]) {
                Ok(_) => break,
                Err(StageError::Full) if Instant::now() < deadline => {
                    self.producer.wait_space(bytes.len(), Duration::from_millis(20));
                }
                Err(StageError::Full) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        self.producer.publish();
        self.sent += 1;
        Ok(true)
    }
}
