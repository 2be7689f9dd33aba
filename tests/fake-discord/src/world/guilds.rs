//! What happens to guilds as a whole.

use super::event::Event;
use super::guild::Guild;
use super::kind::Kind;
use super::lane::Lane;
use super::text;

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
