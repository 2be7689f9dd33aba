//! The terminal while it shows the picture; as it was before afterwards.

use std::time::{Duration, Instant};

use anyhow::Result;
use mixcord::Stop;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use super::app::App;
use super::picker::Picker;
use super::{Looks, Options, TICK, view};

/// How often it is looked whether to stop.
const LOOK: Duration = Duration::from_millis(100);

pub(super) fn run(mut looks: Looks, picker: &Picker, options: &Options, stop: &Stop) -> Result<()> {
    let mut terminal = ratatui::try_init()?;
    let _restored = Restored;
    let mut app = App::new(options.title.clone());
    let mut due = Instant::now();
    loop {
        if stop.is_stopped() || options.seconds.is_some_and(|end| looks.started.elapsed() >= end) {
            return Ok(());
        }
        if Instant::now() >= due {
            due = Instant::now() + TICK;
            app.look = Some(looks.next()?);
        }
        app.remember(picker.take());
        terminal.draw(|frame| view::draw(&mut app, frame))?;
        let left = due.saturating_duration_since(Instant::now()).min(LOOK);
        if !event::poll(left)? {
            continue;
        }
        if let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
            && !app.key(key)
        {
            return Ok(());
        }
    }
}

struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        ratatui::restore();
    }
}
