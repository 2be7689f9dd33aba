//! Times and hashes lie in fewer bytes where the version of the store allows it, and are read as they were put.

use super::{Store, document};
use crate::Key;
use crate::form::{SHAPED, SHORTENED};
use crate::shapes::units;
use crate::table::at;
use crate::tables::{CHANNELS, MEMBERS, MESSAGES, USERS};

const HASH: &str = "3d1c0f4e8b5a2f6e9d7c1b0a4f8e2d6c";

/// Every time and hash beside every other: with another precision or zone, null, moving, in capitals, of other digits.
fn documents() -> Vec<Vec<u8>> {
    let times = [
        "null".to_owned(),
        r#""2020-01-11T10:00:21.008000+00:00""#.to_owned(),
        r#""2020-01-11T10:00:21+00:00""#.to_owned(),
        r#""2020-01-11T10:00:21.008+00:00""#.to_owned(),
        r#""2020-01-11T10:00:21.008000+01:00""#.to_owned(),
        r#""2020-01-11T10:00:21.008000Z""#.to_owned(),
        r#""9999-99-99T99:99:99.999999+00:00""#.to_owned(),
        "1578736821".to_owned(),
    ];
    let hashes = [
        "null".to_owned(),
        format!(r#""{HASH}""#),
        format!(r#""a_{HASH}""#),
        format!(r#""{}""#, HASH.to_uppercase()),
        format!(r#""b_{HASH}""#),
        format!(r#""{}""#, "g".repeat(32)),
        r#""short""#.to_owned(),
    ];
    let pairs = times.iter().flat_map(|time| hashes.iter().map(move |hash| (time, hash)));
    pairs
        .map(|(time, hash)| {
            document(&format!(
                r#"{{"avatar": {hash}, "banner": null, "communication_disabled_until": null, "deaf": false, "flags": 2,
                "joined_at": {time}, "mute": false, "nick": "nobody", "pending": false, "premium_since": {time},
                "roles": ["1", "2"]}}"#
            ))
        })
        .collect()
}

/// The forms of all documents under keys of which each is put twice.
fn put_all(store: &mut Store) -> Vec<u8> {
    let mut forms = Vec::new();
    for (document, id) in documents().iter().zip(1..) {
        for owner in 1..=2 {
            store.put(MEMBERS.at(owner, id), &[document]);
            store.put(CHANNELS.at(owner, id), &[document]);
            store.put(USERS.at(id), &[&[1, 0, 0, 0], document]);
            store.put(MESSAGES.at(owner, id), &[document]);
        }
    }
    store.commit();
    let keys: Vec<Key> = store.committed.keys().copied().collect();
    for key in keys {
        forms.push(store.form_of(key)[0]);
    }
    forms
}

#[test]
fn times_and_hashes_come_back_as_they_were_put() {
    let mut store = Store::new();
    let forms = put_all(&mut store);
    assert!(forms.iter().filter(|form| **form == SHORTENED).count() > 100, "{forms:?}");
    store.check();
    store.reopen();
    store.check();
    for id in 1..=documents().len() as u64 {
        assert_ne!(store.form_of(MESSAGES.at(2, id))[0], SHORTENED);
    }
}

/// A member with a time takes a place less, and a user with a hash, too.
#[test]
fn a_member_and_a_user_take_three_units() {
    let mut store = Store::new();
    let member = document(
        r#"{"avatar": null, "banner": null, "communication_disabled_until": null, "deaf": false, "flags": 2,
        "joined_at": "2020-01-11T10:00:21.008000+00:00", "mute": false, "nick": "nobody", "pending": false,
        "premium_since": null, "roles": ["1000000000000001001", "1000000000000001002"]}"#,
    );
    let user = document(&format!(
        r#"{{"accent_color": null, "avatar": "{HASH}", "avatar_decoration_data": null, "banner": null, "bot": false,
        "discriminator": "0", "global_name": "Calculator", "id": "1000000000000004001", "public_flags": 64,
        "username": "calculator.199"}}"#
    ));
    for id in 1..=2 {
        store.put(MEMBERS.at(7, id), &[&member]);
        store.put(USERS.at(id), &[&[1, 0, 0, 0], &user]);
    }
    store.commit();
    store.check();
    for key in [MEMBERS.at(7, 2), USERS.at(2)] {
        let state = crate::State::open(store.dir.path()).unwrap();
        let mut stored = Vec::new();
        assert!(state.source.reader.get(key.table().id(), at(key), &mut stored).unwrap());
        assert_eq!(units(stored.len()), 3, "{key:?}: {} bytes", stored.len());
    }
}

/// P11: a store of before is read by programs that know no short texts.
#[test]
fn a_table_of_the_version_before_gets_no_short_texts() {
    let mut store = Store::of(5);
    let forms = put_all(&mut store);
    assert!(forms.contains(&SHAPED) && !forms.contains(&SHORTENED), "{forms:?}");
    store.check();
    store.reopen();
    store.check();
}
