//! Emojis, stickers and soundboard sounds.

use super::event::Event;
use super::guild::Guild;
use super::kind::Kind;
use super::lane::Lane;
use super::member::user_of;
use super::text;
use crate::value::{Obj, Val, obj};

pub(crate) fn begin(lane: &mut Lane, guild: &mut Guild) {
    for _ in 0..2 + lane.dice.below(6) {
        let id = lane.id_since(guild.joined_ms);
        let emoji = emoji(lane, id);
        guild.emojis.push(emoji);
    }
    for _ in 0..1 + lane.dice.below(3) {
        let id = lane.id_since(guild.joined_ms);
        let sticker = sticker(lane, guild.id, id);
        guild.stickers.push(sticker);
    }
    for _ in 0..1 + lane.dice.below(3) {
        let id = lane.id_since(guild.joined_ms);
        let sound = sound(lane, guild, id);
        guild.sounds.push(sound);
    }
}

fn emoji(lane: &mut Lane, id: u64) -> Obj {
    let dice = &mut lane.dice;
    obj! {
        "animated" => dice.once_in(4),
        "available" => true,
        "id" => Val::Id(id),
        "managed" => false,
        "name" => format!("{}_{}", dice.one(&["otter", "pog", "sad", "blob", "cat"]), dice.between(1, 999)),
        "require_colons" => true,
        "roles" => Val::List(Vec::new()),
    }
}

fn sticker(lane: &mut Lane, guild: u64, id: u64) -> Obj {
    let dice = &mut lane.dice;
    obj! {
        "asset" => "",
        "available" => true,
        "description" => dice.once_in(2).then(|| text::sentence(dice, 6)),
        "format_type" => dice.between(1, 4),
        "guild_id" => Val::Id(guild),
        "id" => Val::Id(id),
        "name" => text::title(dice),
        "tags" => dice.one(&["eyes", "exploding_head", "🇪🇸"]),
        "type" => 2,
    }
}

fn sound(lane: &mut Lane, guild: &Guild, id: u64) -> Obj {
    let mut sound = obj! {
        "available" => true,
        "emoji_id" => Val::Null,
        "emoji_name" => lane.dice.one(&text::UNICODE_EMOJI),
        "guild_id" => Val::Id(guild.id),
        "name" => text::title(&mut lane.dice),
        "sound_id" => Val::Id(id),
        "volume" => 0.75,
    };
    if let Some(member) = lane.dice.pick(&guild.members) {
        sound
            .set("user", user_of(member, &lane.users, &lane.bot_object))
            .set("user_id", Val::Id(member.user_id));
    }
    sound
}

/// An emoji comes, changes or goes: the whole set is told.
pub(crate) fn emojis(lane: &mut Lane, guild: &mut Guild) {
    let count = guild.emojis.len();
    match lane.dice.below(3) {
        0 if count > 1 => {
            guild.emojis.remove(lane.dice.below(count));
        }
        1 if count > 0 => {
            let name = format!("renamed_{}", lane.dice.between(1, 999));
            guild.emojis[lane.dice.below(count)].set("name", name);
        }
        _ if count < 50 => {
            let id = lane.clock.id();
            let emoji = emoji(lane, id);
            guild.emojis.push(emoji);
        }
        _ => {}
    }
    let body = obj! { "emojis" => guild.emojis.clone(), "guild_id" => Val::Id(guild.id) };
    lane.emit(Event::guild(Kind::GUILD_EMOJIS_UPDATE, guild.id, body));
}

/// As [`emojis`], for stickers.
pub(crate) fn stickers(lane: &mut Lane, guild: &mut Guild) {
    let count = guild.stickers.len();
    if count > 1 && (count >= 15 || lane.dice.once_in(2)) {
        guild.stickers.remove(lane.dice.below(count));
    } else {
        let id = lane.clock.id();
        let sticker = sticker(lane, guild.id, id);
        guild.stickers.push(sticker);
    }
    let body = obj! { "guild_id" => Val::Id(guild.id), "stickers" => guild.stickers.clone() };
    lane.emit(Event::guild(Kind::GUILD_STICKERS_UPDATE, guild.id, body));
}

/// A sound is made, renamed or deleted, or several change at once.
pub(crate) fn sounds(lane: &mut Lane, guild: &mut Guild) {
    let count = guild.sounds.len();
    match lane.dice.below(4) {
        0 if count > 1 => {
            let sound = guild.sounds.remove(lane.dice.below(count));
            let body = obj! {
                "guild_id" => Val::Id(guild.id),
                "sound_id" => Val::Id(sound.id("sound_id")),
            };
            lane.emit(Event::guild(Kind::GUILD_SOUNDBOARD_SOUND_DELETE, guild.id, body));
        }
        1 if count > 0 => {
            let name = text::title(&mut lane.dice);
            let sound = guild.sounds[lane.dice.below(count)].set("name", name).clone();
            lane.emit(Event::guild(Kind::GUILD_SOUNDBOARD_SOUND_UPDATE, guild.id, sound));
        }
        2 if count > 0 => {
            let dice = &mut lane.dice;
            for sound in &mut guild.sounds {
                sound.set("volume", [0.25, 0.5, 0.75][dice.below(3)]);
            }
            let body = obj! {
                "guild_id" => Val::Id(guild.id),
                "soundboard_sounds" => guild.sounds.clone(),
            };
            lane.emit(Event::guild(Kind::GUILD_SOUNDBOARD_SOUNDS_UPDATE, guild.id, body));
        }
        _ if count < 8 => {
            let id = lane.clock.id();
            let sound = sound(lane, guild, id);
            guild.sounds.push(sound.clone());
            lane.emit(Event::guild(Kind::GUILD_SOUNDBOARD_SOUND_CREATE, guild.id, sound));
        }
        _ => {}
    }
}
