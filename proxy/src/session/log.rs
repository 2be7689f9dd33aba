//! What a session's numbers cannot be counted without, in a file that outlives the process.
//!
//! A file has a head and entries of [`SIZE`] bytes, written before what they are about is sent. A torn last entry
//! counts for nothing. Whoever has the session holds a lock on the file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;

use nix::fcntl::Flock;
use ring::rand::{SecureRandom, SystemRandom};

use super::folder::locked;
use super::{Asked, Filter, Folder, Route};
use crate::intents::Intents;

/// Bytes of the head and of an entry.
pub(super) const SIZE: usize = 64;
/// What files of this layout, and of this way to count, begin with.
const MAGIC: [u8; 8] = *b"MXPROXY1";
/// Guild ids in one entry.
const LISTED: usize = 7;
/// Bytes of a nonce (G-31).
const NONCE_MAX: usize = 32;
/// Entries after which a log is made short again.
const LONG: u64 = 4096;

/// On what terms a session began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The ring whose positions count.
    pub(crate) ring: u64,
    /// The position at which it began.
    pub(crate) start: u64,
    pub(crate) shard: u32,
    pub(crate) shards: u32,
    pub(crate) intents: u64,
    /// From how many members on a guild is large.
    pub(crate) large: u32,
}

/// What is written down. Numbers (`seq`) are those of what is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Guilds that are to be given.
    Listed(Vec<u64>),
    /// A guild's snapshot.
    Guild { seq: u64, position: u64, guild: u64 },
    /// There was nothing to give of a guild: from this position on its records are sent.
    GivenUp { position: u64, guild: u64 },
    /// Every record below the position is numbered, up to `seq`.
    Mark { seq: u64, position: u64 },
    /// A record that only those are sent who asked.
    Routed { seq: u64, position: u64, nonce: Option<String> },
    /// What is in no record.
    Answer { seq: u64, position: u64 },
    /// RESUMED, which need not be sent again.
    Resumed { seq: u64 },
    /// A request for members: our nonce and the client's.
    Asked { number: u64, nonce: String },
    /// The client has the bot's voice in a guild, or no longer.
    Voice { guild: u64, speaks: bool },
    /// Numbers above this one were given back: what had them is sent again.
    Cut { seq: u64 },
}

impl Entry {
    pub(super) fn routed(seq: u64, position: u64, route: &Route) -> Self {
        Self::Routed { seq, position, nonce: route.nonce.clone() }
    }

    /// The number that goes with it.
    pub(super) const fn seq(&self) -> Option<u64> {
        match self {
            Self::Guild { seq, .. }
            | Self::Mark { seq, .. }
            | Self::Routed { seq, .. }
            | Self::Answer { seq, .. }
            | Self::Resumed { seq } => Some(*seq),
            _ => None,
        }
    }

    fn to_bytes(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        let (kind, words, text): (u8, [u64; 3], &str) = match self {
            Self::Listed(guilds) => {
                bytes[0] = 1;
                bytes[1] = guilds.len().min(LISTED) as u8;
                for (place, guild) in bytes[8..].chunks_exact_mut(8).zip(guilds) {
                    place.copy_from_slice(&guild.to_le_bytes());
                }
                return bytes;
            }
            Self::Guild { seq, position, guild } => (2, [*seq, *position, *guild], ""),
            Self::GivenUp { position, guild } => (3, [0, *position, *guild], ""),
            Self::Mark { seq, position } => (4, [*seq, *position, 0], ""),
            Self::Routed { seq, position, nonce } => {
                let text = nonce.as_deref().unwrap_or_default();
                (5, [*seq, *position, nonce.is_some().into()], text)
            }
            Self::Answer { seq, position } => (6, [*seq, *position, 0], ""),
            Self::Resumed { seq } => (7, [*seq, 0, 0], ""),
            Self::Asked { number, nonce } => (8, [0, 0, *number], nonce),
            Self::Voice { guild, speaks } => (9, [0, u64::from(*speaks), *guild], ""),
            Self::Cut { seq } => (10, [*seq, 0, 0], ""),
        };
        let text = text.as_bytes().get(..NONCE_MAX).unwrap_or(text.as_bytes());
        (bytes[0], bytes[1]) = (kind, text.len() as u8);
        for (place, word) in bytes[8..].chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes[32..32 + text.len()].copy_from_slice(text);
        bytes
    }

    /// `None` of what this release does not write.
    fn from_bytes(bytes: &[u8; SIZE]) -> Option<Self> {
        let [seq, position, number] = [8, 16, 24].map(|at| word(bytes, at));
        let text = || {
            let text = bytes.get(32..32 + usize::from(bytes[1]))?;
            String::from_utf8(text.to_vec()).ok()
        };
        Some(match bytes[0] {
            1 => {
                let count = usize::from(bytes[1]).min(LISTED);
                Self::Listed((0..count).map(|place| word(bytes, 8 + 8 * place)).collect())
            }
            2 => Self::Guild { seq, position, guild: number },
            3 => Self::GivenUp { position, guild: number },
            4 => Self::Mark { seq, position },
            5 if number == 0 => Self::Routed { seq, position, nonce: None },
            5 => Self::Routed { seq, position, nonce: Some(text()?) },
            6 => Self::Answer { seq, position },
            7 => Self::Resumed { seq },
            8 => Self::Asked { number, nonce: text()? },
            9 => Self::Voice { guild: number, speaks: position != 0 },
            10 => Self::Cut { seq },
            _ => return None,
        })
    }
}

