//! P8: a seal is no protection from malice. Documents that are none, under a seal that says that they are whole, are
//! read, cached and passed on without a panic; and what is damaged under its seal is one loss that is told.

mod common;

use common::instance::{Instance, receive, send, settle};
use common::{At, record_bytes};
use mixcord_event::{Document, Record, Seal, Value, edit, record};
use mixcord_ring::{Limits, Meta, Producer};
use serde_json::{Value as Json, json};

fn events() -> Vec<(&'static str, Json)> {
    let user = json!({"id": "7", "username": "u", "discriminator": "0", "avatar": null});
    let member =
        json!({"user": user, "roles": ["300"], "nick": null, "joined_at": "2020-01-01T00:00:00Z"});
    let message = json!({"id": "900", "channel_id": "200", "guild_id": "100", "content": "words", "author": user,
        "member": {"roles": ["300"], "nick": "n"}, "mentions": [user], "attachments": [], "timestamp": "t",
        "reactions": [{"emoji": {"id": null, "name": "x"}, "count": 2, "me": false}]});
    let role = json!({"id": "300", "name": "r", "permissions": "8", "position": 1});
    let guild = json!({"id": "100", "name": "g", "roles": [role], "members": [member], "presences": [],
        "channels": [{"id": "200", "type": 0, "position": 1, "permission_overwrites": []}], "voice_states": [],
        "threads": [{"id": "201", "parent_id": "200", "type": 11}], "emojis": [{"id": "400", "name": "e"}]});
    let of_guild = |mut data: Json, key: &str, value: Json| {
        data["guild_id"] = json!("100");
        data[key] = value;
        data
    };
    vec![
        ("GUILD_CREATE", guild),
        ("MESSAGE_CREATE", message.clone()),
        ("MESSAGE_UPDATE", of_guild(message, "content", json!("other words"))),
        (
            "MESSAGE_REACTION_ADD",
            json!({"user_id": "7", "channel_id": "200", "message_id": "900", "guild_id": "100",
            "emoji": {"id": null, "name": "x"}}),
        ),
        ("GUILD_MEMBER_UPDATE", of_guild(member, "nick", json!("other"))),
        (
            "PRESENCE_UPDATE",
            json!({"user": {"id": "7"}, "guild_id": "100", "status": "idle", "activities": [],
            "client_status": {"web": "idle"}}),
        ),
        (
            "VOICE_STATE_UPDATE",
            json!({"guild_id": "100", "channel_id": "200", "user_id": "7", "session_id": "s"}),
        ),
        ("GUILD_ROLE_UPDATE", json!({"guild_id": "100", "role": {"id": "300", "name": "other"}})),
        ("CHANNEL_UPDATE", json!({"id": "200", "guild_id": "100", "type": 0, "name": "c"})),
        ("THREAD_UPDATE", json!({"id": "201", "guild_id": "100", "parent_id": "200", "name": "t"})),
        ("USER_UPDATE", json!({"id": "7", "username": "other"})),
        (
            "MESSAGE_DELETE_BULK",
            json!({"ids": ["900", "901"], "channel_id": "200", "guild_id": "100"}),
        ),
        ("GUILD_MEMBER_REMOVE", json!({"guild_id": "100", "user": {"id": "7"}})),
    ]
}

/// Numbers of no pattern, the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        (self.0 >> 33) as usize % limit.max(1)
    }
}

/// The record with some bytes of its data changed, or cut, as whoever wrote it would have sealed it.
fn forged(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let whole = Record::parse(bytes).unwrap();
    let mut data = whole.data_bytes().to_vec();
    if dice.below(8) == 0 {
        data.truncate(dice.below(data.len()));
    }
    for _ in 0..=dice.below(4) {
        let place = dice.below(data.len());
        let special = [0x00, 0x0A, 0x0B, 0x0E, 0x0F, 0x10, 0x11, 0x1F, 0x7F, 0x80, 0xFF];
        let byte = if dice.below(2) == 0 {
            special[dice.below(special.len())]
        } else {
            dice.below(256) as u8
        };
        if let Some(place) = data.get_mut(place) {
            *place = byte;
        }
    }
    let mut forged = Vec::new();
    record::encode(whole.header(), None, &data, None, &mut forged);
    forged
}

fn stage(producer: &mut Producer, seal: Seal, bytes: &[u8]) {
    let source = producer.staged_tail() + 1;
    let meta = Meta { source, ..Meta::default() };
    producer.stage_sealed(&meta, seal.bits(), &[bytes]).unwrap();
}

