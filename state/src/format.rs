//! The files of a store, and those that say who may read them.

use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use mixcord_event::record::{KEYS, KINDS, LAYOUT};

use crate::OpenError;

/// The table.
pub const TABLE_FILE: &str = "table";
/// The files of the store of releases before the table, which is copied once.
pub const OLD_FILES: [&str; 2] = ["data.mdb", "lock.mdb"];
/// Held by the cache that writes the store.
pub const WRITER_FILE: &str = "writer.lock";
/// Says which cache wrote the store last, and what it may have put into it ([`written_by`]).
pub const WRITTEN_BY_FILE: &str = "written-by";
/// Written last when a store is made and removed first when it is unmade, so that a store with it
/// is whole ([`text`]).
pub const FORMAT_FILE: &str = "format";

/// Every file of a store, the one that says that it is whole first.
pub const FILES: [&str; 9] = [
    FORMAT_FILE,
    TABLE_FILE,
    OLD_FILES[0],
    OLD_FILES[1],
    WRITER_FILE,
    WRITTEN_BY_FILE,
    // What a cache that was killed while it made a store leaves.
    "table.new",
    "format.new",
    "written-by.new",
];

const TITLE: &str = "mixcord-state ";
/// How tables and files lie. A store of a higher version is not touched.
///
/// | version | |
/// |---|---|
/// | 3 | in LMDB: copied |
/// | 4 | a table |
/// | 5 | documents in it may have a form (`form.rs`); a voice state has no member where that is cached |
/// | 6 | times and hashes in a form may be short; what is known about a channel lies with its guild, in one value |
pub(crate) const VERSION: u32 = 6;
/// Those that are read and written as they are: a table stays of the version that made it.
pub(crate) const VERSIONS: RangeInclusive<u32> = 4..=VERSION;
/// The first version in which voice states are kept without their member, and composed with it by whoever reads.
pub const COMPOSED_SINCE: u32 = 5;
/// The first version in which what is known about a channel lies in one value with its guild.
pub const CHANNELS_WHOLE_SINCE: u32 = 6;
/// The version before the table, whose store is copied.
const COPIED_VERSION: u32 = 3;

/// What the table itself says.
pub(crate) const fn format_of_table(version: u32) -> u64 {
    u64::from_le_bytes(*b"mixcord\0") + ((version as u64) << 56)
}

/// How tables and files lie in stores of this release.
#[must_use]
pub const fn version() -> u32 {
    VERSION
}

/// This release, as a cache.
const WRITER: &str = concat!("mixcord-cache ", env!("CARGO_PKG_VERSION"));

/// Names this run of the system.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// What the format file says: the version of the table ([`Writer::version`](crate::Writer::version)), and the run of
/// the system whose crash would lose what was not synced.
///
/// # Errors
/// When the system does not say which run this is.
pub fn text(version: u32) -> io::Result<String> {
    Ok(format_of(version, &boot(Path::new(BOOT))?))
}

fn format_of(version: u32, boot: &str) -> String {
    format!("{TITLE}{version}\n{boot}\n")
}

/// Never empty: two runs without a name would be taken for one.
fn boot(path: &Path) -> io::Result<String> {
    // Whatever is wrong with this file, it is not the store that is not there.
    let failed = |why: &str| io::Error::other(format!("{}: {why}", path.display()));
    let boot = fs::read_to_string(path).map_err(|error| failed(&error.to_string()))?;
    match boot.trim() {
        "" => Err(failed("empty")),
        boot => Ok(boot.to_owned()),
    }
}

/// A small file of a store. Bytes that are no text are no word of ours either.
fn read(dir: &Path, name: &str) -> io::Result<String> {
    let named = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => error,
        kind => io::Error::new(kind, format!("{name}: {error}")),
    };
    let bytes = fs::read(dir.join(name)).map_err(named)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What the file [`WRITTEN_BY_FILE`] says: the program, then the layout of the documents and how many keys
/// and kinds have numbers in it, one a line. Later lines may say more.
#[must_use]
pub fn written_by() -> String {
    format!("{WRITER}\nlayout {LAYOUT}\nkeys {KEYS}\nkinds {KINDS}\n")
}

/// What a store is to this release.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It can be read and written.
    Readable,
    /// It is of an older version or of another run of the system: nothing in it is of use any more.
    Void,
    /// It is of the version before, whose store is copied.
    Copied,
    /// It holds what this release does not know; it is as good as ever for who wrote it.
    Newer {
        /// Which program wrote it.
        by: String,
    },
}

/// How the store in `dir` stands.
///
/// # Errors
/// `NotFound` where there is none; else the system does not let it be read now, which says nothing of it.
pub fn standing(dir: &Path) -> io::Result<Standing> {
    let format = read(dir, FORMAT_FILE)?;
    let written_by = match read(dir, WRITTEN_BY_FILE) {
        // Before there was such a file, there was but one layout.
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read?,
    };
    Ok(judge(&format, &written_by, &boot(Path::new(BOOT))?))
}

