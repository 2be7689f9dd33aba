//! Payloads by chance, with small ids so that they meet.

use serde_json::{Value as Json, json};

/// Two guilds; what is in them has the guild's number before its own.
fn guild(dice: &[u8; 8]) -> u64 {
    1 + u64::from(dice[1] % 2)
}

fn text(id: u64) -> String {
    id.to_string()
}

pub(crate) fn channel(guild: u64, number: u8) -> String {
    text(guild * 100 + 1 + u64::from(number % 3))
}

fn thread(guild: u64, number: u8) -> String {
    text(guild * 100 + 11 + u64::from(number % 3))
}

fn role(guild: u64, number: u8) -> String {
    text(guild * 100 + 21 + u64::from(number % 3))
}

fn entity(guild: u64, number: u8) -> String {
    text(guild * 100 + 31 + u64::from(number % 2))
}

fn user(number: u8, name: u8) -> Json {
    json!({"id": text(1 + u64::from(number % 4)), "username": format!("u{}", name % 2)})
}

fn member(guild: u64, number: u8, name: u8) -> Json {
    json!({
        "user": user(number, name), "joined_at": null, "nick": name % 3,
        "roles": [role(guild, name), role(guild, name / 3)]
    })
}

fn presence(guild: u64, number: u8, status: u8) -> Json {
    let status = ["online", "idle", "offline"][usize::from(status % 3)];
    let user = user(number, 0)["id"].clone();
    json!({"guild_id": text(guild), "user": {"id": user}, "status": status, "activities": []})
}

/// Channels of which some have a last message.
fn channels(guild: u64, bits: u8) -> Vec<Json> {
    let some = (0..3).filter(|n| bits >> n & 1 == 1);
    some.map(|n| {
        let mut channel = json!({"id": channel(guild, n), "type": 0, "name": format!("c{n}")});
        if bits & 8 != 0 {
            channel["last_message_id"] = Json::Null;
        }
        channel
    })
    .collect()
}

fn threads(guild: u64, bits: u8) -> Vec<Json> {
    let some = (0..3).filter(|n| bits >> n & 1 == 1);
    some.map(|n| {
        json!({"id": thread(guild, n), "guild_id": text(guild), "type": 11, "name": "t",
               "parent_id": channel(guild, n / 2)})
    })
    .collect()
}

fn arrival(guild: u64, dice: &[u8; 8]) -> Json {
    let members: Vec<Json> =
        (0..4).filter(|n| dice[3] >> n & 1 == 1).map(|n| member(guild, n, 0)).collect();
    let mut data = json!({
        "id": text(guild), "name": "g", "v": dice[2], "member_count": members.len() + usize::from(dice[3] >> 7),
        "roles": [{"id": role(guild, 1), "name": "r"}, {"id": role(guild, 0), "name": "r"}],
        "channels": channels(guild, dice[4]), "threads": threads(guild, dice[5]),
        "presences": [{"user": {"id": "1"}, "status": "idle", "activities": []}],
        "voice_states": [{"user_id": "2", "channel_id": channel(guild, 0), "session_id": "a"}],
        "stage_instances": [{"id": entity(guild, 0), "channel_id": channel(guild, 0)}],
        "guild_scheduled_events": [{"id": entity(guild, 1), "name": "e", "user_count": 1}],
        "soundboard_sounds": [{"sound_id": entity(guild, 0), "name": "s"}],
        "members": members
    });
    if dice[2] & 1 == 0 {
        data["emojis"] = json!([{"id": "7", "name": "e"}]);
        data["stickers"] = json!([]);
    }
    if dice[2] & 2 == 0 {
        data["unavailable"] = json!(false);
    }
    data
}

/// With one of them messages that are too old are looked for, see [`world::DUE`](crate::world::DUE).
fn message_id(number: u8) -> String {
    text(crate::world::DUE - 7 + u64::from(number % 8))
}

