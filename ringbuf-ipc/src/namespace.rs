//! All segments of one instance.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use mixcord_memory::__kill as kill;

use crate::bell::Bell;
use crate::core::locks;
use crate::error::{AttachError, BellError, CreateError, NameError, RemoveError};
use crate::ring::Ring;
use crate::system::bells::Bells;
use crate::system::budget;
use crate::system::lock::{self, Held};
use crate::system::private::Rings;
use crate::system::segment::{DIRECTORY, open_checked, path_of};

const BELLS: &str = "bells";

/// The segments of one instance: files in /dev/shm whose names begin with its prefix and a dot.
///
/// Cheap to clone. Making one touches nothing.
#[derive(Debug, Clone)]
pub struct Namespace {
    prefix: Arc<str>,
    bells: Arc<Mutex<Option<Arc<Bells>>>>,
    /// Its rings, where no other process has a part in it.
    pub(crate) private: Option<Arc<Rings>>,
}

impl Namespace {
    /// A prefix is 1 to 64 of `[a-z0-9._-]`, beginning with a letter or digit.
    ///
    /// # Errors
    /// Another prefix.
    pub fn new(prefix: &str) -> Result<Self, NameError> {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        let begins = prefix.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if !begins || prefix.len() > 64 || !prefix.bytes().all(legal) {
            return Err(NameError {
                name: prefix.to_owned(),
                what: "namespace",
                rule: "1 to 64 of a-z, 0-9, '.', '_', '-', beginning with a letter or digit",
            });
        }
        Ok(Self { prefix: prefix.into(), bells: Arc::default(), private: None })
    }

