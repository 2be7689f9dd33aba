//! State in memory: who has written most in each guild, counted in this process alone, since a sticky group keeps a
//! guild's events with one member. What is known of a guild that goes to another member is written down before that
//! one is given any of its events, and read when a guild comes; what a process that is killed had not written is lost.
//!
//! Start it twice: the second gets half of the guilds, with their scores.
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use mixcord::{Consumer, Event, Kind, Rebalance, atoms};

/// Messages by member, of one guild.
type Scores = HashMap<u64, u64>;

#[derive(Default)]
pub(crate) struct Guilds {
    /// Of the guilds this process has, as far as it met them.
    known: Mutex<HashMap<u64, Scores>>,
    /// A database in real life.
    folder: PathBuf,
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let _log = mixcord::log::init();
    let guilds = Arc::new(Guilds::in_folder(std::env::temp_dir().join("mixcord-scores")));
    let (on_change, on_event) = (Arc::clone(&guilds), guilds);
    let consumer = Consumer::builder()
        .group("scores")
        .kinds([Kind::MESSAGE_CREATE])
        .sticky()
        .on_rebalance(move |change| on_change.put_away(change))
        .stop_on_signals();
    mixcord::exit(
        consumer
            .run(move |event: Event| {
                on_event.count(&event);
                async {}
            })
            .await,
    )
}

impl Guilds {
    pub(crate) fn in_folder(folder: PathBuf) -> Self {
        Self { folder, ..Self::default() }
    }

    pub(crate) fn count(&self, event: &Event) {
        let author = event.data().get(atoms::AUTHOR).and_then(|author| author.get(atoms::ID));
        let (Some(guild), Some(author)) = (event.guild_id(), author.and_then(|id| id.as_u64()))
        else {
            return;
        };
        let Ok(mut known) = self.known.lock() else { return };
        let scores = known.entry(guild).or_insert_with(|| self.read(guild));
        let count = scores.entry(author).or_default();
        *count += 1;
        println!("guild {guild}: {author} has written {count}");
    }

    /// Called when no event of a lost guild is out any more, and before any comes elsewhere.
    pub(crate) fn put_away(&self, change: &Rebalance) {
        let Ok(mut known) = self.known.lock() else { return };
        for (guild, scores) in known.extract_if(|guild, _| change.loses(*guild)) {
            if let Err(error) = self.write(guild, &scores) {
                eprintln!("the scores of guild {guild} are lost: {error}");
            }
        }
    }

    fn read(&self, guild: u64) -> Scores {
        let text = std::fs::read_to_string(self.file(guild)).unwrap_or_default();
        let pair = |line: &str| {
            let (author, count) = line.split_once(' ')?;
            Some((author.parse().ok()?, count.parse().ok()?))
        };
        text.lines().filter_map(pair).collect()
    }

    fn write(&self, guild: u64, scores: &Scores) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let lines = scores.iter().map(|(author, count)| format!("{author} {count}\n"));
        std::fs::write(self.file(guild), lines.collect::<String>())
    }

    fn file(&self, guild: u64) -> PathBuf {
        self.folder.join(guild.to_string())
    }
}
