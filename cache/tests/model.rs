//! The annotator against a naive model: random sequences of events, every output compared.
//!
//! The model keeps each guild as one nested JSON object and does what the table says by hand.

mod common;

use common::{Cache, Seen};
use mixcord_event::Flags;
use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

/// One step, with small ids so that they meet.
#[derive(Clone, Debug)]
enum Act {
    GuildCreate { guild: u64, members: Vec<u64>, channels: Vec<u64> },
    GuildUpdate(u64, u8),
    GuildDelete(u64),
    Outage(u64),
    Channel { kind: u8, guild: u64, id: u64, name: u8 },
    MemberAdd(u64, u64, u8),
    MemberUpdate(u64, u64, u8, u8),
    MemberRemove(u64, u64),
    Role { kind: u8, guild: u64, id: u64, name: u8 },
    Presence(u64, u64, u8),
    Voice(u64, u64, Option<u64>),
    Message { kind: u8, guild: u64, channel: u64, id: u64, author: u64, text: u8 },
    Bulk(u64, u64, Vec<u64>),
}

fn act() -> impl Strategy<Value = Act> {
    let guild = 1..3_u64;
    let user = 1..5_u64;
    let channel = 1..4_u64;
    prop_oneof![
        2 => (guild.clone(), prop::collection::btree_set(1..5_u64, 0..4), prop::collection::btree_set(1..4_u64, 0..3))
            .prop_map(|(guild, members, channels)| Act::GuildCreate {
                guild, members: members.into_iter().collect(), channels: channels.into_iter().collect() }),
        1 => (guild.clone(), 0..3_u8).prop_map(|(guild, name)| Act::GuildUpdate(guild, name)),
        1 => guild.clone().prop_map(Act::GuildDelete),
        1 => guild.clone().prop_map(Act::Outage),
        3 => (0..3_u8, guild.clone(), channel.clone(), 0..3_u8)
            .prop_map(|(kind, guild, id, name)| Act::Channel { kind, guild, id, name }),
        3 => (guild.clone(), user.clone(), 0..2_u8).prop_map(|(guild, user, name)| Act::MemberAdd(guild, user, name)),
        4 => (guild.clone(), user.clone(), 0..3_u8, 0..2_u8).prop_map(|(guild, user, nick, name)| Act::MemberUpdate(guild, user, nick, name)),
        2 => (guild.clone(), user.clone()).prop_map(|(guild, user)| Act::MemberRemove(guild, user)),
        3 => (0..3_u8, guild.clone(), 1..4_u64, 0..3_u8)
            .prop_map(|(kind, guild, id, name)| Act::Role { kind, guild, id, name }),
        3 => (guild.clone(), user.clone(), 0..3_u8).prop_map(|(guild, user, status)| Act::Presence(guild, user, status)),
        2 => (guild.clone(), user.clone(), prop::option::of(channel.clone())).prop_map(|(guild, user, channel)| Act::Voice(guild, user, channel)),
        12 => (0..3_u8, guild.clone(), 1..3_u64, 1..9_u64, user, 0..3_u8)
            .prop_map(|(kind, guild, channel, id, author, text)| Act::Message { kind, guild, channel, id, author, text }),
        1 => (guild, channel, prop::collection::vec(1..9_u64, 1..4)).prop_map(|(guild, channel, ids)| Act::Bulk(guild, channel, ids)),
    ]
}

/// Messages kept in a channel by the test.
const HISTORY: usize = 3;

fn text(id: u64) -> String {
    id.to_string()
}

/// Ids of channels and roles are unique over guilds.
fn in_guild(guild: u64, id: u64) -> String {
    (guild * 100 + id).to_string()
}

#[derive(Default)]
struct Guild {
    created: bool,
    unavailable: bool,
    count: Option<u64>,
    own: Map<String, Json>,
    roles: Vec<Json>,
    channels: Map<String, Json>,
    members: Map<String, Json>,
    presences: Map<String, Json>,
    voice: Map<String, Json>,
    /// Who left a moment ago: what comes late does not bring them back.
    departed: std::collections::BTreeSet<String>,
}

#[derive(Default)]
struct Model {
    guilds: std::collections::BTreeMap<u64, Guild>,
    users: Map<String, Json>,
    /// By channel, oldest first.
    messages: std::collections::BTreeMap<String, std::collections::BTreeMap<u64, Json>>,
    last: Map<String, Json>,
}

