//! A table in a file: made under another name and put in place whole, checked before it is believed,
//! mapped as long as it may ever get.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg, OFlag};

use crate::error::{CommitError, OpenError};
use crate::layout::{AT_CHECKSUM, CHUNK, FIXED_WORDS, Fixed};
use crate::mapped;
use crate::moving::Moving;
use crate::reader::Reader;
use crate::space::checksum;
use crate::writer::{Limits, Writer};

/// Address space of a reader, bytes: who takes a table over may let it grow beyond what it was made for. It costs
/// nothing, and is little enough for whatever runs a program under it.
const READER_RESERVED: u64 = 64 << 30;

/// A table that only this process writes: the lock goes with it.
#[derive(Debug)]
pub struct FileWriter {
    pub(crate) writer: Writer,
    pub(crate) path: PathBuf,
    /// On its way into another file.
    pub(crate) moving: Option<Box<Moving>>,
    pub(crate) lock: Flock<File>,
}

impl FileWriter {
    /// Makes a table at `path`, in place of the one that is there; who reads that goes on with it.
    ///
    /// `format` is the user's own number, for which [`FileWriter::open`] and [`Reader::open`] ask.
    ///
    /// # Errors
    /// [`CommitError::NoSpace`] if the system refused, which leaves nothing behind.
    pub fn create(path: &Path, format: u64, limits: Limits) -> Result<Self, CommitError> {
        let no_space = |source| CommitError::NoSpace { bytes: 0, source };
        let mut draft = Self::draft(path, format, limits, None)?;
        fs::rename(&draft.path, path).map_err(no_space)?;
        path.clone_into(&mut draft.path);
        Ok(draft.keep())
    }

    /// An empty table that is to be put at `path`; gone with what is given, if it is not.
    /// It spreads keys and counts places as another one, if there is one whose values it is to hold.
    pub(crate) fn draft(
        path: &Path,
        format: u64,
        limits: Limits,
        like: Option<Fixed>,
    ) -> Result<Draft, CommitError> {
        let path = path.with_extension("new");
        let _ = fs::remove_file(&path);
        let made = Self::make(&path, format, limits, like);
        if made.is_err() {
            let _ = fs::remove_file(&path);
        }
        Ok(Draft(Some(made?)))
    }

    fn make(
        path: &Path,
        format: u64,
        limits: Limits,
        like: Option<Fixed>,
    ) -> Result<Self, CommitError> {
        let no_space = |source| CommitError::NoSpace { bytes: 0, source };
        let file = options(true).create_new(true).open(path).map_err(no_space)?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, errno)| no_space(errno.into()))?;
        let [id, first, second] = random_words().map_err(no_space)?;
        let mut fixed = Fixed::sized(id, [first, second], format, limits.bytes_max);
        if let Some(Fixed { hash, grain, .. }) = like {
            (fixed.hash, fixed.grain) = (hash, grain);
        }
        let reserved = limits.bytes_max.max((fixed.first_chunk() + 1) * CHUNK);
        let space = mapped::space(&lock, reserved, true).map_err(no_space)?;
        let writer = Writer::create(space, fixed, limits)?;
        Ok(Self { writer, path: path.to_owned(), moving: None, lock })
    }

    /// Takes the table at `path` over. It may grow larger than it was made for, up to what its readers map: 64 GiB, or
    /// what it was made for if that is more.
    ///
    /// # Errors
    /// [`OpenError::Locked`] while another process writes it; [`OpenError::Foreign`],
    /// [`OpenError::OtherFormat`] and [`OpenError::Damaged`] say that it is to be made anew.
    pub fn open(path: &Path, format: u64, limits: Limits) -> Result<Self, OpenError> {
        let file = options(true).open(path)?;
        check_owner(&file)?;
        let lock =
            Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| OpenError::Locked)?;
        let readers = reserved_by_readers(&fixed_of(&lock)?);
        let limits = Limits { bytes_max: limits.bytes_max.min(readers), ..limits };
        let reserved = limits.bytes_max.max(lock.metadata()?.len());
        let space = mapped::space(&lock, reserved, true)?;
        let writer = Writer::take_over(space, limits, format)?;
        // What a writer left that was killed while it moved.
        let _ = fs::remove_file(path.with_extension("new"));
        Ok(Self { writer, path: path.to_owned(), moving: None, lock })
    }
}

/// A table whose file is not in its place yet.
#[derive(Debug)]
pub(crate) struct Draft(Option<FileWriter>);

impl Draft {
    /// It is in its place.
    pub(crate) fn keep(mut self) -> FileWriter {
        self.0.take().expect("taken by the last call alone")
    }
}

impl std::ops::Deref for Draft {
    type Target = FileWriter;

