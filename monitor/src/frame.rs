//! What the page is told once a tick: all of the picture, and short, for there may be a thousand shards.

use std::collections::VecDeque;
use std::sync::Arc;

use mixcord::operator::{BudgetStatus, GroupStatus, RingStatus};
use serde::{Serialize, Serializer};

use crate::findings::{Finding, of_instance};
use crate::process::Usage;
use crate::rates::Rates;
use crate::sample::{Sample, Store};

/// Kinds of events on the page.
const KINDS: usize = 12;
/// Findings on the page: a thousand shards may be in a thousand troubles.
const FINDINGS: usize = 50;

/// A tick.
#[derive(Debug, Serialize)]
pub(crate) struct Frame<'a> {
    /// Seconds since the Unix epoch.
    at: f64,
    instance: &'a str,
    gateway: bool,
    cache: bool,
    /// Records a second into the rings of shards, and out of the output ring.
    received: f64,
    published: f64,
    shards: Vec<Shard<'a>>,
    /// Every other ring.
    rings: Vec<Ring<'a>>,
    unreadable: Vec<&'a str>,
    kinds: Vec<(&'static str, f64)>,
    processes: Vec<Process<'a>>,
    store: Option<&'a Store>,
    budget: Option<BudgetStatus>,
    findings: &'a [Finding],
    /// How many findings there are.
    found: usize,
}

/// A shard as a row of values, in this order, for names would be most of it.
#[derive(Debug)]
struct Shard<'a> {
    number: u16,
    count: u16,
    state: &'a str,
    alive: bool,
    fullness: f64,
    rate: f64,
    lag: u64,
    latency_ms: Option<f64>,
    stalled_seconds: Option<f64>,
    gaps: u64,
    reconnects: u64,
    session_seconds: Option<f64>,
}

impl Serialize for Shard<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let round = |value: f64, to: f64| (value * to).round() / to;
        (
            (self.number, self.count, self.state, u8::from(self.alive)),
            (round(self.fullness, 1_000.0), round(self.rate, 10.0), self.lag),
            (self.latency_ms.map(f64::round), self.stalled_seconds.map(f64::round)),
            (self.gaps, self.reconnects, self.session_seconds.map(f64::round)),
        )
            .serialize(serializer)
    }
}

#[derive(Debug, Serialize)]
struct Ring<'a> {
    name: &'a str,
    alive: bool,
    fullness: f64,
    rate: f64,
    tail: u64,
    bytes: u64,
    groups: Vec<Group<'a>>,
}

#[derive(Debug, Serialize)]
struct Group<'a> {
    rate: f64,
    #[serde(flatten)]
    status: &'a GroupStatus,
}

#[derive(Debug, Serialize)]
struct Process<'a> {
    #[serde(flatten)]
    usage: &'a Usage,
    /// Processors in use since the last tick; `null` at the first.
    cpu: Option<f64>,
}

/// The last minutes, for a page that is opened now.
#[derive(Debug, Default)]
pub(crate) struct History(VecDeque<Point>);

/// Seconds since the epoch, received, published, the largest lag of a group in records and in seconds.
type Point = (u64, f64, f64, u64, f64);

/// Points kept: five minutes of seconds.
const POINTS: usize = 300;

impl History {
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    fn push(&mut self, point: Point) {
        if self.0.len() == POINTS {
            self.0.pop_front();
        }
        self.0.push_back(point);
    }
}

/// Makes frames of samples.
#[derive(Debug)]
pub(crate) struct Frames {
    before: Option<(Arc<Sample>, Rates)>,
}

impl Frames {
    pub(crate) const fn new() -> Self {
        Self { before: None }
    }

