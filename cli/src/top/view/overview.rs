//! All of it on a screen: totals, what is wrong, every shard a cell, rings and groups, some updates.

use std::collections::{BTreeMap, BTreeSet};

use mixcord::operator::{BridgeStatus, RingStatus, StageStatus};
use mixcord_monitor::update::Update;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{bar, severity, split, state_colour};
use crate::ls::gateways;
use crate::terminal::{Style, clip, thousands};
use crate::top::Look;
use crate::top::app::App;

/// Lines of findings, two each, and of updates that are shown whatever else there is.
const FINDINGS: usize = 2;
const UPDATES: usize = 3;

pub(super) fn draw(app: &mut App, look: &Look, frame: &mut Frame<'_>, area: Rect) {
    let width = usize::from(area.width);
    let mut lines = vec![totals(look)];
    if let Some(reshard) = crate::ls::reshard(&look.overview) {
        lines.push(Line::from(clip(&format!("reshard {reshard}"), width).yellow()));
    }
    for finding in look.findings.iter().take(FINDINGS) {
        let text = clip(&finding.text, width.saturating_sub(2));
        lines.push(Line::from(vec![Span::styled("● ", severity(finding)), text.into()]));
        lines.push(Line::from(format!("  {}", finding.command).cyan()));
    }
    lines.push(Line::default());
    lines.extend(cells(look, width));
    lines.extend(presences(look));
    for ring in look.overview.rings.iter().filter(|ring| ring.of_shard().is_none()) {
        lines.push(Line::default());
        lines.extend(self::ring(ring, look));
    }
    lines.extend(proxies(look));
    lines.extend(bridges(look, width));
    lines.extend(pauses(look, width));
    for ring in &look.overview.unreadable {
        lines.push(Line::from(clip(&format!("{}: {}", ring.name, ring.error), width).red()));
    }
    let updates = updates(app, width);
    let room = usize::from(area.height);
    let kept =
        updates.len().min(UPDATES + 1).max(updates.len().min(room.saturating_sub(lines.len() + 1)));
    app.rows = lines.len();
    app.page = room.saturating_sub(if kept > 0 { kept + 1 } else { 0 }).max(1);
    app.scroll = app.scroll.min(app.rows.saturating_sub(app.page));
    let shown: Vec<_> = lines.into_iter().skip(app.scroll).take(app.page).collect();
    let (above, below) = split(area, u16::try_from(shown.len()).unwrap_or(u16::MAX));
    frame.render_widget(Paragraph::new(shown), above);
    if kept > 0 {
        let newest = updates.len() - (kept - 1).min(updates.len());
        let head = [Line::default(), Line::from("some updates, old → new".bold())];
        let told: Vec<_> = head.into_iter().chain(updates.into_iter().skip(newest)).collect();
        frame.render_widget(Paragraph::new(told), below);
    }
}

fn totals(look: &Look) -> Line<'static> {
    let shards: Vec<&RingStatus> = look.overview.shards().collect();
    let rate: f64 = shards.iter().map(|ring| look.rates.ring(ring)).sum();
    let is_connected = |ring: &&&RingStatus| {
        ring.producer_alive && ring.shard.as_ref().is_some_and(|shard| shard.state == "connected")
    };
    let connected = shards.iter().filter(is_connected).count();
    let out = look.overview.output();
    let published = out.map_or(0.0, |ring| look.rates.ring(ring));
    let alive = |is_so: bool, name: &'static str| if is_so { name.green() } else { name.red() };
    let gateway = alive(shards.iter().any(|ring| ring.producer_alive), "gateway");
    let cache = alive(out.is_some_and(|ring| ring.producer_alive), "cache");
    let number = |rate: f64| thousands(rate.round() as u64).cyan();
    Line::from(vec![
        format!("Discord {connected}/{} ", shards.len()).into(),
        "──".dim(),
        number(rate),
        "/s─▶ ".dim(),
        gateway,
        " ──▶ ".dim(),
        cache,
        " ──".dim(),
        number(published),
        "/s─▶ ".dim(),
        match out.map_or(0, |ring| ring.groups.len()) {
            1 => "1 group".into(),
            groups => format!("{groups} groups").into(),
        },
    ])
}

