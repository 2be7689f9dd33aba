//! The table: which row each kind has.

use mixcord_event::Kind;
use mixcord_state::StoreError;

use super::entity::{self, Family};
use super::step::Step;
use super::{
    channel, expression, guild, member, message, presence, reaction, refresh, role, session,
    thread, user, voice,
};

/// What a row does.
pub(super) type Handler = fn(&mut Step<'_>) -> Result<(), StoreError>;

/// The row of a kind; events without one are delivered as they are.
pub(super) fn handler(kind: Kind) -> Handler {
    match kind {
        Kind::READY => session::ready,
        Kind::GUILD_CREATE => guild::create,
        Kind::GUILD_UPDATE => guild::update,
        Kind::GUILD_DELETE => guild::delete,
        Kind::CHANNEL_CREATE => channel::create,
        Kind::CHANNEL_UPDATE => channel::update,
        Kind::CHANNEL_DELETE => channel::delete,
        Kind::CHANNEL_PINS_UPDATE => channel::pins,
        Kind::CHANNEL_INFO => channel::info,
        Kind::VOICE_CHANNEL_STATUS_UPDATE => channel::status,
        Kind::VOICE_CHANNEL_START_TIME_UPDATE => channel::start_time,
        Kind::THREAD_CREATE => thread::create,
        Kind::THREAD_UPDATE => thread::update,
        Kind::THREAD_DELETE => thread::delete,
        Kind::THREAD_LIST_SYNC => thread::sync,
        Kind::THREAD_MEMBER_UPDATE => thread::own_member,
        Kind::THREAD_MEMBERS_UPDATE => thread::members,
        Kind::GUILD_MEMBER_ADD => member::add,
        Kind::GUILD_MEMBER_UPDATE => member::update,
        Kind::GUILD_MEMBER_REMOVE => member::remove,
        Kind::GUILD_MEMBERS_CHUNK => member::chunk,
        Kind::GUILD_ROLE_CREATE => role::create,
        Kind::GUILD_ROLE_UPDATE => role::update,
        Kind::GUILD_ROLE_DELETE => role::delete,
        Kind::GUILD_EMOJIS_UPDATE => expression::emojis,
        Kind::GUILD_STICKERS_UPDATE => expression::stickers,
        Kind::GUILD_SCHEDULED_EVENT_CREATE => |step| entity::create(step, Family::EVENT),
        Kind::GUILD_SCHEDULED_EVENT_UPDATE => |step| entity::update(step, Family::EVENT),
        Kind::GUILD_SCHEDULED_EVENT_DELETE => |step| entity::delete(step, Family::EVENT),
        Kind::GUILD_SCHEDULED_EVENT_USER_ADD => |step| entity::count_user(step, 1),
        Kind::GUILD_SCHEDULED_EVENT_USER_REMOVE => |step| entity::count_user(step, -1),
        Kind::STAGE_INSTANCE_CREATE => |step| entity::create(step, Family::STAGE),
        Kind::STAGE_INSTANCE_UPDATE => |step| entity::update(step, Family::STAGE),
        Kind::STAGE_INSTANCE_DELETE => |step| entity::delete(step, Family::STAGE),
        Kind::GUILD_SOUNDBOARD_SOUND_CREATE => |step| entity::create(step, Family::SOUND),
        Kind::GUILD_SOUNDBOARD_SOUND_UPDATE => |step| entity::update(step, Family::SOUND),
        Kind::GUILD_SOUNDBOARD_SOUND_DELETE => |step| entity::delete(step, Family::SOUND),
        Kind::GUILD_SOUNDBOARD_SOUNDS_UPDATE | Kind::SOUNDBOARD_SOUNDS => expression::sounds,
        Kind::INTEGRATION_CREATE => |step| entity::create(step, Family::INTEGRATION),
        Kind::INTEGRATION_UPDATE => |step| entity::update(step, Family::INTEGRATION),
        Kind::INTEGRATION_DELETE => |step| entity::delete(step, Family::INTEGRATION),
        Kind::AUTO_MODERATION_RULE_CREATE => |step| entity::create(step, Family::RULE),
        Kind::AUTO_MODERATION_RULE_UPDATE => |step| entity::update(step, Family::RULE),
        Kind::AUTO_MODERATION_RULE_DELETE => |step| entity::delete(step, Family::RULE),
        Kind::MESSAGE_CREATE => message::create,
        Kind::MESSAGE_UPDATE => message::update,
        Kind::MESSAGE_DELETE => message::delete,
        Kind::MESSAGE_DELETE_BULK => message::delete_bulk,
        Kind::MESSAGE_REACTION_ADD => reaction::add,
        Kind::MESSAGE_REACTION_REMOVE => reaction::remove,
        Kind::MESSAGE_REACTION_REMOVE_ALL => reaction::remove_all,
        Kind::MESSAGE_REACTION_REMOVE_EMOJI => reaction::remove_emoji,
        Kind::PRESENCE_UPDATE => presence::update,
        Kind::USER_UPDATE => user::update,
        Kind::VOICE_STATE_UPDATE => voice::state,
        Kind::INTERACTION_CREATE => refresh::interaction,
        Kind::TYPING_START | Kind::GUILD_BAN_ADD | Kind::GUILD_BAN_REMOVE => refresh::embedded,
        _ => |_| Ok(()),
    }
}
