//! What of the state is kept.

use std::time::Duration;

use mixcord_state::{Resource, Table};

/// Which resources are cached, and how much of the messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// One bit for each resource that is off.
    off: u32,
    /// Messages kept in a channel.
    pub messages_per_channel: u32,
    /// How long a message is kept after it was received.
    pub messages_age: Duration,
    /// How long a thread is kept after the event was received that archived it.
    pub threads_age: Duration,
    /// After how long messages are compressed, when there is nothing else to do; `None`: never.
    pub compress_messages_after: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            off: 0,
            messages_per_channel: 100,
            messages_age: Duration::from_secs(86_400),
            threads_age: Duration::from_secs(7 * 86_400),
            compress_messages_after: None,
        }
    }
}

impl Settings {
    /// Switches a resource off.
    #[must_use]
    pub fn without(mut self, resource: Resource) -> Self {
        self.off |= 1 << resource as u32;
        self
    }

    /// Whether a resource is cached.
    #[must_use]
    pub fn caches(&self, resource: Resource) -> bool {
        let bounded_away = resource == Resource::Messages && self.messages_per_channel == 0;
        self.off & (1 << resource as u32) == 0 && !bounded_away
    }

    /// The resources that are cached, as [`meta::RESOURCES`](mixcord_state::meta::RESOURCES) has them.
    #[must_use]
    pub fn resources(&self) -> u64 {
        let cached = Resource::ALL.iter().filter(|&&resource| self.caches(resource));
        cached.fold(0, |all, &resource| all | 1 << resource as u64)
    }

    /// Whether what a table holds is cached.
    #[must_use]
    pub fn caches_table(&self, table: Table) -> bool {
        table.resource().is_none_or(|resource| self.caches(resource))
    }

    /// Nothing is cached.
    #[must_use]
    pub fn none() -> Self {
        Resource::ALL.iter().fold(Self::default(), |settings, &resource| settings.without(resource))
    }
}
