//! Users.

use std::sync::{Arc, OnceLock};

use super::dice::Dice;
use super::text;
use crate::value::{Obj, Shared, Text, Val, obj};

/// A user of the lane. Its place in the lane's list is how members refer to it.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) id: u64,
    pub(crate) name: Text,
    pub(crate) global_name: Option<Text>,
    /// 0: no avatar. Otherwise the hash is made of it.
    pub(crate) avatar: u64,
    pub(crate) bot: bool,
    pub(crate) public_flags: u32,
    shared: OnceLock<Arc<Shared>>,
}

impl User {
    pub(crate) fn new(id: u64, dice: &mut Dice) -> Self {
        let mut user = Self {
            id,
            name: Text::Static(""),
            global_name: None,
            avatar: 0,
            bot: dice.once_in(25),
            public_flags: if dice.once_in(3) { 1 << dice.between(6, 9) } else { 0 },
            shared: OnceLock::new(),
        };
        user.rename(dice);
        user
    }

    /// The same user, for another lane.
    pub(crate) fn another(&self) -> Self {
        Self {
            id: self.id,
            name: self.name.clone(),
            global_name: self.global_name.clone(),
            avatar: self.avatar,
            bot: self.bot,
            public_flags: self.public_flags,
            shared: OnceLock::new(),
        }
    }

    /// Another name and avatar.
    pub(crate) fn rename(&mut self, dice: &mut Dice) {
        let name = dice.one(&text::NAMES);
        let ascii: String = name.chars().filter(char::is_ascii).collect();
        self.name = format!("{ascii}{}", dice.between(10, 9999)).into();
        self.global_name = (!self.bot && !dice.once_in(4)).then(|| name.into());
        self.avatar = if dice.once_in(5) { 0 } else { dice.next() | 1 };
        self.shared = OnceLock::new();
    }

    /// The user object, as other objects carry it.
    pub(crate) fn object(&self) -> Arc<Shared> {
        Arc::clone(self.shared.get_or_init(|| Shared::new(self.build())))
    }

    fn build(&self) -> Obj {
        let mut user = obj! {
            "avatar" => avatar(self.avatar),
            "avatar_decoration_data" => Val::Null,
            "clan" => Val::Null,
            "collectibles" => Val::Null,
            "discriminator" => if self.bot { "0420" } else { "0" },
            "display_name_styles" => Val::Null,
            "global_name" => self.global_name.clone(),
            "id" => Val::Id(self.id),
            "primary_guild" => Val::Null,
            "public_flags" => self.public_flags,
            "username" => self.name.clone(),
        };
        if self.bot {
            user.set("bot", true);
        }
        user
    }
}

fn avatar(seed: u64) -> Val {
    if seed == 0 {
        return Val::Null;
    }
    let mut dice = Dice::new(seed);
    let animated = if dice.once_in(6) { "a_" } else { "" };
    Val::from(format!("{animated}{}", dice.hex(32)))
}

/// The bot whose token clients present.
#[derive(Clone, Debug)]
pub(crate) struct Bot {
    pub(crate) id: u64,
    pub(crate) avatar: u64,
    /// What it says about itself; only the bot is told.
    pub(crate) bio: String,
}

impl Bot {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::derived(seed, 0xb07);
        let ms = super::clock::START_MS - 200 * 86_400_000 - dice.below(1_000_000) as u64;
        Self {
            id: super::clock::snowflake(ms, dice.next()),
            avatar: dice.next() | 1,
            bio: "A bot of a fake Discord.".to_owned(),
        }
    }

    /// The user as other objects carry it.
    pub(crate) fn object(&self) -> Obj {
        obj! {
            "avatar" => avatar(self.avatar),
            "avatar_decoration_data" => Val::Null,
            "bot" => true,
            "clan" => Val::Null,
            "collectibles" => Val::Null,
            "discriminator" => "4242",
            "global_name" => Val::Null,
            "id" => Val::Id(self.id),
            "primary_guild" => Val::Null,
            "public_flags" => 1 << 19,
            "username" => "mixcord-test",
        }
    }

    /// The user as the bot itself sees it: READY, USER_UPDATE, `/users/@me`.
    pub(crate) fn own_object(&self) -> Obj {
        let mut user = self.object();
        user.set("accent_color", Val::Null)
            .set("banner", Val::Null)
            .set("bio", self.bio.clone())
            .set("email", Val::Null)
            .set("flags", 1 << 19)
            .set("locale", "en-US")
            .set("mfa_enabled", true)
            .set("verified", true);
        user
    }
}