/// Each proxy a line, behind an empty one.
fn proxies(look: &Look) -> Vec<Line<'static>> {
    let running = &look.overview.proxies.running;
    let lines = running.iter().map(|proxy| {
        let mut line = vec![format!("proxy {:<22}", proxy.listen).bold()];
        line.push(format!("{} clients", thousands(proxy.clients)).into());
        if !proxy.alive {
            line.push("  killed".red());
        } else if proxy.stalled > 0 {
            line.push(format!("  {} were cut: they took nothing", thousands(proxy.stalled)).dim());
        }
        Line::from(line)
    });
    let empty = (!running.is_empty()).then(Line::default);
    empty.into_iter().chain(lines).collect()
}

/// Each bridge a line, behind an empty one, with its fullest stream; below it who has the leases, and the gateways that
/// ask it.
fn bridges(look: &Look, width: usize) -> Vec<Line<'static>> {
    let bridges = &look.overview.bridges;
    let mut lines = Vec::new();
    if !bridges.is_empty() {
        lines.push(Line::default());
    }
    for bridge in bridges {
        lines.push(bridge_line(bridge));
        let leases = leases(bridge).map(|text| Line::from(clip(&text, width).dim()));
        let gateways = gateways(bridge, Style::plain());
        lines.extend(leases);
        lines.extend(gateways.map(|text| Line::from(clip(&text, width))));
    }
    lines
}

fn bridge_line(bridge: &BridgeStatus) -> Line<'static> {
    let mut line = vec![format!("bridge {:<9}", bridge.end).bold()];
    let fullest = bridge.streams.iter().map(|stream| stream.fullness()).fold(0.0, f64::max);
    line.extend(bar(fullest, 16).spans);
    line.push(format!("  {} behind", thousands(bridge.behind)).into());
    if bridge.behind > 0 && bridge.behind_seconds >= 1.0 {
        line.push(format!(", {:.0} s", bridge.behind_seconds).into());
    }
    line.push(match (bridge.alive, bridge.connected) {
        (false, _) => "  killed".red(),
        (true, false) => "  no broker".red(),
        (true, true) => format!("  {} shards", bridge.shards).dim(),
    });
    if let Some(role) = bridge.role {
        line.push(format!("  {role}").bold());
    }
    Line::from(line)
}

/// Who has the leases of its streams, and the highest generation; `None` while nothing is known of them.
fn leases(bridge: &BridgeStatus) -> Option<String> {
    let known = bridge.streams.iter().filter_map(|stream| Some((stream, stream.lease.as_ref()?)));
    let (mut places, mut free, mut generation) = (BTreeSet::new(), 0, None);
    for (stream, lease) in known {
        generation = generation.max(lease.generation);
        if lease.is_held() {
            places.insert(&*stream.writer);
        } else {
            free += 1;
        }
    }
    let held = match (places.len(), places.first()) {
        (0, _) if free == 0 => return None,
        (0, _) => "nobody's".to_owned(),
        (1, Some(place)) => format!("of {place}"),
        (several, _) => format!("of {several} machines"),
    };
    let free = if free > 0 { format!(", {free} free") } else { String::new() };
    let generation = generation.map(|of| format!(", generation {of}")).unwrap_or_default();
    Some(format!("  leases {held}{free}{generation}"))
}

/// When gateway and cache were away for long, if they were, behind an empty line.
fn pauses(look: &Look, width: usize) -> Vec<Line<'static>> {
    let told = crate::ls::pauses(&look.overview).unwrap_or_default();
    let lines = told.iter().map(|text| Line::from(clip(text, width).dim()));
    let empty = (!told.is_empty()).then(Line::default);
    empty.into_iter().chain(lines).collect()
}

