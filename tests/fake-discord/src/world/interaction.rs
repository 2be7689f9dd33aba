//! Interactions: somebody uses the bot's commands and buttons.

use std::sync::Arc;

use super::event::Event;
use super::guild::Guild;
use super::kind::Kind;
use super::lane::Lane;
use super::member::{Member, user_of};
use super::{channel, text};
use crate::value::{Key, Obj, Shared, Val, obj};

/// Interactions that can still be answered.
const ANSWERABLE: usize = 256;

/// An interaction the bot may answer.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) id: u64,
    pub(crate) token: String,
    pub(crate) kind: i64,
    pub(crate) channel: u64,
    pub(crate) user: Arc<Shared>,
    pub(crate) answer: Answer,
}

/// What the bot has answered first.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    None,
    /// A message of the channel.
    Public(u64),
    /// A message that only who asked can see.
    Private(Obj),
    /// A message like that, which it has deleted.
    Deleted,
}

const EVERYTHING: &str = "2251799813685247";

/// A command, a button, a form or a half-typed command in a guild.
pub(crate) fn in_guild(lane: &mut Lane, guild: &mut Guild) {
    let places = guild.channels_of(&channel::WRITABLE);
    let Some(&place) = lane.dice.pick(&places) else { return };
    let channel_id = guild.channels[place].id("id");
    let who = lane.dice.below(guild.members.len());
    let target = lane.dice.below(guild.members.len());
    let (kind, data) = data(lane, guild, place, &guild.members[target]);
    let member = whole_member(lane, &guild.members[who]).with("permissions", EVERYTHING);
    let user = user_of(&guild.members[who], &lane.users, &lane.bot_object);
    let mut body = frame(lane, kind, data, channel_id, user);
    body.set("app_permissions", EVERYTHING)
        .set("authorizing_integration_owners", owners(guild.id))
        .set("channel", guild.channels[place].with("permissions", EVERYTHING))
        .set("channel_id", Val::Id(channel_id))
        .set("context", 0)
        .set(
            "guild",
            obj! {
                "features" => guild.fields.get("features").cloned(),
                "id" => Val::Id(guild.id),
                "locale" => "en-US",
            },
        )
        .set("guild_id", Val::Id(guild.id))
        .set("guild_locale", "en-US")
        .set("member", member);
    if kind == 3 || kind == 5 {
        let id = lane.clock.id();
        let author = crate::value::Shared::new(lane.bot_object.clone());
        let now_ms = lane.clock.now_ms();
        let message = super::message::blank(id, channel_id, author, now_ms)
            .with("content", "press a button")
            .without(&["channel_type"]);
        body.set("message", message);
    }
    lane.emit(Event::guild(Kind::INTERACTION_CREATE, guild.id, body));
}

/// A command in a direct message.
pub(crate) fn direct(lane: &mut Lane, channel_id: u64, user: usize) {
    let data = command(lane, Val::List(Vec::new()));
    let user = lane.users[user].object();
    let mut body = frame(lane, 2, data, channel_id, Arc::clone(&user));
    let dm = super::direct::channel_object(lane, channel_id).unwrap_or_default();
    body.set("app_permissions", EVERYTHING)
        .set("authorizing_integration_owners", owners(0))
        .set("channel", dm)
        .set("channel_id", Val::Id(channel_id))
        .set("context", 1)
        .set("user", user);
    lane.emit(Event::direct(Kind::INTERACTION_CREATE, body));
}

fn owners(guild: u64) -> Obj {
    Obj::from_members(vec![(Key::Id(0), Val::Id(guild))])
}

/// What all interactions have. From now on the bot may answer.
fn frame(lane: &mut Lane, kind: i64, data: Obj, channel: u64, user: Arc<Shared>) -> Obj {
    let id = lane.clock.id();
    let token = lane.dice.hex(80);
    if lane.interactions.len() >= ANSWERABLE {
        lane.interactions.pop_front();
    }
    lane.interactions.push_back(Asked {
        id,
        token: token.clone(),
        kind,
        channel,
        user,
        answer: Answer::None,
    });
    obj! {
        "application_id" => Val::Id(lane.bot_id),
        "attachment_size_limit" => 10_485_760,
        "data" => data,
        "entitlements" => Val::List(Vec::new()),
        "id" => Val::Id(id),
        "locale" => "en-US",
        "token" => token,
        "type" => kind,
        "version" => 1,
    }
}

fn whole_member(lane: &Lane, member: &Member) -> Obj {
    lane.member_object(member)
}

fn command(lane: &mut Lane, options: Val) -> Obj {
    obj! {
        "id" => Val::Id(lane.bot_id + 1),
        "name" => "greet",
        "options" => options,
        "type" => 1,
    }
}

/// The type of an interaction and its data.
fn data(lane: &mut Lane, guild: &Guild, place: usize, target: &Member) -> (i64, Obj) {
    match lane.dice.below(5) {
        0 => {
            let option = obj! { "focused" => true, "name" => "text", "type" => 3, "value" => "he" };
            (4, command(lane, Val::from(vec![option])))
        }
        1 => (3, obj! { "component_type" => 2, "custom_id" => "button_1", "id" => 2 }),
        2 => {
            let words = text::sentence(&mut lane.dice, 5);
            let input = obj! { "custom_id" => "input_1", "id" => 2, "type" => 4, "value" => words };
            let row = obj! { "components" => vec![input], "id" => 1, "type" => 1 };
            (5, obj! { "components" => vec![row], "custom_id" => "my_modal" })
        }
        3 => {
            let options = vec![
                obj! { "name" => "text", "type" => 3, "value" => text::content(&mut lane.dice) },
                obj! { "name" => "times", "type" => 4, "value" => lane.dice.between(-5, 5_000_000_000) },
                obj! { "name" => "loud", "type" => 5, "value" => true },
                obj! { "name" => "ratio", "type" => 10, "value" => 123.456 },
            ];
            (2, command(lane, Val::from(options)))
        }
        _ => {
            let user = user_of(target, &lane.users, &lane.bot_object);
            let member = target.partial().object().with("permissions", EVERYTHING);
            let role = guild.roles[lane.dice.below(guild.roles.len())].clone();
            let spot = &guild.channels[place];
            let options = vec![
                obj! { "name" => "who", "type" => 6, "value" => target.user_id.to_string() },
                obj! { "name" => "role", "type" => 8, "value" => role.id("id").to_string() },
                obj! { "name" => "where", "type" => 7, "value" => spot.id("id").to_string() },
            ];
            let one = |id: u64, value: Val| Obj::from_members(vec![(Key::Id(id), value)]);
            let resolved = obj! {
                "channels" => one(spot.id("id"), spot.with("permissions", EVERYTHING).into()),
                "members" => one(target.user_id, member.into()),
                "roles" => one(role.id("id"), role.into()),
                "users" => one(target.user_id, user.into()),
            };
            let options = Val::from(options);
            (2, command(lane, options).with("resolved", resolved))
        }
    }
}
