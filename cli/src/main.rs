//! `mixcord`: what an operator uses to see and manage the rings.
//!
//! Everything it does it does through the SDK's public interface.

mod cache;
mod doctor;
mod drain;
mod groups;
mod line;
mod ls;
mod monitor;
mod record;
mod replay;
mod report;
mod reshard;
mod send;
mod shard;
mod tail;
mod terminal;
mod top;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use mixcord::{commands, operator};
use mixcord_process::command_line::{self, ConfigFile, Refused};
use mixcord_process::log::{self, LogOptions};

/// The exit code of configuration errors, after which a restart is no use.
const EXIT_CONFIG: u8 = 78;

/// Watch and manage Mixcord: Discord events from the gateway to your consumers.
#[derive(Debug, Parser)]
#[command(name = "mixcord", version = version(), max_term_width = 100)]
#[command(
    after_help = "Every option can be given as an environment variable: MIXCORD_INSTANCE, MIXCORD_GROUP, …\n\
    What wins, from strongest to weakest: option, variable, --config file, default.\n\
    Exit codes: 0 done, 1 failed, 3 timed out, 78 wrong options, 124 ended by a signal it could not obey in time."
)]
struct Cli {
    /// Before the command, too; it reaches the command as its own.
    #[command(flatten)]
    _instance: Instance,
    #[command(flatten)]
    _config: ConfigFile,
    #[command(flatten)]
    log: LogOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print events as they come, one JSON object a line.
    Tail(tail::Options),
    /// List the rings and groups of an instance: how full, how far behind, who is alive.
    Ls(report::ReportOptions),
    /// Show live what flows: rates, fullness, lag, and updates old -> new.
    #[command(after_help = top::HELP)]
    Top(top::Options),
    /// Say what is wrong, and which command mends it.
    #[command(after_help = doctor::HELP)]
    Doctor(report::ReportOptions),
    /// Serve metrics, health and a live page over HTTP.
    #[command(after_help = monitor::HELP)]
    Monitor(monitor::Options),
    /// Write down what comes from Discord, into a file.
    #[command(after_help = record::HELP)]
    Record(record::Options),
    /// Let what was written down come again, into an instance of its own.
    #[command(after_help = replay::HELP)]
    Replay(replay::Options),
    /// Ask something of Discord, through the gateway that runs the shard.
    Send(send::Options),
    /// Take no event in any more and let the rings run empty, before an upgrade of their layout.
    #[command(after_help = drain::HELP)]
    Drain(drain::Options),
    /// Change the shard count without a pause.
    #[command(after_help = reshard::HELP)]
    Reshard(reshard::Options),
    /// Act on one shard.
    #[command(subcommand)]
    Shard(shard::Command),
    /// See, create, move and remove consumer groups, and what they gave up.
    #[command(subcommand)]
    Groups(groups::Command),
    /// Look into what the cache remembers.
    #[command(subcommand)]
    Cache(cache::Command),
    /// Remove everything of an instance that nobody uses (rings, backlogs, sessions, state), or one ring of it.
    Rm(Removal),
}

/// What to remove.
#[derive(Debug, Args)]
struct Removal {
    #[command(flatten)]
    instance: Instance,
    /// Only this ring, with what nobody has read of it and its session; `mixcord ls` names them.
    #[arg(long, value_name = "NAME", env = "MIXCORD_RING")]
    ring: Option<String>,
}

/// Which instance.
#[derive(Debug, Args)]
struct Instance {
    /// The instance, as given to mixcord-gateway and mixcord-cache.
    #[arg(
        long = "instance",
        value_name = "NAME",
        env = "MIXCORD_INSTANCE",
        default_value = "mixcord",
        global = true
    )]
    name: String,
}

/// Whose events, or groups.
#[derive(Debug, Args)]
struct Source {
    /// What is read: "out", what the cache publishes, or a stage by its name.
    #[arg(
        id = "source",
        long = "source",
        value_name = "NAME",
        env = "MIXCORD_SOURCE",
        default_value = "out"
    )]
    name: String,
}

