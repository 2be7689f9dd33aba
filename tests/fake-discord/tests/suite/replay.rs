//! What each event does to a state, as a cache has to do it, in a page.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Guild id to the same shape as `/fake/world` has.
pub(crate) type World = BTreeMap<String, Value>;

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no id: {value}")).to_owned()
}

fn object<'a>(guild: &'a mut Value, collection: &str) -> &'a mut Map<String, Value> {
    guild[collection].as_object_mut().expect("a collection")
}

/// Lays `over` over what is held: absent members stay.
fn merge(held: &mut Map<String, Value>, id: &str, over: &Value) {
    let entry = held.entry(id).or_insert_with(|| Value::Object(Map::new()));
    let over = over.as_object().expect("an object");
    for (key, value) in over.iter().filter(|(key, _)| *key != "newly_created") {
        entry[key] = value.clone();
    }
}

fn keyed(list: &Value, key: &str) -> Value {
    let list = list.as_array().expect("a list");
    Value::Object(list.iter().map(|item| (text(&item[key]), item.clone())).collect())
}

fn begin(data: &Value) -> Value {
    let mut guild = data.clone();
    let parts = guild.as_object_mut().expect("a guild");
    let mut take = |key: &str| parts.remove(key).unwrap_or(Value::Null);
    let mut whole = serde_json::json!({"unavailable": false, "messages": {}});
    for (name, key) in [
        ("channels", "id"),
        ("threads", "id"),
        ("stage_instances", "id"),
        ("soundboard_sounds", "sound_id"),
        ("voice_states", "user_id"),
    ] {
        whole[name] = keyed(&take(name), key);
    }
    whole["scheduled_events"] = keyed(&take("guild_scheduled_events"), "id");
    for name in ["members", "presences"] {
        let list = take(name);
        let by_user =
            list.as_array().expect("a list").iter().map(|it| (text(&it["user"]["id"]), it.clone()));
        whole[name] = Value::Object(by_user.collect());
    }
    whole["member_count"] = take("member_count");
    for left_out in ["joined_at", "large", "unavailable"] {
        take(left_out);
    }
    whole["guild"] = guild;
    let voice = object(&mut whole, "voice_states");
    for state in voice.values_mut() {
        state["guild_id"] = data["id"].clone();
    }
    whole
}

