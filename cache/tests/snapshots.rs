//! A guild with all that it has, of one moment, and the position of the output ring that says which.

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use common::instance::{Instance, send, settle};
use common::json;
use mixcord_event::{Document, Record, topology};
use mixcord_ring::{Limits, Member, Ring};
use mixcord_state::{GuildSnapshot, Resource, Scan, State};
use serde_json::{Value as Json, json};

const GUILD: u64 = 100;
/// Of the guild's members.
const ME: u64 = 1;

fn member(id: u64, nick: &str) -> Json {
    let user = json!({"id": id.to_string(), "username": format!("user {id}")});
    json!({"guild_id": "100", "user": user, "nick": nick, "roles": [], "joined_at": null})
}

fn guild() -> Json {
    let id = |id: u64| id.to_string();
    json!({
        "id": "100", "name": "g0", "member_count": 5,
        "roles": [{"id": "100", "name": "everyone"}, {"id": "101", "name": "role"}],
        "emojis": [{"id": "150", "name": "emoji"}],
        "stickers": [{"id": "160", "name": "sticker"}],
        "channels": [{"id": "200", "type": 0, "name": "c0", "last_message_id": "850"}, {"id": "201", "type": 2, "name": "voice"}],
        "threads": [{"id": "300", "type": 11, "parent_id": "200", "name": "thread"}],
        "members": ([ME, 2, 3, 4, 5].map(|id| member(id, "n0"))),
        "presences": [{"user": {"id": id(2)}, "status": "online"}],
        "voice_states": [{"user_id": id(3), "channel_id": "201", "session_id": "s"}],
        "stage_instances": [{"id": "400", "guild_id": "100", "channel_id": "201", "topic": "stage"}],
        "guild_scheduled_events": [{"id": "500", "guild_id": "100", "name": "event"}],
        "soundboard_sounds": [{"sound_id": "600", "guild_id": "100", "name": "sound"}],
    })
}

fn state(instance: &Instance) -> State {
    State::open(&instance.state_dir()).expect("a store")
}

fn snapshot(state: &State, large: usize) -> GuildSnapshot {
    state.guild_snapshot(GUILD, large).expect("a store").expect("a guild")
}

fn output(instance: &Instance) -> Ring {
    Ring::attach(&instance.namespace, topology::OUTPUT_RING).expect("the output ring")
}

fn user_ids(members: &[Document]) -> Vec<u64> {
    let id = |member: &Document| {
        json(member.as_bytes())["user"]["id"]
            .as_str()
            .and_then(|id| id.parse().ok())
            .expect("an id")
    };
    members.iter().map(id).collect()
}

#[test]
fn a_snapshot_is_the_guild_with_everything_at_the_tail_of_the_output_ring() {
    let instance = Instance::new("snapshot");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let mut engine = instance.engine();
    let me = json!({"id": ME.to_string(), "username": "bot"});
    let ready = json!({"user": me, "guilds": [{"id": "100", "unavailable": true}]});
    send(&mut shard, (0, 1), &[("READY", ready)]);
    settle(&mut engine);
    let state = state(&instance);
    assert_eq!(state.guild_snapshot(7, 250).expect("a store"), None);

    send(&mut shard, (0, 1), &[("GUILD_CREATE", guild())]);
    settle(&mut engine);
    let ring = output(&instance);
    let whole = snapshot(&state, 250);
    assert_eq!((whole.ring, whole.position), (ring.id().0, ring.tail()));
    assert!(!whole.unavailable);
    let own = state.entity(Resource::Guilds, 0, GUILD).expect("a store").expect("a guild");
    assert_eq!(whole.guild, own);
    let fields = json(own.as_bytes());
    for list in ["roles", "emojis", "stickers"] {
        assert!(!fields[list].as_array().expect("a list").is_empty(), "{list}");
    }
    let parts = [
        (Resource::Channels, &whole.channels, 2),
        (Resource::Threads, &whole.threads, 1),
        (Resource::Members, &whole.members, 5),
        (Resource::Presences, &whole.presences, 1),
        (Resource::VoiceStates, &whole.voice_states, 1),
        (Resource::StageInstances, &whole.stage_instances, 1),
        (Resource::ScheduledEvents, &whole.scheduled_events, 1),
        (Resource::SoundboardSounds, &whole.soundboard_sounds, 1),
    ];
    for (resource, part, count) in parts {
        let found = state.page(&mut Scan::of(resource, GUILD)).expect("a page");
        let found: Vec<_> = found.into_iter().map(|found| found.document).collect();
        assert_eq!((part, part.len()), (&found, count), "{}", resource.name());
    }

    // Of a large one those who are online, in a voice channel, or the bot.
    assert_eq!(user_ids(&snapshot(&state, 5).members), [ME, 2, 3, 4, 5]);
    assert_eq!(user_ids(&snapshot(&state, 4).members), [ME, 2, 3]);

    let message = json!({"id": "900", "channel_id": "200", "guild_id": "100", "content": "", "author": {"id": "4", "username": "user 4"}});
    send(&mut shard, (0, 1), &[("MESSAGE_CREATE", message)]);
    settle(&mut engine);
    let after = snapshot(&state, 250);
    assert!(after.position > whole.position);
    assert_eq!(after.position, ring.tail());
    assert_eq!(json(after.channels[0].as_bytes())["last_message_id"], "900");

    send(&mut shard, (0, 1), &[("GUILD_DELETE", json!({"id": "100", "unavailable": true}))]);
    settle(&mut engine);
    let out = snapshot(&state, 250);
    assert!(out.unavailable);
    assert_eq!((out.position, out.channels), (ring.tail(), after.channels));
    send(&mut shard, (0, 1), &[("GUILD_DELETE", json!({"id": "100"}))]);
    settle(&mut engine);
    assert_eq!(state.guild_snapshot(GUILD, 250).expect("a store"), None);
}

