//! The cache: events in from a ring, state, and events with old and new out into a ring, beside a cache
//! that lives in the bot's own process.

pub(crate) mod copies;
mod lmdb;
mod ours;
mod peer;
mod queries;
mod stage;

use anyhow::Result;
use mixcord_pipeline::workload::{Mix, guild};

use self::lmdb::Lmdb;
use self::ours::Ours;
use self::peer::Twilight;
use crate::clock::Sample;
use crate::report::{Goal, Report};
use crate::round::{Effort, Samples, Spread};

/// Guilds of the comparison, and of the second size.
const GUILDS: u64 = 1_000;
const GUILDS_LARGE: u64 = 10_000;
/// What the second size takes, with room to spare: nothing is begun on a smaller machine.
const LARGE_BYTES: u64 = 8 << 30;

/// Rounds of the second size.
const LARGE_ROUNDS: u64 = 3;

/// Rounds, and events of each.
fn rounds(effort: Effort) -> (u64, u64) {
    match effort {
        Effort::Quick => (3, 20_000),
        Effort::Full => (11, 100_000),
    }
}

pub(crate) fn run(effort: Effort, report: &mut Report) -> Result<()> {
    let small = compare(effort, report)?;
    let free = stage::available_bytes();
    if free < LARGE_BYTES {
        eprintln!("bench: 10,000 guilds are left out: {LARGE_BYTES} bytes are needed, {free} free");
        return Ok(());
    }
    let large = large(effort)?;
    let figures = [("mixcord", large), ("1,000 guilds", small)];
    let goals = [Goal::AtMostTimes(1.6, "1,000 guilds")];
    report.row("cache", "10,000 guilds", "time of an event", "CPU-ns", &figures, &goals);
    Ok(())
}

