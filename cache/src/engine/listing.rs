//! Which shard rings there are: looked for anew only where something changed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use mixcord_event::topology;
use mixcord_ring::Namespace;

use super::input::FileId;

/// Two changes closer together than the file system's clock ticks leave the same time behind.
const GRAIN: Duration = Duration::from_secs(1);

/// A namespace's shard rings as of the last look, and the files that their names stand for.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) files: BTreeMap<String, FileId>,
    /// When the directory changed last, if that was long enough before the look.
    changed: Option<SystemTime>,
}

impl Listing {
    /// Looks; false where nothing can have changed since the last look.
    pub(super) fn look(&mut self, namespace: &Namespace) -> io::Result<bool> {
        self.look_into(Namespace::directory(), namespace.prefix())
    }

    fn look_into(&mut self, directory: &Path, prefix: &str) -> io::Result<bool> {
        // In this order: what changes in between is found by the next look.
        let meta = fs::metadata(directory)?;
        let changed = meta.modified()?;
        if self.changed == Some(changed) {
            return Ok(false);
        }
        let is_old = SystemTime::now().duration_since(changed).is_ok_and(|age| age >= GRAIN);
        self.files.clear();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().and_then(|name| name.strip_prefix(prefix)?.strip_prefix('.'));
            if let Some(name) = name
                && topology::parse_shard_ring(name).is_some()
                && entry.file_type().is_ok_and(|kind| kind.is_file())
            {
                // Without a question to the system for each: the directory itself tells the number.
                self.files.insert(name.to_owned(), (meta.dev(), entry.ino()));
            }
        }
        self.changed = is_old.then_some(changed);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    /// A directory where rings are: others may number their entries otherwise than their files.
    fn directory() -> tempfile::TempDir {
        let prefix = format!("t{}-listing-", std::process::id());
        tempfile::Builder::new().prefix(&prefix).tempdir_in(Namespace::directory()).unwrap()
    }

    /// As if nothing had happened in the directory for so many seconds.
    fn rest(directory: &Path, seconds: u64) {
        let then = SystemTime::now() - Duration::from_secs(seconds);
        File::open(directory).unwrap().set_modified(then).unwrap();
    }

    fn looks(listing: &mut Listing, directory: &Path) -> bool {
        listing.look_into(directory, "bot").unwrap()
    }

    #[test]
    fn it_lists_again_what_changed_and_nothing_else() {
        let directory = directory();
        let (path, mut listing) = (directory.path(), Listing::default());
        let ring = path.join(format!("bot.{}", topology::shard_ring(0, 1)));
        let other = path.join("bot.out");
        rest(path, 30);
        assert!(looks(&mut listing, path), "for the first time");
        assert!(!looks(&mut listing, path) && listing.files.is_empty());
        let changes: [&dyn Fn(); 4] = [
            &|| fs::write(&ring, "a ring").unwrap(),
            &|| fs::write(&other, "one to come").unwrap(),
            &|| fs::rename(&other, &ring).unwrap(),
            &|| fs::remove_file(&ring).unwrap(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            change();
            assert!(looks(&mut listing, path), "change {number}");
            assert!(looks(&mut listing, path), "another may have come at the same moment");
            let found = listing.files.get(&topology::shard_ring(0, 1)).copied();
            let there = fs::metadata(&ring).ok().map(|meta| (meta.dev(), meta.ino()));
            assert_eq!(found, there, "after change {number}");
            assert_eq!(listing.files.len(), usize::from(there.is_some()), "the ring alone");
            rest(path, 20 - number as u64);
            assert!(looks(&mut listing, path));
            assert!(!looks(&mut listing, path), "nothing since change {number}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_is_not_relied_on() {
        let directory = directory();
        let (path, mut listing) = (directory.path(), Listing::default());
        let later = SystemTime::now() + Duration::from_secs(3600);
        File::open(path).unwrap().set_modified(later).unwrap();
        for _ in 0..3 {
            assert!(looks(&mut listing, path));
        }
    }

    #[test]
    fn rings_of_others_are_not_listed() {
        let directory = directory();
        let (path, mut listing) = (directory.path(), Listing::default());
        let ring = topology::shard_ring(3, 16);
        for name in [format!("bot.{ring}"), format!("bot.eu.{ring}"), format!("robot.{ring}")] {
            fs::write(path.join(name), "").unwrap();
        }
        fs::create_dir(path.join(format!("bot.{}", topology::shard_ring(4, 16)))).unwrap();
        looks(&mut listing, path);
        assert_eq!(listing.files.keys().collect::<Vec<_>>(), [&ring]);
    }
}
