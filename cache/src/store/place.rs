//! Where readers find a store that is not in its default place.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use mixcord_event::topology;

use super::DiskError;

/// Leaves a link to the store of `instance` in `dir`, or removes the one that is there when readers
/// need none.
pub fn announce(instance: &str, dir: Option<&Path>) -> Result<(), DiskError> {
    let link = topology::state_link(instance);
    let fail = |source| DiskError::Io { path: (&link).into(), source };
    let elsewhere = dir.filter(|dir| *dir != Path::new(&topology::state_dir(instance)));
    let Some(dir) = elsewhere else {
        return match fs::remove_file(&link) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(fail(source)),
            _ => Ok(()),
        };
    };
    let draft = format!("{link}.new");
    let _ = fs::remove_file(&draft);
    let target = dir.canonicalize().map_err(fail)?;
    symlink(target, &draft).and_then(|()| fs::rename(&draft, &link)).map_err(fail)
}
