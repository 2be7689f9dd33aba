//! What members do: join, change, leave, come online, type.

use super::event::Event;
use super::guild::Guild;
use super::kind::Kind;
use super::lane::Lane;
use super::member::{Member, Presence, offline, user_of};
use super::{role, text};
use crate::value::{Val, obj};

/// Gives a new member what members have: roles, a nickname, a presence.
pub(crate) fn dress(lane: &mut Lane, guild: &Guild, member: &mut Member) {
    for _ in 0..lane.dice.below(4) {
        if let Some(role) = role::grantable(lane, guild)
            && !member.roles.contains(&role)
        {
            member.roles.push(role);
        }
    }
    let now_ms = lane.clock.now_ms();
    let dice = &mut lane.dice;
    if dice.once_in(4) {
        member.nick = Some(dice.one(&text::NAMES).into());
    }
    if dice.once_in(12) {
        member.premium_since_ms = Some(member.joined_ms + 1000);
    }
    if dice.once_in(3) {
        member.presence = Some(Box::new(Presence::roll(dice, now_ms)));
    }
    member.changed();
}

/// The place of a member that is not the bot. There is one: guilds never fall below two members.
pub(crate) fn someone(lane: &mut Lane, guild: &Guild) -> usize {
    let at = lane.dice.below(guild.members.len());
    if guild.members[at].user.is_some() { at } else { (at + 1) % guild.members.len() }
}

pub(crate) fn join(lane: &mut Lane, guild: &mut Guild) {
    if guild.members.len() > lane.members_per_guild * 5 / 4 + 2 {
        return leave(lane, guild);
    }
    let at = lane.some_user();
    let user_id = lane.users[at].id;
    if guild.member_at.contains_key(&user_id) || guild.bans.contains(&(at as u32)) {
        return update(lane, guild);
    }
    let member = Member::new(Some(at as u32), user_id, lane.clock.now_ms());
    let body = member.object(lane.users[at].object()).with("guild_id", Val::Id(guild.id));
    guild.add_member(member);
    lane.emit(Event::guild(Kind::GUILD_MEMBER_ADD, guild.id, body));
}

pub(crate) fn leave(lane: &mut Lane, guild: &mut Guild) {
    if guild.members.len() < lane.members_per_guild * 3 / 4 || guild.members.len() < 4 {
        return join(lane, guild);
    }
    let at = someone(lane, guild);
    remove(lane, guild, at);
}

/// The member leaves or is thrown out. The owner never is.
pub(crate) fn remove(lane: &mut Lane, guild: &mut Guild, at: usize) -> Option<u32> {
    let user_id = guild.members[at].user_id;
    let user = guild.members[at].user?;
    if user_id == guild.owner_id() {
        return None;
    }
    if let Some(at) = guild.voice_states.iter().position(|state| state.id("user_id") == user_id) {
        super::voice::leave(lane, guild, at);
    }
    super::thread::member_gone(lane, guild, user_id);
    guild.remove_member(at);
    let body = obj! {
        "guild_id" => Val::Id(guild.id),
        "user" => lane.users[user as usize].object(),
    };
    lane.emit(Event::guild(Kind::GUILD_MEMBER_REMOVE, guild.id, body));
    Some(user)
}

pub(crate) fn update(lane: &mut Lane, guild: &mut Guild) {
    let at = someone(lane, guild);
    let now_ms = lane.clock.now_ms();
    let granted = role::grantable(lane, guild);
    let dice = &mut lane.dice;
    let member = &mut guild.members[at];
    match dice.below(8) {
        0 => member.nick = None,
        1 | 2 => member.nick = Some(dice.one(&text::NAMES).into()),
        3 => member.timeout_until_ms = dice.once_in(2).then_some(now_ms + 600_000),
        4 => member.premium_since_ms = dice.once_in(2).then_some(now_ms),
        _ => {
            if let Some(role) = granted {
                match member.roles.iter().position(|held| *held == role) {
                    Some(held) => {
                        member.roles.remove(held);
                    }
                    None => member.roles.push(role),
                }
            }
        }
    }
    member.changed();
    tell(lane, guild, at);
}

