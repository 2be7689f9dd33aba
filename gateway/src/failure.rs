//! How the process ends when it does not end well.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Why the process ends with an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Starting again with the same configuration cannot help: exit code 78.
    #[error("{0}")]
    Configuration(String),
    /// Another process runs what this one is to run: exit code 78.
    #[error("{0}")]
    Running(String),
    /// It can: exit code 1.
    #[error("{0}")]
    Trouble(String),
}

impl Failure {
    /// The exit code of the process.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) | Self::Running(_) => 78,
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

/// Who owns what stands at `path`, if that is another user. /dev/shm is open to all, and nobody can
/// remove there what is not his own.
pub(crate) fn foreign_owner(path: &Path) -> Option<u32> {
    let found = std::fs::symlink_metadata(path).ok()?;
    (found.uid() != nix::unistd::getuid().as_raw()).then(|| found.uid())
}

/// What to do about it.
pub(crate) fn foreign(path: &str, owner: u32) -> String {
    let name = nix::unistd::User::from_uid(owner.into()).ok().flatten();
    let name = name.map_or_else(String::new, |user| format!(" ({})", user.name));
    format!(
        "{path} belongs to user {owner}{name}: run as that user, have it removed, or use another --instance"
    )
}