fn walk(value: Value<'_>) -> usize {
    match value {
        Value::Map(map) => map.iter().map(|(_, value)| walk(value)).sum(),
        Value::List(list) => list.iter().map(walk).sum(),
        _ => 1,
    }
}

#[test]
fn documents_that_are_none_are_survived_under_a_seal_that_says_they_are_whole() {
    let instance = Instance::new("forged");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    let mut dice = Dice(17);
    let (mut seen, mut unsealed) = (0, 0);
    for _ in 0..150 {
        send(&mut shard, (0, 1), &events()[..2]);
        for (kind, data) in events() {
            let bytes = forged(&record_bytes(kind, &data, At::default()), &mut dice);
            stage(&mut shard, Seal::of(&bytes), &bytes);
        }
        shard.publish();
        settle(&mut engine);
        while let Some(batch) = consumer.take(Limits { records: 64, bytes: 1 << 20 }).unwrap() {
            for entry in batch.records() {
                let record = Record::parse_head(entry.payload).unwrap();
                walk(record.data());
                record.old().map(walk);
                seen += 1;
                unsealed += usize::from(entry.seal == 0);
                if entry.seal == 0 {
                    assert!(Record::parse(entry.payload).is_err(), "what is whole has a seal");
                }
            }
            batch.ack();
        }
    }
    assert!(seen >= 150 * 15, "{seen}");
    assert!(unsealed < seen / 4, "{unsealed} of {seen}");
    drop(engine);
    // And the next start finds a state that it can read.
    let mut engine = instance.engine();
    send(&mut shard, (0, 1), &events()[..2]);
    settle(&mut engine);
}

/// So many lists in one another, each with four bytes for its length, or maps with one member.
fn without_end(is_map: bool) -> Vec<u8> {
    const LEVELS: u32 = 100_000;
    let member = Document::from_json(r#"{"id":{}}"#).unwrap().into_bytes();
    let (tag, key) = if is_map { (0x11, &member[3..5]) } else { (0x0F, &[][..]) };
    let head = key.len() as u32 + 5;
    let heads = (0..LEVELS).rev().map(|within| within * head + key.len() as u32 + 1);
    let heads = heads.flat_map(|within| [&[tag][..], &within.to_le_bytes(), key].concat());
    heads.chain([0]).collect()
}

/// No stack is as deep.
#[test]
fn what_nests_without_end_is_survived_under_a_seal_that_says_it_is_whole() {
    let instance = Instance::new("forged-deep");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    let mut seen = 0;
    for (is_map, key) in
        [(false, "roles"), (true, "user"), (true, "author"), (false, "members"), (true, "new")]
    {
        let deep = without_end(is_map);
        for (kind, data) in events() {
            let whole = record_bytes(kind, &data, At::default());
            let whole = Record::parse(&whole).unwrap();
            let (mut data, mut bytes) = (Vec::new(), Vec::new());
            let member = [(key, Value::trusted(&deep))];
            edit::with_named(whole.data().as_map().unwrap(), &member, &mut data);
            record::encode(whole.header(), None, &data, None, &mut bytes);
            assert!(Record::parse(&bytes).is_err());
            stage(&mut shard, Seal::of(&bytes), &bytes);
            shard.publish();
            settle(&mut engine);
            while let Some(batch) = consumer.take(Limits { records: 64, bytes: 1 << 20 }).unwrap() {
                for entry in batch.records() {
                    let record = Record::parse_sealed(entry.payload, Seal::of(entry.payload));
                    let record = record.unwrap();
                    let _ = (record.data().to_json(), format!("{:?}", record.old()));
                    seen += 1;
                }
                batch.ack();
            }
        }
    }
    assert!(seen >= 5 * events().len(), "{seen}");
    drop(engine);
    settle(&mut instance.engine());
}

#[test]
fn what_is_damaged_under_its_seal_is_one_loss() {
    let instance = Instance::new("damaged-seal");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let whole = record_bytes("MESSAGE_CREATE", &events()[1].1, At::default());
    let place = whole.windows(5).position(|five| five == b"words").unwrap();
    let mut damaged = whole.clone();
    damaged[place] = b'W';
    assert!(Record::parse(&damaged).is_ok(), "without a seal nobody could tell");
    send(&mut shard, (0, 1), &events()[..1]);
    stage(&mut shard, Seal::of(&whole), &damaged);
    stage(&mut shard, Seal::of(&whole), &whole);
    shard.publish();
    settle(&mut instance.engine());
    let seen = receive(&mut instance.consumer());
    let told: Vec<_> = seen.iter().map(|out| (out.kind.as_str(), out.reason)).collect();
    assert_eq!(told[1..3], [("GAP", Some("undecodable")), ("MESSAGE_CREATE", None)]);
}
