//! `mixcord top`: what flows, live.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use mixcord::event::edit::changes;
use mixcord::operator::{self, RingStatus};
use mixcord::{Consumer, Event, Stop, atoms};

use crate::ls::{group_line, others, shard_line};
use crate::seconds;
use crate::terminal::{Style, clip, thousands};

/// How often the picture is drawn.
const TICK: Duration = Duration::from_secs(1);

/// How often an update is picked out of the stream. The rest passes by unseen: an observer that
/// falls behind is moved on, and holds nobody up.
const PICK: Duration = Duration::from_millis(250);

/// How many updates are on the screen.
const UPDATES: usize = 8;

/// How many updates of the kind that was shown last are passed over for one of another kind.
const VARIETY: u32 = 100;

/// The kinds that usually have an old value worth seeing.
const TELLING: [&str; 11] = [
    "GUILD_UPDATE",
    "CHANNEL_UPDATE",
    "THREAD_UPDATE",
    "GUILD_MEMBER_UPDATE",
    "GUILD_ROLE_UPDATE",
    "MESSAGE_UPDATE",
    "MESSAGE_DELETE",
    "PRESENCE_UPDATE",
    "USER_UPDATE",
    "VOICE_STATE_UPDATE",
    "GUILD_MEMBER_REMOVE",
];

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    instance: crate::Instance,
    /// End after so many seconds; without it, on Ctrl-C.
    #[arg(long, value_name = "SECONDS", env = "MIXCORD_SECONDS", value_parser = seconds)]
    seconds: Option<Duration>,
    /// Shown above the picture.
    #[arg(long, value_name = "TEXT", env = "MIXCORD_TITLE")]
    title: Option<String>,
    /// Measure for one second, print it once, end.
    #[arg(long, env = "MIXCORD_ONCE")]
    once: bool,
}

/// What is known between two pictures.
struct Picture {
    title: Option<String>,
    instance: operator::Instance,
    style: Style,
    started: Instant,
    /// Ring name to its id and tail, at `at`.
    tails: HashMap<String, (String, u64)>,
    at: Instant,
    updates: VecDeque<String>,
    /// The kind of the last update, and how many like it were passed over since.
    last: (String, u32),
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let stop = Stop::new();
    stop.on_signals()?;
    let instance = operator::Instance::open(&options.instance.name)?;
    let live = std::io::stdout().is_terminal() && !options.once;
    let now = Instant::now();
    let mut picture = Picture {
        title: options.title.clone(),
        instance,
        style: Style::detect(),
        started: now,
        tails: HashMap::new(),
        at: now,
        updates: VecDeque::new(),
        last: (String::new(), 0),
    };
    picture.remember(&picture.instance.survey()?.0);

