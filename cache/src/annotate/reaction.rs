//! Reactions to cached messages.

use mixcord_event::{Atom, Map, Value, Writer, atoms, edit};
use mixcord_state::{StoreError, compose};

use super::{Step, id_in, maps, message, refresh};

pub(super) fn add(step: &mut Step<'_>) -> Result<(), StoreError> {
    count(step, 1)?;
    refresh::embedded(step)
}

pub(super) fn remove(step: &mut Step<'_>) -> Result<(), StoreError> {
    count(step, -1)
}

pub(super) fn remove_all(step: &mut Step<'_>) -> Result<(), StoreError> {
    rewrite(step, |_, _| {})
}

pub(super) fn remove_emoji(step: &mut Step<'_>) -> Result<(), StoreError> {
    let Some(emoji) = step.map(atoms::EMOJI) else { return Ok(()) };
    rewrite(step, |held, kept| {
        kept.extend(held.filter(|reaction| !is_of(*reaction, emoji)).map(bytes));
    })
}

fn count(step: &mut Step<'_>, change: i64) -> Result<(), StoreError> {
    let Some(emoji) = step.map(atoms::EMOJI) else { return Ok(()) };
    let own_id = step.world.own_id()?;
    let by_me = own_id.is_some() && step.id(atoms::USER_ID) == own_id;
    let data = step.data;
    let burst = data.get(atoms::BURST).and_then(Value::as_bool) == Some(true);
    rewrite(step, |held, kept| {
        let mut found = false;
        for reaction in held {
            if is_of(reaction, emoji) {
                found = true;
                // The bot's own reaction is counted once.
                if by_me && is_mine(reaction, burst) == (change > 0) {
                    kept.push(bytes(reaction));
                } else {
                    kept.extend(counted(reaction, change, burst, by_me));
                }
            } else {
                kept.push(bytes(reaction));
            }
        }
        if !found && change > 0 {
            kept.push(first(data, emoji, burst, by_me));
        }
    })
}

/// Whether a reaction is with `emoji`: the same id, or, for an emoji of Unicode, the same name.
fn is_of(reaction: Map<'_>, emoji: Map<'_>) -> bool {
    let held = reaction.get(atoms::EMOJI).and_then(Value::as_map).unwrap_or(Map::EMPTY);
    match id_in(emoji, atoms::ID) {
        Some(id) => id_in(held, atoms::ID) == Some(id),
        None => id_in(held, atoms::ID).is_none() && held.get(atoms::NAME) == emoji.get(atoms::NAME),
    }
}

/// Whether the bot itself reacted so.
fn is_mine(reaction: Map<'_>, burst: bool) -> bool {
    let me = if burst { atoms::ME_BURST } else { atoms::ME };
    reaction.get(me).and_then(Value::as_bool) == Some(true)
}

/// The reaction with its counts changed; nothing once nobody reacts so any more.
fn counted(reaction: Map<'_>, change: i64, burst: bool, by_me: bool) -> Option<Vec<u8>> {
    let after = |map: Map<'_>, key: Atom| {
        let held = map.get(key).and_then(Value::as_i64).unwrap_or(0);
        Value::Int(held.saturating_add(change).max(0))
    };
    let count = after(reaction, atoms::COUNT);
    if count == Value::Int(0) {
        return None;
    }
    let kind = if burst { atoms::BURST } else { atoms::NORMAL };
    let details = reaction.get(atoms::COUNT_DETAILS).and_then(Value::as_map);
    let mut new_details = Vec::new();
    let mut members = vec![(atoms::COUNT, count)];
    if let Some(details) = details {
        edit::with(details, &[(kind, after(details, kind))], &mut new_details);
        members.push((atoms::COUNT_DETAILS, compose::stored(&new_details)));
    }
    if by_me {
        let me = if burst { atoms::ME_BURST } else { atoms::ME };
        members.push((me, Value::Bool(change > 0)));
    }
    let mut new = Vec::new();
    edit::with(reaction, &members, &mut new);
    Some(new)
}

/// The first reaction with an emoji.
fn first(data: Map<'_>, emoji: Map<'_>, burst: bool, by_me: bool) -> Vec<u8> {
    let mut new = Vec::new();
    let mut reaction = Writer::new(&mut new).map();
    reaction.entry(atoms::COUNT, 1_u64);
    let mut details = reaction.map(atoms::COUNT_DETAILS);
    details.entry(atoms::BURST, u64::from(burst));
    details.entry(atoms::NORMAL, u64::from(!burst));
    details.end();
    reaction.entry(atoms::ME, by_me && !burst);
    reaction.entry(atoms::ME_BURST, by_me && burst);
    reaction.entry(atoms::EMOJI, Value::Map(emoji));
    match data.get(atoms::BURST_COLORS) {
        Some(colors) => reaction.entry(atoms::BURST_COLORS, colors),
        None => reaction.list(atoms::BURST_COLORS).end(),
    }
    reaction.end();
    new
}

/// Replaces the reactions of the message the payload names; without any, the message has no
/// `reactions`, as Discord sends it.
fn rewrite(
    step: &mut Step<'_>,
    change: impl FnOnce(&mut dyn Iterator<Item = Map<'_>>, &mut Vec<Vec<u8>>),
) -> Result<(), StoreError> {
    let ids = (step.id(atoms::CHANNEL_ID), step.id(atoms::MESSAGE_ID));
    let (Some(channel), Some(id)) = ids else { return Ok(()) };
    let mut held = step.buffer();
    if let Some(message) = message::live(step, channel, id, &mut held)? {
        let held = compose::stored_map(&held);
        let mut reactions = Vec::new();
        change(&mut maps(held.get(atoms::REACTIONS)), &mut reactions);
        let mut new = step.buffer();
        if reactions.is_empty() {
            edit::without(held, &[atoms::REACTIONS], &mut new);
        } else {
            let mut list_bytes = step.buffer();
            let mut list = Writer::new(&mut list_bytes).list();
            for reaction in &reactions {
                list.push(compose::stored(reaction));
            }
            list.end();
            edit::with(held, &[(atoms::REACTIONS, compose::stored(&list_bytes))], &mut new);
            step.recycle(list_bytes);
        }
        message::put(step, message, &new);
        step.recycle(new);
    }
    step.recycle(held);
    Ok(())
}

fn bytes(reaction: Map<'_>) -> Vec<u8> {
    reaction.as_bytes().to_vec()
}
