//! Files of records too long for the payload ring: `{segment}.blob-{ring id}-{position}`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use mixcord_memory::__kill as kill;
use nix::libc;

use super::segment::{DIRECTORY, open_checked, path_of, reserve};
use crate::core::Position;
use crate::core::descriptor::RECORD_MAX;
use crate::error::AttachError;

/// Names the files of one ring.
#[derive(Debug, Clone)]
pub(crate) struct Blobs {
    prefix: String,
    /// Whether there is memory for so many bytes.
    room: fn(u64) -> io::Result<()>,
}

impl Blobs {
    pub(crate) fn new(segment: &str, id: u64) -> Self {
        Self { prefix: format!("{segment}.blob-{id:016x}-"), room }
    }

    /// Writes a new file; nothing is left of one that cannot be written.
    pub(crate) fn create(&self, position: Position, parts: &[&[u8]]) -> io::Result<()> {
        let bytes = parts.iter().map(|part| part.len() as u64).sum();
        let path = path_of(&self.name(position));
        // Left by a producer that died before it published the record.
        remove(&path)?;
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(&path)?;
        kill::point();
        let written = (self.room)(bytes).and_then(|()| fill(file, bytes, parts));
        if written.is_err() {
            remove(&path)?;
        }
        written
    }

    /// Whether the file is there: ours, and exactly so long. An error when this cannot be told, or mended.
    pub(crate) fn has(&self, position: Position, bytes: u64) -> io::Result<bool> {
        self.open(position, bytes).map(|file| file.is_some())
    }

    pub(crate) fn read(&self, position: Position, into: &mut [u8]) -> io::Result<()> {
        let file = self.open(position, into.len() as u64)?.ok_or(io::ErrorKind::NotFound)?;
        file.read_exact_at(into, 0)
    }

    /// `None` when there is no such file of this length, or something else in its place.
    fn open(&self, position: Position, bytes: u64) -> io::Result<Option<File>> {
        let name = self.name(position);
        match fs::symlink_metadata(path_of(&name)) {
            Ok(meta) if is_ours(&meta) && meta.len() == bytes => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
        match open_checked(&name) {
            Ok(file) => Ok(Some(file)),
            Err(AttachError::NotFound { .. }) => Ok(None),
            Err(AttachError::Io(error)) => Err(error),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    pub(crate) fn remove(&self, position: Position) {
        // What cannot be removed is found again when the next producer attaches.
        let _ = remove(&path_of(&self.name(position)));
    }

    /// All there are, sorted.
    pub(crate) fn list(&self) -> io::Result<Vec<(Position, u64)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(DIRECTORY)? {
            let entry = entry?;
            let name = entry.file_name();
            let position = name
                .to_str()
                .and_then(|name| name.strip_prefix(&self.prefix))
                .and_then(|position| position.parse().ok());
            if let Some(position) = position {
                // Gone between the listing and the look.
                let Ok(meta) = entry.metadata() else { continue };
                // The name is no secret: anybody may have made a file of it, or anything else.
                if is_ours(&meta) && meta.len() <= RECORD_MAX {
                    found.push((position, meta.len()));
                    kill::point();
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    fn name(&self, position: Position) -> String {
        format!("{}{position}", self.prefix)
    }
}

/// A regular file of this user.
fn is_ours(meta: &fs::Metadata) -> bool {
    meta.is_file() && meta.uid() == nix::unistd::geteuid().as_raw()
}

/// An error unless there is memory for so many bytes: a tmpfs may be larger than what is behind it.
fn room(bytes: u64) -> io::Result<()> {
    super::budget::check(Path::new(DIRECTORY), bytes)
        .map_err(|error| io::Error::new(io::ErrorKind::StorageFull, error))
}

fn fill(mut file: File, bytes: u64, parts: &[&[u8]]) -> io::Result<()> {
    reserve(&file, 0..bytes)?;
    let mut slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let mut left = &mut slices[..];
    while !left.is_empty() {
        // A kill point lies between the parts.
        let together = if kill::ENABLED { 1 } else { left.len() };
        match file.write_vectored(&left[..together]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut left, count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        kill::point();
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Err(_) => Ok(()),
        Ok(()) => {
            kill::point();
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_asked_for_before_it_is_taken_and_nothing_is_left_of_a_refusal() {
        let name = format!("ringtest-{}-room.r", std::process::id());
        let full = |_| Err(io::Error::new(io::ErrorKind::StorageFull, "no room"));
        let mut blobs = Blobs { room: full, ..Blobs::new(&name, 1) };
        let error = blobs.create(3, &[b"record"]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(blobs.list().unwrap(), []);
        blobs.room = room;
        blobs.create(3, &[b"rec", b"ord"]).unwrap();
        assert_eq!(blobs.list().unwrap(), [(3, 6)]);
        blobs.remove(3);
        assert!(room(u64::MAX).unwrap_err().to_string().contains("make room"));
    }
}
