//! What is asked of a cache that runs: a change of the shard count, by a file that whoever asks renames into place.
//!
//! It stays until what it asks for is committed and [told](super::notice), so that a kill forgets none, and whoever asked
//! finds on the board what became of it once the file is gone; to be asked twice is to be asked once. `mixcord reshard`
//! writes it, and a gateway that cannot begin the new set, or that was told to change the count by itself.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use mixcord_event::topology::{self, ReshardOrder};

use super::Engine;
use crate::overlap::Side;

/// About how much memory records that wait for their copies take, in bytes: see [`Engine::reshard`].
const WAITING_BYTES_MAX: usize = 64 << 20;
/// No order is longer, with the reason that it gives.
const ORDER_BYTES_MAX: u64 = 1 << 10;

impl Engine {
    /// Does what is asked for, where anything is.
    pub(super) fn take_order(&mut self) {
        let instance = topology::parse_namespace(self.namespace.prefix()).unwrap_or_default();
        let file = topology::reshard_order(instance);
        let file = Path::new(&file);
        put_back(file);
        let Some(order) = read(file) else { return };
        let is_done = match &order {
            Ok(order) => self.obey(order),
            Err(text) => {
                tracing::error!("{} asks for something unknown: {text:?}", file.display());
                self.notice.refuse(text, "it is unknown");
                true
            }
        };
        if !is_done {
            return;
        }
        self.tell_change();
        if let Err(error) = remove(file, &order) {
            tracing::error!("{}: {error}", file.display());
        }
    }

    /// Whether it is done, and committed; or never will be.
    fn obey(&mut self, order: &ReshardOrder) -> bool {
        let is_committed = self.beside.as_ref().is_none_or(|beside| !beside.has_changes());
        let under_way = self.beside.as_ref().map(|beside| beside.overlap.counts()[Side::New]);
        let refused = match order {
            ReshardOrder::To(to) if under_way == Some(*to) => None,
            ReshardOrder::To(to) => match self.why_not(*to) {
                None if self.reshard(*to, self.reshard_times, WAITING_BYTES_MAX) => {
                    self.notice.accept();
                    return false;
                }
                why => Some(why.unwrap_or("it cannot")),
            },
            ReshardOrder::CallOff(why) if self.call_off() => {
                self.notice.called_off(why);
                None
            }
            ReshardOrder::CallOff(_) if under_way.is_none() => Some("no change is under way"),
            ReshardOrder::CallOff(_) => Some("the new set takes over, and there is no way back"),
            // It may come before all is cut.
            ReshardOrder::Leave => return under_way.is_none() || self.leave_old() && is_committed,
        };
        let Some(why) = refused else {
            self.notice.accept();
            return is_committed;
        };
        tracing::error!("\"{order}\" is not done, and the shard count stays as it is: {why}");
        self.notice.refuse(&order.to_string(), why);
        true
    }
}

/// What is asked for, or what says nothing that is known.
type Asked = Result<ReshardOrder, String>;

/// Removes what is done, and only that: another may have been renamed into its place since it was read.
fn remove(file: &Path, done: &Asked) -> io::Result<()> {
    let aside = aside(file);
    fs::rename(file, &aside)?;
    if read(&aside).as_ref() == Some(done) { fs::remove_file(&aside) } else { Ok(()) }
}

/// Puts back what was set aside and is not known to be done; where there is another one by now, that one counts.
fn put_back(file: &Path) {
    let aside = aside(file);
    if fs::hard_link(&aside, file).is_ok() {
        let _ = fs::remove_file(&aside);
    }
}

fn aside(file: &Path) -> PathBuf {
    file.with_extension("done")
}

/// What the file says, if there is one that is ours.
fn read(file: &Path) -> Option<Asked> {
    let meta = match fs::symlink_metadata(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        meta => meta.ok()?,
    };
    // Whoever else may write there could make us do anything.
    if !meta.is_file()
        || meta.uid() != nix::unistd::geteuid().as_raw()
        || meta.len() > ORDER_BYTES_MAX
    {
        return None;
    }
    let text = fs::read_to_string(file).ok()?;
    Some(ReshardOrder::parse(&text).ok_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another order came while the one that was read was done.
    #[test]
    fn what_was_not_read_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mixcord.reshard");
        let done: Asked = Ok(ReshardOrder::To(2));
        fs::write(&file, "call off: no room").unwrap();
        remove(&file, &done).unwrap();
        put_back(&file);
        assert_eq!(read(&file), Some(Ok(ReshardOrder::CallOff("no room".to_owned()))));
        // Yet another one counts.
        remove(&file, &done).unwrap();
        fs::write(&file, "leave").unwrap();
        put_back(&file);
        assert_eq!(read(&file), Some(Ok(ReshardOrder::Leave)));
        remove(&file, &Ok(ReshardOrder::Leave)).unwrap();
        put_back(&file);
        assert_eq!(read(&file), None);
    }
}
