//! Whom and what a payload names, by one walk over it: nearly every row asks for some of that.

use mixcord_event::{Map, Unread, Value, atoms};

/// What a payload names, as far as it does.
#[derive(Clone, Copy, Default, Debug)]
pub struct Names<'a> {
    /// `guild_id`.
    pub guild: Option<u64>,
    /// `channel_id`.
    pub channel: Option<u64>,
    /// `id`.
    pub id: Option<u64>,
    /// `message_id`.
    pub message: Option<u64>,
    /// `user_id`.
    pub user_id: Option<u64>,
    /// `user`.
    pub user: Option<Map<'a>>,
    /// `author`.
    pub author: Option<Map<'a>>,
    /// `member`.
    pub member: Option<Map<'a>>,
    /// Whether there is a `webhook_id` that is not null.
    pub webhook: bool,
}

impl<'a> Names<'a> {
    /// The names in a payload.
    #[must_use]
    pub fn of(payload: Map<'a>) -> Self {
        let mut names = Self::default();
        let id = |value: Unread<'a>| value.read().as_id();
        let map = |value: Unread<'a>| value.read().as_map();
        for (key, value) in payload.unread() {
            match key {
                atoms::GUILD_ID => names.guild = id(value),
                atoms::CHANNEL_ID => names.channel = id(value),
                atoms::ID => names.id = id(value),
                atoms::MESSAGE_ID => names.message = id(value),
                atoms::USER_ID => names.user_id = id(value),
                atoms::USER => names.user = map(value),
                atoms::AUTHOR => names.author = map(value),
                atoms::MEMBER => names.member = map(value),
                atoms::WEBHOOK_ID => names.webhook = !value.read().is_null(),
                _ => {}
            }
        }
        names
    }

    /// The user that stands beside or in the payload's member, or alone.
    pub(super) fn person(&self) -> Option<Map<'a>> {
        let inside = self.member.and_then(|member| member.get(atoms::USER)).and_then(Value::as_map);
        inside.or(self.author).or(self.user)
    }
}