/// Ours and the peer's, in turn, over the same events; gives our time of an event, in nanoseconds.
fn compare(effort: Effort, report: &mut Report) -> Result<Spread> {
    let mut mix = Mix::new(GUILDS);
    let mut ours = Ours::new()?;
    let peer = Twilight::new();
    let mut lmdb = Lmdb::new(GUILDS)?;
    let before = ours.state_bytes()?;
    let mut json_bytes = 0;
    let resident = stage::resident_bytes();
    for guild in 0..GUILDS {
        let text = guild::create(guild);
        json_bytes += text.len() as u64;
        peer.load(&text)?;
    }
    let peer_loaded = (stage::resident_bytes().saturating_sub(resident)) / GUILDS;
    ours.load(GUILDS)?;
    let loaded = (ours.state_bytes()? - before) / GUILDS;

    let (rounds, events) = rounds(effort);
    let mut samples = [("mixcord", Vec::new()), ("parse + update", Vec::new())];
    let (mut parses, mut updates, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
    // One round more than is counted, for each side to come to rest.
    for round in 0..=rounds {
        let batch = mix.batch(events);
        let records = ours.records(&batch)?;
        let mine = ours.run(records)?;
        let (parse, update) = peer.run(&batch)?;
        let pair = lmdb.run(events)?;
        if round == 0 {
            continue;
        }
        samples[0].1.push(mine);
        samples[1].1.push(Sample {
            units: parse.units,
            cpu: parse.cpu + update.cpu,
            wall: parse.wall + update.wall,
        });
        parses.push(parse);
        updates.push(update);
        pairs.push(pair);
    }
    let [(_, mine), (_, both)] = samples;
    let all = [
        Samples { name: "mixcord", samples: mine },
        Samples { name: "twilight parse + update", samples: both },
        Samples { name: "twilight update only", samples: updates },
        Samples { name: "twilight parse only", samples: parses },
        Samples { name: "LMDB alone, a get and a put each", samples: pairs },
    ];
    let case = format!("mix of {} B events, 1,000 guilds × 200 members", mix.mean_bytes());
    let goals = [Goal::Times(3.0, "twilight parse + update")];
    let cpu: Vec<_> = all.iter().map(|s| (s.name, s.spread(Sample::per_cpu_second))).collect();
    report.row("cache", &case, "rate", "events/CPU-s", &cpu, &goals);

    queries::run(&ours, GUILDS, effort, report)?;
    let after = ours.stats()?;
    let mixed = (after.bytes() - before) / GUILDS;
    let figures = [
        ("mixcord", loaded as f64),
        ("twilight", peer_loaded as f64),
        ("JSON text", (json_bytes / GUILDS) as f64),
    ];
    report.exact("cache", "a guild loaded", "state", "bytes", &figures, &[Goal::AtMost(90e3)]);
    let case = format!("a guild after {} events of the mix", mix.made());
    report.exact(
        "cache",
        &case,
        "state",
        "bytes",
        &[("mixcord", mixed as f64), ("file", (after.used_bytes / GUILDS) as f64)],
        &[Goal::AtMost(300e3)],
    );
    Ok(all[0].spread(nanoseconds))
}

/// Ours alone, with ten times the guilds.
fn large(effort: Effort) -> Result<Spread> {
    let mut mix = Mix::new(GUILDS_LARGE);
    let mut ours = Ours::new()?;
    ours.load(GUILDS_LARGE)?;
    let (_, events) = rounds(effort);
    let mut samples = Vec::new();
    for round in 0..=LARGE_ROUNDS {
        let records = ours.records(&mix.batch(events))?;
        let sample = ours.run(records)?;
        if round > 0 {
            samples.push(sample);
        }
    }
    Ok(Samples { name: "mixcord", samples }.spread(nanoseconds))
}

fn nanoseconds(sample: &Sample) -> f64 {
    1e9 / sample.per_cpu_second()
}

/// A fixed run for callgrind: what is loaded, then `events` of the mix; prints what each cost.
pub(crate) fn child(arguments: &[String]) -> Result<()> {
    let [guilds, events] = arguments else { anyhow::bail!("guilds, events") };
    let (guilds, events) = (guilds.parse()?, events.parse()?);
    let mut mix = Mix::new(guilds);
    let mut ours = Ours::new()?;
    ours.load(guilds)?;
    let records = ours.records(&mix.batch(events))?;
    let sample = ours.run(records)?;
    let Sample { units, cpu, .. } = sample;
    println!("{units} events, {cpu:?}, {:.0} a CPU-second", sample.per_cpu_second());
    let stats = ours.stats()?;
    println!("{} bytes of state, {} of file", stats.bytes(), stats.used_bytes);
    for resource in stats.resources.iter().filter(|resource| resource.entities > 0) {
        let each = resource.bytes / resource.entities;
        println!("  {}: {} of {each} bytes", resource.resource, resource.entities);
    }
    println!("  other: {} bytes", stats.other_bytes);
    Ok(())
}

/// The first argument of [`child`].
pub(crate) const CHILD: &str = "__cache-child";

/// The same in one thread, so many events at a time and so many before any is counted: the same instructions
/// each time.
pub(crate) fn alone(arguments: &[String]) -> Result<()> {
    let [guilds, warm, events, batch] = arguments else {
        anyhow::bail!("guilds, events before, events, events of a batch")
    };
    let (guilds, warm, events) = (guilds.parse()?, warm.parse()?, events.parse()?);
    let batch = batch.parse()?;
    let mut mix = Mix::new(guilds);
    let mut ours = Ours::new()?;
    ours.load(guilds)?;
    let before = ours.records(&mix.batch(warm))?;
    ours.run_alone(&before, 1024)?;
    let records = ours.records(&mix.batch(events))?;
    let sample = counted(|| ours.run_alone(&records, batch))?;
    let Sample { units, cpu, .. } = sample;
    println!("{units} events, {cpu:?}, {:.0} a CPU-second", sample.per_cpu_second());
    Ok(())
}

/// What callgrind is told to count.
#[inline(never)]
fn counted<R>(run: impl FnOnce() -> R) -> R {
    run()
}

/// The first argument of [`alone`].
pub(crate) const ALONE: &str = "__cache-alone";