fn judge(format: &str, written_by: &str, boot: &str) -> Standing {
    let mut lines = format.lines();
    let version = lines.next().and_then(|line| line.strip_prefix(TITLE));
    // What is said behind the number is of a newer release too.
    let number = version.map(|said| said.parse::<u32>().unwrap_or(u32::MAX));
    let (Some(number), Some(found)) = (number, lines.next()) else { return Standing::Void };
    if number < COPIED_VERSION || found != boot {
        return Standing::Void;
    }
    let mut lines = written_by.lines();
    let by = lines.next().unwrap_or("a newer mixcord-cache");
    let known = [("layout", u64::from(LAYOUT)), ("keys", KEYS as u64), ("kinds", KINDS as u64)];
    let is_more = |line: &str| {
        let Some((what, count)) = line.split_once(' ') else { return false };
        let known = known.iter().find(|(name, _)| *name == what);
        known.is_some_and(|(_, known)| count.parse::<u64>().is_ok_and(|count| count > *known))
    };
    if number > VERSION || lines.any(is_more) {
        return Standing::Newer { by: by.to_owned() };
    }
    if VERSIONS.contains(&number) { Standing::Readable } else { Standing::Copied }
}

/// Tells one making of a store from another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seal {
    inode: u64,
    made_ns: (i64, i64),
}

/// Whether the store in `dir` can be read: ours alone, of this version and this run of the system.
pub(crate) fn check(dir: &Path) -> Result<Seal, OpenError> {
    let at = || dir.to_owned();
    let fail = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => OpenError::NotFound { dir: at() },
        _ => OpenError::Io { dir: at(), source },
    };
    let folder = fs::metadata(dir).map_err(fail)?;
    if folder.uid() != nix::unistd::geteuid().as_raw() || folder.mode() & 0o077 != 0 {
        return Err(OpenError::NotOurs { dir: at() });
    }
    match standing(dir).map_err(fail)? {
        Standing::Readable => {}
        Standing::Void | Standing::Copied => return Err(OpenError::Foreign { dir: at() }),
        Standing::Newer { by } => return Err(OpenError::Newer { dir: at(), by }),
    }
    let made = fs::metadata(dir.join(FORMAT_FILE)).map_err(fail)?;
    Ok(Seal { inode: made.ino(), made_ns: (made.mtime(), made.mtime_nsec()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p11_a_store_says_what_is_in_it() {
        let newer = |by: &str| Standing::Newer { by: by.to_owned() };
        let judge = |format: &str, written_by: &str| judge(format, written_by, "this boot");
        let ours = format_of(VERSION, "this boot");
        for before in [4, 5] {
            let before = format_of(before, "this boot");
            assert_eq!(judge(&before, &written_by()), Standing::Readable);
        }
        assert_eq!(judge(&ours, &written_by()), Standing::Readable);
        // Of the release before this file, and of one that says more than it has to.
        assert_eq!(judge(&ours, ""), Standing::Readable);
        let more = written_by() + "shapes 9\n";
        assert_eq!(judge(&ours, &more.replace(WRITER, "mixcord-cache 9.0.0")), Standing::Readable);

        for (what, known) in
            [("layout", u64::from(LAYOUT)), ("keys", KEYS as u64), ("kinds", KINDS as u64)]
        {
            let said = format!("mixcord-cache 9.0.0\n{what} {}\n", known + 1);
            assert_eq!(judge(&ours, &said), newer("mixcord-cache 9.0.0"), "{what}");
        }
        let boot = "this boot";
        for version in ["7", "11", "6 keys=900"] {
            let said = format!("mixcord-state {version}\n{boot}\n");
            assert_eq!(judge(&said, "mixcord-cache 9.0.0\n"), newer("mixcord-cache 9.0.0"));
            assert_eq!(judge(&said, ""), newer("a newer mixcord-cache"));
        }
        let before = format!("mixcord-state 3\n{boot}\n");
        assert_eq!(judge(&before, &written_by()), Standing::Copied);
        for void in [
            "",
            "nonsense",
            "mixcord-state 6\nanother boot\n",
            "mixcord-state 3\nanother boot\n",
            "mixcord-state 4\n\n",
            &format!("mixcord-state 2\n{boot}\n"),
        ] {
            assert_eq!(judge(void, &written_by()), Standing::Void, "{void:?}");
        }
    }

    #[test]
    fn a_run_of_the_system_without_a_name_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("boot_id");
        let error = boot(&file).expect_err("is not there");
        assert_ne!(error.kind(), io::ErrorKind::NotFound, "taken for a store that is not there");
        fs::write(&file, "\n").expect("writes");
        assert!(boot(&file).is_err(), "two such runs would be one");
        fs::write(&file, "a1b2\n").expect("writes");
        assert_eq!(boot(&file).expect("says it"), "a1b2");
        assert!(text(VERSION).is_ok());
    }

    /// What cannot be read now (too many open files, a disk that fails) is not void.
    #[test]
    fn what_cannot_be_read_is_an_error_and_bytes_that_are_no_text_are_void() {
        let folder = tempfile::tempdir().expect("a folder");
        let (format, written_by) =
            (folder.path().join(FORMAT_FILE), folder.path().join(WRITTEN_BY_FILE));
        let kind = || standing(folder.path()).map_err(|error| error.kind());
        assert_eq!(kind(), Err(io::ErrorKind::NotFound));
        fs::write(&format, [b'm', 0xFF]).expect("writes");
        assert_eq!(kind(), Ok(Standing::Void));
        fs::write(&format, text(VERSION).expect("a boot")).expect("writes");
        assert_eq!(kind(), Ok(Standing::Readable));
        for file in [&written_by, &format] {
            let _ = fs::remove_file(file);
            // The same for root, who may read everything.
            std::os::unix::fs::symlink(file, file).expect("a link to itself");
            let error = standing(folder.path()).expect_err("cannot be read");
            assert_ne!(error.kind(), io::ErrorKind::NotFound);
            let name = file.file_name().expect("named").to_string_lossy().into_owned();
            assert!(error.to_string().contains(&name), "{error}");
        }
    }
}