/// What a consumer knows of a guild by its records: names, and the nicknames of its members.
#[derive(Clone, PartialEq, Default, Debug)]
struct Known {
    guild: Json,
    channel: Json,
    members: BTreeMap<u64, Json>,
    users: BTreeMap<u64, Json>,
}

impl Known {
    fn apply(&mut self, kind: &str, data: &Json) {
        let user = || data["user"]["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
        match kind {
            "GUILD_CREATE" => {
                self.guild = data["name"].clone();
                self.channel = data["channels"][0]["name"].clone();
                let members = data["members"].as_array().expect("members");
                members.iter().for_each(|member| self.apply("GUILD_MEMBER_ADD", member));
            }
            "GUILD_UPDATE" => self.guild = data["name"].clone(),
            "CHANNEL_UPDATE" => self.channel = data["name"].clone(),
            "GUILD_MEMBER_ADD" | "GUILD_MEMBER_UPDATE" => {
                self.members.insert(user(), data["nick"].clone());
                self.users.insert(user(), data["user"]["username"].clone());
            }
            "GUILD_MEMBER_REMOVE" => {
                self.members.remove(&user());
                self.users.remove(&user());
            }
            _ => {}
        }
    }

    fn of(snapshot: &GuildSnapshot) -> Self {
        let mut known = Self {
            guild: json(snapshot.guild.as_bytes())["name"].clone(),
            channel: json(snapshot.channels[0].as_bytes())["name"].clone(),
            ..Self::default()
        };
        for member in &snapshot.members {
            known.apply("GUILD_MEMBER_ADD", &json(member.as_bytes()));
        }
        known
    }
}

/// Event `n`; each changes something of what is compared.
fn event(n: u64) -> (&'static str, Json) {
    let user = 2 + n / 6 % 9;
    match n % 6 {
        0 => ("GUILD_UPDATE", json!({"id": "100", "name": format!("g{n}")})),
        1 => (
            "CHANNEL_UPDATE",
            json!({"id": "200", "guild_id": "100", "type": 0, "name": format!("c{n}")}),
        ),
        2 => ("GUILD_MEMBER_REMOVE", json!({"guild_id": "100", "user": {"id": user.to_string()}})),
        3 => ("GUILD_MEMBER_ADD", member(user + 1, &format!("n{n}"))),
        4 => ("GUILD_MEMBER_ADD", member(user + 2, &format!("n{n}"))),
        _ => ("GUILD_MEMBER_UPDATE", member(user + 1, &format!("n{n}"))),
    }
}

/// Records with their positions.
fn take(consumer: &mut Member, log: &mut Vec<(u64, String, Json)>) {
    while let Some(batch) = consumer.take(Limits { records: 64, bytes: 1 << 20 }).expect("a batch")
    {
        for entry in batch.records() {
            let record = Record::parse(entry.payload).expect("a record");
            log.push((entry.position, record.kind_name().to_owned(), json(record.data_bytes())));
        }
        batch.ack();
    }
}

/// Snapshots are taken while the cache goes on: each is what the records below its position make, not one more or
/// less.
#[test]
fn snapshots_beside_a_cache_at_work_are_what_the_records_before_them_make() {
    let instance = Instance::new("snapshots");
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    let mut log = Vec::new();
    send(&mut shard, (0, 1), &[("GUILD_CREATE", guild())]);
    settle(&mut engine);
    take(&mut consumer, &mut log);
    let done = AtomicBool::new(false);
    let taken = std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let state = state(&instance);
            // Also when it fails.
            let _done = Done(&done);
            let mut taken: Vec<GuildSnapshot> = Vec::new();
            while taken.len() < 60 {
                let next = snapshot(&state, 250);
                if taken.last().is_none_or(|last| last.position != next.position) {
                    taken.push(next);
                }
            }
            taken
        });
        let mut events = (1..).map(event);
        let mut burst = 1;
        while !done.load(Ordering::Acquire) {
            burst = burst % 97 + 5;
            let some: Vec<_> = events.by_ref().take(burst).collect();
            send(&mut shard, (0, 1), &some);
            settle(&mut engine);
            take(&mut consumer, &mut log);
        }
        reading.join().expect("snapshots")
    });
    let mut known = Known::default();
    let mut records = log.iter().peekable();
    for snapshot in &taken {
        while let Some((_, kind, data)) = records.next_if(|(at, ..)| *at < snapshot.position) {
            known.apply(kind, data);
        }
        assert_eq!(Known::of(snapshot), known, "at {}", snapshot.position);
    }
}

/// Tells the other thread, whatever happens.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
