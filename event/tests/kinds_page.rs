//! The page that lists what each kind carries says what the code does.

use std::collections::BTreeMap;

use mixcord_event::{Document, Entity, EntityChange, Flags, Kind, Value, atoms, kinds};

/// The cells of each row of a documented kind.
fn rows() -> BTreeMap<&'static str, Vec<&'static str>> {
    let rows = kinds::PAGE.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    let six = cells.filter(|cells| cells.len() == 7);
    six.map(|cells| (cells[0].trim_matches('`'), cells)).collect()
}

#[test]
fn every_documented_kind_has_a_row_and_no_row_is_of_another() {
    let listed: Vec<_> = rows().into_keys().collect();
    let mut documented: Vec<_> = Kind::documented().map(Kind::name).collect();
    documented.sort_unstable();
    assert_eq!(listed, documented);
}

#[test]
fn old_is_the_entity_that_the_code_compares() {
    for (name, cells) in rows() {
        let kind = Kind::from_name(name.as_bytes()).expect("a kind");
        let entity = Entity::of(kind).map_or("–", Entity::name);
        assert_eq!(cells[2], entity, "{name}");
        assert_eq!(cells[3] == "–", entity == "–", "{name}");
    }
}

/// What the column `new` says, tried on an entity with a field of each kind of change.
#[test]
fn new_is_what_the_column_says() {
    let document = |json: &str| Document::from_json(json).expect("JSON");
    let whole = document(r#"{"id":"1","name":"old","member":{"user_id":"9"},"channel_id":"4"}"#);
    let list = document(r#"[{"id":"1","name":"old"}]"#);
    let data = document(
        r#"{"id":"1","name":"new","role":{"id":"1","name":"new"},"last_pin_timestamp":"p","status":"s",
            "voice_start_time":5,"member_count":3,"newly_created":true,"channels":[{"id":"1","status":"s"}],
            "guild_id":"7","channel_id":"5","member":{"nick":"m"},"unavailable":false}"#,
    );
    for (name, cells) in rows() {
        let kind = Kind::from_name(name.as_bytes()).expect("a kind");
        let old = if cells[2].starts_with("list") { &list } else { &whole };
        let change = |flags, data: &Document| {
            EntityChange::between(kind, flags, data.value(), Some(old.value()))
        };
        let Some(found) = change(Flags::NONE, &data) else { continue };
        let has = |key| found.new.as_ref().and_then(|new| new.get(key)).is_some();
        let name_of = found.new.as_ref().and_then(|new| new.get(atoms::NAME)?.as_str());
        match cells[3] {
            "gone" => assert_eq!(found.new, None, "{name}"),
            "`data`" => assert_eq!(found.new, Some(data.clone()), "{name}"),
            "`data.role`" => {
                assert_eq!(found.new, data.get(atoms::ROLE).map(Value::to_document), "{name}");
            }
            "`data` without `newly_created`" => {
                assert!(name_of == Some("new") && !has(atoms::NEWLY_CREATED), "{name}");
            }
            "`data` without the lists that are entities of their own" => {
                assert!(name_of == Some("new") && !has(atoms::CHANNELS), "{name}");
            }
            "`old` with `last_pin_timestamp`" => {
                assert!(name_of == Some("old") && has(atoms::LAST_PIN_TIMESTAMP), "{name}");
            }
            "`old` with `status`" => {
                assert!(name_of == Some("old") && has(atoms::STATUS), "{name}");
            }
            "`old` with `voice_start_time`" => {
                assert!(name_of == Some("old") && has(atoms::VOICE_START_TIME), "{name}");
            }
            "`old` with `member_count`" => {
                assert!(name_of == Some("old") && has(atoms::MEMBER_COUNT), "{name}");
            }
            "`old` with the bot's `member`" => {
                let member = found.new.as_ref().and_then(|new| new.get(atoms::MEMBER));
                let member = member.expect("a member");
                assert_eq!(member.get(atoms::NAME).and_then(Value::as_str), Some("new"));
                assert!(name_of == Some("old") && member.get(atoms::GUILD_ID).is_none(), "{name}");
            }
            "each of `old` with its `status` and `voice_start_time`" => {
                let new = found.new.expect("a list");
                assert_eq!(new, document(r#"[{"id":"1","name":"old","status":"s"}]"#), "{name}");
            }
            "gone; in an outage `old` with `unavailable`" => {
                assert_eq!(found.new, None, "{name}");
                let outage = document(r#"{"id":"1","unavailable":true}"#);
                let new = change(Flags::NONE, &outage).and_then(|change| change.new);
                assert_eq!(new.expect("a guild").get(atoms::UNAVAILABLE), Some(Value::Bool(true)));
            }
            "`data`; `old` where it was stale" => {
                assert_eq!(found.new, Some(data.clone()), "{name}");
                assert_eq!(change(Flags::STALE, &data).and_then(|change| change.new), found.old);
            }
            "`data`, also of one that is offline, which the state does not keep" => {
                assert_eq!(found.new, Some(data.clone()), "{name}");
            }
            "`old` with `data`, without `member`; gone where `channel_id` is null" => {
                assert!(name_of == Some("new") && !has(atoms::MEMBER), "{name}");
                assert!(found.old.as_ref().is_some_and(|old| old.get(atoms::MEMBER).is_none()));
                let left = document(r#"{"channel_id":null}"#);
                assert_eq!(change(Flags::NONE, &left).expect("a change").new, None, "{name}");
            }
            other => panic!("{name}: the page says {other:?}, which no test knows"),
        }
    }
}
