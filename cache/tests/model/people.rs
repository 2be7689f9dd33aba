//! Members, users, presences and voice states, by hand.

use mixcord_state::Table;
use serde_json::Value as Json;

use crate::world::{Expected, World, id, merge};

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
}
