//! Discord's rules, as a function of what stands in the state: no store, no clock.

use mixcord_event::{Document, Value, atoms, time};

use super::set::Permissions;

/// Discord's types of channels in which people speak.
const VOICE: u64 = 2;
const STAGE: u64 = 13;

/// What a member keeps of its permissions while it is timed out.
const IN_TIMEOUT: Permissions =
    either(&[Permissions::VIEW_CHANNEL, Permissions::READ_MESSAGE_HISTORY]);

/// Of no use to who may not write.
const WITH_MESSAGES: Permissions = either(&[
    Permissions::MENTION_EVERYONE,
    Permissions::SEND_TTS_MESSAGES,
    Permissions::ATTACH_FILES,
    Permissions::EMBED_LINKS,
]);

/// Of no use to who may not join a voice or stage channel.
const WITH_CONNECT: Permissions = either(&[
    Permissions::MANAGE_CHANNELS,
    Permissions::MANAGE_ROLES,
    Permissions::PRIORITY_SPEAKER,
    Permissions::STREAM,
    Permissions::SPEAK,
    Permissions::MUTE_MEMBERS,
    Permissions::DEAFEN_MEMBERS,
    Permissions::MOVE_MEMBERS,
    Permissions::USE_VAD,
    Permissions::REQUEST_TO_SPEAK,
    Permissions::USE_EMBEDDED_ACTIVITIES,
    Permissions::USE_SOUNDBOARD,
    Permissions::USE_EXTERNAL_SOUNDS,
    Permissions::SET_VOICE_CHANNEL_STATUS,
]);

const fn either(all: &[Permissions]) -> Permissions {
    let (mut bits, mut at) = (0, 0);
    while at < all.len() {
        bits |= all[at].bits();
        at += 1;
    }
    Permissions::from_bits(bits)
}

/// A member as the rules see it.
pub(super) struct Subject<'a> {
    pub(super) guild: u64,
    pub(super) user: u64,
    pub(super) is_owner: bool,
    /// The member's roles, without @everyone.
    pub(super) roles: &'a [u64],
    /// The permissions of @everyone and of each of those roles together.
    pub(super) of_roles: Permissions,
    /// Whether it is timed out.
    pub(super) timed_out: bool,
}

/// Until when a member is timed out, in microseconds since 1970, if it is.
pub(super) fn timed_out_until_us(member: &Document) -> Option<i64> {
    time::micros(member.get(atoms::COMMUNICATION_DISABLED_UNTIL)?.as_str()?)
}

impl Subject<'_> {
    /// What it may do in the guild, outside of any channel.
    pub(super) fn in_guild(&self) -> Permissions {
        if self.is_all_mighty() {
            return Permissions::ALL | self.of_roles;
        }
        if self.timed_out { self.of_roles & IN_TIMEOUT } else { self.of_roles }
    }

    /// What it may do in a channel; in a thread, whose overwrites are those of its `parent`.
    pub(super) fn in_channel(&self, channel: Value<'_>, parent: Option<Value<'_>>) -> Permissions {
        if self.is_all_mighty() {
            return Permissions::ALL | self.of_roles;
        }
        let mut held = self.overwritten(parent.unwrap_or(channel));
        if !held.contains(Permissions::VIEW_CHANNEL) {
            return Permissions::NONE;
        }
        let writing = match parent {
            Some(_) => Permissions::SEND_MESSAGES_IN_THREADS,
            None => Permissions::SEND_MESSAGES,
        };
        if !held.contains(writing) {
            held = held - WITH_MESSAGES;
        }
        let kind = parent.unwrap_or(channel).get(atoms::TYPE).and_then(Value::as_u64);
        if matches!(kind, Some(VOICE | STAGE)) && !held.contains(Permissions::CONNECT) {
            held = held - WITH_CONNECT;
        }
        if self.timed_out { held & IN_TIMEOUT } else { held }
    }

    fn is_all_mighty(&self) -> bool {
        self.is_owner || self.of_roles.contains(Permissions::ADMINISTRATOR)
    }

    /// First what the channel says of @everyone, then of all roles together, then of the member: each denies before
    /// it allows.
    fn overwritten(&self, channel: Value<'_>) -> Permissions {
        const ROLE: u64 = 0;
        let (mut everyone, mut roles, mut own) = Default::default();
        let list = channel.get(atoms::PERMISSION_OVERWRITES).and_then(Value::as_list);
        for overwrite in list.into_iter().flat_map(|list| list.iter()) {
            let Some(id) = overwrite.get(atoms::ID).and_then(Value::as_id) else { continue };
            let is_role = overwrite.get(atoms::TYPE).and_then(Value::as_u64) == Some(ROLE);
            let whose: &mut Overwrite = match is_role {
                true if id == self.guild => &mut everyone,
                true if self.roles.contains(&id) => &mut roles,
                false if id == self.user => &mut own,
                _ => continue,
            };
            whose.deny |= Permissions::of(overwrite.get(atoms::DENY));
            whose.allow |= Permissions::of(overwrite.get(atoms::ALLOW));
        }
        [everyone, roles, own]
            .iter()
            .fold(self.of_roles, |held, Overwrite { deny, allow }| (held - *deny) | *allow)
    }
}

#[derive(Default)]
struct Overwrite {
    deny: Permissions,
    allow: Permissions,
}
