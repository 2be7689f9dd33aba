//! The bars that Mixcord should reach, judged by the medians of one run.

use super::median::Median;
use crate::case::Axis;
use crate::source::Encoding;
use crate::workload::Blend;

/// A bar, and where we are.
#[derive(Clone, Debug)]
pub struct Goal {
    /// What is compared with what.
    pub what: &'static str,
    /// Ours.
    pub figure: f64,
    /// It should be this at most.
    pub most: f64,
}

impl Goal {
    /// Whether it is reached.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.figure <= self.most
    }
}

/// Which rows a bar is about.
#[derive(Clone, Copy)]
struct Pick {
    axis: Axis,
    blend: Blend,
    encoding: Encoding,
    rate: u32,
    shards: u16,
    who: &'static str,
}

const RUN: &str = "mixcord, run";
const QUICK: &str = "mixcord, next, low-latency";
const TWILIGHT: &str = "twilight, typed + cache";
const CORE: &str = "NATS core, typed + cache";
const STREAM: &str = "JetStream, typed + cache";

const FLOOD: Pick = Pick {
    axis: Axis::Flood,
    blend: Blend::Messages,
    encoding: Encoding::Json,
    rate: 0,
    shards: 1,
    who: RUN,
};
const FLOOD_MIX: Pick = Pick { blend: Blend::Everything, ..FLOOD };
const RATE: Pick = Pick { axis: Axis::Rate, ..FLOOD };
const SHARDS: Pick = Pick { axis: Axis::Shards, encoding: Encoding::Etf, ..FLOOD_MIX };

impl Pick {
    const fn etf(self) -> Self {
        Self { encoding: Encoding::Etf, ..self }
    }

    const fn at(self, rate: u32) -> Self {
        Self { rate, ..self }
    }

    const fn of(self, who: &'static str) -> Self {
        Self { who, ..self }
    }

    fn row(self, medians: &[Median]) -> Option<&Median> {
        medians.iter().find(|row| {
            let here = (row.axis, row.load.blend, row.load.encoding, row.rate_wanted);
            here == (self.axis, self.blend, self.encoding, self.rate)
                && (row.load.shards, &*row.contender) == (self.shards, self.who)
        })
    }
}

/// The bars of which the rows are there.
#[must_use]
pub fn goals(medians: &[Median]) -> Vec<Goal> {
    let row = |pick: Pick| pick.row(medians);
    let cpu =
        |pick: Pick, peer: Pick| Some(row(pick)?.cpu_s_per_million / row(peer)?.cpu_s_per_million);
    let p50 = |pick: Pick| Some(row(pick)?.latency_us?[0]);
    let p99 = |pick: Pick| Some(row(pick)?.latency_us?[1]);
    let twilight = |pick: Pick| pick.of(TWILIGHT);
    let steady = Pick { encoding: Encoding::Json, ..SHARDS.at(10_000) };
    let wide = Pick { shards: 256, ..steady };
    let shared = |axis, who| row(Pick { axis, who, ..SHARDS });
    let groups = |who| shared(Axis::Groups, who);
    let cache_of_groups = || {
        let few = groups("mixcord, next")?.cpu_of("cache")?;
        Some(groups("mixcord, next, 64 groups")?.cpu_of("cache")? / few)
    };
    let each_group = || {
        let (few, many) = (groups("mixcord, next")?, groups("mixcord, next, 64 groups")?);
        Some((many.cpu_of("consumer")? - few.cpu_of("consumer")?) / 63.0)
    };
    let members = || {
        let one = shared(Axis::Members, "mixcord, next")?.cpu_s_per_million;
        Some(shared(Axis::Members, "mixcord, next, 16 members")?.cpu_s_per_million / one)
    };
    let memory_of_shards = || {
        let private = |shards| {
            let row = row(Pick { shards, ..SHARDS })?;
            let gateway = row.processes.iter().find(|part| part.name == "gateway")?;
            Some(gateway.memory.private as f64 / 1e6)
        };
        Some((private(64)? - private(1)?) / 63.0)
    };
    let quick = RATE.of(QUICK);
    let all = [
        ("flood, messages, JSON: CPU × twilight", cpu(FLOOD, twilight(FLOOD)), 0.30),
        ("flood, messages, ETF: CPU × twilight (JSON)", cpu(FLOOD.etf(), twilight(FLOOD)), 0.30),
        ("flood, mix, JSON: CPU × twilight", cpu(FLOOD_MIX, twilight(FLOOD_MIX)), 0.45),
        ("flood, mix, ETF: CPU × twilight (JSON)", cpu(FLOOD_MIX.etf(), twilight(FLOOD_MIX)), 0.45),
        ("flood, messages, JSON: CPU × NATS core", cpu(FLOOD, FLOOD.of(CORE)), 0.25),
        ("flood, messages, JSON: CPU × JetStream", cpu(FLOOD, FLOOD.of(STREAM)), 0.125),
        ("10,000/s, run: CPU × twilight", cpu(RATE.at(10_000), twilight(RATE.at(10_000))), 0.8),
        ("10,000/s, run: p50, µs", p50(RATE.at(10_000)), 1_000.0),
        ("10,000/s, run: p99, µs", p99(RATE.at(10_000)), 3_000.0),
        ("1,000/s, run: CPU × twilight", cpu(RATE.at(1_000), twilight(RATE.at(1_000))), 1.2),
        ("1,000/s, run: p50, µs", p50(RATE.at(1_000)), 1_000.0),
        (
            "10,000/s, low-latency, next: CPU × twilight",
            cpu(quick.at(10_000), twilight(RATE.at(10_000))),
            1.5,
        ),
        ("10,000/s, low-latency, next: p50, µs", p50(quick.at(10_000)), 60.0),
        ("10,000/s, low-latency, next: p99, µs", p99(quick.at(10_000)), 1_000.0),
        ("50,000/s, run: p99, µs", p99(RATE.at(50_000)), 3_000.0),
        ("10,000/s, 256 shards: CPU × 1 shard", cpu(wide, steady), 1.3),
        ("64 groups: CPU of the cache × 1 group", cache_of_groups(), 1.2),
        ("each further group: CPU-s/M", each_group(), 0.4),
        ("16 members: CPU × 1 member", members(), 1.2),
        ("private memory of the gateway, each shard of 64, MB", memory_of_shards(), 0.5),
    ];
    let there =
        |(what, figure, most): (_, Option<f64>, _)| Some(Goal { what, figure: figure?, most });
    all.into_iter().filter_map(there).collect()
}
