//! Which records are events of a session, by what it asked for alone: the same for every process that counts them.

use mixcord::event::{Shard, Value};
use mixcord::{Kind, atoms};

use crate::feed::Item;
use crate::intents::Intents;

/// What a client asked for in its IDENTIFY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) shard: u32,
    pub(crate) shards: u32,
    pub(crate) intents: Intents,
    /// The bot.
    pub(crate) me: u64,
}

/// Whether Discord sends it to whoever asked, which only those are given who did.
pub(super) const fn is_answer(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::GUILD_MEMBERS_CHUNK
            | Kind::SOUNDBOARD_SOUNDS
            | Kind::CHANNEL_INFO
            | Kind::RATE_LIMITED
            | Kind::VOICE_SERVER_UPDATE
    )
}

impl Filter {
    /// Whether a guild is of this shard, of the client's own count (G-39).
    pub(crate) fn has_guild(&self, guild: u64) -> bool {
        (guild >> 22) % u64::from(self.shards.max(1)) == u64::from(self.shard)
    }

    /// Whether a record comes to this shard of the client: its guild's; without a guild the first (G-39).
    pub(super) fn is_of_shard(&self, item: &Item) -> bool {
        match item.guild() {
            Some(guild) => self.has_guild(guild),
            // Each of Discord's shards is told: once is enough.
            None if item.kind() == Kind::USER_UPDATE => self.concerns_one(item.event.shard()),
            None => self.shard == 0,
        }
    }

    /// Whether a record is an event of Discord's that it asked for.
    pub(super) fn admits(&self, item: &Item) -> bool {
        let kind = item.kind();
        // What Mixcord derived is its own, but for guilds that went while nobody was connected.
        let told = match item.event.index() {
            0 => !kind.is_internal() && !matches!(kind, Kind::READY | Kind::RESUMED),
            _ => kind == Kind::GUILD_DELETE,
        };
        if !told {
            return false;
        }
        match kind {
            // What becomes of itself is told to any bot.
            Kind::GUILD_MEMBER_UPDATE if self.is_me(item.event.data().get(atoms::USER)) => true,
            // Of others only to whom members are told of.
            Kind::THREAD_MEMBERS_UPDATE if !self.intents.has(Intents::GUILD_MEMBERS) => {
                self.intents.has(Intents::GUILDS) && self.moves_me(item)
            }
            _ => self.intents.admits(kind, item.guild().is_none()),
        }
    }

    fn is_me(&self, user: Option<Value<'_>>) -> bool {
        user.and_then(|user| user.get(atoms::ID)?.as_id()) == Some(self.me)
    }

    /// Whether the bot itself came to a thread or left it.
    fn moves_me(&self, item: &Item) -> bool {
        let listed = |key| item.event.data().get(key).and_then(Value::as_list);
        let came = |member: Value<'_>| member.get(atoms::USER_ID).and_then(Value::as_id);
        listed(atoms::ADDED_MEMBERS)
            .is_some_and(|all| all.iter().filter_map(came).any(|id| id == self.me))
            || listed(atoms::REMOVED_MEMBER_IDS)
                .is_some_and(|all| all.iter().filter_map(Value::as_id).any(|id| id == self.me))
    }

    /// Whether guilds of this shard of Discord's may be of this shard of the client.
    pub(super) const fn concerns(&self, shard: Shard) -> bool {
        shard.count as u32 != self.shards || shard.id as u32 == self.shard
    }

    /// Of what every shard of Discord's is told, this shard takes one's word.
    const fn concerns_one(&self, shard: Shard) -> bool {
        if shard.count as u32 == self.shards {
            shard.id as u32 == self.shard
        } else {
            shard.id == 0
        }
    }
}
