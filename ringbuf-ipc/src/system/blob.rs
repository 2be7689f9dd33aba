//! Files of records too long for the payload ring: `{segment}.blob-{ring id}-{position}`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use mixcord_memory::__kill as kill;
use nix::libc;

use super::segment::{DIRECTORY, open_checked, path_of, reserve};
use crate::core::Position;

/// Names the files of one ring.
#[derive(Debug, Clone)]
pub(crate) struct Blobs {
    prefix: String,
}

impl Blobs {
    pub(crate) fn new(segment: &str, id: u64) -> Self {
        Self { prefix: format!("{segment}.blob-{id:016x}-") }
    }

    /// Writes a new file; nothing is left of one that cannot be written.
    pub(crate) fn create(&self, position: Position, parts: &[&[u8]]) -> io::Result<()> {
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
        let written = fill(file, parts);
        if written.is_err() {
            remove(&path)?;
        }
        written
    }

    pub(crate) fn check(&self, position: Position, bytes: u64) -> io::Result<()> {
        self.open(position, bytes).map(drop)
    }

    pub(crate) fn read(&self, position: Position, into: &mut [u8]) -> io::Result<()> {
        self.open(position, into.len() as u64)?.read_exact_at(into, 0)
    }

    fn open(&self, position: Position, bytes: u64) -> io::Result<File> {
        let file = open_checked(&self.name(position)).map_err(io::Error::other)?;
        if file.metadata()?.len() == bytes {
            Ok(file)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "is of another length"))
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
                found.push((position, meta.len()));
                kill::point();
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    fn name(&self, position: Position) -> String {
        format!("{}{position}", self.prefix)
    }
}

fn fill(mut file: File, parts: &[&[u8]]) -> io::Result<()> {
    let bytes = parts.iter().map(|part| part.len() as u64).sum();
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

fn remove(path: &std::path::Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Err(_) => Ok(()),
        Ok(()) => {
            kill::point();
            Ok(())
        }
    }
}