    /// A namespace of this process alone: its rings are on the heap, no file is made, and nobody else sees them.
    /// They live as long as a clone of it, or whoever has them open. All else is as ever, so that tests need
    /// neither `/dev/shm` nor names.
    ///
    /// ```
    /// # use mixcord_ring::{Geometry, Meta, Namespace, Producer, Ring};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let namespace = Namespace::private();
    /// let bell = namespace.bell()?;
    /// let geometry = Geometry::new(64, 1 << 16, 4, 1, 4)?;
    /// let mut producer = Producer::create(&namespace, "r", geometry, &[], &bell)?;
    /// producer.stage(&Meta::default(), &[b"text"])?;
    /// producer.publish();
    /// assert_eq!(Ring::attach(&namespace, "r")?.tail(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn private() -> Self {
        let bells = Arc::new(Mutex::new(Some(Arc::new(Bells::private()))));
        Self { prefix: "private".into(), bells, private: Some(Arc::default()) }
    }

    /// What all names begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Claims a bell, by which the rings of this namespace wake this process. One a process is enough.
    ///
    /// # Errors
    /// No place is free, or the bells segment cannot be had.
    pub fn bell(&self) -> Result<Bell, BellError> {
        Bell::claim(self.bells()?)
    }

    /// Names of the rings there are now, sorted; also of those that are damaged beyond recognition, which
    /// [`Ring::attach`](crate::Ring::attach) says.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn rings(&self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        if let Some(rings) = &self.private {
            found = rings.names();
            found.sort_unstable();
            return Ok(found);
        }
        for (name, path) in self.entries()? {
            let is_file = || fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file());
            if check_ring_name(&name).is_ok() && is_file() {
                found.push(name);
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Whether there is memory for segments of so many bytes in all. Each is asked about again when it is made.
    ///
    /// # Errors
    /// [`CreateError::NoSpace`] says what is too small.
    pub fn has_room(&self, bytes: u64) -> Result<(), CreateError> {
        if self.private.is_some() { Ok(()) } else { budget::check(Path::new(DIRECTORY), bytes) }
    }

    /// Removes a ring and its out-of-line records. What another user gave such a name is no part of it, and
    /// stays.
    ///
    /// # Errors
    /// It is in use by a living process; there is none; the system refused.
    pub fn remove_ring(&self, name: &str) -> Result<(), RemoveError> {
        let segment = self.segment(name)?;
        if let Some(rings) = &self.private {
            let was_there = rings.forget(name);
            return was_there.then_some(()).ok_or(RemoveError::NotFound { name: segment });
        }
        let Some(_locks) = self.shut(&segment)? else {
            return Err(RemoveError::InUse { name: segment });
        };
        self.unlink(name, &segment)
    }

    /// Removes a ring as [`remove_ring`](Self::remove_ring) does if nothing in it waits for a group; true
    /// when it did. Nothing can be written between the look and the end.
    ///
    /// # Errors
    /// As of [`remove_ring`](Self::remove_ring); the ring cannot be read.
    pub fn remove_drained_ring(&self, name: &str) -> Result<bool, RemoveError> {
        let segment = self.segment(name)?;
        if self.private.is_some() {
            let ring = Ring::attach(self, name).map_err(io::Error::other)?;
            return if ring.is_drained() {
                self.remove_ring(name).map(|()| true)
            } else {
                Ok(false)
            };
        }
        let Some(_locks) = self.shut(&segment)? else {
            return Err(RemoveError::InUse { name: segment });
        };
        let ring = Ring::attach(self, name).map_err(io::Error::other)?;
        if !ring.is_drained() {
            return Ok(false);
        }
        self.unlink(name, &segment).map(|()| true)
    }

    /// Removes a ring and its out-of-line records whoever has it open: they keep what they have mapped, and see by
    /// [`Ring::is_current`](crate::Ring::is_current) when another has its name. For whoever was its producer and
    /// knows that all of it was read: of a large record that was not, its readers find nothing but that it is lost.
    ///
    /// # Errors
    /// There is none; the system refused.
    pub fn unlink_ring(&self, name: &str) -> Result<(), RemoveError> {
        let segment = self.segment(name)?;
        if self.private.is_some() {
            return self.remove_ring(name);
        }
        match self.unlink(name, &segment) {
            Err(RemoveError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                Err(RemoveError::NotFound { name: segment })
            }
            unlinked => unlinked,
        }
    }

    /// Removes every segment of the namespace: rings, their out-of-line records, bells. Of a name that is no
    /// segment's nothing is removed; nor is what another user gave such a name.
    ///
    /// # Errors
    /// Something is in use, and nothing was removed; or the system refused.
    pub fn remove_all(&self) -> Result<(), RemoveError> {
        let rings = self.rings()?;
        if self.private.is_some() {
            return rings.iter().try_for_each(|name| self.remove_ring(name));
        }
        for name in &rings {
            if let Ok(file) = open_checked(&self.segment(name)?)
                && lock::is_held(&file, 0, locks::END)
            {
                return Err(RemoveError::InUse { name: self.segment(name)? });
            }
        }
        let bells = format!("{}.{BELLS}", self.prefix);
        if Bells::in_use(&bells) {
            return Err(RemoveError::InUse { name: bells });
        }
        for name in &rings {
            self.remove_ring(name)?;
        }
        // Also parts of rings that are gone.
        self.remove_parts(|_| true)?;
        match fs::remove_file(path_of(&bells)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The locks of a ring's producer and table, if nobody writes or reads it: whoever attaches from now on
    /// finds its lock held, or the ring gone.
    fn shut(&self, segment: &str) -> Result<Option<[Held; 2]>, RemoveError> {
        let file = match open_checked(segment) {
            Ok(file) => file,
            Err(AttachError::NotFound { .. }) => {
                return Err(RemoveError::NotFound { name: segment.to_owned() });
            }
            Err(error) => return Err(RemoveError::Io(io::Error::other(error))),
        };
        let hold = |byte| lock::hold(&file, byte);
        let (Some(producer), Some(table)) = (hold(locks::PRODUCER)?, hold(locks::TABLE)?) else {
            return Ok(None);
        };
        let is_read = lock::is_held(&file, locks::TABLE + 1, locks::END);
        Ok((!is_read).then_some([producer, table]))
    }

    fn unlink(&self, ring: &str, segment: &str) -> Result<(), RemoveError> {
        // The ring first: what is left when this process dies here belongs to no ring.
        fs::remove_file(path_of(segment))?;
        kill::point();
        self.remove_parts(|part| part.ring == ring && part.kind != PartKind::Draft)
    }

    /// Where segments are.
    pub fn directory() -> &'static Path {
        Path::new(DIRECTORY)
    }

    /// The file name of a ring's segment.
    pub(crate) fn segment(&self, ring: &str) -> Result<String, NameError> {
        check_ring_name(ring)?;
        Ok(format!("{}.{ring}", self.prefix))
    }

    /// The bells, opened or made, and opened again when they were removed meanwhile.
    pub(crate) fn bells(&self) -> Result<Arc<Bells>, BellError> {
        let name = format!("{}.{BELLS}", self.prefix);
        let mut kept = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bells) = kept.as_ref().filter(|bells| bells.is_current(&name)) {
            return Ok(Arc::clone(bells));
        }
        let bells = Arc::new(Bells::open_or_create(&name)?);
        *kept = Some(Arc::clone(&bells));
        Ok(bells)
    }

    /// Removes the parts that are `wanted`, and ours.
    fn remove_parts(&self, wanted: impl Fn(&Part<'_>) -> bool) -> Result<(), RemoveError> {
        for (name, path) in self.entries()? {
            if Part::parse(&name).is_some_and(|part| wanted(&part)) && is_ours(&path) {
                fs::remove_file(path)?;
                kill::point();
            }
        }
        Ok(())
    }

    /// Entries of the directory that begin with the prefix: what follows it, and the path.
    fn entries(&self) -> io::Result<Vec<(String, std::path::PathBuf)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(DIRECTORY)? {
            let entry = entry?;
            let file = entry.file_name();
            let rest = file
                .to_str()
                .and_then(|name| name.strip_prefix(&*self.prefix))
                .and_then(|rest| rest.strip_prefix('.'));
            if let Some(rest) = rest {
                found.push((rest.to_owned(), entry.path()));
            }
        }
        Ok(found)
    }
}

