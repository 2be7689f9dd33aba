//! Guilds: what they hold, how they begin, and the objects that show them whole.

use std::collections::{HashMap, VecDeque};

use super::clock::timestamp;
use super::intents::Intents;
use super::lane::Lane;
use super::member::Member;
use super::reaction::Mark;
use super::text;
use super::{channel, expression, role};
use crate::value::{Obj, Val, obj};

/// One guild and everything in it. Lists of objects keep the order Discord would show.
#[derive(Debug, Default)]
pub(crate) struct Guild {
    pub(crate) id: u64,
    /// The guild's own fields, without roles, emojis and stickers.
    pub(crate) fields: Obj,
    pub(crate) joined_ms: u64,
    pub(crate) unavailable: bool,
    pub(crate) roles: Vec<Obj>,
    pub(crate) emojis: Vec<Obj>,
    pub(crate) stickers: Vec<Obj>,
    pub(crate) channels: Vec<Obj>,
    /// Channels the bot may not see (G-49): nothing that happens in them is told.
    pub(crate) hidden: Vec<Obj>,
    pub(crate) threads: Vec<Thread>,
    pub(crate) members: Vec<Member>,
    /// Place in `members` of each user id.
    pub(crate) member_at: HashMap<u64, usize>,
    pub(crate) voice_states: Vec<Obj>,
    pub(crate) stages: Vec<Obj>,
    pub(crate) scheduled: Vec<Obj>,
    pub(crate) sounds: Vec<Obj>,
    pub(crate) integrations: Vec<Obj>,
    pub(crate) rules: Vec<Obj>,
    pub(crate) invites: Vec<Obj>,
    pub(crate) bans: Vec<u32>,
    /// Scheduled event and user, for everybody who is interested.
    pub(crate) interested: Vec<(u64, u64)>,
    /// Reactions and votes on the messages below.
    pub(crate) marks: Vec<Mark>,
    /// The newest messages of all its channels, oldest first.
    pub(crate) messages: VecDeque<Obj>,
}

/// A thread, and who is in it.
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) fields: Obj,
    pub(crate) members: Vec<u64>,
    /// Messages written in it: the thread's own fields tell them with the next update.
    pub(crate) messages: u32,
}

impl Guild {
    pub(crate) fn member(&self, user_id: u64) -> Option<&Member> {
        self.member_at.get(&user_id).and_then(|at| self.members.get(*at))
    }

    pub(crate) fn add_member(&mut self, member: Member) {
        self.member_at.insert(member.user_id, self.members.len());
        self.members.push(member);
    }

    pub(crate) fn remove_member(&mut self, at: usize) -> Member {
        let member = self.members.swap_remove(at);
        self.member_at.remove(&member.user_id);
        if let Some(moved) = self.members.get(at) {
            self.member_at.insert(moved.user_id, at);
        }
        member
    }

    pub(crate) fn channels_of(&self, types: &[i64]) -> Vec<usize> {
        (0..self.channels.len())
            .filter(|&at| types.contains(&self.channels[at].int("type")))
            .collect()
    }

    /// A channel or a thread.
    pub(crate) fn channel(&self, id: u64) -> Option<&Obj> {
        let threads = self.threads.iter().map(|thread| &thread.fields);
        self.channels.iter().chain(threads).find(|channel| channel.id("id") == id)
    }

    pub(crate) fn message_at(&self, id: u64) -> Option<usize> {
        self.messages.iter().position(|message| message.id("id") == id)
    }

    /// Forgets the message at this place, and the reactions and votes on it.
    pub(crate) fn remove_message(&mut self, at: usize) -> Option<Obj> {
        let message = self.messages.remove(at)?;
        let id = message.id("id");
        self.marks.retain(|mark| mark.message != id);
        Some(message)
    }

    /// Forgets messages, and the reactions and votes on them.
    pub(crate) fn retain_messages(&mut self, stays: impl Fn(&Obj) -> bool) {
        let Self { messages, marks, .. } = self;
        messages.retain(|message| {
            let stays = stays(message);
            if !stays {
                let id = message.id("id");
                marks.retain(|mark| mark.message != id);
            }
            stays
        });
    }

    pub(crate) fn owner_id(&self) -> u64 {
        self.fields.id("owner_id")
    }

    /// The guild object: its own fields with its roles, emojis and stickers (GUILD_UPDATE).
    pub(crate) fn object(&self) -> Obj {
        let mut guild = self.fields.clone();
        guild
            .set("emojis", self.emojis.clone())
            .set("roles", self.roles.clone())
            .set("stickers", self.stickers.clone());
        guild
    }