    let end = if options.once { Some(TICK) } else { options.seconds };
    if !live && let Some(title) = &options.title {
        println!("{title}");
    }
    let mut observer = None;
    let mut screen = live.then(Screen::open).transpose()?;
    while !stop.is_stopped() {
        let left = end.map_or(TICK, |end| end.saturating_sub(picture.started.elapsed()));
        if left.is_zero() {
            break;
        }
        picture.collect(&mut observer, &stop, left.min(TICK));
        let text = if live { picture.draw()? } else { picture.lines()? };
        match &mut screen {
            Some(screen) => screen.show(&text)?,
            None => std::io::stdout().write_all(text.as_bytes())?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Picture {
    /// Picks updates out of the stream for as long as `duration`.
    fn collect(&mut self, observer: &mut Option<Consumer>, stop: &Stop, duration: Duration) {
        let end = Instant::now() + duration;
        while !stop.is_stopped() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            if observer.is_none() {
                *observer = Consumer::builder()
                    .instance(self.instance.name())
                    .observer()
                    .names(TELLING)
                    .stop(stop)
                    .wait(Duration::ZERO)
                    .connect_blocking()
                    .ok();
            }
            let next = observer.as_mut().map(|observer| observer.next_timeout(left.min(PICK)));
            match next {
                Some(Ok(Some(Some(event)))) => {
                    if self.show(&event) {
                        std::thread::sleep(left.min(PICK));
                    }
                }
                Some(Ok(_)) => {}
                // The ring is replaced or gone, or not there yet: looked for again.
                Some(Err(_)) | None => {
                    *observer = None;
                    std::thread::sleep(left.min(PICK));
                }
            }
        }
    }

    /// Adds the update to the picture, if it tells something new.
    fn show(&mut self, event: &Event) -> bool {
        if event.name() == self.last.0 && self.last.1 < VARIETY {
            self.last.1 += 1;
            return false;
        }
        let Some(update) = describe(event, self.style) else { return false };
        self.last = (event.name().to_owned(), 0);
        self.updates.push_back(update);
        if self.updates.len() > UPDATES {
            self.updates.pop_front();
        }
        true
    }

    fn remember(&mut self, rings: &[RingStatus]) {
        let tail = |ring: &RingStatus| (ring.name.clone(), (ring.id.clone(), ring.tail));
        self.tails = rings.iter().map(tail).collect();
        self.at = Instant::now();
    }

    /// The rings, each with its records per second since the last call.
    fn rates(&mut self) -> Result<Vec<(RingStatus, u64)>> {
        let (rings, _) = self.instance.survey()?;
        let seconds = self.at.elapsed().as_secs_f64().max(0.001);
        let before = std::mem::take(&mut self.tails);
        self.remember(&rings);
        let rate = |ring: RingStatus| {
            let since = match before.get(&ring.name) {
                Some((id, tail)) if *id == ring.id => *tail,
                _ => 0,
            };
            let rate = (ring.tail.saturating_sub(since) as f64 / seconds).round() as u64;
            (ring, rate)
        };
        Ok(rings.into_iter().map(rate).collect())
    }

    /// The picture for a terminal.
    fn draw(&mut self) -> Result<String> {
        let rings = self.rates()?;
        let style = self.style;
        let mut out = String::new();
        let name = self.instance.name();
        let _ = writeln!(
            out,
            "{}  {}",
            style.bold(&format!("mixcord · {name}")),
            style.dim(&format!("{} s", self.started.elapsed().as_secs()))
        );
        if let Some(title) = &self.title {
            let _ = writeln!(out, "{title}");
        }
        if rings.is_empty() {
            let _ = writeln!(out, "\nno rings yet{}", others(name));
        }
        for (ring, rate) in &rings {
            let producer =
                if ring.producer_alive { String::new() } else { style.red("  no producer") };
            let _ = writeln!(
                out,
                "\n{} {}  {} events/s{producer}",
                style.bold(&format!("{:<14}", ring.name)),
                style.bar(ring.fullness, 24),
                style.cyan(&format!("{:>9}", thousands(*rate))),
            );
            if let Some(shard) = &ring.shard {
                let _ = writeln!(out, "  {}", shard_line(shard, ring.producer_alive, style));
            }
            for group in &ring.groups {
                let _ = writeln!(out, "  {}", group_line(group, style));
            }
        }
        if !self.updates.is_empty() {
            let _ = writeln!(out, "\n{}", style.bold("some updates, old → new"));
        }
        for update in &self.updates {
            let _ = writeln!(out, "  {update}");
        }
        Ok(out)
    }

    /// The same for a file or a pipe: some plain lines, each of which stands for itself.
    fn lines(&mut self) -> Result<String> {
        let rings = self.rates()?;
        let mut out = String::new();
        let seconds = self.started.elapsed().as_secs_f64().round();
        if rings.is_empty() {
            let name = self.instance.name();
            let _ = writeln!(out, "{seconds:>4} s  instance {name} has no rings{}", others(name));
        }
        for (ring, rate) in &rings {
            let _ = write!(
                out,
                "{seconds:>4} s  {:<12} {:>9} events/s  {:>3.0} % full",
                ring.name,
                thousands(*rate),
                ring.fullness * 100.0
            );
            if let Some(shard) = &ring.shard {
                let _ = write!(out, "  {}", shard_line(shard, ring.producer_alive, self.style));
            }
            for group in &ring.groups {
                let (lag, members) = (thousands(group.lag), group.members);
                let _ = write!(out, "  {}: lag {lag}, members {members}", group.name);
            }
            let _ = writeln!(out, "{}", if ring.producer_alive { "" } else { "  no producer" });
        }
        for update in self.updates.drain(..) {
            let _ = writeln!(out, "{seconds:>4} s  {update}");
        }
        Ok(out)
    }
}

/// An update as a line: what it was -> what it is. `None` when nothing that can be shown changed.
fn describe(event: &Event, style: Style) -> Option<String> {
    let old = event.old()?;
    let mut line = style.cyan(&format!("{:<20}", event.name()));
    let _ = match event.guild_id() {
        Some(guild) => write!(line, " {}", style.dim(&format!("guild {guild}"))),
        None => Ok(()),
    };
    if event.name().ends_with("_DELETE") || event.name().ends_with("_REMOVE") {
        let telling = [atoms::CONTENT, atoms::NAME, atoms::USER];
        let told = telling.iter().find_map(|key| Some((key, old.get(*key)?)));
        let told = told.map_or_else(
            || clip(&old.to_json(), 60),
            |(key, value)| format!("{key} {}", clip(&value.to_json(), 60)),
        );
        let _ = write!(line, "  {}", style.red(&format!("was: {told}")));
        return Some(line);
    }
    let changes = changes(old, event.data());
    // Where there is nothing on one side the field was only absent, not changed.
    let mut told: Vec<_> = changes
        .iter()
        .filter_map(|change| {
            Some((change.path_text(), change.old?.to_json(), change.new?.to_json()))
        })
        .filter(|(_, old, new)| old.len() + new.len() < 160)
        .collect();
    if told.is_empty() {
        return None;
    }
    // What changes with every update tells least.
    told.sort_by_key(|(path, ..)| path.ends_with("timestamp") || path == "version");
    for (path, old, new) in told.iter().take(2) {
        let (old, new) = (style.red(&clip(old, 28)), style.green(&clip(new, 28)));
        let _ = write!(line, "  {path}: {old} → {new}");
    }
    if told.len() > 2 {
        let _ = write!(line, "  {}", style.dim(&format!("+{}", told.len() - 2)));
    }
    Some(line)
}

/// The terminal while it shows the picture; as it was before afterwards.
struct Screen(());

impl Screen {
    fn open() -> std::io::Result<Self> {
        // Long lines are cut, not wrapped; the cursor is hidden; all is cleared once.
        Self::write("\x1b[?7l\x1b[?25l\x1b[H\x1b[2J")?;
        Ok(Self(()))
    }

    #[allow(clippy::unused_self, reason = "only an open screen can be drawn on")]
    fn show(&mut self, text: &str) -> std::io::Result<()> {
        let lines = text.replace('\n', "\x1b[K\n");
        Self::write(&format!("\x1b[H{lines}\x1b[J"))
    }

    fn write(text: &str) -> std::io::Result<()> {
        let mut output = std::io::stdout().lock();
        output.write_all(text.as_bytes())?;
        output.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = Self::write("\x1b[?7h\x1b[?25h");
    }
}
