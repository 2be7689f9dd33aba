//! Where questions are answered from.

use mixcord_event::Document;
use mixcord_state::{Resource, State, StoreError};

/// Answers of one store, all within one call.
pub(crate) trait Look {
    fn entity(
        &self,
        resource: Resource,
        owner: u64,
        id: u64,
    ) -> Result<Option<Document>, StoreError>;
    fn channel(&self, id: u64) -> Result<Option<Document>, StoreError>;
    /// A guild without its roles, emojis and stickers.
    fn guild_fields(&self, id: u64) -> Result<Option<Document>, StoreError>;
    fn me(&self) -> Result<Option<Document>, StoreError>;
    fn guild_of_channel(&self, channel: u64) -> Result<Option<u64>, StoreError>;
    fn shard_of_guild(&self, guild: u64) -> Result<Option<(u16, u16)>, StoreError>;
    fn member_counts(&self, guild: u64) -> Result<Option<(Option<u64>, u64)>, StoreError>;
    fn count(&self, resource: Resource) -> Result<u64, StoreError>;
}

impl Look for State {
    fn entity(
        &self,
        resource: Resource,
        owner: u64,
        id: u64,
    ) -> Result<Option<Document>, StoreError> {
        self.entity(resource, owner, id)
    }

    fn channel(&self, id: u64) -> Result<Option<Document>, StoreError> {
        self.channel(id)
    }

    fn guild_fields(&self, id: u64) -> Result<Option<Document>, StoreError> {
        self.guild_fields(id)
    }

    fn me(&self) -> Result<Option<Document>, StoreError> {
        self.me()
    }

    fn guild_of_channel(&self, channel: u64) -> Result<Option<u64>, StoreError> {
        self.guild_of_channel(channel)
    }

    fn shard_of_guild(&self, guild: u64) -> Result<Option<(u16, u16)>, StoreError> {
        self.shard_of_guild(guild)
    }

    fn member_counts(&self, guild: u64) -> Result<Option<(Option<u64>, u64)>, StoreError> {
        self.member_counts(guild)
    }

    fn count(&self, resource: Resource) -> Result<u64, StoreError> {
        self.count(resource)
    }
}
