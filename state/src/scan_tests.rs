use super::*;
use crate::tables::{CHANNEL_MAP, CHANNELS, EMOJIS, ROLES};
use crate::{State, Writer, format};

fn private_dir() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    dir
}

/// A store, and who asks it.
struct Store {
    writer: Writer,
    state: State,
    _dir: tempfile::TempDir,
}

impl std::ops::Deref for Store {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

type Entry = (Key, Option<Vec<u8>>);

impl Store {
    /// A store with these entries.
    fn new(entries: impl IntoIterator<Item = (Key, Vec<u8>)>) -> Self {
        let dir = private_dir();
        let mut writer = Writer::create(dir.path(), 64 << 20).unwrap();
        entries.into_iter().for_each(|(key, value)| writer.put(key, &[&value]).unwrap());
        writer.commit((0, 0)).unwrap();
        std::fs::write(
            dir.path().join(format::FORMAT_FILE),
            format::text(writer.version()).unwrap(),
        )
        .unwrap();
        let state = State::open(dir.path()).unwrap();
        Self { writer, state, _dir: dir }
    }

    fn write(&mut self, entries: impl IntoIterator<Item = Entry>) {
        for (key, value) in entries {
            match value {
                Some(value) => self.writer.put(key, &[&value]).unwrap(),
                None => self.writer.delete(key).unwrap(),
            }
        }
        self.writer.commit((0, 0)).unwrap();
    }
}

fn role(id: u64, bytes: usize) -> Vec<u8> {
    let text = format!(r#"{{"id":"{id}","name":"{}"}}"#, "x".repeat(bytes));
    Document::from_json(&text).unwrap().into_bytes()
}

/// Ids by owner, page by page.
fn pages(state: &State, mut scan: Scan) -> Vec<Vec<(u64, u64)>> {
    let mut pages = Vec::new();
    while !scan.is_done() {
        let page = state.page(&mut scan).unwrap();
        pages.push(page.iter().map(|found| (found.owner, found.id)).collect());
    }
    pages
}

#[test]
fn a_page_has_so_many_entities_at_most_and_all_come_once_in_order() {
    let keys: Vec<_> = (1..=3).flat_map(|owner| (0..300).map(move |id| (owner, id))).collect();
    let entries = keys.iter().map(|&(owner, id)| (ROLES.at(owner, id), role(id, 1)));
    let mut state = Store::new(entries);
    let all = pages(&state, Scan::all(Resource::Roles));
    assert!(all.iter().all(|page| page.len() <= KEYS) && all.len() == 4, "{}", all.len());
    assert_eq!(all.concat(), keys);
    assert_eq!(pages(&state, Scan::of(Resource::Roles, 2)).concat(), keys[300..600]);
    assert_eq!(pages(&state, Scan::of(Resource::Roles, 9)).concat(), []);
    // The very last keys there can be.
    let limits = [(0, 0), (0, u64::MAX), (u64::MAX, 0), (u64::MAX, u64::MAX)];
    state.write(limits.map(|(owner, id)| (CHANNELS.at(owner, id), Some(role(id, 1)))));
    assert_eq!(pages(&state, Scan::all(Resource::Channels)).concat(), limits);
}

#[test]
fn a_page_of_large_entities_is_short() {
    let state = Store::new((0..50).map(|id| (ROLES.at(1, id), role(id, 200_000))));
    let all = pages(&state, Scan::all(Resource::Roles));
    assert!(all.iter().all(|page| page.len() <= BYTES / 200_000 + 1), "{all:?}");
    assert_eq!(all.concat(), (0..50).map(|id| (1, id)).collect::<Vec<_>>());
}

#[test]
fn messages_come_from_either_side_of_one() {
    let mut facts = crate::ChannelFacts::of(4);
    let mut entries = Vec::new();
    for id in (0..600).chain([u64::MAX]) {
        // Received in another order than that of their ids.
        let message = crate::Cached { id, received_us: 1 + id % 7 };
        let document = Document::from_json(&format!(r#"{{"id":"{id}","channel_id":"7"}}"#));
        entries.push((message.key(), document.unwrap().into_bytes()));
        facts.insert(message);
    }
    entries.push((CHANNEL_MAP.at(7), facts.into_bytes()));
    let state = Store::new(entries);
    let ids =
        |scan| -> Vec<u64> { pages(&state, scan).concat().into_iter().map(|(_, id)| id).collect() };
    let down = |from: u64, to: u64| (to..=from).rev().collect::<Vec<_>>();
    assert_eq!(ids(Scan::messages_before(7, 600, 1_000)), down(599, 0));
    assert_eq!(ids(Scan::messages_before(7, 600, 300)), down(599, 300));
    assert_eq!(ids(Scan::messages_before(7, u64::MAX, 1)), [599]);
    assert_eq!(ids(Scan::messages_before(7, 0, 9)).len(), 0);
    assert_eq!(ids(Scan::messages_after(7, 597, 9)), [598, 599, u64::MAX]);
    assert_eq!(ids(Scan::messages_after(7, 0, 300)), (1..=300).collect::<Vec<_>>());
    assert_eq!(ids(Scan::messages_after(7, u64::MAX, 9)).len(), 0);
    assert_eq!(ids(Scan::messages_after(7, 1, 0)).len(), 0);
    assert_eq!(ids(Scan::of(Resource::Messages, 7)).len(), 601);
    assert_eq!(ids(Scan::of(Resource::Messages, 8)).len(), 0);
    let all = pages(&state, Scan::all(Resource::Messages)).concat();
    assert_eq!(all[..3], [(7, 0), (7, 7), (7, 14)], "in the order they were received");
    assert_eq!(all.len(), 601);
    let message = state.entity(Resource::Messages, 7, 599).unwrap();
    assert_eq!(message.unwrap().get(atoms::ID).and_then(Value::as_id), Some(599));
    assert!(state.entity(Resource::Messages, 7, 601).unwrap().is_none());
    assert!(state.entity(Resource::Messages, 8, 599).unwrap().is_none());
}

#[test]
fn what_stands_in_a_list_comes_one_by_one() {
    let list = |ids: &[u64]| {
        let items: Vec<_> = ids.iter().map(|id| format!(r#"{{"id":"{id}"}}"#)).collect();
        Document::from_json(&format!("[{}]", items.join(","))).unwrap().into_bytes()
    };
    let lists = [(1, list(&[5, 4])), (2, list(&[])), (3, list(&[6]))];
    let state = Store::new(lists.map(|(guild, list)| (EMOJIS.at(guild), list)));
    let all = [(1, 5), (1, 4), (3, 6)];
    assert_eq!(pages(&state, Scan::all(Resource::Emojis)).concat(), all);
    assert_eq!(pages(&state, Scan::of(Resource::Emojis, 3)).concat(), [(3, 6)]);
    assert_eq!(state.count(Resource::Emojis).unwrap(), 3);
    assert!(state.entity(Resource::Emojis, 1, 4).unwrap().is_some());
    assert!(state.entity(Resource::Emojis, 3, 4).unwrap().is_none());
}

#[test]
fn what_goes_and_comes_between_two_pages_disturbs_nothing() {
    let even = (0..1_000).step_by(2);
    let mut state = Store::new(even.map(|id| (ROLES.at(1, id), role(id, 1))));
    let mut scan = Scan::all(Resource::Roles);
    let first = state.page(&mut scan).unwrap();
    let last = first.last().unwrap().id;
    state.write([
        (ROLES.at(1, last), None),
        (ROLES.at(1, last + 2), None),
        (ROLES.at(1, last + 1), Some(role(0, 1))),
        (ROLES.at(1, last - 1), Some(role(0, 1))),
    ]);
    let second = state.page(&mut scan).unwrap();
    assert_eq!((second[0].id, second[1].id), (last + 1, last + 4));
}

#[test]
fn a_store_that_cannot_be_trusted_is_not_opened() {
    use crate::OpenError;
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let mode = |name: &str, mode| {
        let path = dir.path().join(name);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("", 0o700);
    drop(Writer::create(dir.path(), 64 << 20).unwrap());
    assert!(matches!(State::open(dir.path()), Err(OpenError::NotFound { .. })), "no format");
    std::fs::write(dir.path().join("format"), format::text(format::VERSION).unwrap()).unwrap();
    drop(State::open(dir.path()).unwrap());
    for (name, open, closed) in [("", 0o750, 0o700), ("table", 0o640, 0o600)] {
        mode(name, open);
        assert!(matches!(State::open(dir.path()), Err(OpenError::NotOurs { .. })), "{name}");
        mode(name, closed);
    }
    std::fs::write(dir.path().join("format"), "mixcord-state 0\n").unwrap();
    assert!(matches!(State::open(dir.path()), Err(OpenError::Foreign { .. })));
    std::fs::write(dir.path().join("format"), format::text(format::VERSION).unwrap()).unwrap();
    std::fs::write(dir.path().join("table"), [0; 8192]).unwrap();
    assert!(matches!(State::open(dir.path()), Err(OpenError::Foreign { .. })));
    let gone = dir.path().join("gone");
    assert!(matches!(State::open(&gone), Err(OpenError::NotFound { .. })));
}
