//! Channels and threads: their own fields, where they are, and what is known about their messages.

use mixcord_event::{Map, Value, atoms, edit};
use mixcord_state::tables::{CHANNEL_FACTS, THREADS};
use mixcord_state::{Archived, ChannelFacts, Key, LastMessage, Pairs, StoreError, compose};

use super::document::id_in;
use super::known;
use super::world::World;

impl World<'_> {
    /// Writes a channel or thread; its guild and its `last_message_id` go to what is known about it.
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
        let place = CHANNEL_FACTS.at(guild, id);
        let was_known = self.put_last_message(place, channel.get(atoms::LAST_MESSAGE_ID))?;
        if was_known && self.store.get(table.at(guild, id))?.is_none() {
            known::keep_cached(self.store, place);
        }
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

    /// Writes that a channel or thread is in this place, and what it says of its last message, if it does; whether it
    /// was known already.
    fn put_last_message(
        &mut self,
        place: Key,
        says: Option<Value<'_>>,
    ) -> Result<bool, StoreError> {
        let known = self.known_at(place, Vec::new())?.ok();
        let held = known.as_ref().map(ChannelFacts::last_message);
        let last_message = match says {
            None => held.unwrap_or_default(),
            Some(id) => id.as_id().map_or(LastMessage::None, LastMessage::Id),
        };
        match known {
            Some(_) if held == Some(last_message) => {}
            Some(mut facts) => {
                facts.set_last_message(last_message);
                known::put(self.store, &facts, place.id());
            }
            None => {
                let mut facts = ChannelFacts::of(place.owner());
                facts.set_last_message(last_message);
                known::put_new(self.store, &facts, place.id());
            }
        }
        Ok(held.is_some())
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
            known::delete(self.store, CHANNEL_FACTS.at(guild, id));
        }
        if table == THREADS {
            self.put_archived(guild, id, false)?;
        }
        self.store.delete(table.at(guild, id));
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
