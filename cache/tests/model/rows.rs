//! What the table says, by hand.

use mixcord_state::Table;
use serde_json::{Value as Json, json};

use crate::world::{DUE, Expected, Facts, World, id, list, merge, object, text, without};

const HIDDEN: u64 = 1 << 17;

impl World {
    pub(crate) fn apply(&mut self, kind: &'static str, data: &Json, now_us: u64) -> Vec<Expected> {
        self.now_us = now_us;
        let mut main = Expected {
            kind: kind.to_owned(),
            reason: None,
            stale: false,
            unchanged: false,
            old: Json::Null,
            data: data.clone(),
        };
        let mut derived = Vec::new();
        let guild = id(&data["guild_id"]);
        match kind {
            "READY" => self.ready(data, &mut derived),
            "GUILD_CREATE" | "GUILD_UPDATE" | "GUILD_DELETE" => self.guild_row(data, &mut main),
            "CHANNEL_CREATE" => self.put_row(Table::Channels, data, true, &mut main),
            "CHANNEL_UPDATE" => {
                self.put_row(Table::Channels, data, data.get("type").is_some(), &mut main);
            }
            "THREAD_CREATE" => self.put_row(Table::Threads, data, true, &mut main),
            "THREAD_UPDATE" => {
                let whole = data.get("name").is_some() && data.get("type").is_some();
                self.put_row(Table::Threads, data, whole, &mut main);
            }
            "CHANNEL_DELETE" => self.channel_delete(data, &mut main),
            "THREAD_DELETE" => {
                let (guild, id) = (guild.unwrap(), id(&data["id"]).unwrap());
                main.old = self.channel(Table::Threads, guild, id);
                self.move_channel(guild, id);
                self.erase_channel(Table::Threads, guild, id);
            }
            "CHANNEL_PINS_UPDATE" => {
                main.old = self.fields(&data["channel_id"], data, &["last_pin_timestamp"]);
            }
            "VOICE_CHANNEL_STATUS_UPDATE" => main.old = self.fields(&data["id"], data, &["status"]),
            "VOICE_CHANNEL_START_TIME_UPDATE" => {
                main.old = self.fields(&data["id"], data, &["voice_start_time"]);
            }
            "CHANNEL_INFO" => {
                let items = list(data, "channels").iter();
                let old = items
                    .map(|item| self.fields(&item["id"], item, &["status", "voice_start_time"]));
                let old: Vec<Json> = old.filter(|old| !old.is_null()).collect();
                if !old.is_empty() {
                    main.old = json!(old);
                }
            }
            "THREAD_LIST_SYNC" => self.sync(guild.unwrap(), data),
            "THREAD_MEMBER_UPDATE" | "THREAD_MEMBERS_UPDATE" => {
                self.thread_members(kind, guild.unwrap(), data, &mut main);
            }
            "GUILD_MEMBER_ADD" | "GUILD_MEMBER_UPDATE" => {
                self.member_row(kind, guild.unwrap(), data, &mut main, &mut derived);
            }
            "GUILD_MEMBER_REMOVE" => self.member_remove(guild.unwrap(), data, &mut main),
            "GUILD_MEMBERS_CHUNK" if self.created(guild.unwrap()) => {
                for member in list(data, "members") {
                    self.put_member(guild.unwrap(), member, &member["user"], Some(true));
                }
                for presence in list(data, "presences") {
                    self.put_presence(guild.unwrap(), presence);
                }
            }
            "GUILD_ROLE_CREATE" | "GUILD_ROLE_UPDATE" => {
                self.role_row(kind, guild.unwrap(), data, &mut main);
            }
            "GUILD_ROLE_DELETE" => self.role_delete(guild.unwrap(), data, &mut main),
            "GUILD_EMOJIS_UPDATE" => self.set(Table::Emojis, "emojis", data, &mut main),
            "GUILD_STICKERS_UPDATE" => self.set(Table::Stickers, "stickers", data, &mut main),
            "GUILD_SOUNDBOARD_SOUNDS_UPDATE" | "SOUNDBOARD_SOUNDS"
                if self.created(guild.unwrap()) =>
            {
                self.replace(
                    Table::Sounds,
                    guild.unwrap(),
                    "sound_id",
                    list(data, "soundboard_sounds"),
                );
            }
            "GUILD_SCHEDULED_EVENT_USER_ADD" | "GUILD_SCHEDULED_EVENT_USER_REMOVE" => {
                let (guild, event) =
                    (guild.unwrap(), id(&data["guild_scheduled_event_id"]).unwrap());
                let mut held = self.get(Table::ScheduledEvents, guild, event);
                if let Some(count) = held.get("user_count").and_then(Json::as_u64) {
                    let add = kind.ends_with("ADD");
                    held["user_count"] =
                        json!(if add { count + 1 } else { count.saturating_sub(1) });
                    self.put(Table::ScheduledEvents, guild, event, held);
                }
            }
            "MESSAGE_CREATE" | "MESSAGE_UPDATE" | "MESSAGE_DELETE" | "MESSAGE_DELETE_BULK" => {
                self.message_row(kind, data, &mut main);
            }
            _ if kind.starts_with("MESSAGE_REACTION_") => self.reaction(kind, data),
            "PRESENCE_UPDATE" => self.presence(guild.unwrap(), data, &mut main, &mut derived),
            "USER_UPDATE" => self.user_row(data, &mut main),
            "VOICE_STATE_UPDATE" => self.voice(guild.unwrap(), data, &mut main),
            "INTERACTION_CREATE" => self.interaction(guild.unwrap(), data),
            "TYPING_START" => self.embedded(data),
            _ => self.family(kind, data, &mut main),
        }
        let derived = derived.into_iter().map(|(kind, old, data): (&str, Json, Json)| Expected {
            kind: kind.to_owned(),
            reason: Some("derived"),
            stale: false,
            unchanged: false,
            old,
            data,
        });
        std::iter::once(main).chain(derived).collect()
    }

