//! What the operator decides: command line, environment, file, token.

mod intents;
mod options;
mod shards;
mod token;

use std::ffi::OsString;

use mixcord_event::topology;
use mixcord_process::command_line::{self, Refused};

pub use intents::Intents;
pub use options::{Options, Permits};
pub use shards::{ShardSet, Shards};
pub use token::{Fingerprint, Token, TokenError};

/// Why the options cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not to be run at all: the text of `--help` or `--version`.
    #[error("{0}")]
    Shown(String),
    /// An option is wrong; one line.
    #[error("{0}")]
    Option(String),
}

impl Options {
    /// Reads options from `arguments` (the program's name first), the environment and the file that
    /// either names.
    ///
    /// # Errors
    /// One line that says which option is wrong and why.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, ConfigError> {
        let options: Self =
            command_line::read("mixcord-gateway", arguments).map_err(|refused| match refused {
                Refused::Shown(text) => ConfigError::Shown(text),
                Refused::Wrong(text) => ConfigError::Option(text),
            })?;
        options.check()
    }

    /// What no single option can know.
    fn check(self) -> Result<Self, ConfigError> {
        let wrong = |text: &str| Err(ConfigError::Option(text.to_owned()));
        if self.reconnect_min_ms > self.reconnect_max_ms {
            return wrong("--reconnect-min-ms is larger than --reconnect-max-ms");
        }
        if self.take_over && !self.feeds.iter().any(|feed| feed == topology::BRIDGE_GROUP) {
            return wrong(
                "--take-over needs --feeds cache,bridge, or --feeds bridge: what is not sent nobody can go on with",
            );
        }
        if !self.ring_bytes.is_power_of_two() || self.ring_bytes < 64 << 10 {
            return wrong("--ring-bytes has to be a power of two of at least 64KiB");
        }
        if !self.ring_slots.is_power_of_two() || self.ring_slots < 64 {
            return wrong("--ring-slots has to be a power of two of at least 64");
        }
        if !(4096..=1 << 30).contains(&self.message_bytes_max) {
            return wrong("--message-bytes-max has to be between 4KiB and 1GiB");
        }
        if self.buffer_bytes > 1 << 30 {
            return wrong("--buffer-bytes has to be at most 1GiB");
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn read(arguments: &[&str]) -> Result<Options, ConfigError> {
        let program = std::iter::once("mixcord-gateway");
        Options::read(program.chain(arguments.iter().copied()).map(OsString::from))
    }

    fn toml(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        file
    }

    #[test]
    fn every_option_has_a_variable_of_its_name() {
        for arg in Options::command().get_arguments() {
            let Some(long) = arg.get_long().filter(|long| !matches!(*long, "help" | "version"))
            else {
                continue;
            };
            // All programs call this one so.
            let name = if long == "log-level" { "log" } else { long };
            let variable = format!("MIXCORD_{}", name.to_ascii_uppercase().replace('-', "_"));
            assert_eq!(arg.get_env().and_then(|env| env.to_str()), Some(&*variable), "{long}");
        }
    }

    #[test]
    fn errors_are_one_line_and_name_the_option() {
        for (option, value) in [
            ("--shards", "7..3/4"),
            ("--encoding", "xml"),
            ("--compression", "gzip"),
            ("--intents", "GUILDS,NONSENSE"),
            ("--no-such-option", "1"),
            ("--large-threshold", "10"),
            ("--presence", "[]"),
            ("--ring-bytes", "5000"),
            ("--api-url", "discord.com"),
            ("--instance", "Not/A Name"),
            ("--config", "/no/such/file.toml"),
        ] {
            let error = read(&[option, value]).expect_err("refused").to_string();
            assert!(error.contains(option), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn a_typo_is_told_what_it_may_have_meant() {
        let error = read(&["--shard", "2"]).expect_err("refused").to_string();
        assert!(
            error.contains("'--shards'") && error.ends_with("(see mixcord-gateway --help)"),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
    }

    #[test]
    fn an_option_wins_over_the_file_which_wins_over_the_default() {
        let file = toml(
            "shards = \"0..1/4\"\nintents = 513\nlarge-threshold = 100\n[presence]\nstatus = \"dnd\"\n",
        );
        let path = file.path().to_str().expect("text");
        let options = read(&["--config", path, "--intents", "1"]).expect("fine");
        assert_eq!(options.shards, Shards::Range(0..=1, 4));
        assert_eq!(options.intents.bits(), 1);
        assert_eq!(options.large_threshold, Some(100));
        assert_eq!(options.presence.map(|presence| presence.status), Some("dnd".into()));
        assert_eq!(options.instance, "mixcord");
    }

    #[test]
    fn the_file_is_judged_like_the_command_line() {
        for (text, about) in [
            ("shards = \"x\"", "--shards"),
            ("colour = 1", "colour"),
            ("shards = ", "--config"),
            ("config = \"other\"", "config"),
            ("token = \"secret\"", "token"),
        ] {
            let file = toml(text);
            let error = read(&["--config", file.path().to_str().expect("text")])
                .expect_err("refused")
                .to_string();
            assert!(error.contains(about), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