fn tell(lane: &mut Lane, guild: &Guild, at: usize) {
    let member = &guild.members[at];
    let body = lane.member_object(member).with("guild_id", Val::Id(guild.id));
    lane.emit(Event::guild(Kind::GUILD_MEMBER_UPDATE, guild.id, body));
}

/// A user changes its name: every guild that has it as a member says so.
pub(crate) fn rename(lane: &mut Lane, guild: &mut Guild) {
    let at = someone(lane, guild);
    let Some(user) = guild.members[at].user else { return };
    let Lane { users, dice, .. } = lane;
    users[user as usize].rename(dice);
    tell(lane, guild, at);
    let user_id = guild.members[at].user_id;
    lane.with_other_guilds(|lane, other| {
        if let Some(&at) = other.member_at.get(&user_id)
            && !other.unavailable
        {
            tell(lane, other, at);
        }
    });
}

pub(crate) fn presence(lane: &mut Lane, guild: &mut Guild) {
    let at = someone(lane, guild);
    let now_ms = lane.clock.now_ms();
    let dice = &mut lane.dice;
    let member = &mut guild.members[at];
    member.presence = match member.presence.take() {
        Some(_) if dice.once_in(5) => None,
        Some(mut now) if dice.once_in(2) => {
            now.status = dice.one(&["online", "idle", "dnd"]);
            Some(now)
        }
        _ => Some(Box::new(Presence::roll(dice, now_ms))),
    };
    let mut body = match &member.presence {
        Some(presence) => presence.object(member.user_id),
        None => offline(member.user_id),
    };
    body.set("guild_id", Val::Id(guild.id));
    lane.emit(Event::guild(Kind::PRESENCE_UPDATE, guild.id, body));
}

pub(crate) fn typing(lane: &mut Lane, guild: &mut Guild) {
    let at = someone(lane, guild);
    let Some(channel) = super::message::writable(lane, guild) else { return };
    types(lane, guild, at, channel);
}

/// The bot itself types.
pub(crate) fn bot_types(lane: &mut Lane, guild: &mut Guild, channel: u64) {
    if let Some(&at) = guild.member_at.get(&lane.bot_id) {
        types(lane, guild, at, channel);
    }
}

fn types(lane: &mut Lane, guild: &Guild, at: usize, channel: u64) {
    let member = &guild.members[at];
    let user = user_of(member, &lane.users, &lane.bot_object);
    let body = obj! {
        "channel_id" => Val::Id(channel),
        "guild_id" => Val::Id(guild.id),
        "member" => member.object(user),
        "timestamp" => (lane.clock.now_ms() / 1000) as i64,
        "user_id" => Val::Id(member.user_id),
    };
    lane.emit(Event::guild(Kind::TYPING_START, guild.id, body));
}

/// A ban takes the member away too; banned users do not come back until the ban is lifted.
pub(crate) fn ban(lane: &mut Lane, guild: &mut Guild) {
    if guild.bans.len() >= 8 || guild.members.len() < 4 {
        return unban(lane, guild);
    }
    let at = someone(lane, guild);
    let user_id = guild.members[at].user_id;
    let Some(user) = guild.members[at].user.filter(|_| user_id != guild.owner_id()) else { return };
    guild.bans.push(user);
    tell_ban(lane, guild, Kind::GUILD_BAN_ADD, user);
    super::moderation::audit(lane, guild, 22, user_id, Vec::new());
    remove(lane, guild, at);
}

pub(crate) fn unban(lane: &mut Lane, guild: &mut Guild) {
    if guild.bans.is_empty() {
        return;
    }
    let at = lane.dice.below(guild.bans.len());
    let user = guild.bans.remove(at);
    tell_ban(lane, guild, Kind::GUILD_BAN_REMOVE, user);
}

fn tell_ban(lane: &mut Lane, guild: &Guild, kind: Kind, user: u32) {
    let body = obj! {
        "guild_id" => Val::Id(guild.id),
        "user" => lane.users[user as usize].object(),
    };
    lane.emit(Event::guild(kind, guild.id, body));
}
