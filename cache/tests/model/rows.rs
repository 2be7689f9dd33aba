//! What the table says, by hand.

use mixcord_state::Table;
use serde_json::{Value as Json, json};

use crate::world::{Expected, Facts, World, id, list, merge, object, text, without};

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
            "THREAD_CREATE" => {
                self.put_row(Table::Threads, data, true, &mut main);
                self.expire_threads();
            }
            "THREAD_UPDATE" => {
                let whole = data.get("name").is_some() && data.get("type").is_some();
                self.put_row(Table::Threads, data, whole, &mut main);
                self.expire_threads();
            }
            "CHANNEL_DELETE" => self.channel_delete(data, &mut main),
            "THREAD_DELETE" => {
                let (guild, id) = (guild.unwrap(), id(&data["id"]).unwrap());
                main.old = self.channel(Table::Threads, guild, id);
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
        derived.append(&mut self.behind);
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

    pub(crate) fn ready(&mut self, data: &Json, derived: &mut Vec<(&'static str, Json, Json)>) {
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

    pub(crate) fn guild_row(&mut self, data: &Json, main: &mut Expected) {
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
                } else if facts.created || facts.unavailable || data["unavailable"] == false {
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

    pub(crate) fn arrive(&mut self, guild: u64, data: &Json) {
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

    pub(crate) fn roles(&mut self, guild: u64, roles: &[Json]) {
        if self.on(Table::Roles) {
            let order = roles.iter().filter_map(|role| id(&role["id"])).collect();
            self.role_order.insert(guild, order);
            self.entities.retain(|(table, owner, _), _| (*table, *owner) != (Table::Roles, guild));
            for role in roles {
                self.put(Table::Roles, guild, id(&role["id"]).unwrap(), role.clone());
            }
        }
    }

    pub(crate) fn replace(&mut self, table: Table, guild: u64, of: &str, items: &[Json]) {
        self.entities.retain(|(held, owner, _), _| (*held, *owner) != (table, guild));
        for item in items {
            let placed = merge(item, &json!({"guild_id": text(guild)}));
            self.put(table, guild, id(&item[of]).unwrap(), placed);
        }
    }

    pub(crate) fn put_row(&mut self, table: Table, data: &Json, insert: bool, main: &mut Expected) {
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

    pub(crate) fn role_row(&mut self, kind: &str, guild: u64, data: &Json, main: &mut Expected) {
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

    pub(crate) fn role_delete(&mut self, guild: u64, data: &Json, main: &mut Expected) {
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

    pub(crate) fn set(
        &mut self,
        table: Table,
        key: &'static str,
        data: &Json,
        main: &mut Expected,
    ) {
        let guild = id(&data["guild_id"]).unwrap();
        if self.created(guild) {
            if self.has(table, guild, 0) {
                main.old = object([("guild_id", text(guild)), (key, self.get(table, guild, 0))]);
            }
            self.put(table, guild, 0, data[key].clone());
        }
    }

    pub(crate) fn family(&mut self, kind: &str, data: &Json, main: &mut Expected) {
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
