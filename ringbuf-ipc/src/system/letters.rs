//! The file of a group: its dead letters, and the records that were set aside.
//!
//! `{segment}.letters-{ring id}-{place of the group}`: 64 bytes of header (`MIXLETTR`, the version, 1, the ring
//! id), then entries one behind the other (`core/words/letter.rs` draws them). Whoever reads or changes it
//! holds the lock of the group's file, which the kernel takes back from whoever dies with it.
//!
//! An entry is appended by one write. A process killed in it leaves a torn end, which the next one cuts. The
//! state of an entry is changed in place, by one write of 8 bytes. When there is no room, the file is written
//! anew without what is gone, and, if that is not enough, without the oldest dead letters; it is renamed
//! over the old one when it is whole.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use mixcord_memory::__kill as kill;
use nix::libc;

use super::segment::{open_checked, path_of};
use crate::core::words::letter::{
    Appended, Condition, HEAD, Head, Kept, LetterFile, Parts, Placed, STATE_AT,
};
use crate::error::AttachError;

const MAGIC: [u8; 8] = *b"MIXLETTR";
const VERSION: u64 = 1;
const HEADER: u64 = 64;

/// The file, opened by whoever holds its lock.
#[derive(Debug)]
pub(crate) struct Letters {
    name: String,
    file: File,
    ring_id: u64,
    /// Bytes the file may have.
    limit: u64,
    entries: Vec<Placed>,
    end: u64,
    changed: bool,
}

impl Letters {
    pub(crate) fn name(segment: &str, ring_id: u64, group: u16) -> String {
        format!("{segment}.letters-{ring_id:016x}-{group}")
    }

    /// Opens the file, made if it is not there; `None` when it is not there and not to be `made`. A torn end
    /// is cut.
    pub(crate) fn open(
        name: &str,
        ring_id: u64,
        limit: u64,
        make: bool,
    ) -> io::Result<Option<Self>> {
        let file = match open_checked(name) {
            Ok(file) => file,
            Err(AttachError::NotFound { .. }) if make => create(name)?,
            Err(AttachError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(io::Error::other(error)),
        };
        let mut this = Self::over(name.to_owned(), file, ring_id, limit);
        this.read_all()?;
        Ok(Some(this))
    }

    const fn over(name: String, file: File, ring_id: u64, limit: u64) -> Self {
        Self { name, file, ring_id, limit, entries: Vec::new(), end: HEADER, changed: false }
    }

    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        if kill::ENABLED && bytes.len() > 8 {
            // As a kill in the middle of a write leaves it.
            self.file.write_all_at(&bytes[..bytes.len() / 2], at)?;
            kill::point();
        }
        self.file.write_all_at(bytes, at)?;
        kill::point();
        Ok(())
    }