fn message(dice: &[u8; 8]) -> Json {
    let guild = guild(dice);
    let mut data = json!({
        "id": message_id(dice[3]), "channel_id": channel(guild, dice[2] % 2),
        "guild_id": text(guild), "author": user(dice[4], dice[5] / 2), "content": dice[5] % 4,
        "timestamp": "2020-01-01T00:00:00Z", "edited_timestamp": null
    });
    match dice[6] % 8 {
        0 | 4 => data["member"] = json!({"roles": [role(guild, dice[5])], "nick": dice[5] % 3}),
        1 | 5 => {
            data["edited_timestamp"] = json!(format!("2020-01-01T00:00:{:02}Z", dice[5] % 5));
        }
        2 | 6 => {
            // In a private channel.
            data["channel_id"] = json!(text(5 + u64::from(dice[2] % 2)));
            data.as_object_mut().expect("a message").remove("guild_id");
        }
        // In a thread, or nobody says in which guild, or another one is said.
        3 => {
            data["channel_id"] = json!(thread(guild, dice[2]));
            match dice[7] % 4 {
                0 => drop(data.as_object_mut().map(|data| data.remove("guild_id"))),
                1 => data["guild_id"] = json!(text(3 - guild)),
                _ => {}
            }
        }
        _ => {}
    }
    data
}

/// Where a message of [`message`] is.
fn place(dice: &[u8; 8]) -> Json {
    let message = message(dice);
    let mut place = json!({"channel_id": message["channel_id"]});
    if let Some(guild) = message.get("guild_id") {
        place["guild_id"] = guild.clone();
    }
    place
}

fn with(mut value: Json, more: Json) -> Json {
    let Json::Object(more) = more else { panic!("an object") };
    for (key, member) in more {
        value[key] = member;
    }
    value
}

fn reaction(dice: &[u8; 8]) -> Json {
    let emoji = [json!({"id": null, "name": "x"}), json!({"id": "7", "name": "e"})];
    let more = json!({
        "message_id": message(dice)["id"], "user_id": user(dice[4], 0)["id"], "burst": dice[5] % 2 == 1,
        "emoji": emoji[usize::from(dice[5] / 2 % 2)]
    });
    with(place(dice), more)
}

