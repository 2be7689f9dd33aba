//! Members and their presences.

use std::sync::{Arc, OnceLock};

use super::clock::timestamp;
use super::dice::Dice;
use super::text;
use super::user::User;
use crate::value::{Obj, Shared, Text, Val, obj};

/// A member of one guild.
#[derive(Debug)]
pub(crate) struct Member {
    /// Place in the lane's list of users; None is the bot itself.
    pub(crate) user: Option<u32>,
    pub(crate) user_id: u64,
    pub(crate) nick: Option<Text>,
    pub(crate) roles: Vec<u64>,
    pub(crate) joined_ms: u64,
    pub(crate) premium_since_ms: Option<u64>,
    pub(crate) timeout_until_ms: Option<u64>,
    pub(crate) deaf: bool,
    pub(crate) mute: bool,
    pub(crate) pending: bool,
    pub(crate) flags: u32,
    pub(crate) presence: Option<Box<Presence>>,
    /// Without the user: what messages carry. Forgotten on every change.
    partial: OnceLock<Arc<Shared>>,
}

impl Member {
    pub(crate) fn new(user: Option<u32>, user_id: u64, joined_ms: u64) -> Self {
        Self {
            user,
            user_id,
            nick: None,
            roles: Vec::new(),
            joined_ms,
            premium_since_ms: None,
            timeout_until_ms: None,
            deaf: false,
            mute: false,
            pending: false,
            flags: 0,
            presence: None,
            partial: OnceLock::new(),
        }
    }

    /// To be called after every change of a field the member object shows.
    pub(crate) fn changed(&mut self) {
        self.partial = OnceLock::new();
    }

    /// The member without its user, as messages and interactions carry it.
    pub(crate) fn partial(&self) -> Arc<Shared> {
        Arc::clone(self.partial.get_or_init(|| Shared::new(self.build())))
    }

    /// The member with its user.
    pub(crate) fn object(&self, user: Arc<Shared>) -> Obj {
        // Most members are shown once, in GUILD_CREATE: their objects are not kept for that.
        let mut member = match self.partial.get() {
            Some(partial) => partial.object().clone(),
            None => self.build(),
        };
        member.set("user", user);
        member
    }

    fn build(&self) -> Obj {
        obj! {
            "avatar" => Val::Null,
            "banner" => Val::Null,
            "communication_disabled_until" => self.timeout_until_ms.map(timestamp),
            "deaf" => self.deaf,
            "flags" => self.flags,
            "joined_at" => timestamp(self.joined_ms),
            "mute" => self.mute,
            "nick" => self.nick.clone(),
            "pending" => self.pending,
            "premium_since" => self.premium_since_ms.map(timestamp),
            "roles" => Val::ids(&self.roles),
        }
    }
}

/// What a member does right now. Offline members have none.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Presence {
    pub(crate) status: &'static str,
    pub(crate) platform: &'static str,
    pub(crate) activities: Vec<Val>,
}

impl Presence {
    pub(crate) fn roll(dice: &mut Dice, now_ms: u64) -> Self {
        let activities = match dice.below(10) {
            0..=4 => Vec::new(),
            5..=7 => vec![activity(dice, now_ms)],
            _ => vec![custom(dice, now_ms), activity(dice, now_ms)],
        };
        Self {
            status: dice.one(&["online", "online", "idle", "dnd"]),
            platform: dice.one(&["desktop", "desktop", "mobile", "web"]),
            activities,
        }
    }

    /// The presence object, without its guild.
    pub(crate) fn object(&self, user_id: u64) -> Obj {
        let mut client = Obj::new();
        client.set(self.platform, self.status);
        obj! {
            "activities" => self.activities.clone(),
            "client_status" => client,
            "status" => self.status,
            "user" => obj! { "id" => Val::Id(user_id) },
        }
    }
}

/// The presence of a member that has just gone offline.
pub(crate) fn offline(user_id: u64) -> Obj {
    obj! {
        "activities" => Val::List(Vec::new()),
        "client_status" => Obj::new(),
        "status" => "offline",
        "user" => obj! { "id" => Val::Id(user_id) },
    }
}

fn custom(dice: &mut Dice, now_ms: u64) -> Val {
    let words = 1 + dice.below(6);
    Val::Obj(obj! {
        "created_at" => now_ms as i64,
        "emoji" => obj! { "name" => dice.one(&text::UNICODE_EMOJI) },
        "id" => "custom",
        "name" => "Custom Status",
        "state" => text::sentence(dice, words),
        "type" => 4,
    })
}

fn activity(dice: &mut Dice, now_ms: u64) -> Val {
    let start = (now_ms - dice.below(3_600_000) as u64) as i64;
    if dice.once_in(2) {
        return Val::Obj(obj! {
            "application_id" => Val::Id(356_875_221_078_245_376 + dice.below(1000) as u64),
            "assets" => obj! {
                "large_image" => dice.hex(19),
                "large_text" => text::title(dice),
            },
            "created_at" => now_ms as i64,
            "details" => text::title(dice),
            "id" => dice.hex(16),
            "name" => dice.one(&["Factorio", "Overwatch 2", "Minecraft", "Visual Studio Code"]),
            "state" => text::title(dice),
            "timestamps" => obj! { "start" => start },
            "type" => 0,
        });
    }
    Val::Obj(obj! {
        "assets" => obj! {
            "large_image" => format!("spotify:{}", dice.hex(40)),
            "large_text" => text::title(dice),
        },
        "created_at" => now_ms as i64,
        "details" => text::title(dice),
        "flags" => 48,
        "id" => "spotify:1",
        "name" => "Spotify",
        "party" => obj! { "id" => "spotify:186487418437", "size" => vec![1, 5] },
        "session_id" => dice.hex(32),
        "state" => text::title(dice),
        "sync_id" => dice.hex(22),
        "timestamps" => obj! { "end" => start + 210_000, "start" => start },
        "type" => 2,
    })
}

/// The fields a GUILD_MEMBER_UPDATE, GUILD_MEMBER_ADD or a list of members shows.
pub(crate) fn user_of(member: &Member, users: &[User], bot: &Obj) -> Arc<Shared> {
    match member.user.and_then(|at| users.get(at as usize)) {
        Some(user) => user.object(),
        None => Shared::new(bot.clone()),
    }
}
