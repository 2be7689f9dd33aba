//! A bot of serenity, moved to Mixcord: what was a method of `EventHandler` is a function, with serenity's types.
//!
//! ```text
//! // before                                                  // now
//! async fn message(&self, ctx: Context, message: Message)    async fn message(message: Message, app: Shared<App>)
//! async fn message_update(&self, ctx, old, new, event)       async fn edited(message: Change<Message>)
//! async fn guild_member_removal(&self, ctx, guild, user, m)  async fn left(member: Change<Member>)
//! ctx.data.read().await.get::<Counter>()                     app: Shared<Arc<App>>
//! ctx.cache.guild(id)                                        state.guild(id)?
//! message.channel_id.say(&ctx.http, …)                       the same, with an `Http` in the shared state
//! ```
//!
//! `cargo run --example from_serenity`
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mixcord::serenity::model::channel::Message;
use mixcord::serenity::model::event::Event;
use mixcord::serenity::model::guild::Member;
use mixcord::{Change, Consumer, Kind, Router, Serenity, Shared};

#[derive(Default)]
pub(crate) struct App {
    pub(crate) pings: AtomicU64,
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let _log = mixcord::log::init();
    let consumer = Consumer::builder().group("from-serenity").stop_on_signals();
    mixcord::exit(consumer.route(router(Arc::default())).await)
}

pub(crate) fn router(app: Arc<App>) -> Router<Arc<App>> {
    Router::with(app)
        .on(Kind::MESSAGE_CREATE, message)
        .on(Kind::MESSAGE_UPDATE, edited)
        .on(Kind::GUILD_MEMBER_REMOVE, left)
        .on(Kind::MESSAGE_REACTION_ADD, anything)
}

async fn message(message: Message, app: Shared<Arc<App>>) {
    if message.content == "!ping" {
        let pings = app.pings.fetch_add(1, Ordering::Relaxed) + 1;
        println!("pong number {pings} for {}", message.author.name);
    }
}

async fn edited(message: Change<Message>) {
    if let (Some(old), Some(new)) = (message.old, message.new)
        && old.content != new.content
    {
        println!("{}: {:?} -> {:?}", new.author.name, old.content, new.content);
    }
}

async fn left(member: Change<Member>) {
    if let Some(member) = member.old {
        println!("{} left, who had {} roles", member.user.name, member.roles.len());
    }
}

/// The whole event, for a `match`.
async fn anything(Serenity(event): Serenity) {
    if let Event::ReactionAdd(added) = event {
        println!("a reaction with {}", added.reaction.emoji);
    }
}
