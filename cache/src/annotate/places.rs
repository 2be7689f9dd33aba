//! Channels and threads: their own fields, where they are, and what is known about their messages.

use mixcord_event::{Map, Value, atoms, edit};
use mixcord_state::tables::{CHANNEL_FACTS, CHANNEL_MAP, THREADS};
use mixcord_state::{Archived, ChannelFacts, Key, LastMessage, Pairs, StoreError, compose};

use super::document::id_in;
use super::world::World;

impl World<'_> {
    /// Writes a channel or thread; its `last_message_id` goes to the facts, its guild to the map.
    pub(super) fn put_channel(
        &mut self,
        table: Pairs,
        guild: u64,
        channel: Map<'_>,
    ) -> Result<(), StoreError> {
        let Some(id) = id_in(channel, atoms::ID) else { return Ok(()) };
        if !self.settings.caches_table(table.table()) {
            return Ok(());
        }
        self.move_channel(CHANNEL_FACTS.at(guild, id))?;
        self.put_changed(CHANNEL_MAP.at(id), &guild.to_le_bytes())?;
        self.put_last_message(guild, id, channel.get(atoms::LAST_MESSAGE_ID))?;
        let mut own = Vec::new();
        edit::without(channel, &[atoms::LAST_MESSAGE_ID, atoms::NEWLY_CREATED], &mut own);
        let mut placed = Vec::new();
        let guild_id = (atoms::GUILD_ID, Value::Id(guild));
        // A private channel has none.
        let place: &[_] = if guild == 0 { &[] } else { &[guild_id] };
        edit::with(compose::stored_map(&own), place, &mut placed);
        if table == THREADS {
            self.put_archived(guild, id, says_archived(channel))?;
        }
        self.put_changed(table.at(guild, id), &placed)
    }

    /// Whether a thread is cached as archived.
    pub(super) fn is_archived(&self, guild: u64, thread: u64) -> Result<bool, StoreError> {
        let thread = self.store.get(THREADS.at(guild, thread))?;
        Ok(thread.is_some_and(|thread| says_archived(compose::stored_map(thread))))
    }

    /// Keeps since when a thread of a guild is archived, or that it is not.
    pub(super) fn put_archived(
        &mut self,
        guild: u64,
        thread: u64,
        is_archived: bool,
    ) -> Result<(), StoreError> {
        let known = Archived::read(&*self.store, thread)?;
        match known {
            Some((_, of)) if is_archived && of == guild => {}
            Some((since, of)) if !is_archived && of == guild => {
                self.store.delete(since.key());
                self.store.delete(Archived::since(thread));
            }
            None if !is_archived => {}
            // Another guild has it by now.
            Some(_) if !is_archived => {}
            known => {
                let since = known.map_or(self.now_us, |(since, _)| since.since_us);
                let since = Archived { thread, since_us: since };
                self.store.put(since.key(), &[]);
                self.store.put(Archived::since(thread), &[&since.to_bytes(guild)]);
            }
        }
        Ok(())
    }

    /// Writes what a channel or thread says of its last message; if it does not, at least that it is.
    fn put_last_message(
        &mut self,
        guild: u64,
        channel: u64,
        says: Option<Value<'_>>,
    ) -> Result<(), StoreError> {
        let known = compose::channel_facts(&*self.store, guild, channel)?;
        let held = known.as_ref().map(ChannelFacts::last_message);
        let last_message = match says {
            None => held.unwrap_or_default(),
            Some(id) => id.as_id().map_or(LastMessage::None, LastMessage::Id),
        };
        if held == Some(last_message) {
            return Ok(());
        }
        let mut facts = known.unwrap_or_default().into_owned();
        facts.set_last_message(last_message);
        self.store.put(CHANNEL_FACTS.at(guild, channel), &[facts.as_bytes()]);
        Ok(())
    }

    /// Has what is known about a channel or thread at `to`, its guild and its id, if it is known in
    /// another guild; says whether it was. So the map always leads to the one history there is.
    pub(super) fn move_channel(&mut self, to: Key) -> Result<bool, StoreError> {
        let held = compose::guild_of_channel(&*self.store, to.id())?;
        let Some(guild) = held.filter(|&guild| guild != to.owner()) else { return Ok(false) };
        let from = CHANNEL_FACTS.at(guild, to.id());
        if let Some(facts) = self.store.get(from)?.map(<[u8]>::to_vec) {
            self.store.put(to, &[&facts]);
            self.store.delete(from);
        }
        self.store.put(CHANNEL_MAP.at(to.id()), &[&to.owner().to_le_bytes()]);
        Ok(true)
    }

    /// Erases a channel or thread of this guild with its messages, and what is known about it.
    pub(super) fn erase_channel(
        &mut self,
        table: Pairs,
        guild: u64,
        id: u64,
    ) -> Result<(), StoreError> {
        if let Some(facts) = compose::channel_facts(&*self.store, guild, id)? {
            for message in facts.into_owned().history() {
                self.store.delete(message.key());
            }
        }
        if table == THREADS {
            self.put_archived(guild, id, false)?;
        }
        self.store.delete(table.at(guild, id));
        self.store.delete(CHANNEL_FACTS.at(guild, id));
        if compose::guild_of_channel(&*self.store, id)? == Some(guild) {
            self.store.delete(CHANNEL_MAP.at(id));
        }
        Ok(())
    }

    /// The same of several; false where the rest is for another slice.
    pub(super) fn erase_channels(
        &mut self,
        table: Pairs,
        guild: u64,
        ids: impl IntoIterator<Item = u64>,
    ) -> Result<bool, StoreError> {
        let mut one = false;
        for id in ids {
            // Whatever came before, something is done of each slice.
            if std::mem::replace(&mut one, true) && self.has_enough() {
                return Ok(false);
            }
            self.erase_channel(table, guild, id)?;
        }
        Ok(true)
    }
}

fn says_archived(thread: Map<'_>) -> bool {
    let metadata = thread.get(atoms::THREAD_METADATA).and_then(Value::as_map);
    metadata.and_then(|metadata| metadata.get(atoms::ARCHIVED)?.as_bool()) == Some(true)
}
