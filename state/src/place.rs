//! Where the store of an instance is.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use mixcord_event::topology;

/// The directory of an instance's store, whether there is one or not.
#[must_use]
pub fn directory(instance: &str) -> PathBuf {
    elsewhere(instance).unwrap_or_else(|| topology::state_dir(instance).into())
}

/// The same, if it is not the default one: what the link says that the cache left, which must be this
/// user's, as anybody can make one in /dev/shm.
#[must_use]
pub fn elsewhere(instance: &str) -> Option<PathBuf> {
    let link = topology::state_link(instance);
    let ours = fs::symlink_metadata(&link).ok()?.uid() == nix::unistd::geteuid().as_raw();
    ours.then(|| fs::read_link(link).ok()).flatten()
}
