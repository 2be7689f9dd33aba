//! One event, and what is made of it once for all clients.

use std::borrow::Cow;
use std::sync::OnceLock;

use mixcord::event::Value;
use mixcord::{Event, Kind};

use crate::content::{old_without_content, without_content};
use crate::encode::Encoding;
use crate::intents::Intents;
use crate::world;

/// Events in a row.
pub(crate) struct Batch {
    /// The position of the first record.
    pub(crate) first: u64,
    /// The position behind the last.
    pub(crate) end: u64,
    pub(crate) items: Vec<Item>,
    /// What its events weigh, about.
    pub(crate) bytes: usize,
}

impl Batch {
    pub(crate) fn new(first: u64, end: u64, events: Vec<Event>, with_old: bool) -> Self {
        let items: Vec<_> = events.into_iter().map(|event| Item::new(event, with_old)).collect();
        let bytes = items.iter().map(Item::bytes).sum();
        Self { first, end, items, bytes }
    }

    #[cfg(test)]
    pub(crate) fn of(items: Vec<Item>) -> Self {
        let first = items.first().map_or(0, |item| item.position);
        let end = items.last().map_or(0, |item| item.position + 1);
        Self { first, end, items, bytes: 0 }
    }

    /// Its events from a position on.
    pub(crate) fn from(&self, position: u64) -> &[Item] {
        let skip = self.items.partition_point(|item| item.position < position);
        self.items.get(skip..).unwrap_or_default()
    }
}

/// An event with its text in every form that somebody asked for.
pub(crate) struct Item {
    pub(crate) position: u64,
    pub(crate) event: Event,
    with_old: bool,
    forms: [OnceLock<Box<[u8]>>; 4],
    guild: Option<u64>,
}

impl Item {
    fn new(event: Event, with_old: bool) -> Self {
        let position = event.position().unwrap_or(0);
        let guild = event.guild_id();
        Self { position, event, with_old, forms: Default::default(), guild }
    }

    #[cfg(test)]
    pub(crate) fn at(position: u64, event: Event) -> Self {
        Self { position, ..Self::new(event, false) }
    }

    /// The guild it is about.
    pub(crate) const fn guild(&self) -> Option<u64> {
        self.guild
    }

    pub(crate) fn kind(&self) -> Kind {
        self.event.kind()
    }

    /// Its text, as it shows to whoever has these intents. `me` is the bot.
    pub(crate) fn body(&self, encoding: Encoding, intents: Intents, me: u64) -> Cow<'_, [u8]> {
        if self.kind() == Kind::GUILD_CREATE && world::hides(intents) {
            return self.write_guild(encoding, intents, me).into();
        }
        let content = intents.has(Intents::MESSAGE_CONTENT);
        let form = usize::from(encoding == Encoding::Etf) * 2 + usize::from(content);
        let Some(place) = self.forms.get(form) else { return Cow::default() };
        Cow::Borrowed(place.get_or_init(|| self.write(encoding, content, me)))
    }

    fn write(&self, encoding: Encoding, content: bool, me: u64) -> Box<[u8]> {
        let (kind, data) = (self.event.kind(), self.event.data());
        let old = self.old();
        let bare = (!content).then(|| without_content(kind, data, me)).flatten();
        // The event says whether it is private; what was there before need not.
        let hides_old = !content && self.guild.is_some();
        let bare_old = old.filter(|_| hides_old).and_then(|old| old_without_content(kind, old, me));
        let data = bare.as_deref().map_or(data, Value::trusted);
        let old = old.map(|old| bare_old.as_deref().map_or(old, Value::trusted));
        let mut out = Vec::new();
        encoding.write_body(data, old, &mut out);
        out.into()
    }

    /// A guild that came after the start, for one client: they come seldom.
    fn write_guild(&self, encoding: Encoding, intents: Intents, me: u64) -> Vec<u8> {
        let (data, mut out) = (self.event.data(), Vec::new());
        let shown = data.as_map().map(|guild| world::as_shown(guild, intents, me));
        encoding.write_body(shown.as_deref().map_or(data, Value::trusted), self.old(), &mut out);
        out
    }

    /// What was there before, where that is told.
    fn old(&self) -> Option<Value<'_>> {
        self.event.old().filter(|_| self.with_old)
    }

    /// What it weighs in memory, about, with a text of it.
    fn bytes(&self) -> usize {
        let of = |value: Value<'_>| value.as_map().map_or(0, |map| map.as_bytes().len());
        256 + 2 * of(self.event.data()) + self.event.old().map_or(0, of)
    }
}
