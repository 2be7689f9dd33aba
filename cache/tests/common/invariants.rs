//! What holds for a store after every batch, whatever came.

use std::collections::{BTreeMap, BTreeSet};

use mixcord_event::{Map, Value, atoms};
use mixcord_state::tables::{CHANNEL_FACTS, CHANNELS, MEMBERS, THREADS};
use mixcord_state::{Archived, GuildFacts, Key, Read, Table, Tally, compose};

/// Checks that the tables agree with each other.
pub(crate) fn check(store: &dyn Read) {
    messages(store);
    members(store);
    archived(store);
}

fn each(store: &dyn Read, table: Table, mut visit: impl FnMut(Key, &[u8])) {
    let all = store.scan(table.all(), &mut |key, value| {
        visit(key, value);
        true
    });
    all.expect("a store that can be read");
}

fn id(map: Map<'_>, key: mixcord_event::Atom) -> Option<u64> {
    map.get(key).and_then(Value::as_id)
}

/// Every message is in exactly one history and every entry of a history is a message; every channel that is not cached
/// itself is in the list of its guild.
fn messages(store: &dyn Read) {
    let (mut listed, mut places, mut apart) = (BTreeSet::new(), BTreeSet::new(), false);
    each(store, Table::ChannelMap, |key, bytes| {
        let facts = compose::facts_of_channel(store, key.owner()).expect("facts").expect("facts");
        let at = CHANNEL_FACTS.at(facts.guild(), key.owner());
        // A store of before has all that is known at the place.
        apart = bytes.len() == size_of::<u64>();
        let is_there = |key| store.get(key).expect("a store").is_some();
        let place = (at.owner(), at.id());
        if apart
            || !is_there(CHANNELS.at(place.0, place.1)) && !is_there(THREADS.at(place.0, place.1))
        {
            places.insert(at);
        }
        let ids: Vec<u64> = facts.history().map(|message| message.id).collect();
        assert!(ids.is_sorted_by(|one, other| one < other), "{at:?}: {ids:?}");
        for message in facts.history() {
            assert!(listed.insert(message.key()), "{message:?} is in two histories");
            let document = store.get(message.key()).expect("a store");
            let document =
                document.unwrap_or_else(|| panic!("{message:?} of {at:?} is no message"));
            let document = compose::stored_map(document);
            let says = (id(document, atoms::CHANNEL_ID), id(document, atoms::ID));
            assert_eq!(says, (Some(at.id()), Some(message.id)));
        }
    });
    let mut listed_places = BTreeSet::new();
    each(store, Table::ChannelFacts, |at, bytes| {
        assert_eq!(bytes.is_empty(), !apart, "{at:?}");
        listed_places.insert(at);
    });
    assert_eq!(listed_places, places);
    each(store, Table::Messages, |key, _| assert!(listed.contains(&key), "{key:?} in no history"));
}

/// Counters say what is there.
fn members(store: &dyn Read) {
    let (mut of_guild, mut of_user) = (BTreeMap::new(), BTreeMap::new());
    each(store, Table::Members, |key, _| {
        *of_guild.entry(key.owner()).or_insert(0_u64) += 1;
        *of_user.entry(key.id()).or_insert(0_u32) += 1;
    });
    let mut uncounted = BTreeMap::new();
    each(store, Table::Uncounted, |key, _| {
        *uncounted.entry(key.owner()).or_insert(0_u64) += 1;
        assert!(
            store.get(MEMBERS.at(key.owner(), key.id())).expect("a store").is_some(),
            "{key:?} is no member"
        );
    });
    each(store, Table::GuildFacts, |key, bytes| {
        let facts = GuildFacts::from_bytes(bytes).expect("facts");
        let there = of_guild.remove(&key.owner()).unwrap_or(0);
        let uncounted = uncounted.remove(&key.owner()).unwrap_or(0);
        assert_eq!(facts.members_cached + uncounted, there, "members of {key:?}");
    });
    assert!(of_guild.is_empty(), "members of no guild: {of_guild:?}");
    each(store, Table::Users, |key, bytes| {
        let tally = Tally::from_bytes(bytes).expect("a user");
        assert_eq!(Some(&tally.holders), of_user.get(&key.owner()), "guilds that hold {key:?}");
    });
}

/// Whatever thread is archived stands in the order of that, and nothing else does.
fn archived(store: &dyn Read) {
    let (mut known, mut listed, mut cached) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    each(store, Table::Archived, |key, _| {
        if key.owner() == u64::MAX {
            let (archived, guild) = Archived::read(store, key.id()).expect("a store").expect("it");
            assert!(known.insert((archived.key(), guild, key.id())));
        } else {
            assert!(listed.insert(key));
        }
    });
    assert_eq!(known.iter().map(|(key, ..)| *key).collect::<BTreeSet<_>>(), listed);
    each(store, Table::Threads, |key, thread| {
        let metadata = compose::stored_map(thread).get(atoms::THREAD_METADATA);
        let says = metadata.and_then(|metadata| metadata.get(atoms::ARCHIVED)?.as_bool());
        if says == Some(true) {
            cached.insert((key.owner(), key.id()));
        }
    });
    for (_, guild, thread) in known {
        assert!(cached.contains(&(guild, thread)), "{thread} of {guild} is no archived thread");
    }
}
