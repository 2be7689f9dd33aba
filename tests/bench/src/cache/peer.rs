//! twilight-cache-inmemory, with everything on, as mixcord-cache has it.

use anyhow::{Context, Result};
use serde::de::DeserializeSeed;
use twilight_cache_inmemory::{DefaultInMemoryCache, ResourceType};
use twilight_model::gateway::event::{Event, GatewayEventDeserializer};

use crate::clock::{Sample, measure_thread};

pub(super) struct Twilight {
    cache: DefaultInMemoryCache,
}

/// Events parsed before they are applied: few enough to stay near.
const CHUNK: usize = 256;

impl Twilight {
    pub(super) fn new() -> Self {
        let cache = DefaultInMemoryCache::builder()
            .resource_types(ResourceType::all())
            .message_cache_size(100)
            .build();
        Self { cache }
    }

    pub(super) fn load(&self, text: &str) -> Result<()> {
        self.cache.update(&parse(text)?);
        Ok(())
    }

    /// What parsing cost and what updating cost. Freeing the parsed events is in neither.
    pub(super) fn run(&self, batch: &[String]) -> Result<(Sample, Sample)> {
        let nothing = Sample { units: 0, cpu: Default::default(), wall: Default::default() };
        let (mut parsing, mut updating) = (nothing, nothing);
        for chunk in batch.chunks(CHUNK) {
            let mut events = Vec::with_capacity(chunk.len());
            let mut failed = None;
            parsing += measure_thread(|| {
                for text in chunk {
                    match parse(text) {
                        Ok(event) => events.push(event),
                        Err(error) => failed = Some(error),
                    }
                }
                chunk.len() as u64
            });
            if let Some(error) = failed {
                return Err(error);
            }
            updating += measure_thread(|| {
                for event in &events {
                    self.cache.update(event);
                }
                events.len() as u64
            });
        }
        Ok((parsing, updating))
    }
}

fn parse(text: &str) -> Result<Event> {
    let seed = GatewayEventDeserializer::from_json(text).context("no envelope")?;
    Ok(seed.deserialize(&mut serde_json::Deserializer::from_str(text))?.into())
}
