//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use mixcord_event::topology;
use mixcord_process::command_line::{self, ConfigFile};
use mixcord_process::log::LogOptions;
use mixcord_ring::{Geometry, Pace};
use mixcord_state::Resource;

use crate::engine::Plan;
use crate::overlap::Times;
use crate::settings::Settings;
use crate::store::CopyFrom;

/// Process 2 of Mixcord: keeps the state, and publishes each event with the old entity beside the
/// new.
#[derive(Parser, Debug)]
#[command(name = "mixcord-cache", version = version())]
pub struct Options {
    /// The instance, shared by its gateway, cache and consumers.
    #[arg(long, env = "MIXCORD_INSTANCE", default_value = "mixcord")]
    instance: String,
    /// Directory of the store; in /dev/shm unless given. Wherever it is, a store lasts until the system is
    /// started anew, and no longer.
    #[arg(long, env = "MIXCORD_STATE", value_name = "DIR")]
    state: Option<PathBuf>,
    /// Where there is no store yet, begin with a copy of another instance's state, as `mixcord cache copy` writes it; - is
    /// standard input.
    #[arg(long, env = "MIXCORD_STATE_FROM", value_name = "FILE|-")]
    state_from: Option<String>,
    /// Whether there is a store at all.
    #[arg(long, env = "MIXCORD_STORE", value_enum, default_value_t = StoreKind::Table)]
    store: StoreKind,
    /// How large the store may become; it grows in steps. At the limit the oldest messages go, then presences.
    #[arg(long, env = "MIXCORD_STATE_MAX", value_name = "BYTES", default_value = "4GiB", value_parser = command_line::bytes)]
    state_max: u64,
    /// A resource that is not cached; may be repeated.
    #[arg(
        long = "no-cache",
        env = "MIXCORD_NO_CACHE",
        value_name = "RESOURCE",
        value_delimiter = ','
    )]
    no_cache: Vec<Resource>,
    /// Messages kept in each channel. With each new one 16 bytes are written for every one kept there.
    #[arg(long, env = "MIXCORD_MESSAGES_PER_CHANNEL", value_name = "N", default_value_t = 100)]
    messages_per_channel: u32,
    /// How long a message is kept.
    #[arg(long, env = "MIXCORD_MESSAGES_AGE", value_name = "DURATION", default_value = "1d", value_parser = command_line::duration)]
    messages_age: Duration,
    /// After how long a message is compressed, to half its memory, while no event waits: a tenth of a core at most.
    /// Without it none is.
    #[arg(long, env = "MIXCORD_COMPRESS_MESSAGES_AFTER", value_name = "DURATION", value_parser = command_line::duration)]
    compress_messages_after: Option<Duration>,
    /// How long a thread is kept once it is archived; one that is opened again comes again with that event.
    #[arg(long, env = "MIXCORD_THREADS_AGE", value_name = "DURATION", default_value = "7d", value_parser = command_line::duration)]
    threads_age: Duration,
    /// Records the output ring can hold. A ring that is there gets other sizes at the start, once it is drained.
    #[arg(long, env = "MIXCORD_OUTPUT_SLOTS", value_name = "N", default_value_t = 65_536)]
    output_slots: u32,
    /// Bytes the output ring can hold.
    #[arg(long, env = "MIXCORD_OUTPUT_BYTES", value_name = "BYTES", default_value = "64MiB", value_parser = command_line::bytes)]
    output_bytes: u64,
    /// Partitions of a group that takes events in batches, so the most of its members that work at a time: 1 to 1024.
    #[arg(long, env = "MIXCORD_OUTPUT_PARTITIONS", value_name = "N", default_value_t = 64)]
    output_partitions: u16,
    /// Groups of consumers that the output ring has room for: 1 to 1024.
    #[arg(long, env = "MIXCORD_OUTPUT_GROUPS", value_name = "N", default_value_t = 64)]
    output_groups: u16,
    /// How much later one session may receive an event than another while both are well: for tests of `mixcord reshard`.
    #[arg(long, env = "MIXCORD_RESHARD_SLACK", value_name = "DURATION", default_value = "5s", value_parser = command_line::duration, hide = true)]
    reshard_slack: Duration,
    /// How long one of two sets of sessions is waited for: the same.
    #[arg(long, env = "MIXCORD_RESHARD_WINDOW", value_name = "DURATION", default_value = "60s", value_parser = command_line::duration, hide = true)]
    reshard_window: Duration,
    /// What is weighed more where events come often: low-latency, balanced (up to 1 ms later, for a fraction of
    /// the wakes), low-cpu (up to 3 ms later). Behind a gateway that does the same events come in
    /// batches, and are not later.
    #[arg(long, env = "MIXCORD_PACE", value_name = "PACE", default_value_t = Pace::Balanced)]
    pub pace: Pace,
    /// Options from a file.
    #[command(flatten)]
    config: ConfigFile,
    /// What is logged, and how.
    #[command(flatten)]
    pub log: LogOptions,
}

fn version() -> &'static str {
    let layouts =
        [("ring", mixcord_ring::LAYOUT_VERSION), ("record", mixcord_event::record::LAYOUT.into())];
    command_line::version(env!("CARGO_PKG_VERSION"), &layouts)
}

