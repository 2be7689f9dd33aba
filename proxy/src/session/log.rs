//! What a session's numbers cannot be counted without, in a file that outlives the process.
//!
//! A file has a head and entries of [`SIZE`] bytes, written before what they are about is sent. A torn last entry
//! counts for nothing. Whoever has the session holds a lock on the file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;

use nix::fcntl::Flock;
use ring::rand::{SecureRandom, SystemRandom};

use super::entry::{Entry, Head, LISTED, SIZE};
use super::folder::locked;
use super::{Asked, Folder};

/// Entries after which a log is made short again.
const LONG: u64 = 4096;

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
        if !is_id(id) {
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
        let Some(Parsed { head, entries, count }) = parse(&bytes) else { return Ok(None) };
        // Only where it is torn: when a session was written to says which is the oldest.
        let whole = bytes.len() - bytes.len() % SIZE;
        if whole < bytes.len() {
            file.set_len(whole as u64)?;
        }
        let (folder, id) = (folder.clone(), id.to_owned());
        let log = Self { folder, id, file, head, entries: count, in_force: 0 };
        Ok(Some((log, head, entries)))
    }

    /// What a session's file says, whoever has it; `None` of what is none.
    pub(super) fn read(folder: &Folder, id: &str) -> Option<(Head, Vec<Entry>)> {
        let bytes = is_id(id).then(|| fs::read(folder.path(id)).ok())??;
        parse(&bytes).map(|Parsed { head, entries, .. }| (head, entries))
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
        let others = asked.others.iter();
        let others =
            others.map(|(kind, guild)| Entry::Other { kind: *kind, guild: *guild, answer: None });
        let voice = asked.voice.iter().map(|guild| Entry::Voice { guild: *guild, speaks: true });
        let in_force = members.chain(others).chain(voice);
        bytes.extend(in_force.flat_map(|entry| entry.to_bytes()));
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
            kept.filter(|entry| !entry.is_in_force()).collect()
        }))
    }

    pub(super) fn remove(self) {
        // It may be gone with the instance.
        let _ = fs::remove_file(self.folder.path(&self.id));
    }
}

fn is_id(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What a file says.
struct Parsed {
    head: Head,
    /// Without those that were given back.
    entries: Vec<Entry>,
    /// With them.
    count: u64,
}

/// A torn last entry counts for nothing.
fn parse(bytes: &[u8]) -> Option<Parsed> {
    let mut rows = bytes.chunks_exact(SIZE).filter_map(|row| row.first_chunk());
    let head = rows.next().and_then(Head::from_bytes)?;
    let (mut entries, mut count) = (Vec::new(), 0);
    for entry in rows.filter_map(Entry::from_bytes) {
        count += 1;
        match entry {
            Entry::Cut { seq } => {
                entries.retain(|entry: &Entry| entry.seq().is_none_or(|of| of <= seq));
            }
            entry => entries.push(entry),
        }
    }
    Some(Parsed { head, entries, count })
}

#[cfg(test)]
mod tests {
    use mixcord::Kind;

    use super::super::entry::MAGIC;
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
            Entry::Other { kind: Kind::SOUNDBOARD_SOUNDS, guild: 13, answer: None },
            Entry::Other { kind: Kind::CHANNEL_INFO, guild: 14, answer: Some(5) },
        ]
    }

    const HEAD: Head =
        Head { ring: 9, start: 8, shard: 1, shards: 2, intents: 3, large: 50, me: 7 };

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