/// What an event does to the world. Some things are passed over, as a cache does: what is said of a
/// guild or a member nobody told of (G-46), and an edit older than the one held (G-48).
pub(crate) fn apply(world: &mut World, name: &str, data: &Value) {
    let id = match name {
        "GUILD_CREATE" | "GUILD_UPDATE" | "GUILD_DELETE" => &data["id"],
        _ => &data["guild_id"],
    };
    let Some(id) = id.as_str() else { return };
    if name == "GUILD_CREATE" && data["unavailable"] == true {
        // G-42: nothing is known of it but that it is away.
        let stub = || serde_json::json!({ "unavailable": true });
        world.entry(id.to_owned()).or_insert_with(stub)["unavailable"] = true.into();
        return;
    }
    if name == "GUILD_CREATE" {
        let mut whole = begin(data);
        // An outage takes nothing away that GUILD_CREATE does not bring back.
        for kept in ["messages", "integrations", "automod_rules"] {
            let former = world.get_mut(id).map(|former| former[kept].take());
            let former = former.filter(Value::is_object);
            whole[kept] = former.unwrap_or_else(|| Value::Object(Map::new()));
        }
        world.insert(id.to_owned(), whole);
        return;
    }
    let early = matches!(name, "PRESENCE_UPDATE" | "GUILD_MEMBER_UPDATE");
    let Some(guild) = world.get_mut(id) else {
        assert!(early, "{name} of a guild nobody told of");
        return;
    };
    assert!(
        guild["unavailable"] == false || matches!(name, "GUILD_DELETE" | "GUILD_MEMBER_UPDATE"),
        "{name} of a guild that is away: {data}"
    );
    if early && guild["members"].get(text(&data["user"]["id"])).is_none() {
        return;
    }
    let at = |key: &str| text(&data[key]);
    match name {
        "GUILD_UPDATE" => guild["guild"] = data.clone(),
        "GUILD_DELETE" if data["unavailable"] == true => guild["unavailable"] = true.into(),
        "GUILD_DELETE" => drop(world.remove(id)),
        "CHANNEL_UPDATE" if data["name"] == "___hidden___" => {
            object(guild, "channels").remove(&at("id")).expect("a known channel");
        }
        "CHANNEL_CREATE" | "CHANNEL_UPDATE" => {
            merge(object(guild, "channels"), &at("id"), data);
        }
        "CHANNEL_DELETE" => {
            object(guild, "channels").remove(&at("id")).expect("a known channel");
            let gone: Vec<String> = object(guild, "threads")
                .iter()
                .filter(|(_, thread)| thread["parent_id"] == data["id"])
                .map(|(id, _)| id.clone())
                .chain([at("id")])
                .collect();
            object(guild, "threads").retain(|id, _| !gone.contains(id));
            object(guild, "messages").retain(|_, it| !gone.contains(&text(&it["channel_id"])));
        }
        "CHANNEL_PINS_UPDATE" => {
            object(guild, "channels")[&at("channel_id")]["last_pin_timestamp"] =
                data["last_pin_timestamp"].clone();
        }
        "VOICE_CHANNEL_STATUS_UPDATE" | "VOICE_CHANNEL_START_TIME_UPDATE" => {
            merge(object(guild, "channels"), &at("id"), data);
        }
        "THREAD_CREATE" | "THREAD_UPDATE" => merge(object(guild, "threads"), &at("id"), data),
        "THREAD_DELETE" => {
            object(guild, "threads").remove(&at("id")).expect("a known thread");
            object(guild, "messages").retain(|_, it| it["channel_id"] != data["id"]);
        }
        "THREAD_LIST_SYNC" => {
            for thread in data["threads"].as_array().expect("threads") {
                assert_eq!(object(guild, "threads").get(&text(&thread["id"])), Some(thread));
            }
        }
        "THREAD_MEMBERS_UPDATE" => {
            object(guild, "threads")[&at("id")]["member_count"] = data["member_count"].clone();
        }
        "GUILD_MEMBER_ADD" | "GUILD_MEMBER_UPDATE" => {
            let mut member = data.clone();
            member.as_object_mut().expect("a member").remove("guild_id");
            let user = text(&data["user"]["id"]);
            let known = object(guild, "members").contains_key(&user);
            assert_eq!(known, name == "GUILD_MEMBER_UPDATE", "{data}");
            merge(object(guild, "members"), &user, &member);
            if !known {
                guild["member_count"] =
                    (guild["member_count"].as_u64().expect("a count") + 1).into();
            }
        }
        "GUILD_MEMBER_REMOVE" => {
            let user = text(&data["user"]["id"]);
            object(guild, "members").remove(&user).expect("a known member");
            object(guild, "presences").remove(&user);
            guild["member_count"] = (guild["member_count"].as_u64().expect("a count") - 1).into();
        }
        "GUILD_ROLE_CREATE" | "GUILD_ROLE_UPDATE" => {
            let roles = guild["guild"]["roles"].as_array_mut().expect("roles");
            let held = roles.iter_mut().find(|role| role["id"] == data["role"]["id"]);
            assert_eq!(held.is_some(), name == "GUILD_ROLE_UPDATE");
            match held {
                Some(role) => *role = data["role"].clone(),
                None => roles.push(data["role"].clone()),
            }
        }
        "GUILD_ROLE_DELETE" => {
            let gone = &data["role_id"];
            guild["guild"]["roles"].as_array_mut().expect("roles").retain(|it| it["id"] != *gone);
            for member in object(guild, "members").values_mut() {
                member["roles"].as_array_mut().expect("roles").retain(|role| role != gone);
            }
        }
        "GUILD_EMOJIS_UPDATE" => guild["guild"]["emojis"] = data["emojis"].clone(),
        "GUILD_STICKERS_UPDATE" => guild["guild"]["stickers"] = data["stickers"].clone(),
        "GUILD_SCHEDULED_EVENT_CREATE" | "GUILD_SCHEDULED_EVENT_UPDATE" => {
            merge(object(guild, "scheduled_events"), &at("id"), data);
        }
        "GUILD_SCHEDULED_EVENT_DELETE" => {
            object(guild, "scheduled_events").remove(&at("id")).expect("a known event");
        }
        "GUILD_SCHEDULED_EVENT_USER_ADD" | "GUILD_SCHEDULED_EVENT_USER_REMOVE" => {
            let event = &mut object(guild, "scheduled_events")[&at("guild_scheduled_event_id")];
            let by = if name.ends_with("ADD") { 1 } else { -1 };
            event["user_count"] = (event["user_count"].as_i64().expect("a count") + by).into();
        }
        "STAGE_INSTANCE_CREATE" | "STAGE_INSTANCE_UPDATE" => {
            merge(object(guild, "stage_instances"), &at("id"), data);
        }
        "STAGE_INSTANCE_DELETE" => {
            object(guild, "stage_instances").remove(&at("id")).expect("a known stage");
        }
        "GUILD_SOUNDBOARD_SOUND_CREATE" | "GUILD_SOUNDBOARD_SOUND_UPDATE" => {
            merge(object(guild, "soundboard_sounds"), &at("sound_id"), data);
        }
        "GUILD_SOUNDBOARD_SOUND_DELETE" => {
            object(guild, "soundboard_sounds").remove(&at("sound_id")).expect("a known sound");
        }
        "GUILD_SOUNDBOARD_SOUNDS_UPDATE" => {
            guild["soundboard_sounds"] = keyed(&data["soundboard_sounds"], "sound_id");
        }
        "INTEGRATION_CREATE" | "INTEGRATION_UPDATE" => {
            let held = object(guild, "integrations").insert(at("id"), data.clone());
            assert_eq!(held.is_some(), name == "INTEGRATION_UPDATE");
        }
        "INTEGRATION_DELETE" => {
            object(guild, "integrations").remove(&at("id")).expect("a known integration");
        }
        "AUTO_MODERATION_RULE_CREATE" | "AUTO_MODERATION_RULE_UPDATE" => {
            let held = object(guild, "automod_rules").insert(at("id"), data.clone());
            assert_eq!(held.is_some(), name == "AUTO_MODERATION_RULE_UPDATE");
        }
        "AUTO_MODERATION_RULE_DELETE" => {
            object(guild, "automod_rules").remove(&at("id")).expect("a known rule");
        }
        "MESSAGE_CREATE" => {
            object(guild, "messages").insert(at("id"), data.clone());
            let channel = at("channel_id");
            let place = ["channels", "threads"]
                .into_iter()
                .find(|name| guild[name].get(&channel).is_some())
                .expect("a known channel");
            guild[place][channel]["last_message_id"] = data["id"].clone();
        }
        "MESSAGE_UPDATE" => {
            let held = object(guild, "messages").get_mut(&at("id"));
            let held = held.expect("a known message is edited");
            let time = |message: &Value| message["edited_timestamp"].as_str().map(str::to_owned);
            if time(held) <= time(data) {
                *held = data.clone();
            }
        }
        "MESSAGE_DELETE" => {
            object(guild, "messages").remove(&at("id")).expect("a known message");
        }
        "MESSAGE_DELETE_BULK" => {
            for id in data["ids"].as_array().expect("ids") {
                object(guild, "messages").remove(&text(id)).expect("a known message");
            }
        }
        "MESSAGE_REACTION_ADD" | "MESSAGE_REACTION_REMOVE" => {
            let by = if name.ends_with("ADD") { 1 } else { -1 };
            let message = object(guild, "messages").get_mut(&at("message_id"));
            react(message.expect("a known message"), data, by);
        }
        "MESSAGE_REACTION_REMOVE_ALL" | "MESSAGE_REACTION_REMOVE_EMOJI" => {
            let message = object(guild, "messages").get_mut(&at("message_id"));
            let message = message.expect("a known message").as_object_mut().expect("a message");
            let Some(Value::Array(mut list)) = message.remove("reactions") else {
                panic!("nothing to take away")
            };
            list.retain(|entry| name.ends_with("EMOJI") && entry["emoji"] != data["emoji"]);
            if !list.is_empty() {
                message.insert("reactions".to_owned(), list.into());
            }
        }
        "PRESENCE_UPDATE" => {
            let user = text(&data["user"]["id"]);
            if data["status"] == "offline" {
                object(guild, "presences").remove(&user);
            } else {
                let mut presence = data.clone();
                presence.as_object_mut().expect("a presence").remove("guild_id");
                object(guild, "presences").insert(user, presence);
            }
        }
        "VOICE_STATE_UPDATE" if data["channel_id"].is_null() => {
            object(guild, "voice_states").remove(&at("user_id")).expect("a known voice state");
        }
        "VOICE_STATE_UPDATE" => {
            let channel = at("channel_id");
            assert!(guild["channels"].get(channel).is_some(), "in a channel that is not there");
            let mut state = data.clone();
            state.as_object_mut().expect("a voice state").remove("member");
            object(guild, "voice_states").insert(at("user_id"), state);
        }
        _ => {}
    }
}