/// Where the state is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum StoreKind {
    /// In a table in shared memory.
    // So it was called in the releases that kept it there.
    #[value(alias = "lmdb")]
    Table,
    /// Nowhere: events pass as they are.
    None,
}

/// Members of a group of the output ring.
const MEMBERS: u16 = 64;
/// Room for the positions of 1,024 shards, of the old count and of a new one.
const CHECKPOINT_BYTES: u32 = 64 << 10;

/// So long a session can be resumed, with room: should the gateway of the former count come back, it goes on.
const OLD_RINGS_KEPT: Duration = Duration::from_secs(15 * 60);

/// An empty store takes half of it.
const STATE_BYTES_MIN: u64 = 1 << 20;

impl Options {
    /// How long one set of sessions waits for the other while the shard count changes.
    #[must_use]
    pub fn reshard_times(&self) -> Times {
        let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Times { window_us: us(self.reshard_window), slack_us: us(self.reshard_slack) }
    }

    /// What the engine is to do.
    ///
    /// # Errors
    /// One line that says which option cannot be.
    pub fn plan(&self) -> Result<Plan, String> {
        if !topology::is_instance_name(&self.instance) {
            return Err(format!(
                "--instance {:?}: an instance is called [a-z0-9][a-z0-9_-]{{0,31}}",
                self.instance
            ));
        }
        let (groups, partitions) = (self.output_groups, self.output_partitions);
        let output =
            Geometry::new(self.output_slots, self.output_bytes, groups, partitions, MEMBERS)
                .and_then(|geometry| geometry.checkpoints(CHECKPOINT_BYTES))
                .map_err(|error| format!("{}: {error}", option_of(error.what)))?;
        if self.store == StoreKind::Table && self.state_max < STATE_BYTES_MIN {
            return Err("--state-max has to be at least 1MiB".to_owned());
        }
        if self.store == StoreKind::None && self.state_from.is_some() {
            return Err("--state-from needs a store: leave --store none away".to_owned());
        }
        let dir = self.state.clone().unwrap_or_else(|| topology::state_dir(&self.instance).into());
        let (state, mut base) = match self.store {
            StoreKind::Table => (Some(dir), Settings::default()),
            StoreKind::None => (None, Settings::none()),
        };
        base.messages_per_channel = self.messages_per_channel;
        base.messages_age = self.messages_age;
        base.threads_age = self.threads_age;
        base.compress_messages_after = self.compress_messages_after;
        let settings = self.no_cache.iter().fold(base, |settings, &off| settings.without(off));
        Ok(Plan {
            instance: self.instance.clone(),
            state,
            state_from: self.state_from.as_deref().map(CopyFrom::named),
            state_bytes_max: self.state_max,
            settings,
            output,
            old_rings_kept: OLD_RINGS_KEPT,
        })
    }
}

/// The option that says this of the output ring.
fn option_of(what: &str) -> &'static str {
    match what {
        "slots" => "--output-slots",
        "payload_bytes" => "--output-bytes",
        "partitions" => "--output-partitions",
        "groups" => "--output-groups",
        _ => "the output ring",
    }
}

#[cfg(test)]
mod tests {
    use mixcord_state::{Checkpoint, InputPosition};

    use super::*;

    /// 1,024 shards and those of a former count, while of each of them a record is delivered in part.
    #[test]
    fn the_output_rings_checkpoint_has_room_for_1_024_shards_twice() {
        let plan = Options::try_parse_from(["mixcord-cache"]).unwrap().plan().unwrap();
        let input =
            InputPosition { index: u16::MAX, ..InputPosition::whole(u64::MAX, (1 << 48) - 2) };
        let of = |count: u16| (0..1024).map(move |shard| ((count, shard), input));
        let checkpoint = Checkpoint {
            store: u64::MAX,
            inputs: of(1024).chain(of(1040)).collect(),
            shards: Some(1040),
            applied_us: u64::MAX,
            cut_us: u64::MAX,
        };
        let bytes = checkpoint.to_bytes(plan.output.checkpoint_bytes as usize);
        let read = Checkpoint::from_bytes(&bytes).unwrap();
        assert_eq!(read.inputs.len(), 2048);
        assert!(read.inputs.values().all(|read| read.index == u16::MAX));
        assert_eq!((read.shards, read.applied_us, read.cut_us), (Some(1040), u64::MAX, u64::MAX));
    }

    #[test]
    fn the_times_of_a_change_of_the_shard_count_are_those_of_its_model() {
        let read = |arguments: &[&str]| Options::try_parse_from(arguments).unwrap().reshard_times();
        assert_eq!(read(&["mixcord-cache"]), Times::default());
        let short = ["mixcord-cache", "--reshard-slack", "300ms", "--reshard-window", "2s"];
        assert_eq!(read(&short), Times { window_us: 2_000_000, slack_us: 300_000 });
    }

    #[test]
    fn an_instance_with_a_bad_name_is_refused_in_one_line() {
        let options = Options::try_parse_from(["mixcord-cache", "--instance", "No/Good"]).unwrap();
        let error = options.plan().unwrap_err();
        assert!(error.contains("No/Good") && !error.contains('\n'));
    }
}
