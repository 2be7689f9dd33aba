//! Members, users, presences and voice states, by hand.

use mixcord_state::Table;
use serde_json::{Value as Json, json};

use crate::world::{Change, Expected, World, id, merge, text, without};

impl World {
    pub(crate) fn member_row(
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
            let uncounted = self.uncounted.contains(&(guild, user));
            let change = self.put_member(guild, data, &data["user"], insert);
            if add && (old.is_null() || uncounted) {
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

    pub(crate) fn member_remove(&mut self, guild: u64, data: &Json, main: &mut Expected) {
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
        self.uncounted.remove(&(guild, user));
        self.departed.insert((guild, user));
        if cached || !all {
            let count = &mut self.facts.get_mut(&guild).unwrap().count;
            *count = count.map(|count| count.saturating_sub(1));
        }
        self.release();
    }

    pub(crate) fn presence(
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

    pub(crate) fn user_row(&mut self, data: &Json, main: &mut Expected) {
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

    pub(crate) fn voice(&mut self, guild: u64, data: &Json, main: &mut Expected) {
        let user = id(&data["user_id"]).unwrap();
        main.old = self.voice_state(guild, user);
        self.embedded(data);
        if data["channel_id"].is_null() {
            self.entities.remove(&(Table::VoiceStates, guild, user));
        } else if !main.old.is_null() {
            let held = self.get(Table::VoiceStates, guild, user);
            self.put(Table::VoiceStates, guild, user, merge(&held, data));
        } else if self.created(guild) && !self.departed.contains(&(guild, user)) {
            self.put(Table::VoiceStates, guild, user, data.clone());
        }
        // What is kept as a member is not kept here.
        if self.has(Table::Members, guild, user)
            && let Some(state) = self.entities.get_mut(&(Table::VoiceStates, guild, user))
        {
            *state = without(state, &["member"]);
        }
    }

    /// With its member, which is kept apart.
    fn voice_state(&self, guild: u64, user: u64) -> Json {
        let (state, member) = (self.get(Table::VoiceStates, guild, user), self.member(guild, user));
        if state.is_null() || member.is_null() {
            return state;
        }
        merge(&state, &json!({"member": without(&member, &["guild_id"])}))
    }

    /// R9.
    pub(crate) fn embedded(&mut self, data: &Json) {
        let inside = &data["member"]["user"];
        let user = if inside.is_null() { &data["author"] } else { inside };
        self.refresh(id(&data["guild_id"]), &data["member"], user);
    }

    pub(crate) fn interaction(&mut self, guild: u64, data: &Json) {
        self.embedded(data);
        let resolved = &data["data"]["resolved"];
        for (user_id, user) in resolved["users"].as_object().unwrap() {
            self.refresh(Some(guild), &resolved["members"][user_id], user);
        }
    }

    pub(crate) fn put_user(&mut self, user: &Json, insert: bool) -> Change {
        let id = id(&user["id"])?;
        if !self.on(Table::Users) {
            return None;
        }
        if !self.has(Table::Users, id, 0) {
            if insert {
                self.put(Table::Users, id, 0, user.clone());
            }
            return None;
        }
        let old = self.get(Table::Users, id, 0);
        let new = merge(&old, user);
        self.put(Table::Users, id, 0, new.clone());
        (old != new).then_some((old, new))
    }

    /// `insert`: `None` never, `Some(false)` unless somebody left a moment ago, `Some(true)` always.
    pub(crate) fn put_member(
        &mut self,
        guild: u64,
        member: &Json,
        user: &Json,
        insert: Option<bool>,
    ) -> Change {
        let id = id(&user["id"])?;
        let mut own = without(member, &["guild_id", "presence", "permissions", "user"]);
        if !self.on(Table::Users) {
            own["user"] = user.clone();
        }
        let mut new = false;
        if self.has(Table::Members, guild, id) {
            let merged = merge(&self.get(Table::Members, guild, id), &own);
            self.put(Table::Members, guild, id, merged);
            if insert == Some(true) {
                self.uncounted.remove(&(guild, id));
            }
        } else if self.on(Table::Members) {
            let gone = self.departed.contains(&(guild, id));
            if insert == Some(true) || (insert == Some(false) && !gone) {
                self.put(Table::Members, guild, id, own);
                new = true;
                if insert == Some(false) {
                    self.uncounted.insert((guild, id));
                }
            }
        }
        if insert == Some(true) {
            self.departed.remove(&(guild, id));
        }
        self.put_user(user, new)
    }

    /// R9: who is cached is left to their own events, or else what changed is told.
    pub(crate) fn refresh(&mut self, guild: Option<u64>, member: &Json, user: &Json) {
        let Some(id) = id(&user["id"]) else { return };
        let guild = guild.filter(|_| !member.is_null());
        let old = guild.map_or(Json::Null, |guild| self.member(guild, id));
        let meets = guild.is_some_and(|guild| self.created(guild)) && self.on(Table::Members);
        let meets = meets && old.is_null() && !self.departed.contains(&(guild.unwrap(), id));
        if self.member_events && (!meets || self.has(Table::Users, id, 0)) {
            if meets {
                let known = self.get(Table::Users, id, 0);
                self.put_member(guild.unwrap(), member, &known, Some(false));
            }
            return;
        }
        let change = match guild {
            Some(guild) if meets => self.put_member(guild, member, user, Some(false)),
            Some(guild) if !old.is_null() => self.put_member(guild, member, user, None),
            _ => self.put_user(user, false),
        };
        let new = guild.map_or(Json::Null, |guild| self.member(guild, id));
        if !old.is_null() && old != new {
            self.behind.push(("GUILD_MEMBER_UPDATE", old, new));
        }
        self.behind.extend(change.map(|(old, new)| ("USER_UPDATE", old, new)));
    }

    pub(crate) fn put_presence(&mut self, guild: u64, presence: &Json) {
        let Some(user) = id(&presence["user"]["id"]) else { return };
        if presence["status"] == "offline" {
            self.entities.remove(&(Table::Presences, guild, user));
        } else {
            let placed = merge(presence, &json!({"guild_id": text(guild)}));
            self.put(Table::Presences, guild, user, placed);
        }
    }
}