fn merge(base: &Json, over: &Json) -> Json {
    let mut merged = base.clone();
    for (key, value) in over.as_object().unwrap() {
        merged[key] = value.clone();
    }
    merged
}

fn without(value: &Json, keys: &[&str]) -> Json {
    let mut value = value.clone();
    for key in keys {
        value.as_object_mut().unwrap().remove(*key);
    }
    value
}

type Expected = Vec<(&'static str, Json, Json)>;

impl Model {
    fn guild(&self, id: u64) -> Json {
        let Some(guild) = self.guilds.get(&id).filter(|guild| !guild.own.is_empty()) else {
            return Json::Null;
        };
        let mut all = Json::Object(guild.own.clone());
        all["roles"] = json!(guild.roles);
        if guild.unavailable {
            all["unavailable"] = json!(true);
        }
        if let Some(count) = guild.count {
            all["member_count"] = json!(count);
        }
        all
    }

    fn created(&mut self, id: u64) -> Option<&mut Guild> {
        self.guilds.get_mut(&id).filter(|guild| guild.created)
    }

    fn member(&self, guild: u64, user: &str) -> Json {
        let held = self.guilds.get(&guild).and_then(|guild| guild.members.get(user));
        held.map_or(Json::Null, |member| {
            merge(member, &json!({"guild_id": text(guild), "user": self.users[user]}))
        })
    }

    /// Users that no guild holds are forgotten.
    fn release(&mut self) {
        let held =
            |user: &String| self.guilds.values().any(|guild| guild.members.contains_key(user));
        let gone: Vec<String> = self.users.keys().filter(|user| !held(user)).cloned().collect();
        for user in gone {
            self.users.remove(&user);
        }
    }

    /// Merges a member and its user; the user's change, if it was known.
    fn put_member(&mut self, guild: u64, member: &Json, always: bool) -> Option<(Json, Json)> {
        let user = member["user"].clone();
        let id = user["id"].as_str().unwrap().to_owned();
        let own = without(member, &["user", "guild_id"]);
        if let Some(guild) = self.created(guild) {
            if always {
                guild.departed.remove(&id);
            }
            match guild.members.get(&id) {
                Some(held) => {
                    let merged = merge(held, &own);
                    guild.members.insert(id.clone(), merged);
                }
                None if always || !guild.departed.contains(&id) => {
                    guild.members.insert(id.clone(), own);
                    self.users.entry(id.clone()).or_insert_with(|| user.clone());
                }
                None => {}
            }
        }
        let held = self.users.get(&id)?.clone();
        let merged = merge(&held, &user);
        self.users.insert(id, merged.clone());
        (held != merged).then_some((held, merged))
    }

    fn channel(&self, guild: u64, id: &str) -> Json {
        let held = self.guilds.get(&guild).and_then(|guild| guild.channels.get(id));
        held.map_or(Json::Null, |channel| match self.last.get(id) {
            Some(last) => merge(channel, &json!({"last_message_id": last})),
            None => channel.clone(),
        })
    }

    fn erase_channel(&mut self, id: &str) {
        self.messages.remove(id);
        self.last.remove(id);
    }

    /// Of a guild that is not cached nothing is known but messages.
    fn forget_stray(&mut self, guild: u64, channel: &str) {
        let empty = self.messages.get(channel).is_none_or(|history| history.is_empty());
        if empty && self.created(guild).is_none() {
            self.last.remove(channel);
        }
    }

    fn apply(&mut self, kind: &str, data: &Json, guild_id: u64, shown: &[Seen]) -> Expected {
        let main = shown[0].kind.as_str();
        assert_eq!(main, kind);
        let mut expected = vec![("", Json::Null, data.clone())];
        match kind {
            "GUILD_CREATE" => {
                expected[0].1 = self.guild(guild_id);
                let guild = self.guilds.entry(guild_id).or_default();
                guild.created = true;
                guild.unavailable = false;
                guild.count = data["member_count"].as_u64();
                guild.own = without(data, &["roles", "channels", "members", "member_count"])
                    .as_object()
                    .unwrap()
                    .clone();
                guild.roles = data["roles"].as_array().unwrap().clone();
                guild.presences.clear();
                guild.voice.clear();
                let kept: Vec<String> = data["channels"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|channel| channel["id"].as_str().unwrap().to_owned())
                    .collect();
                let gone: Vec<String> =
                    guild.channels.keys().filter(|id| !kept.contains(id)).cloned().collect();
                guild.channels.clear();
                for channel in data["channels"].as_array().unwrap() {
                    let placed = merge(channel, &json!({"guild_id": text(guild_id)}));
                    guild.channels.insert(channel["id"].as_str().unwrap().to_owned(), placed);
                }
                for id in gone {
                    self.erase_channel(&id);
                }
                for member in data["members"].as_array().unwrap() {
                    self.put_member(guild_id, member, true);
                }
            }
            "GUILD_UPDATE" => {
                let old = self.guild(guild_id);
                if !old.is_null() {
                    expected[0].2 = merge(&old, data);
                    expected[0].1 = old;
                    let guild = self.created(guild_id).unwrap();
                    guild.own =
                        merge(&Json::Object(guild.own.clone()), data).as_object().unwrap().clone();
                }
            }
            "GUILD_DELETE" => {
                expected[0].1 = self.guild(guild_id);
                if data["unavailable"] == json!(true) {
                    self.guilds.entry(guild_id).or_default().unavailable = true;
                } else {
                    self.guilds.remove(&guild_id);
                    let prefix = guild_id * 100;
                    let of =
                        |id: &str| (prefix..prefix + 100).contains(&id.parse::<u64>().unwrap());
                    self.messages.retain(|id, _| !of(id));
                    self.last.retain(|id, _| !of(id));
                    self.release();
                }
            }
            "CHANNEL_CREATE" | "CHANNEL_UPDATE" => {
                let id = data["id"].as_str().unwrap();
                let old = self.channel(guild_id, id);
                let Some(guild) = self.created(guild_id) else { return expected };
                if old.is_null() {
                    guild.channels.insert(id.to_owned(), data.clone());
                } else {
                    let held = merge(&guild.channels[id], data);
                    guild.channels.insert(id.to_owned(), held);
                    expected[0].2 = merge(&old, data);
                    expected[0].1 = old;
                }
            }
            "CHANNEL_DELETE" => {
                let id = data["id"].as_str().unwrap();
                expected[0].1 = self.channel(guild_id, id);
                if let Some(guild) = self.guilds.get_mut(&guild_id) {
                    guild.channels.remove(id);
                }
                self.erase_channel(id);
            }
            "GUILD_MEMBER_ADD" | "GUILD_MEMBER_UPDATE" => {
                let id = data["user"]["id"].as_str().unwrap();
                let old = self.member(guild_id, id);
                let change = self.put_member(guild_id, data, kind == "GUILD_MEMBER_ADD");
                if !old.is_null() {
                    expected[0].2 = self.member(guild_id, id);
                    expected[0].1 = old;
                } else if kind == "GUILD_MEMBER_ADD"
                    && let Some(guild) = self.created(guild_id)
                {
                    guild.count = guild.count.map(|count| count + 1);
                }
                if let (Some((old, new)), "GUILD_MEMBER_UPDATE") = (change, kind) {
                    expected.push(("USER_UPDATE", old, new));
                }
            }
            "GUILD_MEMBER_REMOVE" => {
                let id = data["user"]["id"].as_str().unwrap();
                let Some(all) = self.created(guild_id).map(|guild| {
                    guild.count.is_some_and(|count| count <= guild.members.len() as u64)
                }) else {
                    return expected;
                };
                expected[0].1 = self.member(guild_id, id);
                let guild = self.created(guild_id).unwrap();
                guild.presences.remove(id);
                guild.voice.remove(id);
                guild.departed.insert(id.to_owned());
                if guild.members.remove(id).is_some() || !all {
                    guild.count = guild.count.map(|count| count.saturating_sub(1));
                }
                self.release();
            }
            "GUILD_ROLE_CREATE" | "GUILD_ROLE_UPDATE" => {
                let Some(guild) = self.created(guild_id) else { return expected };
                let role = &data["role"];
                match guild.roles.iter_mut().find(|held| held["id"] == role["id"]) {
                    Some(held) => {
                        expected[0].1 = held.clone();
                        *held = merge(held, role);
                        expected[0].2["role"] = held.clone();
                    }
                    None => guild.roles.push(role.clone()),
                }
            }
            "GUILD_ROLE_DELETE" => {
                let Some(guild) = self.guilds.get_mut(&guild_id) else { return expected };
                if let Some(at) = guild.roles.iter().position(|role| role["id"] == data["role_id"])
                {
                    expected[0].1 = guild.roles.remove(at);
                }
                for member in guild.members.values_mut() {
                    member["roles"].as_array_mut().unwrap().retain(|role| *role != data["role_id"]);
                }
            }
            "PRESENCE_UPDATE" => {
                let id = data["user"]["id"].as_str().unwrap();
                let offline = data["status"] == "offline";
                let Some(guild) = self.created(guild_id) else { return expected };
                let all = guild.count.is_some_and(|count| count <= guild.members.len() as u64);
                match guild.presences.get(id).cloned() {
                    Some(old) => {
                        let new = merge(&old, data);
                        assert_eq!(
                            shown[0].flags.contains(Flags::UNCHANGED),
                            old["status"] == new["status"]
                        );
                        if offline {
                            guild.presences.remove(id);
                        } else {
                            guild.presences.insert(id.to_owned(), new.clone());
                        }
                        expected[0] = ("", old, new);
                    }
                    None if !offline
                        && (!all || guild.members.contains_key(id))
                        && !guild.departed.contains(id) =>
                    {
                        guild.presences.insert(id.to_owned(), data.clone());
                    }
                    None => {}
                }
            }
            "VOICE_STATE_UPDATE" => {
                let id = data["user_id"].as_str().unwrap();
                let Some(guild) = self.created(guild_id) else { return expected };
                expected[0].1 = guild.voice.get(id).cloned().unwrap_or(Json::Null);
                if data["channel_id"].is_null() {
                    guild.voice.remove(id);
                } else if guild.voice.contains_key(id) || !guild.departed.contains(id) {
                    guild.voice.insert(id.to_owned(), data.clone());
                }
            }
            "MESSAGE_CREATE" | "MESSAGE_UPDATE" => {
                let id: u64 = data["id"].as_str().unwrap().parse().unwrap();
                let channel = data["channel_id"].as_str().unwrap();
                let history = self.messages.entry(channel.to_owned()).or_default();
                let held = history.get(&id).cloned();
                let mut new = data.clone();
                if kind == "MESSAGE_CREATE" {
                    let last = self.last.get(channel).and_then(|last| last.as_str()?.parse().ok());
                    self.last.insert(channel.to_owned(), json!(text(last.unwrap_or(0).max(id))));
                } else if let Some(old) = held {
                    new = merge(&old, data);
                    expected[0] = ("", old, new.clone());
                }
                history.insert(id, new);
                while history.len() > HISTORY {
                    history.pop_first();
                }
                let author = data["author"]["id"].as_str().unwrap();
                if let Some(held) = self.users.get(author) {
                    let merged = merge(held, &data["author"]);
                    self.users.insert(author.to_owned(), merged);
                }
            }
            "MESSAGE_DELETE" => {
                let id: u64 = data["id"].as_str().unwrap().parse().unwrap();
                let channel = data["channel_id"].as_str().unwrap();
                let history = self.messages.get_mut(channel);
                expected[0].1 =
                    history.and_then(|history| history.remove(&id)).unwrap_or(Json::Null);
                self.forget_stray(guild_id, channel);
            }
            "MESSAGE_DELETE_BULK" => {
                let history = self
                    .messages
                    .entry(data["channel_id"].as_str().unwrap().to_owned())
                    .or_default();
                let ids = data["ids"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|id| id.as_str().unwrap().parse::<u64>().unwrap());
                let found: Vec<Json> =
                    ids.clone().filter_map(|id| history.get(&id).cloned()).collect();
                ids.for_each(|id| drop(history.remove(&id)));
                if !found.is_empty() {
                    expected[0].1 = json!(found);
                }
                self.forget_stray(guild_id, data["channel_id"].as_str().unwrap());
            }
            other => panic!("{other}"),
        }
        expected
    }
}

fn user(id: u64, name: u8) -> Json {
    json!({"id": text(id), "username": format!("u{name}")})
}

fn payload(act: &Act, position: u64) -> (&'static str, u64, Json) {
    let of = |guild: &u64| text(*guild);
    match act {
        Act::GuildCreate { guild, members, channels } => {
            let list: Vec<Json> = members.iter().map(|id| json!({"user": user(*id, 0), "roles": [in_guild(*guild, 1)], "joined_at": null})).collect();
            let channels: Vec<Json> = channels
                .iter()
                .map(|id| json!({"id": in_guild(*guild, *id), "type": 0, "name": "c"}))
                .collect();
            let roles = [
                json!({"id": in_guild(*guild, 2), "name": "r"}),
                json!({"id": in_guild(*guild, 1), "name": "r"}),
            ];
            (
                "GUILD_CREATE",
                *guild,
                json!({"id": of(guild), "name": "g", "v": position, "member_count": members.len() + (position % 2) as usize, "roles": roles, "members": list, "channels": channels}),
            )
        }
        Act::GuildUpdate(guild, name) => {
            ("GUILD_UPDATE", *guild, json!({"id": of(guild), "name": name}))
        }
        Act::GuildDelete(guild) => ("GUILD_DELETE", *guild, json!({"id": of(guild)})),
        Act::Outage(guild) => {
            ("GUILD_DELETE", *guild, json!({"id": of(guild), "unavailable": true}))
        }
        Act::Channel { kind, guild, id, name } => {
            let kind = ["CHANNEL_CREATE", "CHANNEL_UPDATE", "CHANNEL_DELETE"][usize::from(*kind)];
            (
                kind,
                *guild,
                json!({"id": in_guild(*guild, *id), "guild_id": of(guild), "type": 0, "name": format!("c{name}")}),
            )
        }
        Act::MemberAdd(guild, id, name) => (
            "GUILD_MEMBER_ADD",
            *guild,
            json!({"guild_id": of(guild), "user": user(*id, *name), "roles": [in_guild(*guild, 2)], "joined_at": null}),
        ),
        Act::MemberUpdate(guild, id, nick, name) => (
            "GUILD_MEMBER_UPDATE",
            *guild,
            json!({"guild_id": of(guild), "user": user(*id, *name), "roles": [in_guild(*guild, 1), in_guild(*guild, 2)], "joined_at": null, "nick": nick}),
        ),
        Act::MemberRemove(guild, id) => {
            ("GUILD_MEMBER_REMOVE", *guild, json!({"guild_id": of(guild), "user": user(*id, 0)}))
        }
        Act::Role { kind, guild, id, name } => {
            let id = in_guild(*guild, *id);
            match kind {
                0 => (
                    "GUILD_ROLE_CREATE",
                    *guild,
                    json!({"guild_id": of(guild), "role": {"id": id, "name": name}}),
                ),
                1 => (
                    "GUILD_ROLE_UPDATE",
                    *guild,
                    json!({"guild_id": of(guild), "role": {"id": id, "name": name}}),
                ),
                _ => ("GUILD_ROLE_DELETE", *guild, json!({"guild_id": of(guild), "role_id": id})),
            }
        }
        Act::Presence(guild, id, status) => {
            let status = ["online", "idle", "offline"][usize::from(*status)];
            (
                "PRESENCE_UPDATE",
                *guild,
                json!({"guild_id": of(guild), "user": {"id": text(*id)}, "status": status, "activities": []}),
            )
        }
        Act::Voice(guild, id, channel) => {
            let channel = channel.map(|channel| in_guild(*guild, channel));
            (
                "VOICE_STATE_UPDATE",
                *guild,
                json!({"guild_id": of(guild), "user_id": text(*id), "channel_id": channel, "session_id": "s"}),
            )
        }
        Act::Message { kind, guild, channel, id, author, text: content } => {
            let kind = ["MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE"][usize::from(*kind)];
            (
                kind,
                *guild,
                json!({"id": text(*id), "channel_id": in_guild(*guild, *channel), "guild_id": of(guild), "author": user(*author, *content), "content": content, "timestamp": "2020-01-01T00:00:00Z"}),
            )
        }
        Act::Bulk(guild, channel, ids) => {
            let mut ids: Vec<String> = ids.iter().map(|id| text(*id)).collect();
            ids.sort_unstable();
            ids.dedup();
            (
                "MESSAGE_DELETE_BULK",
                *guild,
                json!({"ids": ids, "channel_id": in_guild(*guild, *channel), "guild_id": of(guild)}),
            )
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn the_annotator_agrees_with_the_model(acts in prop::collection::vec(act(), 1..300)) {
        let mut cache = Cache::default();
        cache.settings.messages_per_channel = HISTORY as u32;
        let mut model = Model::default();
        for (position, act) in acts.iter().enumerate() {
            let (kind, guild, data) = payload(act, position as u64);
            let seen = cache.feed(kind, data.clone());
            let expected = model.apply(kind, &data, guild, &seen);
            prop_assert_eq!(seen.len(), expected.len(), "{}: {:?}", position, act);
            for (seen, (derived, old, data)) in seen.iter().zip(expected) {
                prop_assert!(derived.is_empty() || seen.kind == derived);
                prop_assert_eq!(&seen.old, &old, "old at {}: {:?}", position, act);
                prop_assert_eq!(&seen.data, &data, "data at {}: {:?}", position, act);
            }
        }
    }
}
