//! `mixcord ls`: an instance's rings and groups.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use mixcord::operator::{
    self, BridgeStatus, GatewayStatus, GroupStatus, HoldupStatus, Overview, PausesStatus,
    ProxiesStatus, RingStatus, ShardStatus, StageStatus, StreamStatus, span,
};

use crate::report::ReportOptions;
use crate::terminal::{Style, bytes, thousands};

pub(crate) fn run(options: &ReportOptions) -> Result<ExitCode> {
    let instance = operator::Instance::open(&options.instance.name)?;
    let listing = instance.overview()?;
    options.print(&listing, table)?;
    Ok(ExitCode::from(u8::from(listing.is_empty() || !listing.unreadable.is_empty())))
}

fn table(listing: &Overview, style: Style) -> String {
    let mut out = String::new();
    let name = &listing.instance;
    if listing.is_empty() {
        let _ = writeln!(out, "instance \"{name}\" has no rings{}", others(name));
        let _ = writeln!(
            out,
            "start one: scripts/run.sh, or mixcord-gateway and mixcord-cache with --instance {name}"
        );
    } else {
        let _ = writeln!(out, "instance {}", style.bold(name));
    }
    for ring in &listing.rings {
        let producer =
            if ring.producer_alive { style.green("live") } else { style.red("no producer") };
        let _ = writeln!(
            out,
            "\n{} {}  {} records, {} slots, {} payload  {producer}  {}",
            style.bold(&format!("{:<14}", ring.name)),
            style.bar(ring.fullness, 10),
            thousands(ring.tail),
            thousands(ring.slots.into()),
            bytes(ring.payload_bytes),
            style.dim(&format!("id {}", ring.id)),
        );
        if let Some(shard) = &ring.shard {
            let _ = writeln!(out, "  {}", shard_line(shard, ring.producer_alive, style));
        }
        if let Some(stage) = &ring.stage {
            let _ = writeln!(out, "  {}", stage_line(stage, &listing.rings, style));
        }
        if ring.stalls > 0 {
            let waited = format!("waited for space {} times", thousands(ring.stalls));
            let _ = writeln!(out, "  {}, {:.1} s", style.red(&waited), ring.stalled_seconds);
        }
        for group in &ring.groups {
            let _ = writeln!(out, "  {}", group_line(group, style));
        }
        if let Some(holdup) = &ring.held_by {
            let _ = writeln!(out, "  {}", style.red(&holdup_line(holdup)));
        }
    }
    for ring in &listing.unreadable {
        let _ = writeln!(out, "\n{}  {}", style.bold(&ring.name), style.red(&ring.error));
    }
    if !listing.proxies.is_empty() {
        let _ = writeln!(out, "\n{}", proxies(&listing.proxies, style));
    }
    if !listing.bridges.is_empty() {
        let _ = writeln!(out, "\n{}", bridges(&listing.bridges, style).join("\n"));
    }
    if let Some(reshard) = reshard(listing) {
        let _ = writeln!(out, "\n{}  {reshard}", style.bold("reshard"));
    }
    if let Some(pauses) = pauses(listing) {
        let _ = writeln!(out, "\n{}", pauses.join("\n"));
    }
    if let Some(state) = &listing.state {
        let _ = writeln!(out, "\nstate {} in {}", bytes(state.bytes), state.path);
    }
    out
}

