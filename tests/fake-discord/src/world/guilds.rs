//! What happens to guilds as a whole.

use super::event::Event;
use super::guild::{self, Guild};
use super::kind::Kind;
use super::lane::Lane;
use super::text;
use crate::value::{Obj, Val, obj};

/// A guild's own fields change.
pub(crate) fn update(lane: &mut Lane, guild: &mut Guild) {
    let dice = &mut lane.dice;
    match dice.below(3) {
        0 => guild.fields.set("name", text::title(dice)),
        1 => guild.fields.set("description", text::sentence(dice, 10)),
        _ => guild.fields.set("icon", dice.hex(32)),
    };
    let version = guild.fields.int("version") + 1;
    guild.fields.set("version", version);
    lane.emit(Event::guild(Kind::GUILD_UPDATE, guild.id, guild.object()));
}

/// A guild becomes unavailable, or one that is comes back. At most one in four is away.
pub(crate) fn outage(lane: &mut Lane) {
    let away: Vec<usize> =
        (0..lane.guilds.len()).filter(|at| lane.guilds[*at].unavailable).collect();
    if let Some(&at) = lane.dice.pick(&away)
        && (away.len() * 4 >= lane.guilds.len() || lane.dice.once_in(2))
    {
        return back(lane, at);
    }
    if let Some(at) = spare_guild(lane) {
        away_now(lane, at);
    }
}

/// An available guild, if it is not the only one.
fn spare_guild(lane: &mut Lane) -> Option<usize> {
    let available = lane.guilds.iter().filter(|guild| !guild.unavailable).count();
    if available > 1 { lane.available_guild() } else { None }
}

/// The guild at this place becomes unavailable.
pub(crate) fn away_now(lane: &mut Lane, at: usize) {
    let guild = &mut lane.guilds[at];
    guild.unavailable = true;
    let id = guild.id;
    lane.emit(gone_for_a_while(id));
}

/// What says that a guild is unavailable.
pub(crate) fn gone_for_a_while(id: u64) -> Event {
    let body = obj! { "id" => Val::Id(id), "unavailable" => true };
    Event::guild(Kind::GUILD_DELETE, id, body)
}

/// The guild at this place becomes available again.
pub(crate) fn back(lane: &mut Lane, at: usize) {
    let guild = &mut lane.guilds[at];
    guild.unavailable = false;
    let id = guild.id;
    lane.emit(is_back(id));
}

/// What says that it is available again.
pub(crate) fn is_back(id: u64) -> Event {
    Event::whole_guild(id, true)
}

/// The bot is invited to a new guild, or thrown out of one: their number stays about the same.
pub(crate) fn come_and_go(lane: &mut Lane) {
    if lane.guilds_planned < 2 {
        return;
    }
    if lane.guilds.len() >= lane.guilds_planned {
        go(lane);
    } else {
        let guild = new_guild(lane);
        come(lane, guild);
    }
}

/// The bot leaves a guild, unless it is the only one.
pub(crate) fn go(lane: &mut Lane) -> Option<Guild> {
    let at = spare_guild(lane)?;
    let gone = lane.guilds.remove(at);
    let body = obj! { "id" => Val::Id(gone.id) };
    lane.emit(Event::guild(Kind::GUILD_DELETE, gone.id, body));
    Some(gone)
}

/// A guild the bot is not in yet.
pub(crate) fn new_guild(lane: &mut Lane) -> Guild {
    let id = lane.guild_id(lane.lanes);
    let members = lane.members_per_guild;
    guild::begin(lane, id, members)
}

/// The bot joins the guild.
pub(crate) fn come(lane: &mut Lane, guild: Guild) {
    let id = guild.id;
    lane.guilds.push(guild);
    lane.emit(Event::whole_guild(id, false));
}

/// The bot's own member changes: told without any intent.
pub(crate) fn own_member(lane: &mut Lane, guild: &mut Guild) {
    let Some(&at) = guild.member_at.get(&lane.bot_id) else { return };
    let member = &mut guild.members[at];
    member.nick = lane.dice.once_in(2).then(|| lane.dice.one(&text::NAMES).into());
    member.changed();
    let user = crate::value::Shared::new(lane.bot_object.clone());
    let body: Obj = member.object(user).with("guild_id", Val::Id(guild.id));
    lane.emit(Event::guild(Kind::GUILD_MEMBER_UPDATE, guild.id, body).always());
}
