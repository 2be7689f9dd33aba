//! The log's part of a command line.

use super::{Format, Guard, Levels};

/// What every program says about its log, to be flattened into its options.
#[derive(Debug, Clone, clap::Args)]
pub struct LogOptions {
    /// What is logged: error, warn, info, debug, trace, off; or finer: info,mixcord_ring=debug
    /// [default: what RUST_LOG says, else info, of tools warn]
    #[arg(long = "log-level", value_name = "LEVEL", env = "MIXCORD_LOG", global = true)]
    log_level: Option<Levels>,

    /// How a line of the log is written
    #[arg(
        long = "log-format",
        value_name = "text|json",
        env = "MIXCORD_LOG_FORMAT",
        value_enum,
        default_value_t = Format::Text,
        hide_possible_values = true,
        global = true
    )]
    log_format: Format,
}

impl LogOptions {
    /// Starts the log as these options want it, at `info` if they do not say.
    pub fn start(&self) -> Guard {
        self.start_at(Levels::default())
    }

    /// Starts the log as these options want it, for a tool, whose user wants to see its output: at
    /// `warn` if they do not say.
    pub fn start_for_tool(&self) -> Guard {
        self.start_at(Levels::warn())
    }

    /// The same without the lines of a library, of which the program itself says what matters.
    pub fn start_without(&self, library: &'static str) -> Guard {
        super::start(self.levels(Levels::default()).without(library), self.log_format)
    }

    fn start_at(&self, otherwise: Levels) -> Guard {
        super::start(self.levels(otherwise), self.log_format)
    }

    fn levels(&self, otherwise: Levels) -> Levels {
        let said = self.log_level.clone();
        // MIXCORD_LOG is one of the options, and so right if it is there.
        said.or_else(|| Levels::from_environment().ok().flatten()).unwrap_or(otherwise)
    }
}
