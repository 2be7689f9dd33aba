//! A lane: the part of the world that one shard sees. Lanes do not know each other, so the events
//! of each follow from the seed alone, however the others are read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::clock::{Clock, START_MS, snowflake};
use super::dice::Dice;
use super::direct::Direct;
use super::event::Event;
use super::guild::{self, Guild};
use super::interaction::Asked;
use super::member::{Member, user_of};
use super::mix::{Mix, Step};
use super::user::{Bot, User};
use super::voice;
use crate::value::Obj;

/// What the world is made of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) lanes: usize,
    pub(crate) guilds: usize,
    pub(crate) members: usize,
    pub(crate) mix: Mix,
}

/// One shard's part of the world.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) index: usize,
    pub(crate) dice: Dice,
    pub(crate) clock: Clock,
    /// The bot as it sees itself, shared by all lanes.
    pub(crate) bot: Arc<Mutex<Bot>>,
    pub(crate) bot_id: u64,
    pub(crate) bot_object: Obj,
    pub(crate) users: Vec<User>,
    pub(crate) guilds: Vec<Guild>,
    pub(crate) members_per_guild: usize,
    /// Lanes in the world.
    pub(crate) lanes: usize,
    /// Guilds the lane began with.
    pub(crate) guilds_planned: usize,
    pub(crate) direct: Direct,
    /// The newest interactions, which the bot may answer.
    pub(crate) interactions: VecDeque<Asked>,
    pub(crate) mix: Mix,
    events: Vec<Event>,
    /// Events there have been.
    emitted: u64,
}

impl Lane {
    pub(crate) fn new(plan: &Plan, index: usize, shared: &Arc<Mutex<Bot>>) -> Self {
        let bot = Bot::new(plan.seed);
        let mut lane = Self {
            index,
            dice: Dice::derived(plan.seed, 1 + index as u64),
            clock: Clock::new(index),
            bot_id: bot.id,
            bot_object: bot.object(),
            bot: Arc::clone(shared),
            lanes: plan.lanes,
            guilds_planned: 0,
            direct: Direct::default(),
            interactions: VecDeque::new(),
            users: Vec::new(),
            guilds: Vec::new(),
            members_per_guild: plan.members.max(2),
            mix: plan.mix.clone(),
            events: Vec::new(),
            emitted: 0,
        };
        // Guild i is of shard i % lanes, so that every shard has its share.
        let guilds = (plan.guilds + plan.lanes - 1 - index) / plan.lanes;
        lane.guilds_planned = guilds;
        // Users are in more than one guild, and some are in none yet.
        let users = (guilds * lane.members_per_guild * 3 / 4).max(lane.members_per_guild * 2) + 20;
        for _ in 0..users {
            let id = lane.old_id();
            let user = User::new(id, &mut lane.dice);
            lane.users.push(user);
        }
        for _ in 0..guilds {
            let id = lane.guild_id(plan.lanes);
            let members = lane.members_per_guild;
            let guild = guild::begin(&mut lane, id, members);
            lane.guilds.push(guild);
        }
        lane.events.clear();
        lane
    }

    /// One thing happens. The events that tell it are appended to `out`: at least one, unless
    /// nothing of the mix can happen in this lane, such as messages without a guild.
    pub(crate) fn step(&mut self, out: &mut Vec<Event>) {
        for _ in 0..10_000 {
            self.clock.advance_ms(1 + self.dice.below(40) as u64);
            let step = self.mix.roll(&mut self.dice);
            self.act(step);
            if !self.events.is_empty() {
                break;
            }
        }
        out.append(&mut self.events);
    }

    fn act(&mut self, step: Step) {
        match step {
            Step::Guild(act) => {
                let Some(at) = self.available_guild() else { return };
                let mut guild = std::mem::take(&mut self.guilds[at]);
                act(self, &mut guild);
                self.guilds[at] = guild;
            }
            Step::Lane(act) => act(self),
        }
    }