/// What commands told the bot to show, if they did.
fn presences(look: &Look) -> Option<Line<'static>> {
    let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
    let shards = look.overview.shards().filter_map(|ring| ring.shard.as_ref());
    for presence in shards.filter_map(|shard| shard.presence.as_ref()) {
        *shown.entry(&presence.status).or_default() += 1;
    }
    let told: Vec<_> =
        shown.iter().map(|(status, shards)| format!("{status} on {shards} shards")).collect();
    (!told.is_empty())
        .then(|| Line::from(format!("presence by command: {}", told.join(", ")).dim()))
}

/// Every shard a cell of two characters.
fn cells(look: &Look, width: usize) -> Vec<Line<'static>> {
    let cells: Vec<Span<'static>> = look
        .overview
        .shards()
        .map(|ring| {
            let status = ring.shard.as_ref();
            let unread = status.is_some_and(|status| status.stalled_now_seconds.is_some());
            let state = status.map_or("unknown", |status| status.state.as_str());
            let colour = if unread { Color::Red } else { state_colour(state, ring.producer_alive) };
            // How full its ring is, as a height.
            let heights = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
            let height = (ring.fullness.clamp(0.0, 1.0) * 7.0).ceil() as usize;
            let letter = if ring.producer_alive { heights[height.min(7)] } else { '×' };
            Span::styled(format!("{letter} "), colour)
        })
        .collect();
    let in_row = (width / 2).max(1);
    cells.chunks(in_row).map(|row| Line::from(row.to_vec())).collect()
}

fn ring(ring: &RingStatus, look: &Look) -> Vec<Line<'static>> {
    let mut head = vec![format!("{:<16}", ring.name).bold()];
    head.extend(bar(ring.fullness, 16).spans);
    head.push(format!("  {}/s", thousands(look.rates.ring(ring).round() as u64)).cyan());
    if !ring.producer_alive {
        head.push("  no producer".red());
    }
    let mut lines = vec![Line::from(head)];
    if let Some(stage) = &ring.stage {
        lines.push(stage_line(stage));
    }
    for group in &ring.groups {
        let mut line = vec![format!("  {:<14}", group.name).into()];
        line.extend(bar(group.fullness, 16).spans);
        line.push(format!("  {} behind", thousands(group.lag)).into());
        if let Some(age) = group.oldest_seconds.filter(|age| *age >= 1.0) {
            line.push(format!(", {age:.0} s").into());
        }
        line.push(match group.members {
            _ if group.damaged => "  damaged".red(),
            _ if group.evicted => "  let go".red(),
            0 => "  no members".red(),
            1 => "  1 member".dim(),
            several => format!("  {several} members").dim(),
        });
        lines.push(Line::from(line));
    }
    lines
}

/// What a stage did with its events.
fn stage_line(stage: &StageStatus) -> Line<'static> {
    let counts = [
        (stage.passed, "passed on"),
        (stage.changed, "changed"),
        (stage.dropped, "left out"),
        (stage.added, "added"),
    ];
    let told = counts.map(|(count, what)| format!("{} {what}", thousands(count)));
    let mut line = vec![format!("  {}", told.join(", ")).dim()];
    if stage.failed > 0 {
        line.push(format!(", failed with {}", thousands(stage.failed)).red());
    }
    Line::from(line)
}

fn updates(app: &App, width: usize) -> Vec<Line<'static>> {
    let shown = app.updates.iter().map(|update| update_line(update, width));
    shown.collect()
}

fn update_line(update: &Update, width: usize) -> Line<'static> {
    let mut spans = vec![format!("{:<20}", update.kind).cyan()];
    let share = width.saturating_sub(24) / update.changes.len().max(1) / 2;
    for change in &update.changes {
        let old = clip(
            change.old.as_deref().unwrap_or_default(),
            share.saturating_sub(change.path.len() / 2),
        );
        spans.push(format!("  {} ", clip(&change.path, share)).dim());
        spans.push(old.red());
        if let Some(new) = &change.new {
            spans.push(" → ".into());
            spans.push(clip(new, share.saturating_sub(change.path.len() / 2)).green());
        }
    }
    if update.more > 0 {
        spans.push(format!("  +{}", update.more).dim());
    }
    Line::from(spans)
}