/// A shard as a line: state, latency, session, and whatever went wrong.
pub(crate) fn shard_line(shard: &ShardStatus, alive: bool, style: Style) -> String {
    let state = match shard.state.as_str() {
        // What it said before it was killed is not how it is.
        state if !alive && state != "stopped" => style.red(&format!("was {state}")),
        "connected" => style.green("connected"),
        state => style.red(state),
    };
    let mut line = state;
    let _ = match (shard.latency_ms(), shard.latencies_ms.len() as f64) {
        (Some(last), count) if alive => {
            let mean = shard.latencies_ms.iter().sum::<f64>() / count;
            write!(line, "  latency {last:.0} ms (mean {mean:.0})")
        }
        _ => Ok(()),
    };
    if let Some(seq) = shard.seq {
        let _ = write!(line, "  session {}, seq {}", shard.session, thousands(seq));
    }
    let _ = write!(line, "  reconnects {}", thousands(shard.reconnects));
    for (count, what) in [(shard.gaps, "gaps"), (shard.undecodable, "undecodable")] {
        if count > 0 {
            let _ = write!(line, "  {}", style.red(&format!("{what} {}", thousands(count))));
        }
    }
    if shard.awaits_refill {
        let _ = write!(line, "  {}", style.red("state lost: a new session is to fill it"));
    }
    if let Some(presence) = &shard.presence {
        let _ = write!(line, "  presence {} (by command)", presence.status);
    }
    if let Some(seconds) = shard.stalled_now_seconds {
        let stalled = format!("not read for {seconds:.0} s: Discord may drop the session");
        let _ = write!(line, "  {}", style.red(&stalled));
    } else if shard.stalls > 0 {
        let stalls = format!("not read {} times", thousands(shard.stalls));
        let _ = write!(line, "  {}, {:.1} s", style.red(&stalls), shard.stalled_seconds);
    }
    line
}

/// A stage as a line: what it reads, and what it did with that.
fn stage_line(stage: &StageStatus, rings: &[RingStatus], style: Style) -> String {
    let source = rings.iter().find(|ring| ring.id == stage.source);
    let source = source.map_or("a ring that is gone", |ring| ring.name.as_str());
    let mut line = format!("reads {source}");
    for (count, what) in [
        (stage.passed, "passed on"),
        (stage.changed, "changed"),
        (stage.dropped, "left out"),
        (stage.added, "added"),
    ] {
        let _ = write!(line, "  {} {what}", thousands(count));
    }
    if stage.failed > 0 {
        let failed = format!("failed with {}", thousands(stage.failed));
        let _ = write!(line, "  {}", style.red(&failed));
    }
    line
}

/// The bridges, one a line, with their streams and the gateways that ask them.
pub(crate) fn bridges(bridges: &[BridgeStatus], style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    for bridge in bridges {
        let name = style.bold(&format!("bridge {}", bridge.end));
        let state = match (bridge.alive, bridge.connected) {
            (false, _) => style.red("killed"),
            (true, false) => style.red("no broker"),
            (true, true) => style.green("live"),
        };
        let role = bridge.role.map(|role| format!("  {role}")).unwrap_or_default();
        let (shards, behind) = (thousands(bridge.shards.into()), thousands(bridge.behind));
        let mut line =
            format!("{name}  {state}{role}  {shards} shards of {}  {behind} behind", bridge.bot);
        if bridge.behind > 0 && bridge.behind_seconds > 0.0 {
            let _ = write!(line, ", {:.1} s", bridge.behind_seconds);
        }
        if bridge.window > 0 {
            let _ = write!(
                line,
                "  {} under way, at most {} a stream",
                bridge.under_way, bridge.window
            );
        }
        if bridge.again > 0 {
            let _ = write!(line, "  begun again {} times", thousands(bridge.again));
        }
        lines.push(line);
        for stream in &bridge.streams {
            let (full, size) = (style.bar(stream.fullness(), 10), bytes(stream.bytes_max));
            let lease = lease_text(stream, style);
            lines.push(format!("  {}  {full} of {size}  {lease}", stream.name));
        }
        lines.extend(gateways(bridge, style));
    }
    lines
}

/// Who has the lease of a stream.
fn lease_text(stream: &StreamStatus, style: Style) -> String {
    let writer = &stream.writer;
    let lease = match &stream.lease {
        _ if writer.is_empty() => return style.dim("nobody is known to write it"),
        None => return style.dim(&format!("written by {writer}")),
        Some(lease) => lease,
    };
    let generation = lease.generation.map(|of| format!(", generation {of}")).unwrap_or_default();
    let still = span(Duration::from_secs_f64(lease.still_seconds.max(0.0)));
    match &*lease.state {
        "held" if lease.own => format!("its own lease ({writer}){generation}"),
        "held" => style.dim(&format!("lease of {writer}{generation}")),
        "ended" => style.yellow(&format!("nobody's lease: {writer} stopped{generation}")),
        _ => style.red(&format!("nobody's lease: {writer} was silent for {still}{generation}")),
    }
}

