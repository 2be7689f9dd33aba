//! A state copied and loaded: the same, or an error and nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mixcord_copy::{LoadError, Loaded, Progress, inputs, load, write};
use mixcord_event::{Document, Origin};
use mixcord_state::format::{self, FORMAT_FILE};
use mixcord_state::{Arena, InputPosition, Key, Read, Table, Writer, meta};

const BYTES_MAX: u64 = 64 << 20;
const OUTPUT: (u64, u64) = (77, 4_000);

/// A folder for stores, gone with the test.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let prefix = format!("mixcord-copy-{}-", std::process::id());
        Self(tempfile::Builder::new().prefix(&prefix).tempdir_in("/dev/shm").expect("a folder"))
    }

    /// A directory for a store.
    fn dir(&self, name: &str) -> PathBuf {
        let dir = self.0.path().join(name);
        fs::create_dir_all(&dir).expect("a folder");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).expect("ours");
        dir
    }
}

/// Says that the store is whole, as a cache does.
fn sign(dir: &Path) {
    fs::write(dir.join(FORMAT_FILE), format::text(format::version()).expect("a boot"))
        .expect("written");
}

/// A store with values in every table, of every length up to some blocks.
fn donor(dir: &Path, values: u64) -> Writer {
    let mut writer = Writer::create(dir, BYTES_MAX).expect("a store");
    for n in 0..values {
        let table = Table::ALL[n as usize % Table::COUNT];
        // What is no shape would be damage there.
        if table == Table::Meta && n % 91 == meta::shape(0).owner() {
            continue;
        }
        let key = table.checked_key(n % 91, n).or_else(|| table.checked_key(n, 0));
        let value = format!("value {n} ").into_bytes().repeat(n as usize % 40);
        writer.put(key.expect("a key"), &[&value]).expect("room");
        if n % 500 == 0 {
            writer.commit(OUTPUT).expect("room");
        }
    }
    let large = Table::Guilds.checked_key(9, 0).expect("a key");
    writer.put(large, &[&vec![7; 3 << 20]]).expect("room");
    writer.commit(OUTPUT).expect("room");
    sign(dir);
    writer
}

fn everything(writer: &Writer) -> BTreeMap<Key, Vec<u8>> {
    let (arena, mut all) = (Arena::default(), BTreeMap::new());
    for table in Table::ALL {
        let view = writer.view(&arena);
        view.scan(table.all(), &mut |key, value| {
            all.insert(key, value.to_vec());
            true
        })
        .expect("a look");
    }
    all
}

fn copy_of(dir: &Path) -> Vec<u8> {
    write(dir, Vec::new(), &mut |_| {}).expect("a copy").0
}

fn load_into(dir: &Path, bytes: &[u8]) -> Result<(Writer, Loaded), LoadError> {
    load(bytes, || Ok(Writer::create(dir, BYTES_MAX)?), &mut |_| {})
}

#[test]
fn what_is_loaded_is_what_was_copied_with_its_position() {
    let folder = Folder::new();
    let (from, to) = (folder.dir("from"), folder.dir("to"));
    let writer = donor(&from, 20_000);
    let mut shown = Vec::new();
    let (bytes, copied) =
        write(&from, Vec::new(), &mut |progress| shown.push(progress)).expect("a copy");
    assert_eq!((copied.ring, copied.position), OUTPUT);
    assert_eq!(copied.bytes, bytes.len() as u64);
    let last: &Progress = shown.last().expect("it says how far it is");
    assert!(
        last.values <= copied.values && last.expected.abs_diff(copied.values) < 100,
        "{last:?}"
    );
    let (loaded, said) = load_into(&to, &bytes).expect("loaded");
    assert_eq!((said.ring, said.position), OUTPUT);
    assert_eq!(loaded.output(), OUTPUT);
    let (wanted, found) = (everything(&writer), everything(&loaded));
    assert_eq!(wanted.len(), found.len());
    assert!(wanted == found);
    assert_ne!(loaded.id(), writer.id(), "another store");
    // And of that one a copy again.
    sign(&to);
    assert!(copy_of(&to).len().abs_diff(bytes.len()) < bytes.len() / 4);
}

/// Kinds and contents.
type Frames = Vec<(u8, Vec<u8>)>;

/// P8: every cut, and every byte changed, of a small copy.
#[test]
fn a_copy_that_is_cut_or_changed_anywhere_is_refused() {
    let folder = Folder::new();
    let (from, to) = (folder.dir("from"), folder.dir("to"));
    let mut writer = Writer::create(&from, BYTES_MAX).expect("a store");
    for n in 1..20 {
        let key = Table::Users.checked_key(n, 0).expect("a key");
        writer.put(key, &[&n.to_le_bytes().repeat(9)]).expect("room");
    }
    writer.commit(OUTPUT).expect("room");
    sign(&from);
    let bytes = copy_of(&from);
    load_into(&to, &bytes).expect("whole");
    inputs(&bytes[..]).expect("whole");
    for end in 0..bytes.len() {
        assert!(load_into(&to, &bytes[..end]).is_err(), "cut at {end}");
        assert!(inputs(&bytes[..end]).is_err(), "cut at {end}");
    }
    for at in 0..bytes.len() {
        for bit in [0, 3, 7] {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            assert!(load_into(&to, &bytes).is_err(), "bit {bit} of byte {at}");
            assert!(inputs(&bytes[..]).is_err(), "bit {bit} of byte {at}");
        }
    }
    let twice = [&bytes[..], &bytes[12..]].concat();
    assert!(load_into(&to, &twice).is_err(), "something follows");
}

