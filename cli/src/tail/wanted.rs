//! Which events are printed, beside those of a kind.

use clap::Args;
use mixcord::{Event, Value, atoms};

/// Whom it has to be about. Of several options all have to fit.
#[derive(Debug, Args)]
pub(super) struct Wanted {
    /// Only what happens in these guilds.
    #[arg(long, value_name = "ID,ID", value_delimiter = ',', env = "MIXCORD_GUILD")]
    guild: Vec<u64>,
    /// Only what happens in these channels and threads.
    #[arg(long, value_name = "ID,ID", value_delimiter = ',', env = "MIXCORD_CHANNEL")]
    channel: Vec<u64>,
    /// Only what these users did, or what was done to them.
    #[arg(long, value_name = "ID,ID", value_delimiter = ',', env = "MIXCORD_USER")]
    user: Vec<u64>,
}

impl Wanted {
    /// Is it to be printed? What was lost may have been anybody's, so it is told always.
    pub(super) fn wants(&self, event: &Event) -> bool {
        event.lost().is_some()
            || (fits(&self.guild, || event.guild_id())
                && fits(&self.channel, || channel(event))
                && fits(&self.user, || user(event.data())))
    }
}

fn fits(wanted: &[u64], id: impl FnOnce() -> Option<u64>) -> bool {
    wanted.is_empty() || id().is_some_and(|id| wanted.contains(&id))
}

/// A channel's own events say which it is by their id.
fn channel(event: &Event) -> Option<u64> {
    let its_own = event.name().starts_with("CHANNEL_") || event.name().starts_with("THREAD_");
    let own = || id(event.data(), atoms::ID).filter(|_| its_own);
    event.channel_id().or_else(own)
}

/// Who did it, or to whom it was done.
fn user(data: Value<'_>) -> Option<u64> {
    let inner = |key| data.get(key).and_then(|user| id(user, atoms::ID));
    let of_member =
        || data.get(atoms::MEMBER)?.get(atoms::USER).and_then(|user| id(user, atoms::ID));
    id(data, atoms::USER_ID)
        .or_else(|| inner(atoms::USER))
        .or_else(|| inner(atoms::AUTHOR))
        .or_else(of_member)
}

fn id(value: Value<'_>, key: mixcord::event::Atom) -> Option<u64> {
    value.get(key)?.as_id()
}