/// One event.
pub(crate) fn event(dice: &[u8; 8]) -> (&'static str, Json) {
    let guild = guild(dice);
    let of = text(guild);
    let (a, b, c) = (dice[2], dice[3], dice[4]);
    let pick = |names: &[&'static str]| names[usize::from(dice[6]) % names.len()];
    match dice[0] % 64 {
        0..6 => ("GUILD_CREATE", arrival(guild, dice)),
        6 => ("GUILD_CREATE", json!({"id": of, "unavailable": true})),
        7 => {
            let listed: Vec<Json> =
                (1..3).filter(|n| a >> n & 1 == 1).map(|n| json!({"id": text(n)})).collect();
            ("READY", json!({"v": 10, "user": user(0, b), "guilds": listed}))
        }
        8 => ("GUILD_UPDATE", json!({"id": of, "name": b % 3, "emojis": [{"id": text(c.into())}]})),
        9 => ("GUILD_UPDATE", json!({"id": of, "roles": [{"id": role(guild, b), "name": "q"}]})),
        10 => ("GUILD_DELETE", json!({"id": of})),
        11 => ("GUILD_DELETE", json!({"id": of, "unavailable": true})),
        12..15 => {
            let mut data =
                json!({"id": channel(guild, a), "guild_id": of, "type": 0, "name": b % 3});
            match c % 4 {
                0 => data["flags"] = json!(1 << 17),
                1 => data["last_message_id"] = json!("999"),
                2 => drop(data.as_object_mut().map(|data| data.remove("type"))),
                _ => {}
            }
            (pick(&["CHANNEL_CREATE", "CHANNEL_UPDATE", "CHANNEL_UPDATE", "CHANNEL_DELETE"]), data)
        }
        15 => {
            let data = json!({"id": text(5 + u64::from(a % 2)), "type": 1, "name": b % 3});
            (pick(&["CHANNEL_CREATE", "CHANNEL_UPDATE", "CHANNEL_DELETE"]), data)
        }
        16 => {
            let id = [channel(guild, a), thread(guild, a), text(5)][usize::from(b % 3)].clone();
            (
                "CHANNEL_PINS_UPDATE",
                json!({"channel_id": id, "guild_id": of, "last_pin_timestamp": c}),
            )
        }
        17 => {
            let data = json!({"id": channel(guild, a), "guild_id": of, "status": b, "voice_start_time": c});
            (pick(&["VOICE_CHANNEL_STATUS_UPDATE", "VOICE_CHANNEL_START_TIME_UPDATE"]), data)
        }
        18 => {
            let items =
                [json!({"id": channel(guild, a), "status": b}), json!({"id": channel(guild, c)})];
            ("CHANNEL_INFO", json!({"guild_id": of, "channels": items}))
        }
        19..22 => {
            let mut data =
                json!({"id": thread(guild, a), "guild_id": of, "parent_id": channel(guild, b / 2)});
            if c % 3 > 0 {
                data = with(data, json!({"type": 11, "name": c % 4, "newly_created": true}));
            }
            if b % 4 > 0 {
                data["thread_metadata"] = json!({"archived": b % 4 > 1, "locked": false});
            }
            (pick(&["THREAD_CREATE", "THREAD_UPDATE", "THREAD_UPDATE", "THREAD_DELETE"]), data)
        }
        22 => {
            let mut data = json!({"guild_id": of, "threads": threads(guild, a),
                "members": [{"id": thread(guild, c), "user_id": "1"}]});
            if b % 3 > 0 {
                data["channel_ids"] = json!([channel(guild, b)]);
            }
            ("THREAD_LIST_SYNC", data)
        }
        23 => (
            "THREAD_MEMBER_UPDATE",
            json!({"id": thread(guild, a), "guild_id": of, "user_id": "1", "flags": b}),
        ),
        24 => {
            let added = json!({"user_id": user(b, 0)["id"], "member": member(guild, b, c), "presence": presence(guild, b, c)});
            let removed = if c % 2 == 0 { json!(["1"]) } else { json!([]) };
            (
                "THREAD_MEMBERS_UPDATE",
                json!({"id": thread(guild, a), "guild_id": of, "member_count": c % 8,
                "added_members": [added], "removed_member_ids": removed}),
            )
        }
        25..27 => ("GUILD_MEMBER_ADD", with(member(guild, a, b), json!({"guild_id": of}))),
        27..31 => {
            let mut data = with(member(guild, a, b), json!({"guild_id": of}));
            if c % 3 == 0 {
                drop(data.as_object_mut().map(|data| data.remove("joined_at")));
            }
            ("GUILD_MEMBER_UPDATE", data)
        }
        31..33 => ("GUILD_MEMBER_REMOVE", json!({"guild_id": of, "user": user(a, 0)})),
        33 => (
            "GUILD_MEMBERS_CHUNK",
            json!({"guild_id": of, "members": [member(guild, a, b), member(guild, c, b)],
            "presences": [presence(guild, a, c)]}),
        ),
        34..36 => {
            let mut data = json!({"guild_id": of, "role": {"id": role(guild, a), "color": b % 3}});
            if c % 2 == 0 {
                data["role"]["name"] = json!(c % 5);
            }
            (pick(&["GUILD_ROLE_CREATE", "GUILD_ROLE_UPDATE"]), data)
        }
        36 => ("GUILD_ROLE_DELETE", json!({"guild_id": of, "role_id": role(guild, a)})),
        37 => (
            "GUILD_EMOJIS_UPDATE",
            json!({"guild_id": of, "emojis": [{"id": text(a.into()), "name": "n"}]}),
        ),
        38 => {
            ("GUILD_STICKERS_UPDATE", json!({"guild_id": of, "stickers": [{"id": text(a.into())}]}))
        }
        39 => (
            "GUILD_SOUNDBOARD_SOUNDS_UPDATE",
            json!({"guild_id": of, "soundboard_sounds": [{"sound_id": entity(guild, a), "name": b}]}),
        ),
        40 => (
            "SOUNDBOARD_SOUNDS",
            json!({"guild_id": of, "soundboard_sounds": [{"sound_id": entity(guild, a), "guild_id": of, "name": b}]}),
        ),
        41..45 => family(guild, dice),
        45 => {
            let data = json!({"guild_id": of, "guild_scheduled_event_id": entity(guild, a), "user_id": "2"});
            (pick(&["GUILD_SCHEDULED_EVENT_USER_ADD", "GUILD_SCHEDULED_EVENT_USER_REMOVE"]), data)
        }
        46..51 => ("MESSAGE_CREATE", message(dice)),
        51..53 => {
            let mut data = message(dice);
            if dice[7].is_multiple_of(3) {
                drop(data.as_object_mut().map(|data| data.remove("author")));
            }
            ("MESSAGE_UPDATE", data)
        }
        53 => ("MESSAGE_DELETE", with(place(dice), json!({"id": message(dice)["id"]}))),
        54 => {
            let ids: Vec<String> = [a, b, c, a].iter().map(|n| message_id(*n)).collect();
            ("MESSAGE_DELETE_BULK", with(place(dice), json!({"ids": ids})))
        }
        55..57 => {
            let data = reaction(dice);
            let names = [
                "MESSAGE_REACTION_ADD",
                "MESSAGE_REACTION_ADD",
                "MESSAGE_REACTION_REMOVE",
                "MESSAGE_REACTION_REMOVE_ALL",
                "MESSAGE_REACTION_REMOVE_EMOJI",
            ];
            (names[usize::from(dice[7]) % names.len()], data)
        }
        57..59 => {
            let mut data = presence(guild, a, b);
            if c % 4 == 0 {
                data["user"]["username"] = json!(format!("u{}", c % 3));
            }
            ("PRESENCE_UPDATE", data)
        }
        59 => ("USER_UPDATE", with(user(a % 2, b), json!({"flags": c % 2}))),
        60 => {
            let channel = if b % 3 == 0 { Json::Null } else { json!(channel(guild, b)) };
            let mut data = json!({"guild_id": of, "user_id": user(a, 0)["id"], "channel_id": channel, "mute": c % 2});
            if c % 3 == 0 {
                data["member"] = member(guild, a, c);
            }
            ("VOICE_STATE_UPDATE", data)
        }
        61 => {
            let id = user(a, 0)["id"].as_str().expect("an id").to_owned();
            let resolved = json!({"users": {id.clone(): user(a, b)}, "members": {id: {"nick": c, "permissions": "1"}},
                "roles": {"1": {"id": role(guild, b), "color": c}},
                "channels": {"1": {"id": channel(guild, b), "name": c, "permissions": "8"},
                             "2": {"id": thread(guild, b), "name": c}}});
            (
                "INTERACTION_CREATE",
                json!({"id": "3", "guild_id": of, "member": member(guild, b, c), "data": {"resolved": resolved}}),
            )
        }
        62 => (
            "TYPING_START",
            json!({"guild_id": of, "channel_id": channel(guild, a), "user_id": user(a, 0)["id"], "member": member(guild, a, b)}),
        ),
        _ => (
            pick(&[
                "RESUMED",
                "RATE_LIMITED",
                "INVITE_CREATE",
                "WEBHOOKS_UPDATE",
                "MESSAGE_POLL_VOTE_ADD",
                "NEW_EVENT",
            ]),
            json!({"guild_id": of, "a": a}),
        ),
    }
}

/// Entities that come, change and go whole.
fn family(guild: u64, dice: &[u8; 8]) -> (&'static str, Json) {
    const NAMES: [[&str; 3]; 5] = [
        [
            "GUILD_SCHEDULED_EVENT_CREATE",
            "GUILD_SCHEDULED_EVENT_UPDATE",
            "GUILD_SCHEDULED_EVENT_DELETE",
        ],
        ["STAGE_INSTANCE_CREATE", "STAGE_INSTANCE_UPDATE", "STAGE_INSTANCE_DELETE"],
        [
            "GUILD_SOUNDBOARD_SOUND_CREATE",
            "GUILD_SOUNDBOARD_SOUND_UPDATE",
            "GUILD_SOUNDBOARD_SOUND_DELETE",
        ],
        ["INTEGRATION_CREATE", "INTEGRATION_UPDATE", "INTEGRATION_DELETE"],
        [
            "AUTO_MODERATION_RULE_CREATE",
            "AUTO_MODERATION_RULE_UPDATE",
            "AUTO_MODERATION_RULE_DELETE",
        ],
    ];
    let which = usize::from(dice[6] % 5);
    let id = if which == 2 { "sound_id" } else { "id" };
    let mut data = json!({id: entity(guild, dice[2]), "guild_id": text(guild), "v": dice[3] % 3});
    if !dice[4].is_multiple_of(3) {
        data[if which == 1 { "channel_id" } else { "name" }] = json!("101");
    }
    (NAMES[which][usize::from(dice[5] % 3)], data)
}