/// Before anything is loaded it is known where the state goes on.
#[test]
fn where_the_inputs_are_is_read_without_loading_the_state() {
    let folder = Folder::new();
    let from = folder.dir("from");
    let mut writer = Writer::create(&from, BYTES_MAX).expect("a store");
    let at = |ring, position| InputPosition {
        index: 3,
        origin: Origin { ring, position },
        ..InputPosition::whole(9, 4)
    };
    let put = |writer: &mut Writer, shard, input: InputPosition| {
        writer.put(meta::input(shard, 16), &[&input.to_words()]).expect("room");
        writer.commit(OUTPUT).expect("room");
    };
    for shard in 0..3 {
        put(&mut writer, shard, at(7, 1));
    }
    put(&mut writer, 1, at(8, 2));
    writer.delete(meta::input(2, 16)).expect("room");
    writer.commit(OUTPUT).expect("room");
    sign(&from);
    let found = inputs(&copy_of(&from)[..]).expect("whole");
    assert_eq!(found, [((16, 0), at(7, 1)), ((16, 1), at(8, 2))].into());
    // Older stores say nothing of the origin.
    let words = at(7, 1).to_words();
    let older = InputPosition { index: 3, ..InputPosition::whole(9, 4) };
    assert_eq!(InputPosition::from_words(&words[..24]), Some(older));
}

/// What has right checksums and says what cannot be.
#[test]
fn p8_frames_that_cannot_be_are_refused() {
    use mixcord_blocks::{BlockWriter, Format};

    let folder = Folder::new();
    let (from, to) = (folder.dir("from"), folder.dir("to"));
    drop(donor(&from, 10));
    let format = Format { magic: *b"mixcopy\n", version: 1 };
    let whole = copy_of(&from);
    let mut reader = mixcord_blocks::BlockReader::new(&whole[..], format).expect("a copy");
    let mut frames = Vec::new();
    let mut content = Vec::new();
    while let Some(kind) = reader.frame(&mut content, 8 << 20).expect("sound") {
        frames.push((kind, content.clone()));
    }
    let written = |frames: &[(u8, Vec<u8>)]| {
        let mut blocks = BlockWriter::new(Vec::new(), format).expect("a sink");
        for (kind, content) in frames {
            blocks.frame(*kind, &[content]).expect("a sink");
        }
        blocks.flush().expect("a sink");
        blocks.into_sink()
    };
    load_into(&to, &written(&frames)).expect("as it was");
    let last = frames.len() - 1;
    let mut changed: Vec<(&str, Frames)> = vec![("nothing at all", Vec::new())];
    let mut with = |what, change: &dyn Fn(&mut Frames)| {
        let mut frames = frames.clone();
        change(&mut frames);
        changed.push((what, frames));
    };
    with("no head", &|frames| drop(frames.remove(0)));
    with("a head of nothing", &|frames| frames[0].1.clear());
    with("no end", &|frames| drop(frames.pop()));
    with("one value fewer", &|frames| drop(frames.remove(1)));
    with("an end of nothing", &|frames| frames[last].1.clear());
    with("a short key", &|frames| frames[1].1.truncate(17));
    with("a table that is none", &|frames| frames[1].1[..2].fill(0xFF));
    with("a second id where there is one", &|frames| {
        let guilds = Table::Guilds.index() as u8;
        frames[1].1[0] = guilds;
        frames[1].1[17] = 1;
    });
    with("an unknown kind", &|frames| frames.insert(2, (99, vec![1, 2, 3])));
    with("begun anew before its end", &|frames| frames.insert(last, (4, Vec::new())));
    for (what, frames) in changed {
        let error = load_into(&to, &written(&frames)).map(drop).expect_err(what);
        assert!(!error.to_string().is_empty());
    }
    // Begun anew and said again it is whole.
    let again = [&frames[..3], &[(4, Vec::new())], &frames[1..]].concat();
    let (writer, _) = load_into(&to, &written(&again)).expect("whole");
    let (first, _) = load_into(&folder.dir("first"), &whole).expect("whole");
    assert!(everything(&writer) == everything(&first));
}

/// Documents lie by their shapes, whose numbers are the donor's: the store that was loaded goes on with these.
#[test]
fn documents_of_many_shapes_are_the_same_and_so_is_what_is_put_later() {
    let folder = Folder::new();
    let (from, to) = (folder.dir("from"), folder.dir("to"));
    let role = |n: u64| {
        let more: String = (0..n % 5).map(|m| format!(r#","more_{m}":null"#)).collect();
        let json =
            format!(r#"{{"id":"{n}","name":"role {n}","hoist":true,"managed":false{more}}}"#);
        let document = Document::from_json(&json).expect("JSON");
        (Table::Roles.checked_key(n % 7, n).expect("a key"), document)
    };
    let put = |writer: &mut Writer, ids: std::ops::Range<u64>| {
        for n in ids {
            let (key, document) = role(n);
            writer.put(key, &[document.as_bytes()]).expect("room");
        }
        writer.commit(OUTPUT).expect("room");
    };
    let mut donor = Writer::create(&from, BYTES_MAX).expect("a store");
    put(&mut donor, 0..800);
    sign(&from);
    let (mut loaded, _) = load_into(&to, &copy_of(&from)).expect("loaded");
    assert!(everything(&donor) == everything(&loaded), "shapes among it");
    // Others first, so that numbers given anew would not be those of the donor.
    put(&mut loaded, 801..803);
    put(&mut loaded, 803..1_600);
    drop(loaded);
    let again = Writer::open(&to, BYTES_MAX).expect("a store");
    let all = everything(&again);
    for n in (0..1_600).filter(|n| *n != 800) {
        let (key, document) = role(n);
        assert_eq!(all.get(&key).map(Vec::as_slice), Some(document.as_bytes()), "{n}");
    }
}