    fn ready(&mut self, data: &Json, derived: &mut Vec<(&'static str, Json, Json)>) {
        let user = &data["user"];
        self.me = Some(self.me.as_ref().map_or_else(|| user.clone(), |me| merge(me, user)));
        self.put_user(user, false);
        let listed: Vec<u64> =
            list(data, "guilds").iter().filter_map(|guild| id(&guild["id"])).collect();
        let known: Vec<(u64, Facts)> = self.facts.iter().map(|(id, facts)| (*id, *facts)).collect();
        for (guild, facts) in known {
            if !listed.contains(&guild) {
                let old = self.guild(guild);
                self.erase_guild(guild);
                if facts.created {
                    derived.push(("GUILD_DELETE", old, json!({"id": text(guild)})));
                }
            }
        }
        for guild in listed {
            self.facts.entry(guild).or_default().pending = true;
        }
    }

    fn guild_row(&mut self, data: &Json, main: &mut Expected) {
        let guild = id(&data["id"]).unwrap();
        let away = data["unavailable"] == true;
        let mut facts = self.facts.get(&guild).copied().unwrap_or_default();
        match (&*main.kind, away) {
            ("GUILD_CREATE", true) => {
                (facts.pending, facts.unavailable) = (false, true);
                self.facts.insert(guild, facts);
            }
            ("GUILD_CREATE", false) => {
                main.old = self.guild(guild);
                main.reason = Some(if facts.pending {
                    "startup"
                } else if facts.unavailable || data["unavailable"] == false {
                    "available"
                } else {
                    "join"
                });
                (facts.pending, facts.unavailable, facts.created) = (false, false, true);
                facts.count = data["member_count"].as_u64().or(facts.count);
                self.facts.insert(guild, facts);
                self.arrive(guild, data);
            }
            ("GUILD_UPDATE", _) if facts.created => {
                main.old = self.guild(guild);
                if !main.old.is_null() {
                    main.data = merge(&main.old, data);
                }
                let own = merge(&self.get(Table::Guilds, guild, 0), data);
                let own = without(&own, &["roles", "emojis", "stickers", "member_count"]);
                self.put(Table::Guilds, guild, 0, own);
                for (table, key) in [(Table::Emojis, "emojis"), (Table::Stickers, "stickers")] {
                    if let Some(set) = data.get(key) {
                        self.put(table, guild, 0, set.clone());
                    }
                }
                if let Some(roles) = data.get("roles") {
                    self.roles(guild, roles.as_array().unwrap());
                }
            }
            ("GUILD_DELETE", true) => {
                main.old = self.guild(guild);
                main.reason = Some("outage");
                (facts.pending, facts.unavailable) = (false, true);
                self.facts.insert(guild, facts);
            }
            ("GUILD_DELETE", false) => {
                main.old = self.guild(guild);
                main.reason = Some("leave");
                self.erase_guild(guild);
            }
            _ => {}
        }
    }

    fn arrive(&mut self, guild: u64, data: &Json) {
        const APART: [&str; 12] = [
            "channels",
            "threads",
            "members",
            "presences",
            "voice_states",
            "stage_instances",
            "guild_scheduled_events",
            "soundboard_sounds",
            "roles",
            "emojis",
            "stickers",
            "member_count",
        ];
        self.put(Table::Guilds, guild, 0, without(data, &APART));
        for (table, key) in [(Table::Emojis, "emojis"), (Table::Stickers, "stickers")] {
            self.entities.remove(&(table, guild, 0));
            if let Some(set) = data.get(key) {
                self.put(table, guild, 0, set.clone());
            }
        }
        self.roles(guild, list(data, "roles"));
        for (table, key) in [(Table::Channels, "channels"), (Table::Threads, "threads")] {
            let kept: Vec<u64> = list(data, key).iter().filter_map(|one| id(&one["id"])).collect();
            list(data, key).iter().for_each(|one| self.put_channel(table, guild, one));
            for gone in self.ids(table, guild).into_iter().filter(|id| !kept.contains(id)) {
                self.erase_channel(table, guild, gone);
            }
        }
        for (table, key, of) in [
            (Table::StageInstances, "stage_instances", "id"),
            (Table::ScheduledEvents, "guild_scheduled_events", "id"),
            (Table::Sounds, "soundboard_sounds", "sound_id"),
            (Table::VoiceStates, "voice_states", "user_id"),
        ] {
            self.replace(table, guild, of, list(data, key));
        }
        self.entities.retain(|(table, owner, _), _| (*table, *owner) != (Table::Presences, guild));
        list(data, "presences").iter().for_each(|presence| self.put_presence(guild, presence));
        for member in list(data, "members") {
            self.put_member(guild, member, &member["user"], Some(true));
        }
    }

    fn roles(&mut self, guild: u64, roles: &[Json]) {
        if self.on(Table::Roles) {
            let order = roles.iter().filter_map(|role| id(&role["id"])).collect();
            self.role_order.insert(guild, order);
            self.entities.retain(|(table, owner, _), _| (*table, *owner) != (Table::Roles, guild));
            for role in roles {
                self.put(Table::Roles, guild, id(&role["id"]).unwrap(), role.clone());
            }
        }
    }

    fn replace(&mut self, table: Table, guild: u64, of: &str, items: &[Json]) {
        self.entities.retain(|(held, owner, _), _| (*held, *owner) != (table, guild));
        for item in items {
            let placed = merge(item, &json!({"guild_id": text(guild)}));
            self.put(table, guild, id(&item[of]).unwrap(), placed);
        }
    }

    fn put_row(&mut self, table: Table, data: &Json, insert: bool, main: &mut Expected) {
        let guild = id(&data["guild_id"]).unwrap_or(0);
        if guild != 0 && !self.created(guild) {
            return;
        }
        let old = self.channel(table, guild, id(&data["id"]).unwrap());
        if old.is_null() {
            if insert {
                self.put_channel(table, guild, data);
            }
            return;
        }
        let mut new = merge(&old, data);
        if data["flags"].as_u64().unwrap_or(0) & HIDDEN != 0 && old.get("name").is_some() {
            new["name"] = old["name"].clone();
        }
        self.put_channel(table, guild, &new);
        (main.old, main.data) = (old, new);
    }

    fn channel_delete(&mut self, data: &Json, main: &mut Expected) {
        let (guild, id_) = (id(&data["guild_id"]).unwrap_or(0), id(&data["id"]).unwrap());
        main.old = self.channel(Table::Channels, guild, id_);
        for thread in self.ids(Table::Threads, guild) {
            if id(&self.get(Table::Threads, guild, thread)["parent_id"]) == Some(id_) {
                self.erase_channel(Table::Threads, guild, thread);
            }
        }
        self.move_channel(guild, id_);
        self.erase_channel(Table::Channels, guild, id_);
    }

    /// Merges some fields over a channel or thread; gives it as it was.
    fn fields(&mut self, channel: &Json, from: &Json, keys: &[&str]) -> Json {
        let channel = id(channel).unwrap();
        let Some(&guild) = self.guild_of.get(&channel) else { return Json::Null };
        for table in [Table::Channels, Table::Threads] {
            let old = self.channel(table, guild, channel);
            if !old.is_null() {
                let mut new = self.get(table, guild, channel);
                for key in keys {
                    if let Some(value) = from.get(*key) {
                        new[*key] = value.clone();
                    }
                }
                self.put(table, guild, channel, new);
                return old;
            }
        }
        Json::Null
    }

    fn sync(&mut self, guild: u64, data: &Json) {
        if !self.created(guild) {
            return;
        }
        let threads = list(data, "threads");
        let kept: Vec<u64> = threads.iter().filter_map(|thread| id(&thread["id"])).collect();
        threads.iter().for_each(|thread| self.put_channel(Table::Threads, guild, thread));
        for thread in self.ids(Table::Threads, guild) {
            let parent = &self.get(Table::Threads, guild, thread)["parent_id"];
            let listed =
                data.get("channel_ids").is_none() || list(data, "channel_ids").contains(parent);
            if listed && !kept.contains(&thread) {
                self.erase_channel(Table::Threads, guild, thread);
            }
        }
        for member in list(data, "members") {
            self.edit_thread(guild, id(&member["id"]).unwrap(), |thread| {
                thread["member"] = member.clone();
            });
        }
    }

    fn edit_thread(&mut self, guild: u64, thread: u64, edit: impl FnOnce(&mut Json)) {
        let mut held = self.get(Table::Threads, guild, thread);
        if !held.is_null() {
            edit(&mut held);
            self.put(Table::Threads, guild, thread, held);
        }
    }

    fn thread_members(&mut self, kind: &str, guild: u64, data: &Json, main: &mut Expected) {
        let thread = id(&data["id"]).unwrap();
        main.old = self.channel(Table::Threads, guild, thread);
        if kind == "THREAD_MEMBER_UPDATE" {
            let member = without(data, &["guild_id"]);
            return self.edit_thread(guild, thread, |thread| thread["member"] = member);
        }
        let own = self.me.as_ref().map(|me| me["id"].clone());
        let is_own = |id: &Json| own.as_ref() == Some(id);
        let left = list(data, "removed_member_ids").iter().any(is_own);
        let mut added = list(data, "added_members").iter();
        let joined = added.find(|added| is_own(&added["user_id"]));
        self.edit_thread(guild, thread, |thread| {
            thread["member_count"] = data["member_count"].clone();
            if left {
                *thread = without(thread, &["member"]);
            }
            if let Some(joined) = joined {
                thread["member"] = without(joined, &["member", "presence"]);
            }
        });
        if self.created(guild) {
            for added in list(data, "added_members") {
                if id(&added["user_id"]).is_some_and(|id| self.departed.contains(&(guild, id))) {
                    continue;
                }
                self.put_member(guild, &added["member"], &added["member"]["user"], Some(true));
                self.put_presence(guild, &added["presence"]);
            }
        }
    }

    fn member_row(
        &mut self,
        kind: &str,
        guild: u64,
        data: &Json,
        main: &mut Expected,
        derived: &mut Vec<(&'static str, Json, Json)>,
    ) {
        let (user, add) = (id(&data["user"]["id"]).unwrap(), kind == "GUILD_MEMBER_ADD");
        let whole = data.get("roles").is_some() && data.get("joined_at").is_some();
        // Where everybody is known, somebody unknown is no member.
        let may_be = whole && !self.knows_all(guild);
        let old = self.member(guild, user);
        let change = if self.created(guild) {
            let insert = if add { Some(true) } else { may_be.then_some(false) };
            let change = self.put_member(guild, data, &data["user"], insert);
            if add && old.is_null() {
                let count = &mut self.facts.get_mut(&guild).unwrap().count;
                *count = count.map(|count| count + 1);
            }
            if !old.is_null() {
                main.data = merge(&old, data);
                if self.on(Table::Users) {
                    main.data["user"] = self.get(Table::Users, user, 0);
                }
                main.old = old;
            }
            change
        } else {
            self.put_user(&data["user"], false)
        };
        if let (Some((old, new)), false) = (change, add) {
            derived.push(("USER_UPDATE", old, new));
        }
    }

    fn member_remove(&mut self, guild: u64, data: &Json, main: &mut Expected) {
        if !self.created(guild) {
            return;
        }
        let user = id(&data["user"]["id"]).unwrap();
        main.old = self.member(guild, user);
        let all = self.knows_all(guild);
        for table in [Table::Presences, Table::VoiceStates] {
            self.entities.remove(&(table, guild, user));
        }
        let cached = self.entities.remove(&(Table::Members, guild, user)).is_some();
        self.departed.insert((guild, user));
        if cached || !all {
            let count = &mut self.facts.get_mut(&guild).unwrap().count;
            *count = count.map(|count| count.saturating_sub(1));
        }
        self.release();
    }

    fn role_row(&mut self, kind: &str, guild: u64, data: &Json, main: &mut Expected) {
        let role = id(&data["role"]["id"]).unwrap();
        let whole = kind == "GUILD_ROLE_CREATE" || data["role"].get("name").is_some();
        if self.has(Table::Roles, guild, role) {
            main.old = self.get(Table::Roles, guild, role);
            let new = merge(&main.old, &data["role"]);
            main.data["role"] = new.clone();
            self.put(Table::Roles, guild, role, new);
        } else if whole && self.created(guild) && self.on(Table::Roles) {
            self.put(Table::Roles, guild, role, data["role"].clone());
            if let Some(order) = self.role_order.get_mut(&guild) {
                order.push(role);
            }
        }
    }

    fn role_delete(&mut self, guild: u64, data: &Json, main: &mut Expected) {
        let role = id(&data["role_id"]).unwrap();
        main.old = self.entities.remove(&(Table::Roles, guild, role)).unwrap_or(Json::Null);
        if let Some(order) = self.role_order.get_mut(&guild) {
            order.retain(|held| *held != role);
        }
        for user in self.ids(Table::Members, guild) {
            let mut member = self.get(Table::Members, guild, user);
            if let Some(roles) = member["roles"].as_array_mut() {
                roles.retain(|held| *held != data["role_id"]);
                self.put(Table::Members, guild, user, member);
            }
        }
    }

    fn set(&mut self, table: Table, key: &'static str, data: &Json, main: &mut Expected) {
        let guild = id(&data["guild_id"]).unwrap();
        if self.created(guild) {
            if self.has(table, guild, 0) {
                main.old = object([("guild_id", text(guild)), (key, self.get(table, guild, 0))]);
            }
            self.put(table, guild, 0, data[key].clone());
        }
    }

    fn message_row(&mut self, kind: &str, data: &Json, main: &mut Expected) {
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

    fn reaction(&mut self, kind: &str, data: &Json) {
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

    fn presence(
        &mut self,
        guild: u64,
        data: &Json,
        main: &mut Expected,
        derived: &mut Vec<(&'static str, Json, Json)>,
    ) {
        let user = id(&data["user"]["id"]).unwrap();
        let offline = data["status"] == "offline";
        if self.has(Table::Presences, guild, user) {
            main.old = self.get(Table::Presences, guild, user);
            main.data = merge(&main.old, data);
            main.unchanged = main.old["status"] == data["status"]
                && main.old["activities"] == data["activities"];
            self.put(Table::Presences, guild, user, main.data.clone());
            if offline {
                self.entities.remove(&(Table::Presences, guild, user));
            }
        } else if !offline && self.created(guild) {
            let stranger = self.on(Table::Members)
                && self.knows_all(guild)
                && !self.has(Table::Members, guild, user);
            if !stranger && !self.departed.contains(&(guild, user)) {
                self.put(Table::Presences, guild, user, data.clone());
            }
        }
        if let Some((old, new)) = self.put_user(&data["user"], false) {
            derived.push(("USER_UPDATE", old, new));
        }
    }

    fn user_row(&mut self, data: &Json, main: &mut Expected) {
        let on = self.on(Table::Users);
        let other = self.me.as_ref().is_some_and(|me| me["id"] != data["id"]);
        if other {
            let user = id(&data["id"]).unwrap();
            if self.has(Table::Users, user, 0) {
                main.old = self.get(Table::Users, user, 0);
                main.data = merge(&main.old, data);
            }
        } else {
            let new = self.me.as_ref().map_or_else(|| data.clone(), |me| merge(me, data));
            if let (Some(me), true) = (&self.me, on) {
                main.old = me.clone();
                main.data = new.clone();
            }
            self.me = Some(new);
        }
        self.put_user(data, false);
    }

    fn voice(&mut self, guild: u64, data: &Json, main: &mut Expected) {
        let user = id(&data["user_id"]).unwrap();
        main.old = self.get(Table::VoiceStates, guild, user);
        if data["channel_id"].is_null() {
            self.entities.remove(&(Table::VoiceStates, guild, user));
        } else if !main.old.is_null() {
            self.put(Table::VoiceStates, guild, user, merge(&main.old, data));
        } else if self.created(guild) && !self.departed.contains(&(guild, user)) {
            self.put(Table::VoiceStates, guild, user, data.clone());
        }
        self.embedded(data);
    }

    /// R9.
    fn embedded(&mut self, data: &Json) {
        let inside = &data["member"]["user"];
        let user = if inside.is_null() { &data["author"] } else { inside };
        self.refresh(id(&data["guild_id"]), &data["member"], user);
    }

    fn interaction(&mut self, guild: u64, data: &Json) {
        self.embedded(data);
        let resolved = &data["data"]["resolved"];
        for (user_id, user) in resolved["users"].as_object().unwrap() {
            self.refresh(Some(guild), &resolved["members"][user_id], user);
        }
        for (key, table) in
            [("channels", Table::Channels), ("channels", Table::Threads), ("roles", Table::Roles)]
        {
            for entity in resolved[key].as_object().unwrap().values() {
                let entity_id = id(&entity["id"]).unwrap();
                if self.has(table, guild, entity_id) {
                    let entity = if table == Table::Roles {
                        entity.clone()
                    } else {
                        without(entity, &["permissions"])
                    };
                    let merged = merge(&self.get(table, guild, entity_id), &entity);
                    self.put(table, guild, entity_id, merged);
                }
            }
        }
    }

    fn family(&mut self, kind: &str, data: &Json, main: &mut Expected) {
        let (prefix, act) = kind.rsplit_once('_').unwrap_or_default();
        let (table, of, whole) = match prefix {
            "GUILD_SCHEDULED_EVENT" => (Table::ScheduledEvents, "id", "name"),
            "STAGE_INSTANCE" => (Table::StageInstances, "id", "channel_id"),
            "GUILD_SOUNDBOARD_SOUND" => (Table::Sounds, "sound_id", "name"),
            "INTEGRATION" => (Table::Integrations, "id", "name"),
            "AUTO_MODERATION_RULE" => (Table::AutomodRules, "id", "name"),
            _ => return,
        };
        let (guild, entity) = (id(&data["guild_id"]).unwrap(), id(&data[of]).unwrap());
        let held = self.get(table, guild, entity);
        match act {
            "DELETE" => {
                self.entities.remove(&(table, guild, entity));
                main.old = held;
            }
            _ if !held.is_null() => {
                main.data = merge(&held, data);
                main.old = held;
                self.put(table, guild, entity, main.data.clone());
            }
            _ if self.created(guild) && (act == "CREATE" || data.get(whole).is_some()) => {
                self.put(table, guild, entity, data.clone());
            }
            _ => {}
        }
    }
}
