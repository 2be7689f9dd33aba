//! What is measured: a load, and who is measured under it.

use std::time::Duration;

use crate::contender::{Contender, Mixcord, Nats, Store, Take, Twilight};
use crate::source::{Compression, Encoding, Load};
use crate::workload::Blend;

/// A load, how it is sent, and who takes it, one after the other, round by round.
#[derive(Clone, Debug)]
pub struct Case {
    /// What is sent.
    pub load: Load,
    /// Events a second over all shards, written when they are due; 0 is as fast as they are taken.
    pub rate: u32,
    /// The first is ours.
    pub contenders: Vec<Contender>,
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Does every part run? Seconds, no peers.
    Quick,
    /// The loads that goals are set for.
    Usual,
    /// Every dimension.
    Full,
}

/// The load that is varied, one dimension at a time.
const BASE: Load = Load {
    blend: Blend::Messages,
    events: 300_000,
    guilds: 1_000,
    shards: 1,
    encoding: Encoding::Json,
    compression: Compression::None,
};
const MIX: Load = Load { blend: Blend::Everything, ..BASE };

/// Rates of the open loop, in events a second: those of most bots, and of the largest.
const RATES: [u32; 3] = [1_000, 10_000, 50_000];

impl Case {
    /// How the case is called in tables.
    #[must_use]
    pub fn name(&self) -> String {
        let Load { blend, guilds, shards, encoding, compression, .. } = self.load;
        let events = match blend {
            Blend::Messages => "messages",
            Blend::Everything => "mix",
        };
        let speed = match self.rate {
            0 => "flood".to_owned(),
            rate => format!("{rate} a second"),
        };
        let mut name = format!("{speed}, {events}, {}", encoding.name());
        if compression != Compression::None {
            name += &format!(" + {}", compression.name());
        }
        if shards != 1 {
            name += &format!(", {shards} shards");
        }
        if guilds != BASE.guilds {
            name += &format!(", {guilds} guilds");
        }
        name
    }

    fn flood(load: Load, contenders: Vec<Contender>) -> Self {
        Self { load, rate: 0, contenders }
    }

    fn steady(load: Load, rate: u32, lasts: Duration, contenders: Vec<Contender>) -> Self {
        let events = u64::from(rate) * lasts.as_secs();
        Self { load: Load { events, ..load }, rate, contenders }
    }
}

impl Extent {
    /// Rounds of each case.
    #[must_use]
    pub const fn rounds(self) -> usize {
        match self {
            Self::Quick => 1,
            Self::Usual => 3,
            Self::Full => 5,
        }
    }

    /// The cases.
    #[must_use]
    pub fn cases(self) -> Vec<Case> {
        match self {
            Self::Quick => quick(),
            Self::Usual => usual(),
            Self::Full => [usual(), full()].concat(),
        }
    }
}

fn ours() -> Contender {
    Contender::Mixcord(Mixcord::default())
}

fn ours_by(take: Take) -> Contender {
    Contender::Mixcord(Mixcord { take, ..Mixcord::default() })
}

fn ours_in(store: Store) -> Contender {
    Contender::Mixcord(Mixcord { store, ..Mixcord::default() })
}

/// Everything in one process.
const TWILIGHT: Contender = Contender::Twilight(Twilight::Cached);
/// The same without messages.
const TWILIGHT_SPARE: Contender = Contender::Twilight(Twilight::CachedWithoutMessages);
const CORE: Contender = Contender::Nats(Nats { stream: false, cache: true });
const STREAM: Contender = Contender::Nats(Nats { stream: true, cache: true });

