//! The file of a group: its dead letters, and the records that were set aside.
//!
//! `{segment}.letters-{ring id}-{place of the group}`: 64 bytes of header (`MIXLETTR`, the version, 2, the ring id,
//! times that damage was found, entries lost to it), then entries and changes of their state, one behind the other
//! (`core/words/letter.rs` draws them). Whoever reads or changes it holds the lock of the group's file, which the
//! kernel takes back from whoever dies with it.
//!
//! Everything is appended, by one write each: so a process that knows the file reads only what others appended
//! since, and the cost of a change is the same whatever the file holds. A process killed in a write leaves a torn
//! end, which the next one cuts. A fifth of the file may be gone; then it is written anew without that, and renamed
//! over the old one when it is whole. A file in which nothing is left is removed.
//!
//! Damage: the file goes to `….damaged`, where it stays until the next damage or the group's end; what is whole goes
//! on in a new file, whose header says what is lost.

pub(super) mod index;
mod load;
#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};

use mixcord_memory::__kill as kill;
use nix::libc;

use self::index::{Index, Placed};
use self::load::{End, load};
use super::segment::{open_checked, path_of};
use crate::core::Position;
use crate::core::words::letter::{Change, Condition, Damage, Head, Kept, LetterFile, Parts};
use crate::error::AttachError;

const MAGIC: [u8; 8] = *b"MIXLETTR";
const VERSION: u64 = 2;
const HEADER: u64 = 64;
/// Bytes of what is gone before a file is written anew, unless a fourth of what is left is more.
const GARBAGE: u64 = if kill::ENABLED { 512 } else { 64 << 10 };
/// How much is copied at a time.
const COPIED: u64 = 1 << 20;

/// The file, as this process knows it; used by whoever holds its lock.
#[derive(Debug)]
pub(crate) struct Letters {
    name: String,
    file: File,
    ring_id: u64,
    /// Bytes that entries may have.
    limit: u64,
    index: Index,
    damage: Damage,
    /// Where the next item goes.
    end: u64,
    changed: bool,
}

impl Letters {
    pub(crate) fn name(segment: &str, ring_id: u64, group: u16) -> String {
        format!("{segment}.letters-{ring_id:016x}-{group}")
    }

    /// Opens the file, made if it is not there; `None` when it is not there and not to be `made`. A torn end
    /// is cut, and damage left behind.
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
        this.read_header()?;
        Ok(Some(this))
    }

    /// Takes note of what others did since this process had the lock last; false when the file is another now.
    pub(crate) fn refresh(&mut self) -> io::Result<bool> {
        self.changed = false;
        let own = self.file.metadata()?;
        match fs::symlink_metadata(path_of(&self.name)) {
            // As long as it is open here its number is not given to another.
            Ok(named) if (named.dev(), named.ino()) == (own.dev(), own.ino()) => {}
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        }
        if own.len() < self.end {
            return Ok(false);
        }
        self.read_from(self.end, own.len())?;
        Ok(true)
    }

    /// Before the lock is let go: no more of the file is garbage than may be, and none is left in which nothing
    /// is; false when there is no file any more.
    pub(crate) fn tidy(&mut self) -> io::Result<bool> {
        if self.index.is_empty() && self.damage == Damage::default() {
            fs::remove_file(path_of(&self.name))?;
            kill::point();
            return Ok(false);
        }
        let garbage = self.end - HEADER - self.index.used();
        if garbage > GARBAGE.max(self.index.used() / 4) {
            self.write_anew()?;
        }
        Ok(true)
    }

    fn over(name: String, file: File, ring_id: u64, limit: u64) -> Self {
        let (index, damage) = (Index::default(), Damage::default());
        Self { name, file, ring_id, limit, index, damage, end: HEADER, changed: false }
    }

    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        if kill::ENABLED {
            // As a kill in the middle of a write leaves it.
            self.file.write_all_at(&bytes[..bytes.len() / 2], at)?;
            kill::point();
        }
        self.file.write_all_at(bytes, at)?;
        kill::point();
        Ok(())
    }

    fn read_header(&mut self) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        if length < HEADER {
            // Nothing was ever in it.
            self.file.set_len(0)?;
            return self.write(&self.header(), 0);
        }
        let mut header = [0; HEADER as usize];
        self.file.read_exact_at(&mut header, 0)?;
        let word = |at: usize| {
            let mut little = [0; 8];
            little.copy_from_slice(&header[at..at + 8]);
            u64::from_le_bytes(little)
        };
        let is_ours = header[..8] == MAGIC && word(16) == self.ring_id;
        if is_ours && word(8) != VERSION {
            return Err(io::Error::other(
                "it was written by another release: run that one, or remove the group",
            ));
        }
        if is_ours {
            self.damage = Damage { times: word(24), lost: word(32) };
            return self.read_from(HEADER, length);
        }
        // What it says of earlier damage is lost with it.
        let longest = self.longest();
        let end = load(&self.file, self.ring_id, &mut self.index, HEADER..length, longest)?;
        let lost = if let End::Damaged { lost } = end { lost } else { 0 };
        self.leave_behind(lost)
    }

    fn read_from(&mut self, at: u64, length: u64) -> io::Result<()> {
        let longest = self.longest();
        match load(&self.file, self.ring_id, &mut self.index, at..length, longest)? {
            End::At(end) => {
                self.end = end;
                if end < length {
                    self.file.set_len(end)?;
                    kill::point();
                }
                Ok(())
            }
            End::Damaged { lost } => self.leave_behind(lost),
        }
    }

    /// Keeps a damaged file under another name, and goes on with what of it is whole.
    fn leave_behind(&mut self, lost: u64) -> io::Result<()> {
        let Damage { times, lost: before } = self.damage;
        let (times, lost) = (times.saturating_add(1), before.saturating_add(lost));
        self.damage = Damage { times, lost };
        let kept = format!("{}.damaged", self.name);
        remove_if_there(&kept)?;
        // Not renamed: whoever is killed in between leaves the damaged file where it is found again.
        fs::hard_link(path_of(&self.name), path_of(&kept))?;
        kill::point();
        self.write_anew()
    }

    /// No file that we wrote is longer, whatever of it is garbage.
    const fn longest(&self) -> u64 {
        self.limit.saturating_mul(4).saturating_add(COPIED)
    }

    fn header(&self) -> [u8; HEADER as usize] {
        let mut header = [0; HEADER as usize];
        header[..8].copy_from_slice(&MAGIC);
        let words = [VERSION, self.ring_id, self.damage.times, self.damage.lost];
        for (place, word) in header[8..].chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        header
    }

    /// Writes the file anew, without what is gone.
    fn write_anew(&mut self) -> io::Result<()> {
        let temporary = format!("{}.new", self.name);
        // Left by one that was killed while it did the same.
        remove_if_there(&temporary)?;
        let file = create(&temporary)?;
        let mut anew = Self::over(temporary, file, self.ring_id, self.limit);
        anew.damage = self.damage;
        let outcome = anew.fill(self);
        if let Err(error) =
            outcome.and_then(|()| fs::rename(path_of(&anew.name), path_of(&self.name)))
        {
            let _ = fs::remove_file(path_of(&anew.name));
            return Err(error);
        }
        kill::point();
        (self.file, self.index, self.end) = (anew.file, anew.index, anew.end);
        Ok(())
    }

    /// Numbers begin anew, and every entry has the state it has by now.
    fn fill(&mut self, old: &Self) -> io::Result<()> {
        self.write(&self.header(), 0)?;
        let mut bytes = Vec::new();
        for Placed { at, head } in old.index.all() {
            let start = bytes.len();
            bytes.resize(start + head.bytes as usize, 0);
            old.file.read_exact_at(&mut bytes[start..], at)?;
            let mut head = head;
            head.number = self.index.last() + 1;
            let raw = head.encode(self.ring_id);
            bytes[start..start + raw.len()].copy_from_slice(&raw);
            self.index.push(self.end + start as u64, head);
            if bytes.len() as u64 >= COPIED {
                self.extend(&mut bytes)?;
            }
        }
        self.extend(&mut bytes)
    }

    fn extend(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        if !bytes.is_empty() {
            self.write(bytes, self.end)?;
            self.end += bytes.len() as u64;
            bytes.clear();
        }
        Ok(())
    }

    /// Appends an item: there whole, or not at all.
    fn push(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let at = self.end;
        if let Err(error) = self.write(bytes, at) {
            self.file.set_len(at)?;
            return Err(error);
        }
        self.end += bytes.len() as u64;
        self.changed = true;
        Ok(at)
    }
}