fn main() -> ExitCode {
    let cli: Cli = match command_line::read("mixcord", std::env::args_os()) {
        Ok(cli) => cli,
        Err(Refused::Shown(text)) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(Refused::Wrong(text)) => {
            match text.lines().count() {
                0 | 1 => log::say("mixcord", &text),
                // Without a command there is nothing to complain about, but what there is.
                _ => eprintln!("{text}"),
            }
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    let _log = cli.log.start_for_tool();
    let result = match cli.command {
        Command::Tail(options) => tail::run(&options),
        Command::Ls(options) => ls::run(&options),
        Command::Top(options) => top::run(&options),
        Command::Doctor(options) => doctor::run(&options),
        Command::Monitor(options) => monitor::run(&options),
        Command::Record(options) => record::run(&options),
        Command::Replay(options) => replay::run(&options),
        Command::Send(options) => send::run(options),
        Command::Drain(options) => drain::run(&options),
        Command::Reshard(options) => reshard::run(&options),
        Command::Shard(command) => shard::run(command),
        Command::Groups(command) => groups::run(&command),
        Command::Cache(command) => cache::run(&command),
        Command::Rm(removal) => remove(&removal.instance.name, removal.ring.as_deref()),
    };
    match result {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            log::say("mixcord", &message(&error));
            ExitCode::from(if is_configuration(&error) { EXIT_CONFIG } else { 1 })
        }
    }
}

fn version() -> &'static str {
    command_line::version(env!("CARGO_PKG_VERSION"), &operator::LAYOUTS)
}

fn remove(name: &str, ring: Option<&str>) -> anyhow::Result<ExitCode> {
    let instance = operator::Instance::open(name)?;
    if let Some(ring) = ring {
        instance.remove_ring(ring)?;
        return say(&format!("ring \"{ring}\" of instance \"{name}\" removed"));
    }
    if instance.remove()? {
        say(&format!("instance \"{name}\" removed"))
    } else {
        say(&format!("instance \"{name}\" has nothing to remove{}", ls::others(name)))
    }
}

/// Prints a line, after which all is done. Nobody has to read it.
fn say(line: &str) -> anyhow::Result<ExitCode> {
    std::io::stdout().write_all(format!("{line}\n").as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// The error and its causes, each thing said once.
fn message(error: &anyhow::Error) -> String {
    error.chain().skip(1).fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.contains(&cause) { text } else { format!("{text}: {cause}") }
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

fn is_configuration(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<mixcord::Error>().is_some_and(mixcord::Error::is_configuration)
            || cause
                .downcast_ref::<commands::Error>()
                .is_some_and(commands::Error::is_configuration)
            || cause
                .downcast_ref::<operator::Error>()
                .is_some_and(operator::Error::is_configuration)
            || cause
                .downcast_ref::<mixcord_monitor::Error>()
                .is_some_and(mixcord_monitor::Error::is_configuration)
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_options_give_one_line() {
        for arguments in [
            &["mixcord", "tail", "--nonsense"][..],
            &["mixcord", "tail", "--count", "many"],
            &["mixcord", "tail", "--timeout", "-1"],
            &["mixcord", "groups", "create"],
            &["mixcord", "fly"],
        ] {
            let arguments = arguments.iter().map(std::ffi::OsString::from);
            let Err(Refused::Wrong(said)) = command_line::read::<Cli>("mixcord", arguments) else {
                panic!("wrong options");
            };
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    }

    #[test]
    fn every_option_has_an_environment_variable() {
        fn check(command: &clap::Command) {
            for option in command
                .get_opts()
                .filter(|option| !matches!(option.get_id().as_str(), "help" | "version"))
            {
                let name = option.get_env().map(|name| name.to_string_lossy().into_owned());
                let name = name.unwrap_or_else(|| panic!("--{} has none", option.get_id()));
                assert!(name.starts_with("MIXCORD_"), "{name}");
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