    fn deref(&self) -> &FileWriter {
        self.0.as_ref().expect("taken by the last call alone")
    }
}

impl std::ops::DerefMut for Draft {
    fn deref_mut(&mut self) -> &mut FileWriter {
        self.0.as_mut().expect("taken by the last call alone")
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(made) = &self.0 {
            let _ = fs::remove_file(&made.path);
        }
    }
}

impl std::ops::Deref for FileWriter {
    type Target = Writer;

    fn deref(&self) -> &Writer {
        &self.writer
    }
}

impl std::ops::DerefMut for FileWriter {
    fn deref_mut(&mut self) -> &mut Writer {
        &mut self.writer
    }
}

impl FileWriter {
    /// A reader of the file that this writer has open.
    pub(crate) fn reader(&self) -> Result<Reader, OpenError> {
        Reader::of(&self.lock, self.writer.fixed.format)
    }
}

impl Reader {
    /// Opens the table at `path`.
    ///
    /// # Errors
    /// As for [`FileWriter::open`], but for the lock.
    pub fn open(path: &Path, format: u64) -> Result<Self, OpenError> {
        let file = options(false).open(path)?;
        check_owner(&file)?;
        Self::of(&file, format)
    }

    fn of(file: &File, format: u64) -> Result<Self, OpenError> {
        let fixed = fixed_of(file)?;
        // As long as it can ever be; what may be touched is the system's word.
        let reserved = reserved_by_readers(&fixed).max(file.metadata()?.len());
        // A process whose address space is limited sees a table that was not raised.
        let space = mapped::space(file, reserved, false).or_else(|_| {
            mapped::space(file, made_for(&fixed).max(file.metadata()?.len()), false)
        })?;
        Self::over(space, format)
    }
}

/// Bytes that the table was made for: buckets never take more than half.
fn made_for(fixed: &Fixed) -> u64 {
    fixed.directory_entries * 2 * CHUNK
}

/// Bytes of a table that every reader of it maps.
fn reserved_by_readers(fixed: &Fixed) -> u64 {
    made_for(fixed).max(READER_RESERVED)
}

fn options(write: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    let flags = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    options.read(true).write(write).mode(0o600).custom_flags(flags.bits());
    options
}

/// A regular file of this user that is closed to all others.
fn check_owner(file: &File) -> Result<(), OpenError> {
    let found = file.metadata()?;
    let ours = found.uid() == nix::unistd::geteuid().as_raw();
    if found.is_file() && ours && found.mode() & 0o077 == 0 {
        Ok(())
    } else {
        Err(OpenError::NotOurs)
    }
}

/// What never changes of the table in a file, before any of it is mapped.
fn fixed_of(file: &File) -> Result<Fixed, OpenError> {
    let mut bytes = [0; (FIXED_WORDS + 1) * 8];
    file.read_exact_at(&mut bytes, 0).map_err(|_| OpenError::Foreign)?;
    let mut words = [0; FIXED_WORDS + 1];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    let (sum, words) = (words[AT_CHECKSUM / 8], *words.first_chunk().unwrap_or(&[0; FIXED_WORDS]));
    Fixed::from_words(words).filter(|_| sum == checksum(&words)).ok_or(OpenError::Foreign)
}