    /// The frame of this sample, as JSON; a point of `history` with it.
    pub(crate) fn next(&mut self, sample: &Arc<Sample>, history: &mut History) -> String {
        let rates = self.before.as_mut().map(|(_, rates)| {
            rates.now();
            &*rates
        });
        let overview = &sample.overview;
        let ring_rate = |ring: &RingStatus| rates.map_or(0.0, |rates| rates.ring(ring));
        let found = of_instance(overview);
        let shards: Vec<_> =
            overview.shards().filter_map(|ring| shard(ring, ring_rate(ring))).collect();
        let received = shards.iter().map(|shard| shard.rate).sum();
        let published = overview.output().map_or(0.0, ring_rate);
        let groups = overview.output().into_iter().flat_map(|ring| &ring.groups);
        let holding = groups.filter(|group| !group.evicted);
        let (mut lag, mut age) = (0, 0.0_f64);
        for group in holding {
            lag = lag.max(group.lag);
            age = age.max(group.oldest_seconds.unwrap_or(0.0));
        }
        history.push((sample.unix as u64, received, published, lag, age));
        let others = overview.rings.iter().filter(|ring| ring.of_shard().is_none());
        let budgets = overview.shards().filter_map(|ring| ring.shard.as_ref()?.budget);
        let frame = Frame {
            at: sample.unix,
            instance: &overview.instance,
            gateway: overview.shards().any(|ring| ring.producer_alive),
            cache: overview.output().is_some_and(|ring| ring.producer_alive),
            received,
            published,
            shards,
            rings: others.map(|it| ring(it, ring_rate(it), rates)).collect(),
            unreadable: overview.unreadable.iter().map(|ring| ring.name.as_str()).collect(),
            kinds: rates
                .map(|rates| rates.kinds(overview))
                .unwrap_or_default()
                .into_iter()
                .take(KINDS)
                .collect(),
            processes: sample.processes.iter().map(|usage| self.process(sample, usage)).collect(),
            store: sample.store.as_deref(),
            budget: budgets.min_by(|a, b| a.age_seconds.total_cmp(&b.age_seconds)),
            findings: &found[..found.len().min(FINDINGS)],
            found: found.len(),
        };
        let json = serde_json::to_string(&frame).unwrap_or_default();
        self.before = Some((Arc::clone(sample), Rates::of(overview)));
        json
    }

    fn process<'a>(&self, sample: &Sample, usage: &'a Usage) -> Process<'a> {
        let cpu = self.before.as_ref().and_then(|(before, _)| {
            let then = before.processes.iter().find(|it| it.process == usage.process)?;
            let seconds = sample.at.duration_since(before.at).as_secs_f64().max(0.001);
            Some((usage.cpu_seconds - then.cpu_seconds).max(0.0) / seconds)
        });
        Process { usage, cpu }
    }
}

fn shard(ring: &RingStatus, rate: f64) -> Option<Shard<'_>> {
    let (number, count) = ring.of_shard()?;
    let status = ring.shard.as_ref();
    Some(Shard {
        number,
        count,
        state: status.map_or("unknown", |status| status.state.as_str()),
        alive: ring.producer_alive,
        fullness: ring.fullness,
        rate,
        lag: ring.groups.iter().map(|group| group.lag).max().unwrap_or(0),
        latency_ms: status.and_then(|status| status.latency_ms()),
        stalled_seconds: status.and_then(|status| status.stalled_now_seconds),
        gaps: status.map_or(0, |status| status.gaps),
        reconnects: status.map_or(0, |status| status.reconnects),
        session_seconds: status.and_then(|status| status.session_seconds),
    })
}

fn ring<'a>(ring: &'a RingStatus, rate: f64, rates: Option<&Rates>) -> Ring<'a> {
    let group = |status: &'a GroupStatus| Group {
        rate: rates.map_or(0.0, |rates| rates.group(ring, &status.name)),
        status,
    };
    Ring {
        name: &ring.name,
        alive: ring.producer_alive,
        fullness: ring.fullness,
        rate,
        tail: ring.tail,
        bytes: ring.payload_bytes,
        groups: ring.groups.iter().map(group).collect(),
    }
}