    fn read_all(&mut self) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        let mut header = [0; 24];
        let read = self.file.read_exact_at(&mut header, 0);
        let other_release =
            header[..8] == MAGIC && header[16..] == self.header()[16..] && header != self.header();
        if read.is_ok() && other_release {
            return Err(io::Error::other(
                "it was written by another release: run that one, or remove the group",
            ));
        }
        if read.is_err() || header != self.header() {
            // Nothing was ever in it, or it is none of ours.
            self.file.set_len(0)?;
            self.write(&self.header(), 0)?;
            self.file.set_len(HEADER)?;
            kill::point();
            return Ok(());
        }
        let mut window = Window { file: &self.file, at: 0, bytes: Vec::new() };
        let mut end = HEADER;
        // Whatever lies beyond was not written by us.
        let entries = length.min(self.limit);
        while let Some(head) = window.head_at(end, entries)? {
            self.entries.push(Placed { at: end, head });
            end += head.bytes;
        }
        self.end = end;
        // Entries before the last were whole when the last one was appended.
        if let Some(last) = self.entries.last().copied()
            && self.body(&last).is_err()
        {
            self.entries.pop();
            self.end = last.at;
        }
        if self.end < length {
            self.file.set_len(self.end.max(HEADER))?;
            kill::point();
        }
        Ok(())
    }

    fn header(&self) -> [u8; 24] {
        let mut header = [0; 24];
        header[..8].copy_from_slice(&MAGIC);
        header[8..16].copy_from_slice(&VERSION.to_le_bytes());
        header[16..].copy_from_slice(&self.ring_id.to_le_bytes());
        header
    }

    /// Writes the file anew, with room for `wanted` bytes; which dead letters had to go. `None`, and nothing
    /// changed, when not all of them together would make room.
    fn compact(&mut self, wanted: u64) -> io::Result<Option<Vec<Head>>> {
        let budget = self.limit.saturating_sub(HEADER + wanted);
        let mut dropped = Vec::new();
        let live = |entry: &&Placed| entry.head.condition.kept != Kept::Gone;
        let mut used: u64 = self.entries.iter().filter(live).map(|entry| entry.head.bytes).sum();
        let mut kept = Vec::new();
        for entry in self.entries.iter().filter(live) {
            if used > budget && entry.head.condition.kept == Kept::Dead {
                used -= entry.head.bytes;
                dropped.push(entry.head);
            } else {
                kept.push(*entry);
            }
        }
        if used > budget || HEADER + wanted > self.limit {
            return Ok(None);
        }
        let temporary = format!("{}.new", self.name);
        // Left by one that was killed while it did the same.
        match fs::remove_file(path_of(&temporary)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => kill::point(),
        }
        let file = create(&temporary)?;
        let mut anew = Self::over(temporary, file, self.ring_id, self.limit);
        let outcome = anew.fill(self, &kept);
        if let Err(error) =
            outcome.and_then(|()| fs::rename(path_of(&anew.name), path_of(&self.name)))
        {
            let _ = fs::remove_file(path_of(&anew.name));
            return Err(error);
        }
        kill::point();
        (self.file, self.entries, self.end) = (anew.file, anew.entries, anew.end);
        Ok(Some(dropped))
    }

    fn fill(&mut self, old: &Self, kept: &[Placed]) -> io::Result<()> {
        self.write(&self.header(), 0)?;
        self.file.set_len(HEADER)?;
        let mut bytes = Vec::new();
        for entry in kept {
            bytes.resize(entry.head.bytes as usize, 0);
            old.file.read_exact_at(&mut bytes, entry.at)?;
            self.write(&bytes, self.end)?;
            self.entries.push(Placed { at: self.end, head: entry.head });
            self.end += entry.head.bytes;
        }
        Ok(())
    }
}

impl LetterFile for Letters {
    fn is_changed(&self) -> bool {
        self.changed
    }

    fn entries(&self) -> &[Placed] {
        &self.entries
    }

    fn room(&self) -> u64 {
        let stays = |entry: &&Placed| !matches!(entry.head.condition.kept, Kept::Gone | Kept::Dead);
        let used: u64 = self.entries.iter().filter(stays).map(|entry| entry.head.bytes).sum();
        self.limit.saturating_sub(HEADER + used)
    }

    fn append(&mut self, parts: &Parts<'_>) -> io::Result<Option<Appended>> {
        let bytes = parts.encode();
        let mut dropped = Vec::new();
        if self.end + bytes.len() as u64 > self.limit {
            match self.compact(bytes.len() as u64)? {
                Some(heads) => dropped = heads,
                None => return Ok(None),
            }
        }
        let at = self.end;
        if let Err(error) = self.write(&bytes, at) {
            self.file.set_len(at)?;
            return Err(error);
        }
        let head = bytes.first_chunk().and_then(Head::parse).ok_or(io::ErrorKind::InvalidData)?;
        self.entries.push(Placed { at, head });
        self.end += bytes.len() as u64;
        self.changed = true;
        Ok(Some(Appended { dropped }))
    }

    fn change(&mut self, at: u64, condition: Condition) -> io::Result<()> {
        self.write(&condition.word().to_le_bytes(), at + STATE_AT)?;
        self.changed = true;
        if let Ok(index) = self.entries.binary_search_by_key(&at, |entry| entry.at) {
            self.entries[index].head.condition = condition;
        }
        Ok(())
    }

