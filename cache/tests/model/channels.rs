//! Channels and threads, by hand.

use mixcord_state::Table;
use serde_json::Value as Json;

use crate::world::{Expected, World, id, list, without};

impl World {
    pub(crate) fn channel_delete(&mut self, data: &Json, main: &mut Expected) {
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
    pub(crate) fn fields(&mut self, channel: &Json, from: &Json, keys: &[&str]) -> Json {
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

    pub(crate) fn sync(&mut self, guild: u64, data: &Json) {
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

    pub(crate) fn edit_thread(&mut self, guild: u64, thread: u64, edit: impl FnOnce(&mut Json)) {
        let mut held = self.get(Table::Threads, guild, thread);
        if !held.is_null() {
            edit(&mut held);
            self.put(Table::Threads, guild, thread, held);
        }
    }

    pub(crate) fn thread_members(
        &mut self,
        kind: &str,
        guild: u64,
        data: &Json,
        main: &mut Expected,
    ) {
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
                self.refresh(Some(guild), &added["member"], &added["member"]["user"]);
                self.put_presence(guild, &added["presence"]);
            }
        }
    }
}
