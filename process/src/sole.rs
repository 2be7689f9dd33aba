//! A role that one process of several may have at a time: a locked file, in a folder that goes with the last one that has
//! a file there.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::board::Board;

/// Whoever is told to stop has ended by then.
pub const STOPS: Duration = Duration::from_secs(6);
const AGAIN: Duration = Duration::from_millis(100);

/// No other process has the role while it is there.
#[derive(Debug)]
pub struct Sole {
    // Before the folder: only an empty one is removed.
    _lock: Board,
    _folder: Going,
}

impl Sole {
    /// Takes the role, and waits so long for one who may be stopping.
    ///
    /// # Errors
    /// Another process has it still (`WouldBlock`), or the file cannot be made.
    pub async fn take(folder: &Path, role: &str, patience: Duration) -> io::Result<Self> {
        let (began, mut is_first) = (Instant::now(), true);
        loop {
            match Board::put_up(folder, role) {
                Ok(lock) => {
                    return Ok(Self { _lock: lock, _folder: Going::new(folder.to_owned()) });
                }
                // Whoever goes takes the folder along, amid this look.
                Err(error) if error.kind() == ErrorKind::NotFound && is_first => {}
                Err(error) if is_passing(error.kind()) && began.elapsed() < patience => {
                    tokio::time::sleep(AGAIN).await;
                }
                Err(error) => return Err(error),
            }
            is_first = false;
        }
    }
}

const fn is_passing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::NotFound)
}

/// A folder that is removed with its last file.
#[derive(Debug)]
pub struct Going(PathBuf);

impl Going {
    /// This one, whether it is there yet or not.
    #[must_use]
    pub const fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_one_is_refused_while_the_first_is_there_and_waits_for_one_that_stops() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("roles");
        let first = Sole::take(&folder, "role", Duration::ZERO).await.expect("nobody else");
        let other = Sole::take(&folder, "another", Duration::ZERO).await.expect("another role");
        let refused = Sole::take(&folder, "role", Duration::ZERO).await;
        assert_eq!(refused.map_err(|error| error.kind()).err(), Some(ErrorKind::WouldBlock));
        let (second, ()) = tokio::join!(Sole::take(&folder, "role", STOPS), async { drop(first) });
        drop((second.expect("its turn"), other));
        assert!(!folder.exists(), "nothing is left");
    }
}
