//! Messages and their reactions, by hand.

use mixcord_state::Table;
use serde_json::{Value as Json, json};

use crate::world::{DUE, Expected, World, id, list, merge, text, without};

impl World {
    pub(crate) fn message_row(&mut self, kind: &str, data: &Json, main: &mut Expected) {
        let channel = id(&data["channel_id"]).unwrap();
        let held = self.guild_of.get(&channel).copied();
        let guild = id(&data["guild_id"]).or(held).unwrap_or(0);
        if kind != "MESSAGE_UPDATE" || self.on(Table::Messages) {
            self.meet(guild, channel);
        }
        let known = self.last.contains_key(&(guild, channel));
        let on = self.on(Table::Messages);
        match kind {
            "MESSAGE_CREATE" => {
                let message = id(&data["id"]).unwrap();
                if on || known {
                    let last = self.last.entry((guild, channel)).or_default();
                    let newest =
                        last.as_ref().and_then(id).map_or(message, |held| held.max(message));
                    *last = Some(text(newest));
                }
                if on {
                    self.insert_message(channel, message, data);
                    if !known {
                        self.guild_of.insert(channel, guild);
                    }
                    if message == DUE {
                        self.expire();
                        self.expire_threads();
                    }
                }
                self.embedded(data);
            }
            "MESSAGE_UPDATE" => {
                let message = id(&data["id"]).unwrap();
                if let Some((received_us, old)) = self.live(channel, message) {
                    let edited =
                        |message: &Json| message["edited_timestamp"].as_str().map(str::to_owned);
                    main.stale =
                        matches!((edited(&old), edited(data)), (Some(old), Some(new)) if old > new);
                    if !main.stale {
                        main.data = merge(&old, data);
                        self.messages.insert((channel, message), (received_us, main.data.clone()));
                    }
                    main.old = old;
                } else if on && data.get("author").is_some() {
                    self.insert_message(channel, message, data);
                    if !known {
                        self.last.insert((guild, channel), None);
                        self.guild_of.insert(channel, guild);
                    }
                    if message == DUE {
                        self.expire();
                    }
                }
            }
            _ => {
                let ids = match kind {
                    "MESSAGE_DELETE" => vec![id(&data["id"]).unwrap()],
                    _ => list(data, "ids").iter().filter_map(id).collect(),
                };
                let mut found = Vec::new();
                for message in ids {
                    found.extend(self.live(channel, message).map(|(_, message)| message));
                    self.messages.remove(&(channel, message));
                }
                main.old = match kind {
                    _ if found.is_empty() => Json::Null,
                    "MESSAGE_DELETE" => found.remove(0),
                    _ => json!(found),
                };
                self.forget_stray(guild, channel);
            }
        }
    }

    pub(crate) fn reaction(&mut self, kind: &str, data: &Json) {
        let place = (id(&data["channel_id"]).unwrap(), id(&data["message_id"]).unwrap());
        if let Some(guild) = id(&data["guild_id"]) {
            self.meet(guild, place.0);
        }
        let Some((received_us, mut message)) = self.live(place.0, place.1) else { return };
        let mut reactions = list(&message, "reactions").to_vec();
        let key = |emoji: &Json| {
            if emoji["id"].is_null() { emoji["name"].clone() } else { emoji["id"].clone() }
        };
        let at =
            reactions.iter().position(|reaction| key(&reaction["emoji"]) == key(&data["emoji"]));
        let mine = self.me.as_ref().is_some_and(|me| me["id"] == data["user_id"]);
        let burst = data["burst"] == true;
        let (me, which) = if burst { ("me_burst", "burst") } else { ("me", "normal") };
        match (kind, at) {
            ("MESSAGE_REACTION_REMOVE_ALL", _) => reactions.clear(),
            ("MESSAGE_REACTION_REMOVE_EMOJI", Some(at)) => drop(reactions.remove(at)),
            ("MESSAGE_REACTION_ADD", None) => reactions.push(json!({
                "count": 1, "count_details": {"burst": u8::from(burst), "normal": u8::from(!burst)},
                "me": mine && !burst, "me_burst": mine && burst, "emoji": data["emoji"], "burst_colors": []
            })),
            ("MESSAGE_REACTION_ADD" | "MESSAGE_REACTION_REMOVE", Some(at)) => {
                let add = kind.ends_with("ADD");
                let reaction = &mut reactions[at];
                if !(mine && (reaction[me] == true) == add) {
                    let step = |count: &Json| {
                        let count = count.as_i64().unwrap() + if add { 1 } else { -1 };
                        json!(count.max(0))
                    };
                    reaction["count"] = step(&reaction["count"]);
                    reaction["count_details"][which] = step(&reaction["count_details"][which]);
                    if mine {
                        reaction[me] = json!(add);
                    }
                    if reaction["count"] == 0 {
                        reactions.remove(at);
                    }
                }
            }
            _ => {}
        }
        if reactions.is_empty() {
            message = without(&message, &["reactions"]);
        } else {
            message["reactions"] = json!(reactions);
        }
        self.messages.insert(place, (received_us, message));
    }
}