    /// What GUILD_CREATE carries for a session (G-44). `again`: the guild was known to be
    /// unavailable (G-42), as opposed to just joined.
    pub(crate) fn create(&self, lane: &Lane, viewer: Viewer, again: bool) -> Obj {
        let whole = viewer.intents.has(Intents::GUILD_PRESENCES) && self.members.len() <= 75_000;
        let large = self.members.len() > viewer.large_threshold;
        let in_voice = |id| self.voice_states.iter().any(|state| state.id("user_id") == id);
        let shown = |member: &&Member| {
            member.user.is_none()
                || in_voice(member.user_id)
                || (whole
                    && (!large
                        || member.presence.is_some()
                        || member.nick.is_some()
                        || !member.roles.is_empty()))
        };
        let members: Vec<Val> = self
            .members
            .iter()
            .filter(shown)
            .map(|member| Val::Obj(lane.member_object(member)))
            .collect();
        let presences: Vec<Val> = self
            .members
            .iter()
            .filter(|_| whole)
            .filter_map(|member| Some(member.presence.as_ref()?.object(member.user_id).into()))
            .collect();
        let voice_states: Vec<Val> = self
            .voice_states
            .iter()
            .filter(|_| viewer.intents.has(Intents::GUILD_VOICE_STATES))
            .map(|state| state.without(&["guild_id", "member"]).into())
            .collect();
        let threads: Vec<Val> =
            self.threads.iter().map(|thread| thread.fields.clone().into()).collect();
        let hidden = self.hidden.iter().map(|channel| {
            if viewer.obfuscated { channel::obfuscated(channel) } else { channel.clone() }
        });
        let channels: Vec<Obj> = self.channels.iter().cloned().chain(hidden).collect();
        let mut guild = self.object();
        guild
            .set("channels", channels)
            .set("guild_scheduled_events", self.scheduled.clone())
            .set("joined_at", timestamp(self.joined_ms))
            .set("large", large)
            .set("member_count", self.members.len())
            .set("members", members)
            .set("presences", presences)
            .set("soundboard_sounds", self.sounds.clone())
            .set("stage_instances", self.stages.clone())
            .set("threads", threads)
            .set("voice_states", voice_states);
        if again {
            guild.set("unavailable", false);
        }
        guild
    }
}

/// What decides how much of a guild a session sees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Viewer {
    pub(crate) intents: Intents,
    pub(crate) large_threshold: usize,
    /// Channels the bot may not see are shown without what they are about (G-49).
    pub(crate) obfuscated: bool,
}

/// A guild as it is when the world begins.
pub(crate) fn begin(lane: &mut Lane, id: u64, members: usize) -> Guild {
    let created_ms = (id >> 22) + super::clock::EPOCH_MS;
    let mut guild = Guild { id, joined_ms: created_ms + 86_400_000, ..Guild::default() };
    role::begin(lane, &mut guild);
    channel::begin(lane, &mut guild);
    expression::begin(lane, &mut guild);
    begin_members(lane, &mut guild, members);
    let owner = guild.members.get(1).map_or(lane.bot_id, |member| member.user_id);
    let text_channel = guild.channels.iter().find(|channel| channel.int("type") == 0);
    let system_channel = text_channel.map(|channel| channel.id("id"));
    let dice = &mut lane.dice;
    guild.fields = obj! {
        "afk_channel_id" => Val::Null,
        "afk_timeout" => 300,
        "application_id" => Val::Null,
        "banner" => Val::Null,
        "default_message_notifications" => dice.between(0, 1),
        "description" => dice.once_in(2).then(|| text::sentence(dice, 12)),
        "discovery_splash" => Val::Null,
        "explicit_content_filter" => dice.between(0, 2),
        "features" => vec!["COMMUNITY", "NEWS", "SOUNDBOARD"],
        "home_header" => Val::Null,
        "hub_type" => Val::Null,
        "icon" => dice.hex(32),
        "id" => Val::Id(id),
        "incidents_data" => Val::Null,
        "inventory_settings" => Val::Null,
        "latest_onboarding_question_id" => Val::Null,
        "max_members" => 500_000,
        "max_presences" => Val::Null,
        "max_stage_video_channel_users" => 50,
        "max_video_channel_users" => 25,
        "mfa_level" => dice.between(0, 1),
        "name" => text::title(dice),
        "nsfw" => false,
        "nsfw_level" => 0,
        "owner_id" => Val::Id(owner),
        "preferred_locale" => dice.one(&["en-US", "es-ES", "ja", "de"]),
        "premium_progress_bar_enabled" => dice.once_in(2),
        "premium_subscription_count" => dice.between(0, 30),
        "premium_tier" => dice.between(0, 3),
        "public_updates_channel_id" => Val::id_or_null(system_channel),
        "region" => "deprecated",
        "rules_channel_id" => Val::id_or_null(system_channel),
        "safety_alerts_channel_id" => Val::Null,
        "splash" => Val::Null,
        "system_channel_flags" => 14,
        "system_channel_id" => Val::id_or_null(system_channel),
        "vanity_url_code" => Val::Null,
        "verification_level" => dice.between(0, 4),
        "version" => (created_ms % 1_000_000) as i64,
    };
    guild
}

fn begin_members(lane: &mut Lane, guild: &mut Guild, count: usize) {
    let bot_role = guild.roles.iter().find(|role| role.get("tags").is_some());
    let mut bot = Member::new(None, lane.bot_id, guild.joined_ms);
    bot.roles.extend(bot_role.map(|role| role.id("id")));
    guild.add_member(bot);
    while guild.members.len() < count.max(2) {
        let at = lane.some_user();
        let user_id = lane.users[at].id;
        if guild.member_at.contains_key(&user_id) {
            continue;
        }
        let joined_ms = guild.joined_ms + lane.dice.below(10_000_000_000) as u64;
        let mut member = Member::new(Some(at as u32), user_id, joined_ms);
        super::people::dress(lane, guild, &mut member);
        guild.add_member(member);
    }
}
