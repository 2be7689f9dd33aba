//! A state that another machine had, which mixcord-bridge brings before it makes the rings of its shards.

use std::fs;
use std::io::{BufReader, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use mixcord_event::{Reason, topology};
use mixcord_state::{Arena, InputPosition, StoreError, Writer, meta};

use super::gap::Gap;
use super::pass::Shard;
use super::reached::Stored;
use super::transaction::Ending;
use super::{Engine, EngineError};
use crate::annotate::{forget_uncached, keep_shards};
use crate::kill;
use crate::store::{CopyFrom, DiskError, Notes, OpenBatch};

/// The shards that are wanted, from the first to the last of so many; `None` for all.
type Wanted = Option<(u16, u16, u16)>;

impl Engine {
    /// Begins with the copy that is there, if nothing was read so far. A kill at any time leaves no state and the copy,
    /// or the state.
    pub(super) fn take_copy(&mut self) -> Result<(), EngineError> {
        if self.refused.is_some() {
            return Ok(());
        }
        let Some((file, shards)) = self.copy()? else { return Ok(()) };
        let Some(store) = &mut self.store else { return self.refuse(file, &[]) };
        if !self.reached.positions.is_empty() {
            let unknown = self.unknown(&file, shards);
            return self.refuse(file, &unknown);
        }
        let (settings, output) = (&self.settings, (self.out.id().0, self.out.tail()));
        let stored = store.load(&CopyFrom::File(file.clone()), |writer| {
            let mut arena = Arena::default();
            let mut batch = OpenBatch::new(writer, &mut arena);
            forget_uncached(&mut batch, settings)?;
            if let Some(shards) = shards {
                keep_shards(&mut batch, settings, shards)?;
            }
            adopt(writer, shards, output)
        })?;
        self.reached = stored.reached;
        self.batch.resume(stored.gaps);
        self.batch.notes = Notes::default();
        self.load_beside()?;
        self.set_checkpoint();
        self.out.publish();
        remove(file)
    }

    /// Takes none of it. Of shards that this state does not know either, all that was before is lost: the copy goes once
    /// that is told.
    fn refuse(&mut self, file: PathBuf, unknown: &[Shard]) -> Result<(), EngineError> {
        if unknown.is_empty() {
            tracing::info!("the copy in {} is of no use here any more: removed", file.display());
            return remove(file);
        }
        tracing::error!(
            shards = ?unknown.iter().map(|shard| shard.1).collect::<Vec<_>>(),
            "there is a state already, which the copy in {} cannot be put into: that of these shards is lost",
            file.display()
        );
        let reason = Reason::StateLost;
        self.batch.gaps.extend(unknown.iter().map(|&shard| Gap { shard, reason }));
        self.refused = Some(file);
        Ok(())
    }

    /// What was lost with a copy is committed: it is told, or will be.
    pub(super) fn refused(&mut self) -> Result<(), EngineError> {
        self.refused.take().map_or(Ok(()), remove)
    }

    /// Those of the shards that nothing is known of.
    fn unknown(&self, file: &Path, wanted: Wanted) -> Vec<Shard> {
        let wanted: Vec<_> = match wanted {
            Some((first, last, count)) => (first..=last).map(|shard| (count, shard)).collect(),
            None => self.copied(file),
        };
        let known = &self.reached.positions;
        wanted.into_iter().filter(|shard| !known.contains_key(shard)).collect()
    }

    /// The shards that a copy goes on with. Their rings come one by one, and one that comes later would be read as if
    /// nothing had been before it. What a copy that is damaged would have said, the rings that are there do.
    fn copied(&self, file: &Path) -> Vec<Shard> {
        let read = fs::File::open(file).ok().map(BufReader::new);
        match read.and_then(|copy| mixcord_copy::inputs(copy).ok()) {
            Some(inputs) => {
                let live = inputs.into_iter().filter(|(_, input)| !input.is_ended());
                live.map(|(shard, _)| shard).collect()
            }
            None => {
                let names = self.listing.files.keys();
                let rings = names.filter_map(|name| topology::parse_shard_ring(name));
                rings.map(|(shard, count)| (count, shard)).collect()
            }
        }
    }

    /// A state that was loaded at the start belongs to the output ring of this instance.
    pub(super) fn belong_here(&mut self) -> Result<(), EngineError> {
        let output = (self.out.id().0, self.out.tail());
        if let Some(store) = &mut self.store {
            self.reached = adopt(store.writer_mut(), None, output)?.reached;
        }
        Ok(())
    }

    /// The copy that is there.
    fn copy(&self) -> Result<Option<(PathBuf, Wanted)>, EngineError> {
        let instance = topology::parse_namespace(self.namespace.prefix()).unwrap_or_default();
        let dir = PathBuf::from(topology::copy_dir(instance));
        let failed = |source| EngineError::from(DiskError::Io { path: dir.clone(), source });
        let meta = match fs::symlink_metadata(&dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            meta => meta.map_err(failed)?,
        };
        // Whoever else may write there could make us believe anything.
        let ours = meta.uid() == nix::unistd::geteuid().as_raw();
        if !meta.is_dir() || !ours || meta.mode() & 0o077 != 0 {
            return Err(DiskError::NotOurs { dir }.into());
        }
        for entry in fs::read_dir(&dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let shards = entry.file_name().to_str().and_then(topology::parse_copy_file);
            if let Some(shards) = shards {
                return Ok(Some((entry.path(), shards)));
            }
        }
        Ok(None)
    }
}

/// Makes a state that was loaded this instance's: it belongs to another one's rings, of which nobody here has seen anything,
/// from now on to the output ring of this one, which has lost nothing, though this process should end before its
/// first event; and its inputs are gone on with by origin.
fn adopt(writer: &mut Writer, shards: Wanted, output: (u64, u64)) -> Result<Stored, StoreError> {
    let arena = Arena::default();
    let mut stored = Stored::read(&writer.view(&arena), writer.output())?;
    stored.reached.positions.change_all(|positions| {
        if let Some((first, last, count)) = shards {
            positions.retain(|of, _| of.0 == count && (first..=last).contains(&of.1));
        }
        for known in positions.values_mut() {
            if known.origin.ring != 0 && !known.is_ended() {
                *known = InputPosition { ring: 0, position: 0, ..*known };
            }
        }
    });
    writer.delete(meta::LOADED)?;
    let news: Vec<_> = stored.reached.positions.news().collect();
    let (reached, untold) = (&stored.reached, &*stored.gaps);
    let ending = Ending { reached, news: &news, output, untold, had_untold: true, beside: None };
    ending.commit(writer)?;
    stored.reached.positions.committed(&news, |_| false);
    Ok(stored)
}

/// With its folder, unless the bridge still has something there.
fn remove(path: PathBuf) -> Result<(), EngineError> {
    kill::point();
    // Whoever brought it may have taken it back.
    if let Err(source) = fs::remove_file(&path)
        && source.kind() != ErrorKind::NotFound
    {
        return Err(DiskError::Io { path, source }.into());
    }
    kill::point();
    let _ = path.parent().map(fs::remove_dir);
    Ok(())
}