/// The world remembers fewer messages than were written: forgets the others here too.
pub(crate) fn trim(world: &mut World, truth: &Value) {
    for (id, guild) in world.iter_mut().filter(|(_, guild)| guild["messages"].is_object()) {
        let held = &truth["guilds"][id]["messages"];
        object(guild, "messages").retain(|id, _| held.get(id).is_some());
    }
}

/// Adds `by` to the message's count of an emoji; `all`: takes the emoji away whole.
fn react(message: &mut Value, data: &Value, by: i64) {
    let message = message.as_object_mut().expect("a message");
    let mut list = match message.remove("reactions") {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    match list.iter_mut().find(|entry| entry["emoji"] == data["emoji"]) {
        Some(entry) => {
            let count = entry["count"].as_i64().expect("a count") + by;
            entry["count"] = count.into();
            entry["count_details"]["normal"] = count.into();
        }
        None => list.push(serde_json::json!({
            "burst_colors": [], "count": by, "count_details": {"burst": 0, "normal": by},
            "emoji": data["emoji"], "me": false, "me_burst": false,
        })),
    }
    list.retain(|entry| entry["count"] != 0);
    if !list.is_empty() {
        message.insert("reactions".to_owned(), list.into());
    }
}

/// Whether the bot reacted is not told by its id here: left out.
pub(crate) fn without_me(messages: &Value) -> Value {
    let mut messages = messages.clone();
    for message in messages.as_object_mut().expect("messages").values_mut() {
        if let Some(list) = message.get_mut("reactions").and_then(Value::as_array_mut) {
            for entry in list {
                entry["me"] = Value::Null;
            }
        }
    }
    messages
}