    fn body(&self, entry: &Placed) -> io::Result<(String, Vec<u8>)> {
        let bytes = usize::try_from(entry.head.bytes).unwrap_or(usize::MAX) - HEAD;
        let mut body = vec![0; bytes];
        self.file.read_exact_at(&mut body, entry.at + HEAD as u64)?;
        entry.head.body(&body).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn trim(&mut self) -> io::Result<()> {
        let matters = |entry: &Placed| entry.head.condition.kept != Kept::Gone;
        if !self.entries.is_empty() && !self.entries.iter().any(matters) {
            self.file.set_len(HEADER)?;
            kill::point();
            self.entries.clear();
            self.end = HEADER;
        }
        Ok(())
    }
}

/// What was read of a file at a time: heads of short entries are many to a read.
struct Window<'a> {
    file: &'a File,
    at: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    const BYTES: u64 = 64 << 10;

    fn head_at(&mut self, at: u64, length: u64) -> io::Result<Option<Head>> {
        if at + HEAD as u64 > length {
            return Ok(None);
        }
        let end = self.at + self.bytes.len() as u64;
        if at < self.at || at + HEAD as u64 > end {
            self.at = at;
            self.bytes.resize(Self::BYTES.min(length - at) as usize, 0);
            self.file.read_exact_at(&mut self.bytes, at)?;
        }
        let raw = self.bytes[(at - self.at) as usize..].first_chunk();
        Ok(raw.and_then(Head::parse).filter(|head| head.bytes <= length - at))
    }
}

/// Removes the file of a group that is gone.
pub(crate) fn remove(name: &str) {
    for name in [name, &format!("{name}.new")] {
        let _ = fs::remove_file(path_of(name));
        kill::point();
    }
}

