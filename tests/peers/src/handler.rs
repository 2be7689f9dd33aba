//! A handler that reads three fields of every event, as Mixcord's does in the same benchmark.

use std::sync::LazyLock;

use mixcord_probe::Probe;
use twilight_cache_inmemory::{DefaultInMemoryCache, ResourceType};
use twilight_gateway::{Event, EventTypeFlags, parse};
use twilight_model::id::Id;

/// What this process counted.
pub static PROBE: LazyLock<Probe> = LazyLock::new(Probe::default);

/// Messages that the cache keeps of each channel.
const MESSAGES: usize = 100;

/// A handler that parses, and may cache.
#[derive(Debug)]
pub struct Handler {
    cache: Option<DefaultInMemoryCache>,
}

impl Handler {
    /// Parses only.
    #[must_use]
    pub const fn typed() -> Self {
        Self { cache: None }
    }

    /// Parses, and keeps everything, or all but messages.
    #[must_use]
    pub fn caching(messages: bool) -> Self {
        let all = ResourceType::all();
        let kept = if messages { all } else { all - ResourceType::MESSAGE };
        let builder = DefaultInMemoryCache::builder().resource_types(kept);
        Self { cache: Some(builder.message_cache_size(MESSAGES).build()) }
    }

    /// Takes one message of the gateway.
    pub fn take(&self, text: String) {
        match parse(text, EventTypeFlags::all()) {
            Ok(Some(event)) => {
                let event = Event::from(event);
                if let Some(cache) = &self.cache {
                    cache.update(&event);
                }
                handle(&event);
            }
            // HELLO and the like.
            Ok(None) => {}
            Err(error) => PROBE.error(&error),
        }
    }
}

fn handle(event: &Event) {
    let length = |text: &str| text.len() as u64;
    match event {
        Event::GuildCreate(_) => PROBE.guild(),
        Event::MessageCreate(message) => {
            let sum = message.id.get() ^ message.author.id.get() ^ length(&message.content);
            PROBE.arrived();
            PROBE.event(sum, Some(&message.content));
        }
        Event::MessageUpdate(message) => {
            count(message.id.get() ^ message.author.id.get() ^ length(&message.content));
        }
        Event::PresenceUpdate(presence) => {
            let activities = presence.activities.len() as u64;
            count(presence.guild_id.get() ^ presence.user.id().get() ^ activities);
        }
        Event::MemberUpdate(member) => {
            let nick = member.nick.as_deref().map_or(0, length);
            count(member.guild_id.get() ^ member.user.id.get() ^ nick);
        }
        Event::TypingStart(typing) => {
            let guild = typing.guild_id.map_or(0, Id::get);
            count(guild ^ typing.user_id.get() ^ typing.channel_id.get());
        }
        Event::VoiceStateUpdate(voice) => {
            let (guild, channel) =
                (voice.guild_id.map_or(0, Id::get), voice.channel_id.map_or(0, Id::get));
            count(guild ^ voice.user_id.get() ^ channel);
        }
        _ => PROBE.other(),
    }
}

fn count(sum: u64) {
    PROBE.arrived();
    PROBE.event(sum, None);
}

/// What somebody who does not parse can tell of a message.
pub fn glance(text: &str) {
    match text.strip_prefix(r#"{"t":""#) {
        Some(rest) if rest.starts_with("GUILD_CREATE\"") => PROBE.guild(),
        Some(rest) if !rest.starts_with("READY\"") => count(text.len() as u64),
        _ => PROBE.other(),
    }
}
