//! Why the process ends.

use std::process::ExitCode;

/// Why the process ends before it is told to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Starting again without a change is of no use.
    #[error("{0}")]
    Configuration(String),
    /// It may be better next time.
    #[error("{0}")]
    Trouble(String),
}

impl Failure {
    /// 78 where `scripts/run.sh` and systemd are not to try again.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Configuration(_) => ExitCode::from(78),
            Self::Trouble(_) => ExitCode::FAILURE,
        }
    }
}