fn create(name: &str) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path_of(name))?;
    kill::point();
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::words::word::{Counts, Epoch};

    /// A file that goes with the test.
    struct Named(String);

    impl Named {
        fn new(test: &str) -> Self {
            Self(format!("ringtest-{}-{test}.letters", std::process::id()))
        }
        fn open(&self, limit: u64) -> Letters {
            Letters::open(&self.0, 7, limit, true).unwrap().unwrap()
        }
    }

    impl Drop for Named {
        fn drop(&mut self) {
            remove(&self.0);
        }
    }

    fn condition(kept: Kept) -> Condition {
        let (counts, epoch) = (Counts::default(), Epoch::of(1));
        Condition { kept, member: None, counts, epoch, revived: false }
    }

    fn parts(position: u64, kept: Kept, payload: &[u8]) -> Parts<'_> {
        let (key, order, tag, source, written_ms, given, lane) = (1, 2, 3, 4, 5, 6, 7);
        Parts {
            condition: condition(kept),
            position,
            key,
            order,
            tag,
            source,
            written_ms,
            given,
            lane,
            reason: "why",
            payload,
        }
    }

    fn positions(letters: &Letters) -> Vec<u64> {
        letters.entries().iter().map(|entry| entry.head.position).collect()
    }

    #[test]
    fn entries_are_there_again_and_change_in_place() {
        let name = Named::new("again");
        let mut letters = name.open(1 << 16);
        for position in 0..3 {
            letters.append(&parts(position, Kept::Waiting, &[position as u8; 100])).unwrap();
        }
        let at = letters.entries()[1].at;
        letters.change(at, condition(Kept::Dead)).unwrap();
        let letters = name.open(1 << 16);
        assert_eq!(positions(&letters), [0, 1, 2]);
        assert_eq!(letters.entries()[1].head.condition, condition(Kept::Dead));
        let body = letters.body(&letters.entries()[2]).unwrap();
        assert_eq!(body, ("why".to_owned(), vec![2; 100]));
    }

    /// However much of the last entry was written, the ones before are there, and the next takes its place.
    #[test]
    fn a_torn_end_is_cut() {
        let name = Named::new("torn");
        let mut letters = name.open(1 << 16);
        letters.append(&parts(0, Kept::Dead, b"first")).unwrap();
        let whole = letters.end;
        letters.append(&parts(1, Kept::Dead, &[9; 40])).unwrap();
        let bytes = fs::read(path_of(&name.0)).unwrap();
        for cut in whole as usize..bytes.len() {
            fs::write(path_of(&name.0), &bytes[..cut]).unwrap();
            let mut letters = name.open(1 << 16);
            assert_eq!((positions(&letters), letters.end), (vec![0], whole), "cut at {cut}");
            letters.append(&parts(2, Kept::Dead, b"next")).unwrap();
            assert_eq!(positions(&name.open(1 << 16)), [0, 2]);
        }
        // Whole, but with pages that never came.
        let mut zeros = bytes;
        zeros[whole as usize + HEAD..].fill(0);
        fs::write(path_of(&name.0), &zeros).unwrap();
        assert_eq!(positions(&name.open(1 << 16)), [0]);
    }

    #[test]
    fn when_it_is_full_the_gone_go_first_then_the_oldest_dead_and_never_what_is_aside() {
        let name = Named::new("full");
        let entry = parts(0, Kept::Dead, &[0; 100]).encode().len() as u64;
        let mut letters = name.open(HEADER + 4 * entry);
        let kept = [Kept::Gone, Kept::Dead, Kept::Waiting, Kept::Dead];
        for (position, kept) in (0..).zip(kept) {
            letters.append(&parts(position, kept, &[0; 100])).unwrap().unwrap();
        }
        let dropped = |letters: &mut Letters, position| {
            letters.append(&parts(position, Kept::Waiting, &[0; 100])).unwrap().map(|appended| {
                appended.dropped.iter().map(|head| head.position).collect::<Vec<_>>()
            })
        };
        assert_eq!(dropped(&mut letters, 4), Some(vec![]));
        assert_eq!(dropped(&mut letters, 5), Some(vec![1]));
        assert_eq!(dropped(&mut letters, 6), Some(vec![3]));
        assert_eq!(positions(&letters), [2, 4, 5, 6]);
        assert_eq!(dropped(&mut letters, 7), None, "all of it waits");
        assert_eq!(positions(&name.open(HEADER + 4 * entry)), [2, 4, 5, 6]);
        assert_eq!(letters.room(), 0);
    }

    /// Also of a file that is longer than any may be, no more is taken into memory.
    #[test]
    fn what_lies_beyond_the_limit_is_cut() {
        let name = Named::new("beyond");
        let entry = parts(0, Kept::Dead, b"x").encode().len() as u64;
        let mut letters = name.open(HEADER + 8 * entry);
        for position in 0..8 {
            letters.append(&parts(position, Kept::Dead, b"x")).unwrap().unwrap();
        }
        assert_eq!(positions(&name.open(HEADER + 3 * entry)), [0, 1, 2]);
        assert_eq!(fs::metadata(path_of(&name.0)).unwrap().len(), HEADER + 3 * entry);
    }

    #[test]
    fn a_file_of_another_release_is_left_as_it_is() {
        let name = Named::new("release");
        name.open(1 << 16).append(&parts(0, Kept::Dead, b"x")).unwrap();
        let mut bytes = fs::read(path_of(&name.0)).unwrap();
        bytes[8] = 2;
        fs::write(path_of(&name.0), &bytes).unwrap();
        let error = Letters::open(&name.0, 7, 1 << 16, true).unwrap_err();
        assert!(error.to_string().contains("another release"), "{error}");
        assert_eq!(fs::read(path_of(&name.0)).unwrap(), bytes);
    }

    #[test]
    fn bytes_that_are_none_are_no_entries() {
        let name = Named::new("foreign");
        drop(name.open(1 << 16));
        for bytes in [&b""[..], &[0xFF; 63], &[0xFF; 4096], &[0; 4096]] {
            fs::write(path_of(&name.0), bytes).unwrap();
            let mut letters = name.open(1 << 16);
            assert_eq!(letters.entries().len(), 0);
            letters.append(&parts(1, Kept::Dead, b"x")).unwrap();
            assert_eq!(positions(&name.open(1 << 16)), [1]);
        }
    }
}