/// Random words, none of them 0.
fn random_words() -> io::Result<[u64; 3]> {
    let mut bytes = [0; 24];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut words = [0; 3];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes).max(1);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Key, TableId};

    const MADE_WITH: Limits = Limits { bytes_max: 16 << 20, step_bytes: 1 << 20 };

    /// A reader of before and one of after: both see what lies behind what the table was made for.
    #[test]
    fn readers_see_what_a_raised_limit_lets_grow() {
        let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
        let path = folder.path().join("table");
        let table = TableId::of_pairs(1).expect("a small number");
        let made = FileWriter::create(&path, 1, MADE_WITH).expect("a table");
        let made_for = made_for(&made.writer.fixed);
        let before = Reader::open(&path, 1).expect("a table");
        drop(made);
        // Length without memory, all of which is given out until the last chunks are.
        let file = options(true).open(&path).expect("a file");
        file.set_len(made_for + (1 << 20)).expect("a longer file");
        let raised = Limits { bytes_max: made_for * 2, ..MADE_WITH };
        let mut writer = FileWriter::open(&path, 1, raised).expect("a table");
        while writer.writer.heap.take_chunk().expect("a chunk") * CHUNK < made_for {}
        let value = vec![7; CHUNK as usize];
        writer.put(table, Key::new(1, 1), &[&value]).expect("room");
        writer.commit([0; 2]).expect("room");
        let hash = writer.writer.fixed.hash.of(table, Key::new(1, 1));
        let slot =
            writer.writer.slot(hash, table, Key::new(1, 1)).expect("a look").expect("a value");
        assert!(slot.0.place.offset() > made_for);
        for reader in [before, Reader::open(&path, 1).expect("a table")] {
            let mut found = Vec::new();
            assert!(reader.get(table, Key::new(1, 1), &mut found).expect("a look"));
            assert_eq!(found, value);
        }
    }

    #[test]
    fn a_limit_above_what_readers_map_is_that() {
        let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
        let path = folder.path().join("table");
        drop(FileWriter::create(&path, 1, MADE_WITH).expect("a table"));
        let limits = Limits { bytes_max: 1 << 40, ..MADE_WITH };
        let writer = FileWriter::open(&path, 1, limits).expect("a table");
        let reader = Reader::open(&path, 1).expect("a table");
        assert_eq!(writer.writer.limits.bytes_max, READER_RESERVED);
        assert!(writer.writer.space.reserved() <= reader.space.reserved());
    }

    /// Bytes of memory that a file has.
    fn memory_of(path: &Path) -> u64 {
        fs::metadata(path).expect("a file").blocks() * 512
    }

    /// Its writer was killed between the length of a large page and its memory.
    #[test]
    fn a_hole_is_filled_before_anybody_can_be_killed_by_it() {
        let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
        let path = folder.path().join("table");
        drop(FileWriter::create(&path, 1, MADE_WITH).expect("a table"));
        // More than the writer's thread meets by the time that the writer is gone.
        let bytes = 14 << 20;
        options(true).open(&path).expect("a file").set_len(bytes).expect("a longer file");
        assert!(memory_of(&path) < bytes);
        drop(FileWriter::open(&path, 1, MADE_WITH).expect("a table"));
        assert!(memory_of(&path) >= bytes);
    }

    /// Whatever it grows by, and by whatever pages.
    #[test]
    fn a_file_that_grows_has_memory_for_all_of_its_length() {
        for step_bytes in [1 << 20, 3 << 20, 8 << 20] {
            let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
            let path = folder.path().join("table");
            let limits = Limits { bytes_max: 48 << 20, step_bytes };
            let table = TableId::of_pairs(1).expect("a small number");
            let mut writer = FileWriter::create(&path, 1, limits).expect("a table");
            let value = vec![7; 1 << 20];
            for id in 0..30 {
                writer.put(table, Key::new(1, id), &[&value]).expect("room");
                writer.commit([0; 2]).expect("room");
            }
            let len = writer.usage().allocated_bytes;
            assert!(len >= 30 << 20 && (len.is_multiple_of(step_bytes) || len == 48 << 20));
            assert!(memory_of(&path) >= len, "{} of {len} bytes", memory_of(&path));
            for id in 0..30 {
                let mut found = Vec::new();
                assert!(writer.get(table, Key::new(1, id), &mut found).expect("a look"));
                assert_eq!(found, value);
            }
        }
    }

    /// Whether the system has pages mapped before they are touched.
    fn populates() -> bool {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("a system with it");
        let mut numbers =
            release.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse().ok());
        let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        version >= (5, 14)
    }

    /// Bytes of the file's mapping whose pages this process has met, wherever they are by now.
    fn met_bytes(path: &Path) -> u64 {
        let maps = fs::read_to_string("/proc/self/smaps").expect("a system with it");
        let name = path.to_str().expect("a path in ASCII");
        let lines = maps.lines().skip_while(|line| !line.ends_with(name)).skip(1);
        let of_it = lines.take_while(|line| !line.starts_with("VmFlags:"));
        let met = of_it.filter_map(|line| {
            let bytes = line.strip_prefix("Rss:").or_else(|| line.strip_prefix("Swap:"))?;
            Some(bytes.trim_end_matches("kB").trim().parse::<u64>().expect("a number") * 1024)
        });
        met.sum()
    }

    /// Who takes a table over does not meet its pages one by one, each by a fault in a batch.
    #[test]
    fn what_is_taken_over_is_met_ahead() {
        if !populates() {
            return;
        }
        let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
        let path = folder.path().join("table");
        let table = TableId::of_pairs(1).expect("a small number");
        let mut made = FileWriter::create(&path, 1, MADE_WITH).expect("a table");
        made.put(table, Key::new(1, 1), &[&vec![7; 4 << 20]]).expect("room");
        made.commit([0; 2]).expect("room");
        drop(made);
        let len = fs::metadata(&path).expect("a file").len();
        let writer = FileWriter::open(&path, 1, MADE_WITH).expect("a table");
        let mut looks = 0;
        while met_bytes(&path) < len {
            looks += 1;
            assert!(looks < 100_000, "{} of {len} bytes", met_bytes(&path));
            std::thread::yield_now();
        }
        drop(writer);
    }
}
