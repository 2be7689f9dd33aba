//! A store made of a copy of another one's state.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mixcord_copy::{LoadError, Progress, load};
use mixcord_state::{StoreError, Writer, meta};

use super::disk::DiskError;
use crate::kill;

/// Where a copy comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CopyFrom {
    /// A file.
    File(PathBuf),
    /// What this process is given.
    Stdin,
}

impl CopyFrom {
    /// `-` is standard input.
    #[must_use]
    pub fn named(text: &str) -> Self {
        if text == "-" { Self::Stdin } else { Self::File(text.into()) }
    }

    fn open(&self) -> io::Result<Box<dyn Read>> {
        Ok(match self {
            Self::File(path) => Box::new(BufReader::new(File::open(path)?)),
            Self::Stdin => Box::new(io::stdin().lock()),
        })
    }
}

impl std::fmt::Display for CopyFrom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Stdin => f.write_str("standard input"),
        }
    }
}

enum Failed {
    Copy(LoadError),
    Disk(DiskError),
}

impl From<LoadError> for Failed {
    fn from(error: LoadError) -> Self {
        Self::Copy(error)
    }
}

/// Puts the copy into an empty table in `dir`, which nobody calls a store yet. `begin` makes it.
pub(super) fn load_into(
    dir: &Path,
    from: &CopyFrom,
    begin: impl Fn(&Path) -> Result<Writer, DiskError>,
) -> Result<Writer, DiskError> {
    let wrong = |why| not_kept(from, why);
    let source = from.open().map_err(|error| wrong(LoadError::Bytes(error.into())))?;
    let mut bar = Bar::new();
    let make = || begin(dir).map_err(Failed::Disk);
    let loaded = load(source, make, &mut |progress| bar.show(progress));
    bar.end();
    match loaded {
        Ok((mut writer, loaded)) => {
            let (values, position) = (loaded.values, loaded.position);
            mark(&mut writer).map_err(|error| wrong(error.into()))?;
            tracing::info!(values, position, "the state is that of the copy in {from}");
            Ok(writer)
        }
        Err(Failed::Copy(why)) => Err(wrong(why)),
        Err(Failed::Disk(error)) => Err(error),
    }
}

/// The copy cannot be made a state here: no other try will change that.
pub(super) fn not_kept(from: &CopyFrom, why: LoadError) -> DiskError {
    DiskError::Copy { from: from.clone(), why }
}

/// Notes that the store is that of no output ring here, whoever starts with it first.
fn mark(writer: &mut Writer) -> Result<(), StoreError> {
    let output = writer.output();
    kill::point();
    writer.put(meta::LOADED, &[&output.0.to_le_bytes(), &output.1.to_le_bytes()])?;
    writer.commit(output)?;
    kill::point();
    Ok(())
}

/// How far it is, for whoever waits at a terminal.
struct Bar {
    shown: bool,
    told: Instant,
}

/// How often it is told.
const TELL: Duration = Duration::from_millis(200);

impl Bar {
    fn new() -> Self {
        Self { shown: io::stderr().is_terminal(), told: Instant::now() }
    }

    fn show(&mut self, Progress { values, expected, .. }: Progress) {
        if self.shown && self.told.elapsed() >= TELL {
            self.told = Instant::now();
            let _ = write!(io::stderr(), "\rloading: {values} of about {expected} values\x1b[K");
        }
    }

    fn end(&self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
