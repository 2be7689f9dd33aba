//! A bot of twilight-gateway and twilight-cache-inmemory, moved to Mixcord: the handlers keep their types.
//!
//! ```text
//! // before                                            // now
//! let mut shard = Shard::new(id, token, intents);       Consumer::builder().group("bot")…
//! while let Some(item) = shard.next_event(flags).await { .route(router).await
//!     let event = item?;
//!     let old = cache.message(id).map(…);               message.old, with the event
//!     cache.update(&event);                             (the cache is another process)
//!     tokio::spawn(handle(event, state.clone()));       on(Kind::…, handle), retried when it fails
//! }
//! cache.permissions().in_channel(user, channel)?        state.permissions(guild, channel, user)?
//! standby.wait_for(guild, |event| …).await              event.wait_for(kinds, |event| …, timeout).await
//! ```
//!
//! `cargo run --example from_twilight`
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mixcord::event::twilight::twilight_model::channel::Message;
use mixcord::event::twilight::twilight_model::gateway::event::DispatchEvent;
use mixcord::event::twilight::twilight_model::gateway::payload::incoming::MemberUpdate;
use mixcord::event::twilight::twilight_model::guild::Member;
use mixcord::{Change, Consumer, Kind, Router, Shared, Twilight};

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) edits: AtomicU64,
    pub(crate) others: AtomicU64,
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let _log = mixcord::log::init();
    let consumer = Consumer::builder().group("from-twilight").stop_on_signals();
    mixcord::exit(consumer.route(router(Arc::default())).await)
}

pub(crate) fn router(seen: Arc<Seen>) -> Router<Arc<Seen>> {
    Router::with(seen)
        .on(Kind::MESSAGE_UPDATE, edited)
        .on(Kind::GUILD_MEMBER_UPDATE, renamed)
        .on_each([Kind::MESSAGE_CREATE, Kind::MESSAGE_REACTION_ADD], anything)
}

/// Whole messages before and after, where twilight's own event has what Discord sent.
async fn edited(message: Change<Message>, seen: Shared<Arc<Seen>>) {
    if let (Some(old), Some(new)) = (message.old, message.new)
        && old.content != new.content
    {
        seen.edits.fetch_add(1, Ordering::Relaxed);
        println!("{}: {:?} -> {:?}", new.author.name, old.content, new.content);
    }
}

/// The event's own type is an argument as well as the entity's.
async fn renamed(update: MemberUpdate, member: Change<Member>) {
    let nick = |member: Option<Member>| member.and_then(|member| member.nick);
    let (old, new) = (nick(member.old), nick(member.new));
    if old != new {
        println!("{}: {old:?} -> {new:?}", update.user.name);
    }
}

/// A `match` over events stays one.
async fn anything(Twilight(event): Twilight, seen: Shared<Arc<Seen>>) {
    match event {
        DispatchEvent::MessageCreate(message) if message.content == "!ping" => println!("pong"),
        DispatchEvent::ReactionAdd(reaction) => println!("a reaction by {}", reaction.user_id),
        _ => {
            seen.others.fetch_add(1, Ordering::Relaxed);
        }
    }
}