/// Every kind of load and every way to take it, with as little as shows that it works.
fn quick() -> Vec<Case> {
    let small = Load { events: 600, guilds: 8, ..BASE };
    let mix = Load { blend: Blend::Everything, ..small };
    let packed = |encoding, compression| Load { encoding, compression, ..mix };
    let wide = Mixcord { groups: 2, members: 2, take: Take::Next, ..Mixcord::default() };
    let mut cases = vec![
        Case::flood(small, vec![ours(), ours_by(Take::RunBlocking), ours_by(Take::Next)]),
        Case::flood(mix, vec![ours_in(Store::WithoutMessages), ours_in(Store::None)]),
        Case::flood(packed(Encoding::Etf, Compression::Zstd), vec![ours()]),
        Case::flood(packed(Encoding::Json, Compression::Zlib), vec![ours()]),
        Case::flood(Load { shards: 4, ..mix }, vec![Contender::Mixcord(wide)]),
    ];
    cases.push(Case { rate: 2_000, ..Case::flood(small, vec![ours()]) });
    cases
}

fn usual() -> Vec<Case> {
    let etf = |load| Load { encoding: Encoding::Etf, ..load };
    let with_peers = || vec![ours(), TWILIGHT, CORE, STREAM];
    let mut cases = vec![
        Case::flood(BASE, with_peers()),
        Case::flood(etf(BASE), vec![ours(), ours_by(Take::Next)]),
        Case::flood(MIX, with_peers()),
        Case::flood(etf(MIX), vec![ours(), ours_by(Take::Next)]),
    ];
    for rate in RATES {
        let lasts = Duration::from_secs(if rate > 10_000 { 6 } else { 12 });
        let contenders = vec![ours(), ours_by(Take::Next), TWILIGHT];
        cases.push(Case::steady(BASE, rate, lasts, contenders));
    }
    cases
}

fn full() -> Vec<Case> {
    let mut cases = Vec::new();
    for blend in [Blend::Messages, Blend::Everything] {
        for compression in [Compression::Zlib, Compression::Zstd] {
            for encoding in [Encoding::Json, Encoding::Etf] {
                let load = Load { blend, encoding, compression, ..BASE };
                let mut contenders = vec![ours()];
                // Twilight takes JSON only.
                contenders.extend((encoding == Encoding::Json).then_some(TWILIGHT));
                cases.push(Case::flood(load, contenders));
            }
        }
    }
    for load in [BASE, MIX] {
        let parts = [Twilight::Raw, Twilight::Typed].map(Contender::Twilight);
        let bare = [false, true].map(|stream| Contender::Nats(Nats { stream, cache: false }));
        let mut contenders = vec![ours_in(Store::WithoutMessages), ours_in(Store::None)];
        contenders.extend([TWILIGHT_SPARE].into_iter().chain(parts).chain(bare));
        cases.push(Case::flood(load, contenders));
        let takes = [Take::Run, Take::RunBlocking, Take::Next].map(ours_by);
        cases.push(Case::flood(load, takes.to_vec()));
    }
    let etf = Load { encoding: Encoding::Etf, ..MIX };
    for shards in [1, 16, 64, 256] {
        let load = Load { shards, ..etf };
        cases.push(Case::flood(load, vec![ours()]));
        cases.push(Case::steady(load, 10_000, Duration::from_secs(12), vec![ours()]));
    }
    let shared = |groups, members| {
        Contender::Mixcord(Mixcord { groups, members, take: Take::Next, ..Mixcord::default() })
    };
    cases.push(Case::flood(etf, [1, 8, 64].map(|groups| shared(groups, 1)).to_vec()));
    cases.push(Case::flood(etf, [1, 4, 16].map(|members| shared(1, members)).to_vec()));
    let many = Load { guilds: 10_000, ..MIX };
    cases.push(Case::flood(many, vec![ours(), TWILIGHT]));
    for rate in RATES {
        let lasts = Duration::from_secs(12);
        let contenders = vec![ours_in(Store::WithoutMessages), TWILIGHT_SPARE];
        cases.push(Case::steady(BASE, rate, lasts, contenders));
        cases.push(Case::steady(
            MIX,
            rate,
            lasts,
            vec![ours(), ours_by(Take::RunBlocking), TWILIGHT],
        ));
    }
    cases
}