impl LetterFile for Letters {
    fn dead(&self) -> Vec<Head> {
        self.index.dead().collect()
    }

    fn live(&self) -> Vec<Head> {
        self.index.live().collect()
    }

    fn of(&self, position: Position) -> Vec<Head> {
        self.index.of(position).collect()
    }

    fn room(&self) -> u64 {
        self.index.room(self.limit)
    }

    fn append(&mut self, parts: &Parts<'_>) -> io::Result<Option<Vec<Head>>> {
        if parts.bytes() > self.room() {
            return Ok(None);
        }
        let number = self.index.last() + 1;
        let bytes = parts.encode(self.ring_id, number);
        let head = bytes.first_chunk().and_then(|raw| Head::parse(raw, self.ring_id));
        let head = head.ok_or(io::ErrorKind::InvalidData)?;
        let at = self.push(&bytes)?;
        self.index.push(at, head);
        let mut dropped = Vec::new();
        while let Some(oldest) = self.index.surplus(self.limit, number) {
            self.change(oldest.number, Condition { kept: Kept::Gone, ..oldest.condition })?;
            dropped.push(oldest);
        }
        Ok(Some(dropped))
    }

    fn change(&mut self, number: u64, condition: Condition) -> io::Result<()> {
        let change = Change { number, condition };
        self.push(&change.encode(self.ring_id))?;
        self.index.change(change);
        Ok(())
    }

    fn body(&self, number: u64) -> io::Result<(String, Vec<u8>)> {
        let Placed { at, head } = self.index.get(number).ok_or(io::ErrorKind::NotFound)?;
        let mut bytes = vec![0; head.bytes as usize];
        self.file.read_exact_at(&mut bytes, at)?;
        let body = bytes.get(crate::core::words::letter::HEAD..).and_then(|body| head.body(body));
        body.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "its bytes in the file are damaged")
        })
    }

    fn is_changed(&self) -> bool {
        self.changed
    }

    fn damage(&self) -> Damage {
        self.damage
    }
}

/// Removes the file of a group that is gone.
pub(crate) fn remove(name: &str) {
    for name in [name, &format!("{name}.new"), &format!("{name}.damaged")] {
        let _ = fs::remove_file(path_of(name));
        kill::point();
    }
}

fn remove_if_there(name: &str) -> io::Result<()> {
    match fs::remove_file(path_of(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => {
            kill::point();
            Ok(())
        }
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