impl Head {
    /// What it is sent.
    pub(crate) fn filter(&self) -> Filter {
        let intents = Intents::from_bits(self.intents).unwrap_or(Intents::NONE);
        Filter { shard: self.shard, shards: self.shards, intents }
    }

    fn to_bytes(self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[..8].copy_from_slice(&MAGIC);
        let pair = |a: u32, b: u32| u64::from(a) | u64::from(b) << 32;
        let words =
            [self.ring, self.start, pair(self.shard, self.shards), self.intents, self.large.into()];
        for (place, word) in bytes[8..].chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8; SIZE]) -> Option<Self> {
        let [ring, start, shards, intents, large] = [8, 16, 24, 32, 40].map(|at| word(bytes, at));
        (bytes[..8] == MAGIC).then_some(Self {
            ring,
            start,
            shard: shards as u32,
            shards: (shards >> 32) as u32,
            intents,
            large: large as u32,
        })
    }
}

fn word(bytes: &[u8; SIZE], at: usize) -> u64 {
    let word = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    word.map_or(0, |word| u64::from_le_bytes(*word))
}

/// The file of a session, which is ours as long as this lives.
#[derive(Debug)]
pub(super) struct Log {
    folder: Folder,
    id: String,
    file: Flock<File>,
    head: Head,
    entries: u64,
    /// Of them, what has to be written anew each time.
    in_force: u64,
}

impl Log {
    pub(super) fn create(folder: &Folder, head: &Head) -> io::Result<Self> {
        let _alone = folder.alone();
        folder.make_room()?;
        let mut random = [0; 16];
        SystemRandom::new().fill(&mut random).map_err(|_| io::Error::other("no randomness"))?;
        let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let file = locked(
            OpenOptions::new().append(true).read(true).create_new(true).mode(0o600),
            &folder.path(&id),
        )?;
        let mut log =
            Self { folder: folder.clone(), id, file, head: *head, entries: 0, in_force: 0 };
        log.file.write_all(&head.to_bytes())?;
        Ok(log)
    }

    /// Opens a session: `None` where there is none, or somebody has it. Whoever looks for old ones at the moment is
    /// waited for.
    pub(super) fn open(folder: &Folder, id: &str) -> io::Result<Option<(Self, Head, Vec<Entry>)>> {
        let _alone = folder.alone();
        Self::open_alone(folder, id)
    }

