//! What is logged.

use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

/// What is logged: a level (`off`, `error`, `warn`, `info`, `debug`, `trace`), or finer, by crate or
/// module: `info,mixcord_cache=debug`.
#[derive(Debug, Clone)]
pub struct Levels(Targets);

/// A text that says no levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelsError;

impl std::fmt::Display for LevelsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "expected off, error, warn, info, debug or trace, or finer: info,mixcord_cache=debug",
        )
    }
}

impl std::error::Error for LevelsError {}

impl Levels {
    /// What `MIXCORD_LOG` says, else `RUST_LOG`; `None` when neither says anything. What other
    /// programs understand in `RUST_LOG` and this one does not, it leaves alone.
    ///
    /// # Errors
    /// When `MIXCORD_LOG` says no levels.
    pub fn from_environment() -> Result<Option<Self>, LevelsError> {
        let said = |name| std::env::var(name).ok().filter(|text| !text.trim().is_empty());
        match said("MIXCORD_LOG") {
            Some(text) => text.parse().map(Some),
            None => Ok(said("RUST_LOG").and_then(|text| text.parse().ok())),
        }
    }

    #[cfg(feature = "options")]
    pub(super) fn warn() -> Self {
        Self(Targets::new().with_default(LevelFilter::WARN))
    }

    /// Without what a library says, unless it was asked for by name.
    #[cfg(feature = "options")]
    pub(super) fn without(self, library: &'static str) -> Self {
        if self.0.iter().any(|(target, _)| target == library) {
            return self;
        }
        Self(self.0.with_target(library, LevelFilter::OFF))
    }

    pub(super) fn into_filter(self) -> Targets {
        self.0
    }
}

/// `info`.
impl Default for Levels {
    fn default() -> Self {
        Self(Targets::new().with_default(LevelFilter::INFO))
    }
}

impl FromStr for Levels {
    type Err = LevelsError;

    fn from_str(text: &str) -> Result<Self, LevelsError> {
        // A bare word that is no level would be taken for a module, and nothing else be logged.
        let is_meant = |part: &str| {
            part.contains('=') || (!part.is_empty() && part.parse::<LevelFilter>().is_ok())
        };
        if !text.split(',').all(|part| is_meant(part.trim())) {
            return Err(LevelsError);
        }
        text.parse().map(Self).map_err(|_| LevelsError)
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn a_level_or_several_are_understood_and_a_word_is_not_taken_for_a_module() {
        let levels: Levels = "warn,mixcord_cache=debug".parse().expect("levels");
        assert!(levels.0.would_enable("mixcord_cache::engine", &Level::DEBUG));
        assert!(!levels.0.would_enable("mixcord_ring", &Level::INFO));
        assert!("OFF".parse::<Levels>().is_ok());
        for wrong in ["", "verbose", "info,verbose", "mixcord=loud", "info,"] {
            assert_eq!(wrong.parse::<Levels>().err(), Some(LevelsError), "{wrong:?}");
        }
    }
}
