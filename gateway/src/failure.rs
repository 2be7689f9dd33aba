//! How the process ends when it does not end well.

/// Why the process ends with an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Starting again with the same configuration cannot help: exit code 78.
    #[error("{0}")]
    Configuration(String),
    /// It can: exit code 1.
    #[error("{0}")]
    Trouble(String),
}

impl Failure {
    /// The exit code of the process.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) => 78,
            Self::Trouble(_) => 1,
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "for map_err")]
    pub(crate) fn configuration(reason: impl ToString) -> Self {
        Self::Configuration(reason.to_string())
    }

    #[expect(clippy::needless_pass_by_value, reason = "for map_err")]
    pub(crate) fn trouble(reason: impl ToString) -> Self {
        Self::Trouble(reason.to_string())
    }
}