    /// The same, for who is [`Folder::alone`].
    pub(super) fn open_alone(
        folder: &Folder,
        id: &str,
    ) -> io::Result<Option<(Self, Head, Vec<Entry>)>> {
        let named = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !named {
            return Ok(None);
        }
        let path = folder.path(id);
        let opened = locked(OpenOptions::new().append(true).read(true), &path);
        let mut file = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            opened => opened?,
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.len() - bytes.len() % SIZE;
        let mut rows = bytes[..whole].chunks_exact(SIZE).filter_map(|row| row.first_chunk());
        let Some(head) = rows.next().and_then(Head::from_bytes) else { return Ok(None) };
        // Only where it is torn: when a session was written to says which is the oldest.
        if whole < bytes.len() {
            file.set_len(whole as u64)?;
        }
        let mut entries = Vec::new();
        let mut count = 0;
        for entry in rows.filter_map(Entry::from_bytes) {
            count += 1;
            match entry {
                Entry::Cut { seq } => {
                    entries.retain(|entry: &Entry| entry.seq().is_none_or(|of| of <= seq));
                }
                entry => entries.push(entry),
            }
        }
        let (folder, id) = (folder.clone(), id.to_owned());
        let log = Self { folder, id, file, head, entries: count, in_force: 0 };
        Ok(Some((log, head, entries)))
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn write(&mut self, entry: &Entry) -> io::Result<()> {
        self.entries += 1;
        self.file.write_all(&entry.to_bytes())
    }

    pub(super) fn write_list(&mut self, guilds: &[u64]) -> io::Result<()> {
        let entries = guilds.chunks(LISTED).map(|some| Entry::Listed(some.to_vec()).to_bytes());
        let bytes: Vec<u8> = entries.flatten().collect();
        self.entries += guilds.len().div_ceil(LISTED) as u64;
        self.file.write_all(&bytes)
    }

    pub(super) const fn is_long(&self) -> bool {
        self.entries > LONG + self.in_force
    }

    /// Forgets what is older than half of the log. Only for a session that has all its guilds: what it asked for
    /// and how far it is are all that counts then.
    pub(super) fn shorten(&mut self, asked: &Asked, (seq, position): (u64, u64)) -> io::Result<()> {
        let Some(kept) = self.newer_half()? else { return Ok(()) };
        let next = self.folder.path(&format!("{}.new", self.id));
        let mut options = OpenOptions::new();
        options.append(true).read(true).create(true).truncate(false).mode(0o600);
        let mut file = locked(&options, &next)?;
        file.set_len(0)?;
        let mut bytes = self.head.to_bytes().to_vec();
        let members = asked.members.iter();
        let members =
            members.map(|(number, nonce)| Entry::Asked { number: *number, nonce: nonce.clone() });
        let voice = asked.voice.iter().map(|guild| Entry::Voice { guild: *guild, speaks: true });
        bytes.extend(members.chain(voice).flat_map(|entry| entry.to_bytes()));
        self.in_force = (bytes.len() / SIZE) as u64;
        bytes.extend(kept.iter().flat_map(Entry::to_bytes));
        bytes.extend(Entry::Mark { seq, position }.to_bytes());
        file.write_all(&bytes)?;
        fs::rename(&next, self.folder.path(&self.id))?;
        self.entries = (bytes.len() / SIZE) as u64;
        self.file = file;
        Ok(())
    }

    /// The entries from the first mark in the newer half on.
    fn newer_half(&self) -> io::Result<Option<Vec<Entry>>> {
        let bytes = fs::read(self.folder.path(&self.id))?;
        let rows = bytes.chunks_exact(SIZE).skip(1).filter_map(|row| row.first_chunk());
        let entries: Vec<_> = rows.filter_map(Entry::from_bytes).collect();
        let half = entries.len() / 2;
        // A cut is about entries before it.
        let behind = entries.iter().rposition(|entry| matches!(entry, Entry::Cut { .. }));
        let from = half.max(behind.map_or(0, |cut| cut + 1));
        let mark = entries.iter().skip(from).position(|entry| matches!(entry, Entry::Mark { .. }));
        Ok(mark.map(|mark| {
            let kept = entries.into_iter().skip(from + mark);
            // What is in force is written anew.
            kept.filter(|entry| !matches!(entry, Entry::Asked { .. } | Entry::Voice { .. }))
                .collect()
        }))
    }

    pub(super) fn remove(self) {
        // It may be gone with the instance.
        let _ = fs::remove_file(self.folder.path(&self.id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        vec![
            Entry::Listed(vec![1, u64::MAX]),
            Entry::Guild { seq: 2, position: 30, guild: 4 },
            Entry::GivenUp { position: 31, guild: 5 },
            Entry::Mark { seq: 6, position: 32 },
            Entry::Routed { seq: 7, position: 33, nonce: None },
            Entry::Routed { seq: 8, position: 34, nonce: Some("n".repeat(32)) },
            Entry::Answer { seq: 9, position: 35 },
            Entry::Resumed { seq: 10 },
            Entry::Asked { number: 11, nonce: String::new() },
            Entry::Voice { guild: 12, speaks: true },
        ]
    }

    const HEAD: Head = Head { ring: 9, start: 8, shard: 1, shards: 2, intents: 3, large: 50 };

    #[test]
    fn entries_come_back_and_a_torn_one_counts_for_nothing() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = Folder::at(place.path().join("sessions")).expect("ours");
        let mut log = Log::create(&folder, &HEAD).expect("made");
        entries().iter().for_each(|entry| log.write(entry).expect("written"));
        let id = log.id().to_owned();
        assert!(Log::open(&folder, &id).expect("looked").is_none(), "somebody has it");
        log.file.write_all(&[4; 20]).expect("torn");
        drop(log);
        let (log, head, found) = Log::open(&folder, &id).expect("looked").expect("there");
        assert_eq!((head, found), (HEAD, entries()));
        assert_eq!(log.file.metadata().expect("a file").len() % SIZE as u64, 0);
        log.remove();
        assert!(Log::open(&folder, &id).expect("looked").is_none());
    }

    #[test]
    fn numbers_that_were_given_back_are_forgotten() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = Folder::at(place.path().join("sessions")).expect("ours");
        let mut log = Log::create(&folder, &HEAD).expect("made");
        entries().iter().for_each(|entry| log.write(entry).expect("written"));
        log.write(&Entry::Cut { seq: 6 }).expect("written");
        let id = log.id().to_owned();
        drop(log);
        let (_log, _, found) = Log::open(&folder, &id).expect("looked").expect("there");
        assert_eq!(found.iter().filter_map(Entry::seq).max(), Some(6));
        assert!(found.contains(&Entry::Voice { guild: 12, speaks: true }));
    }

    #[test]
    fn p8_names_that_are_none_and_bytes_that_are_no_log_are_no_session() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = Folder::at(place.path().join("sessions")).expect("ours");
        let id = "0".repeat(32);
        for name in ["", "../../etc/passwd", &"g".repeat(32), &id] {
            assert!(Log::open(&folder, name).expect("looked").is_none());
        }
        for bytes in [vec![], vec![0xff; 1000], MAGIC.to_vec()] {
            fs::write(folder.path(&id), &bytes).expect("written");
            assert!(Log::open(&folder, &id).expect("looked").is_none());
        }
    }
}