    pub(crate) fn available_guild(&mut self) -> Option<usize> {
        let count = self.guilds.len();
        let start = self.dice.below(count);
        (0..count).map(|at| (start + at) % count).find(|at| !self.guilds[*at].unavailable)
    }

    pub(crate) fn emit(&mut self, mut event: Event) {
        self.emitted += 1;
        event.number = self.emitted;
        self.events.push(event);
    }

    /// The last event happens so many times more.
    pub(crate) fn repeat(&mut self, times: usize) {
        if let Some(last) = self.events.last().cloned() {
            (0..times).for_each(|_| self.emit(last.clone()));
        }
    }

    /// Runs `act` on every guild but the one whose turn it is (that one is out of the list).
    pub(crate) fn with_other_guilds(&mut self, act: impl Fn(&mut Self, &mut Guild)) {
        let mut guilds = std::mem::take(&mut self.guilds);
        for guild in guilds.iter_mut().filter(|guild| guild.id != 0) {
            act(self, guild);
        }
        self.guilds = guilds;
    }

    /// Runs `act` on the guild of that id, as if it were its turn; None when there is none.
    pub(crate) fn with_guild<T>(
        &mut self,
        id: u64,
        act: impl FnOnce(&mut Self, &mut Guild) -> T,
    ) -> Option<T> {
        let at = self.guilds.iter().position(|guild| guild.id == id)?;
        let mut guild = std::mem::take(&mut self.guilds[at]);
        let answer = act(self, &mut guild);
        self.guilds[at] = guild;
        Some(answer)
    }

    /// A session is over: the bot leaves the voice channels that it is in by it.
    pub(crate) fn end_voice(&mut self, session: &str) {
        let ids: Vec<u64> = self.guilds.iter().map(|guild| guild.id).collect();
        for id in ids {
            self.with_guild(id, |lane, guild| voice::session_ends(lane, guild, session));
        }
    }

    /// The place of the available guild with that channel or thread.
    pub(crate) fn channel_guild(&self, channel: u64) -> Option<usize> {
        self.guilds.iter().position(|guild| !guild.unavailable && guild.channel(channel).is_some())
    }

    /// Whether it is a channel the bot may not see (G-49).
    pub(crate) fn is_hidden(&self, channel: u64) -> bool {
        self.guilds.iter().any(|guild| guild.hidden.iter().any(|held| held.id("id") == channel))
    }

    pub(crate) fn is_direct(&self, channel: u64) -> bool {
        self.direct.channels.iter().any(|held| held.0 == channel)
    }

    /// A member with its user.
    pub(crate) fn member_object(&self, member: &Member) -> Obj {
        member.object(user_of(member, &self.users, &self.bot_object))
    }

    /// Whether the member's name or nickname begins with `query`, which is in lower case.
    pub(crate) fn is_named(&self, member: &Member, query: &str) -> bool {
        let begins = |name: &str| name.to_lowercase().starts_with(query);
        member.nick.as_ref().is_some_and(|nick| begins(nick.as_str()))
            || member.user.is_some_and(|user| begins(self.users[user as usize].name.as_str()))
    }

    pub(crate) fn some_user(&mut self) -> usize {
        self.dice.below(self.users.len())
    }

    /// An id made in the years before the world begins.
    fn old_id(&mut self) -> u64 {
        let ms = START_MS - self.dice.below(200_000_000_000) as u64;
        self.clock.id_at(ms)
    }

    /// An id made between that moment and the world's beginning.
    pub(crate) fn id_since(&mut self, ms: u64) -> u64 {
        let span = START_MS.saturating_sub(ms).max(1);
        let at = ms.min(START_MS - 1) + self.dice.below(span as usize) as u64;
        self.clock.id_at(at)
    }

    /// A guild id that `(id >> 22) % lanes` sends to this lane.
    pub(crate) fn guild_id(&mut self, lanes: usize) -> u64 {
        let lanes = lanes as u64;
        let id = self.old_id();
        let ms = id >> 22;
        let ms = ms - ms % lanes + self.index as u64;
        snowflake(ms + super::clock::EPOCH_MS, id)
    }

    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}
