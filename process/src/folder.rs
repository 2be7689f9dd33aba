//! Folders of this user's alone, in a place where everybody may make files.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;

/// Makes a folder where it is missing.
///
/// # Errors
/// It cannot be made, or what is there is not a directory that this user alone may enter.
pub fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // Of somebody else, or a link, it would be theirs to read.
    let found = path.symlink_metadata()?;
    if found.is_dir() && is_own(&found) && found.mode() & 0o077 == 0 {
        return Ok(());
    }
    let why = format!("{} must be a directory of this user with mode 0700", path.display());
    Err(io::Error::new(ErrorKind::PermissionDenied, why))
}

/// Opens a file to be written, made where it is missing.
///
/// # Errors
/// It cannot be opened, or what is there is no file of this user, but a link, say.
pub fn open(path: &Path) -> io::Result<File> {
    let no_link = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600).custom_flags(no_link.bits());
    let file = options.open(path)?;
    let found = file.metadata()?;
    if found.is_file() && is_own(&found) {
        return Ok(file);
    }
    let why = format!("{} must be a file of this user", path.display());
    Err(io::Error::new(ErrorKind::PermissionDenied, why))
}

/// Reads a small file of this user: at most so many bytes of it.
///
/// # Errors
/// There is none, it cannot be read, or what is there is no file of this user, but a link, say.
pub fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let no_link = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(no_link.bits()).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || !is_own(&found) {
        let why = format!("{} must be a file of this user", path.display());
        return Err(io::Error::new(ErrorKind::PermissionDenied, why));
    }
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Puts a small file in its place: a reader finds the one before, or this one whole.
///
/// # Errors
/// As [`open`], or it cannot be written.
pub fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = Path::new(&draft);
    let mut file = open(draft)?;
    file.set_len(0)?;
    file.write_all(bytes)?;
    fs::rename(draft, path)
}

fn is_own(found: &Metadata) -> bool {
    found.uid() == nix::unistd::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn p9_a_folder_that_others_may_enter_or_that_is_a_link_is_refused() {
        let place = tempfile::tempdir().expect("a folder");
        let (own, link) = (place.path().join("own"), place.path().join("link"));
        make(&own).expect("made");
        make(&own).expect("found");
        symlink(&own, &link).expect("made");
        assert!(make(&link).is_err(), "it leads elsewhere");
        fs::set_permissions(&own, fs::Permissions::from_mode(0o750)).expect("a mode");
        assert!(make(&own).is_err(), "others may enter");
    }

    #[test]
    fn p9_a_file_that_is_a_link_is_not_written_through() {
        let place = tempfile::tempdir().expect("a folder");
        let (file, link) = (place.path().join("file"), place.path().join("link"));
        fs::write(&file, b"another's").expect("written");
        symlink(&file, &link).expect("made");
        assert!(open(&link).is_err() && open(place.path()).is_err());
        assert!(read(&link, 9).is_err() && read(place.path(), 9).is_err());
        assert_eq!(read(&file, 7).expect("there"), b"another", "no more than is asked for");
        symlink(&file, place.path().join("new.new")).expect("made");
        assert!(put(&place.path().join("new"), b"ours").is_err());
        assert_eq!(fs::read(&file).expect("there"), b"another's");
    }

    #[test]
    fn a_file_that_is_put_is_whole_and_nothing_is_left_beside_it() {
        let place = tempfile::tempdir().expect("a folder");
        let file = place.path().join("file");
        // Of one that was killed.
        fs::write(place.path().join("file.new"), b"much longer than that").expect("written");
        put(&file, b"longer").expect("put");
        let before = File::open(&file).expect("there");
        put(&file, b"whole").expect("put again");
        assert_eq!(fs::read(&file).expect("there"), b"whole");
        assert_eq!(io::read_to_string(before).expect("there"), "longer", "who reads has one");
        assert_eq!(fs::read_dir(place.path()).expect("there").count(), 1);
        assert_eq!(file.metadata().expect("there").mode() & 0o777, 0o600);
    }
}
