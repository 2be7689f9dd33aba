//! `mixcord top`: what flows, live.

mod picture;
mod screen;
mod update;

use std::collections::{HashMap, VecDeque};
use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use mixcord::operator::{self, RingStatus};
use mixcord::{Consumer, Event, Next, Stop};

use self::screen::Screen;
use self::update::describe;
use crate::seconds;
use crate::terminal::Style;

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
        std::io::stdout().write_all(format!("{title}\n").as_bytes())?;
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
                Some(Ok(Next::Event(event))) => {
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
}