/// The gateways that ask a bridge, one a line.
pub(crate) fn gateways(bridge: &BridgeStatus, style: Style) -> impl Iterator<Item = String> {
    // What one that was killed said of them is not how they are.
    let asking = bridge.gateways.iter().filter(|_| bridge.alive);
    asking.map(move |gateway| gateway_line(gateway, style))
}

fn gateway_line(gateway: &GatewayStatus, style: Style) -> String {
    let GatewayStatus { first, last, count, why, .. } = gateway;
    let text = match &*gateway.state {
        "standby" => format!("standby: {why}"),
        "holder" => "holder: begins sessions, and another machine may take over".to_owned(),
        "waits" => style.red(&format!("begins no session: {why}")),
        state => style.red(&format!("{state}: {why}")),
    };
    format!("  gateway {first}..{last}/{count}  {text}")
}

/// The proxies, one a line, and the sessions of their clients.
fn proxies(proxies: &ProxiesStatus, style: Style) -> String {
    let mut lines = Vec::new();
    for proxy in &proxies.running {
        let name = style.bold(&format!("proxy {}", proxy.listen));
        let state = if proxy.alive { style.green("live") } else { style.red("killed") };
        let (clients, events) = (thousands(proxy.clients), thousands(proxy.events));
        let mut line = format!("{name}  {state}  {clients} clients  {events} events sent");
        if proxy.stalled > 0 {
            let stalled = format!("{} clients cut: they took nothing", thousands(proxy.stalled));
            let _ = write!(line, "  {}", style.red(&stalled));
        }
        lines.push(line);
    }
    lines.push(format!("{} sessions of proxies' clients are kept", thousands(proxies.sessions)));
    lines.join("\n")
}

/// A change of the shard count that is under way, or whose old rings are left; `None` where nothing of one is to be seen.
pub(crate) fn reshard(listing: &Overview) -> Option<String> {
    let status = listing.reshard.as_ref()?;
    let is_shown = status.under_way || status.stage == "done" && status.old_rings > 0;
    status.text().filter(|_| is_shown)
}

/// When the gateway, of all its shards, and the cache were away for long, one a line; `None` where they were not.
pub(crate) fn pauses(listing: &Overview) -> Option<Vec<String>> {
    let shards = listing.shards().filter_map(|ring| ring.shard.as_ref());
    let gateway = PausesStatus::all(shards.map(|shard| &shard.pauses)).text();
    let cache = listing.output().and_then(|ring| ring.cache.as_ref()?.pauses.text());
    let lines = [("gateway", gateway), ("cache", cache)].into_iter();
    let lines: Vec<_> =
        lines.filter_map(|(name, text)| Some(format!("{name} was away {}", text?))).collect();
    (!lines.is_empty()).then_some(lines)
}

/// Who holds a full ring up, as a line.
pub(crate) fn holdup_line(holdup: &HoldupStatus) -> String {
    format!("nearly full: {}", holdup.text)
}

/// A group as a line: policy, members, lag.
pub(crate) fn group_line(group: &GroupStatus, style: Style) -> String {
    let policy = match group.max_absence_seconds {
        Some(seconds) => format!("{} (absent for {seconds} s at most)", group.policy),
        None => group.policy.to_owned(),
    };
    let members = match group.members {
        0 if group.evicted => style.red("let go: it holds nothing until a member comes back"),
        0 => style.red(&match group.absent_seconds {
            Some(seconds) => format!("no members for {}", span(Duration::from_secs(seconds))),
            None => "no members".to_owned(),
        }),
        1 => "1 member".to_owned(),
        several => format!("{several} members"),
    };
    let lag = format!("lag {}", thousands(group.lag));
    let lag = if group.damaged {
        style.red("damaged: stop its members, `mixcord groups rm` it and make it anew")
    } else if group.fullness >= 0.5 {
        style.red(&lag)
    } else {
        lag
    };
    format!("{:<14} {lag}  {members}  {}", group.name, style.dim(&policy))
}

/// What to say behind "there is no such instance": which there are.
pub(crate) fn others(name: &str) -> String {
    let others: Vec<_> = operator::instances()
        .unwrap_or_default()
        .into_iter()
        .filter(|other| other != name)
        .collect();
    match others.len() {
        0 => String::new(),
        1 => format!(" (there is {})", others[0]),
        _ => format!(" (there are {})", others.join(", ")),
    }
}
