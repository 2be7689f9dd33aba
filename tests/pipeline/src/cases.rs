//! All cases: one that everything is measured in, and from there one dimension at a time.

use crate::case::{Axis, Case};
use crate::contender::{Contender, Mixcord, Nats, Pace, Store, Take, Twilight};
use crate::source::{Compression, Encoding, Load};
use crate::workload::Blend;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Does every part run? Seconds, no peers.
    Quick,
    /// Everything.
    Usual,
}

/// Where the axes start from: MESSAGE_CREATE alone, which is most of what bots act upon.
const MESSAGES: Load = Load {
    blend: Blend::Messages,
    events: 100_000,
    guilds: 1_000,
    shards: 1,
    encoding: Encoding::Json,
    compression: Compression::None,
};
/// What bots receive.
const MIX: Load = Load { blend: Blend::Everything, ..MESSAGES };

/// Events a second, and seconds: what most bots have, what large ones have, and the largest.
const RATES: [(u32, u32); 3] = [(1_000, 8), (10_000, 5), (50_000, 4)];

/// Consumers cost what they cost with any number of guilds.
const FEW_GUILDS: u64 = 100;

impl Extent {
    /// Rounds of each case.
    #[must_use]
    pub const fn rounds(self) -> usize {
        match self {
            Self::Quick => 1,
            Self::Usual => 3,
        }
    }

    /// The cases of an axis.
    #[must_use]
    pub fn cases(self, axis: Axis) -> Vec<Case> {
        let mut cases = match self {
            Self::Quick => quick(),
            Self::Usual => usual(axis),
        };
        cases.retain(|case| case.axis == axis);
        cases
    }
}

fn ours(mixcord: Mixcord) -> Contender {
    Contender::Mixcord(mixcord)
}

fn by_default() -> Contender {
    ours(Mixcord::default())
}

fn by(take: Take) -> Contender {
    ours(Mixcord { take, ..Mixcord::default() })
}

fn keeping(store: Store) -> Contender {
    ours(Mixcord { store, ..Mixcord::default() })
}

fn shared_by(groups: usize, members: usize) -> Contender {
    ours(Mixcord { groups, members, take: Take::Next, ..Mixcord::default() })
}

/// Everything in one process.
const TWILIGHT: Contender = Contender::Twilight(Twilight::Cached);
const TWILIGHT_SPARE: Contender = Contender::Twilight(Twilight::CachedWithoutMessages);
const CORE: Contender = Contender::Nats(Nats { stream: false, cache: true });
const STREAM: Contender = Contender::Nats(Nats { stream: true, cache: true });

const fn etf(load: Load) -> Load {
    Load { encoding: Encoding::Etf, ..load }
}

fn usual(axis: Axis) -> Vec<Case> {
    let flood = |load, contenders| Case::flood(axis, load, contenders);
    match axis {
        Axis::Recovery => vec![],
        Axis::Flood => {
            let [raw, typed] = [Twilight::Raw, Twilight::Typed].map(Contender::Twilight);
            vec![
                flood(
                    MESSAGES,
                    vec![by_default(), by(Take::Next), TWILIGHT, raw, typed, CORE, STREAM],
                ),
                flood(etf(MESSAGES), vec![by_default(), by(Take::Next), Contender::GenStage]),
                flood(MIX, vec![by_default(), by(Take::Next), TWILIGHT, CORE, STREAM]),
                flood(etf(MIX), vec![by_default(), by(Take::Next), Contender::GenStage]),
            ]
        }
        Axis::Rate => {
            let quick = Mixcord { take: Take::Next, pace: Pace::LowLatency, ..Mixcord::default() };
            let sparing = Mixcord { pace: Pace::LowCpu, ..Mixcord::default() };
            let contenders = vec![by_default(), ours(quick), ours(sparing), TWILIGHT];
            let steady =
                |(rate, lasts_s)| Case::steady(axis, MESSAGES, rate, lasts_s, contenders.clone());
            RATES.map(steady).to_vec()
        }
        Axis::Store => {
            let contenders = [Store::Whole, Store::WithoutMessages, Store::None].map(keeping);
            let peers = [TWILIGHT, TWILIGHT_SPARE, Contender::Twilight(Twilight::Typed)];
            vec![flood(MIX, contenders.into_iter().chain(peers).collect())]
        }
        Axis::Take => {
            let contenders = [Take::Run, Take::RunBlocking, Take::Next].map(by).to_vec();
            vec![
                flood(MESSAGES, contenders.clone()),
                Case::steady(axis, MESSAGES, 10_000, 4, contenders),
            ]
        }
        Axis::Shards => {
            let with = |shards| Load { shards, ..etf(MIX) };
            let mut cases: Vec<_> = [1, 16, 64, 256]
                .map(|shards| flood(with(shards), vec![by_default()]))
                .into_iter()
                .collect();
            // What a socket costs by itself twilight pays as well.
            let contenders = vec![by_default(), TWILIGHT];
            let load = |shards| Load { shards, ..MIX };
            let steady = |shards| Case::steady(axis, load(shards), 10_000, 5, contenders.clone());
            cases.extend([1, 256].map(steady));
            cases
        }
        Axis::Groups => {
            let load = Load { guilds: FEW_GUILDS, ..etf(MIX) };
            vec![flood(load, [1, 8, 64].map(|groups| shared_by(groups, 1)).to_vec())]
        }
        Axis::Members => {
            let load = Load { guilds: FEW_GUILDS, ..etf(MIX) };
            vec![flood(load, [1, 4, 16].map(|members| shared_by(1, members)).to_vec())]
        }
        Axis::Wire => {
            let mut cases = Vec::new();
            for compression in [Compression::None, Compression::Zlib, Compression::Zstd] {
                let load = Load { compression, ..MIX };
                cases.push(flood(load, vec![by_default(), TWILIGHT]));
                // twilight reads JSON only.
                cases.push(flood(etf(load), vec![by_default()]));
            }
            cases
        }
        Axis::Guilds => [1_000, 10_000]
            .map(|guilds| flood(Load { guilds, ..MIX }, vec![by_default(), TWILIGHT]))
            .to_vec(),
    }
}

/// Every kind of load and every way to take it, with as little as shows that it works.
fn quick() -> Vec<Case> {
    let small = Load { events: 600, guilds: 8, ..MESSAGES };
    let mix = Load { blend: Blend::Everything, ..small };
    let packed = |encoding, compression| Load { encoding, compression, ..mix };
    let takes = [Take::Run, Take::RunBlocking, Take::Next].map(by).to_vec();
    let fast = Mixcord { pace: Pace::LowLatency, ..Mixcord::default() };
    vec![
        Case { rate: 2_000, ..Case::flood(Axis::Rate, small, vec![by_default(), ours(fast)]) },
        Case::flood(Axis::Flood, etf(mix), vec![by_default()]),
        Case::flood(Axis::Store, mix, [Store::WithoutMessages, Store::None].map(keeping).to_vec()),
        Case::flood(Axis::Take, small, takes),
        Case::flood(Axis::Shards, Load { shards: 4, ..mix }, vec![by_default()]),
        Case::flood(Axis::Groups, mix, vec![shared_by(2, 1)]),
        Case::flood(Axis::Members, mix, vec![shared_by(1, 2)]),
        Case::flood(Axis::Wire, packed(Encoding::Etf, Compression::Zstd), vec![by_default()]),
        Case::flood(Axis::Wire, packed(Encoding::Json, Compression::Zlib), vec![by_default()]),
        Case::flood(Axis::Guilds, Load { guilds: 16, ..mix }, vec![by_default()]),
    ]
}