/// A file beside a segment: `{ring}.blob-{16 hex}-{position}`, `{ring}.letters-{16 hex}-{group}` and the same
/// with `.new` or `.damaged`, `{ring}.tmp-{16 hex}`, `bells.tmp-{16 hex}`.
///
/// A namespace may begin with another one and a dot (`a.eu`, `a`): a name is this namespace's only if it is
/// such a name from the first letter to the last.
struct Part<'a> {
    ring: &'a str,
    kind: PartKind,
}

#[derive(PartialEq, Eq)]
enum PartKind {
    Blob,
    /// Dead letters of a group, and what it set aside.
    Letters,
    Draft,
}

impl<'a> Part<'a> {
    /// `name` is what follows the namespace and its dot.
    fn parse(name: &'a str) -> Option<Self> {
        let (ring, rest) = name.split_once('.')?;
        let is_id = |id: &str| id.len() == 16 && u64::from_str_radix(id, 16).is_ok();
        let kind = if let Some(rest) = rest.strip_prefix("blob-") {
            let (id, position) = rest.split_once('-')?;
            (is_id(id) && position.parse::<u64>().is_ok()).then_some(PartKind::Blob)?
        } else if let Some(rest) = rest.strip_prefix("letters-") {
            let rest =
                [".new", ".damaged"].iter().find_map(|end| rest.strip_suffix(end)).unwrap_or(rest);
            let (id, group) = rest.split_once('-')?;
            (is_id(id) && group.parse::<u16>().is_ok()).then_some(PartKind::Letters)?
        } else {
            is_id(rest.strip_prefix("tmp-")?).then_some(PartKind::Draft)?
        };
        (ring == BELLS || check_ring_name(ring).is_ok()).then_some(Self { ring, kind })
    }
}

/// Whether it is a file, or a link, of this user.
fn is_ours(path: &Path) -> bool {
    let own = nix::unistd::geteuid().as_raw();
    fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_dir() && meta.uid() == own)
}

/// 1 to 64 of `[a-z0-9_-]`, not `bells`. No dot: those separate what belongs to a ring from its name. Not as
/// those parts begin: `a.r.tmp-1` would be a draft of ring `r` of `a`, and a ring of `a.r`.
fn check_ring_name(name: &str) -> Result<(), NameError> {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
    let is_part = ["blob-", "letters-", "tmp-"].iter().any(|part| name.starts_with(part));
    if name.is_empty() || name.len() > 64 || name == BELLS || is_part || !name.bytes().all(legal) {
        return Err(NameError {
            name: name.to_owned(),
            what: "ring",
            rule: "1 to 64 of a-z, 0-9, '_', '-', not \"bells\", and not beginning with \"blob-\", \"letters-\" or \"tmp-\"",
        });
    }
    Ok(())
}
