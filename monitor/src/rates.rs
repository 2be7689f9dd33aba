//! What flows: the difference of two looks.

use std::collections::HashMap;
use std::time::Instant;

use mixcord::operator::{Overview, RingStatus};

/// Remembers a look, to tell the next one's rates.
#[derive(Debug)]
pub struct Rates {
    at: Instant,
    /// Ring name to its id, tail and the floor of each of its groups.
    before: HashMap<String, Before>,
    events: HashMap<&'static str, u64>,
    seconds: f64,
}

#[derive(Debug)]
struct Before {
    id: String,
    tail: u64,
    floors: HashMap<String, u64>,
}

impl Rates {
    /// Begins with this look: all that comes is new to it.
    #[must_use]
    pub fn of(overview: &Overview) -> Self {
        Self {
            at: Instant::now(),
            before: overview
                .rings
                .iter()
                .map(|ring| (ring.name.clone(), Before::of(ring)))
                .collect(),
            events: events(overview),
            seconds: 1.0,
        }
    }

    /// How long it is since the look, in seconds; call it once for the rates of one picture.
    pub fn now(&mut self) -> f64 {
        self.seconds = self.at.elapsed().as_secs_f64().max(0.001);
        self.seconds
    }

    /// Records that were published to a ring, a second.
    #[must_use]
    pub fn ring(&self, ring: &RingStatus) -> f64 {
        // A ring that was not there, or was another one, began after the look.
        let since = self.same(ring).map_or(0, |before| before.tail);
        ring.tail.saturating_sub(since) as f64 / self.seconds
    }

    /// Records that a group acknowledged, a second. One that was not there before has no rate yet.
    #[must_use]
    pub fn group(&self, ring: &RingStatus, name: &str) -> f64 {
        let floor = ring.groups.iter().find(|group| group.name == name).map(|group| group.floor);
        let before = self.same(ring).and_then(|before| before.floors.get(name).copied());
        let moved = floor.zip(before).map_or(0, |(now, before)| now.saturating_sub(before));
        moved as f64 / self.seconds
    }

    /// Events published, a second, by kind; the most frequent first.
    #[must_use]
    pub fn kinds(&self, overview: &Overview) -> Vec<(&'static str, f64)> {
        let mut rates: Vec<_> = events(overview)
            .into_iter()
            .map(|(kind, count)| {
                // A cache that began anew counts anew.
                let before = self.events.get(kind).copied().filter(|before| *before <= count);
                (kind, (count - before.unwrap_or(0)) as f64 / self.seconds)
            })
            .filter(|(_, rate)| *rate > 0.0)
            .collect();
        rates.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
        rates
    }

    fn same(&self, ring: &RingStatus) -> Option<&Before> {
        self.before.get(&ring.name).filter(|before| before.id == ring.id)
    }
}

impl Before {
    fn of(ring: &RingStatus) -> Self {
        let floors = ring.groups.iter().map(|group| (group.name.clone(), group.floor));
        Self { id: ring.id.clone(), tail: ring.tail, floors: floors.collect() }
    }
}

fn events(overview: &Overview) -> HashMap<&'static str, u64> {
    let cache = overview.output().and_then(|ring| ring.cache.as_ref());
    let kinds = cache.into_iter().flat_map(|cache| &cache.events_by_kind);
    kinds.map(|(kind, count)| (*kind, *count)).collect()
}
