//! Members and their users: who is cached, who is counted, and who left a moment ago.

use mixcord_event::{Atom, Map, Value, atoms, edit};
use mixcord_state::tables::{DEPARTED, MEMBERS, PRESENCES, UNCOUNTED, USERS, VOICE_STATES};
use mixcord_state::{GuildFacts, Key, Resource, StoreError, Tally, compose};

use super::document::{id_in, maps};
use super::world::World;
use crate::store::Subject;

/// An entity before and after.
pub(super) struct Change {
    pub(super) old: Vec<u8>,
    pub(super) new: Vec<u8>,
}

/// What a member or user inside another event changed.
#[derive(Default)]
pub(super) struct Refreshed {
    /// The member, with its user.
    pub(super) member: Option<Change>,
    pub(super) user: Option<Change>,
}

/// Whether a member that is not cached is inserted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Insert {
    Never,
    /// Unless it left a moment ago, for the event may be late; and it may be early: it is not counted.
    UnlessGone,
    Always,
}

/// What [`World::put_member`] did.
#[derive(Default)]
pub(super) struct MemberPut {
    /// The member was not counted before and is now.
    pub(super) counts: bool,
    /// The user changed.
    pub(super) user: Option<Change>,
}

/// Members of a member that are kept elsewhere or belong to the event that carried it.
const NOT_OF_MEMBER: [Atom; 4] =
    [atoms::GUILD_ID, atoms::PRESENCE, atoms::PERMISSIONS, atoms::USER];

/// How long it is remembered that somebody left, in microseconds, and of how many in a guild.
const DEPARTED_US: u64 = 60_000_000;
const DEPARTED_MAX: usize = 256;

/// The users of a list of members.
pub(super) fn users<'a>(data: Map<'a>) -> impl Iterator<Item = u64> + use<'a> {
    let members = maps(data.get(atoms::MEMBERS));
    members.filter_map(|member| id_in(member.get(atoms::USER)?.as_map()?, atoms::ID))
}

fn left_at(left: &[u8]) -> u64 {
    left.first_chunk().map_or(0, |at| u64::from_le_bytes(*at))
}

impl World<'_> {
    /// Merges a user over the cached one; inserts it only with `holders` > 0, which is added to
    /// the number of guilds that hold it. Says what changed, if the user was cached and did.
    pub(super) fn put_user(
        &mut self,
        user: Map<'_>,
        holders: u32,
    ) -> Result<Option<Change>, StoreError> {
        let Some(id) = id_in(user, atoms::ID) else { return Ok(None) };
        if !self.settings.caches(Resource::Users) {
            return Ok(None);
        }
        // A presence mostly names its user and says no more.
        if holders == 0 && user.iter().nth(1).is_none() {
            return Ok(None);
        }
        let (key, subject) = (USERS.at(id), Subject::User(id));
        if holders == 0 && self.store.knows(subject, user, &[]) {
            return Ok(None);
        }
        let Some(tally) = compose::user_tally(&*self.store, id)? else {
            if holders > 0 {
                let mut own = Vec::new();
                edit::without(user, &[], &mut own);
                self.store.put(key, &[&holders.to_le_bytes(), &own]);
            } else {
                self.store.note(subject, user, &[]);
            }
            return Ok(None);
        };
        let count = tally.holders.saturating_add(holders).to_le_bytes();
        let held = compose::stored_map(tally.document);
        if edit::merge_changes(held, user) {
            let mut new = Vec::new();
            edit::merge(held, user, &mut new);
            let old = tally.document.to_vec();
            self.store.put(key, &[&count, &new]);
            self.store.note(subject, user, &[]);
            return Ok(Some(Change { old, new }));
        }
        if holders > 0 {
            let document = tally.document.to_vec();
            self.store.put(key, &[&count, &document]);
        }
        self.store.note(subject, user, &[]);
        Ok(None)
    }

    /// A guild lets go of a user; the last one erases it.
    pub(super) fn release_user(&mut self, id: u64) -> Result<(), StoreError> {
        let Some(tally) = compose::user_tally(&*self.store, id)? else { return Ok(()) };
        if tally.holders <= 1 {
            self.store.delete(USERS.at(id));
            return Ok(());
        }
        let (count, document) = (tally.holders - 1, tally.document.to_vec());
        self.store.put(USERS.at(id), &[&count.to_le_bytes(), &document]);
        Ok(())
    }

    /// Merges a member over the cached one, and its user. `facts` are the guild's, and are written by
    /// the caller if they changed.
    pub(super) fn put_member(
        &mut self,
        guild: u64,
        facts: &mut GuildFacts,
        member: Map<'_>,
        user: Map<'_>,
        insert: Insert,
    ) -> Result<MemberPut, StoreError> {
        let mut put = MemberPut::default();
        let Some(user_id) = id_in(user, atoms::ID) else { return Ok(put) };
        let key = MEMBERS.at(guild, user_id);
        let mut holders = 0;
        if self.settings.caches(Resource::Members) {
            if self.merge_member(key, member, user)? {
                put.counts = insert == Insert::Always && self.was_uncounted(key)?;
            } else if match insert {
                Insert::Never => false,
                Insert::UnlessGone => !self.has_departed(guild, user_id)?,
                Insert::Always => true,
            } {
                self.insert_member(key, member, user);
                holders = 1;
                put.counts = insert == Insert::Always;
                if !put.counts {
                    self.store.put(UNCOUNTED.at(guild, user_id), &[]);
                }
            }
        }
        facts.members_cached += u64::from(put.counts);
        put.user = self.put_user(user, holders)?;
        Ok(put)
    }

    /// The same for a member inside another event (R9).
    pub(super) fn refresh_member(
        &mut self,
        guild: u64,
        member: Map<'_>,
        user: Map<'_>,
    ) -> Result<Refreshed, StoreError> {
        let Some(user_id) = id_in(user, atoms::ID) else { return Ok(Refreshed::default()) };
        let (key, subject) = (MEMBERS.at(guild, user_id), Subject::Member { guild, user: user_id });
        // Where users are not kept apart they are inside members, and no note speaks of them.
        let apart = self.settings.caches(Resource::Users);
        if apart && self.store.knows(subject, member, &NOT_OF_MEMBER) {
            return self.refresh_user_of(key, user, None);
        }
        let cached = self.store.get(key)?;
        let Some(held) = cached.filter(|_| self.settings.caches(Resource::Members)) else {
            return self.meet_member(key, member, user);
        };
        let held = compose::stored_map(held);
        let changes = if apart {
            edit::merge_changes_except(held, member, &NOT_OF_MEMBER)
        } else {
            let mut own = Vec::new();
            self.own_member(member, user, &mut own);
            edit::merge_changes(held, compose::stored_map(&own))
        };
        let mut old = None;
        if changes && !self.member_events {
            let mut before = Vec::new();
            compose::member(&*self.store, guild, user_id, &mut before)?;
            old = Some(before);
            self.merge_member(key, member, user)?;
        }
        if apart && (old.is_some() || !changes) {
            // What is merged now changes nothing when it comes again.
            self.store.note(subject, member, &NOT_OF_MEMBER);
        }
        self.refresh_user_of(key, user, old)
    }

    /// A user inside another event.
    pub(super) fn refresh_user(&mut self, user: Map<'_>) -> Result<Option<Change>, StoreError> {
        // Whoever is cached is a member somewhere, whose own event tells it, with its `old`.
        if self.member_events { Ok(None) } else { self.put_user(user, 0) }
    }

    /// Refreshes the user of a member, which before was `old` if it changed itself.
    fn refresh_user_of(
        &mut self,
        key: Key,
        user: Map<'_>,
        old: Option<Vec<u8>>,
    ) -> Result<Refreshed, StoreError> {
        let user = self.refresh_user(user)?;
        if old.is_none() && user.is_none() {
            return Ok(Refreshed::default());
        }
        let mut new = Vec::new();
        if !compose::member(&*self.store, key.owner(), key.id(), &mut new)? {
            return Ok(Refreshed { member: None, user });
        }
        let old = match (old, &user) {
            (Some(old), _) => old,
            (None, Some(user)) => {
                let mut old = Vec::new();
                let before = (atoms::USER, compose::stored(&user.old));
                edit::with(compose::stored_map(&new), &[before], &mut old);
                old
            }
            (None, None) => Vec::new(),
        };
        Ok(Refreshed { member: Some(Change { old, new }), user })
    }

    /// A member of whom only another event told so far: the count has it once its GUILD_MEMBER_ADD comes.
    fn meet_member(
        &mut self,
        key: Key,
        member: Map<'_>,
        user: Map<'_>,
    ) -> Result<Refreshed, StoreError> {
        let (guild, user_id) = (key.owner(), key.id());
        let meets = self.settings.caches(Resource::Members)
            && self.created_guild(guild)?.is_some()
            && !self.has_departed(guild, user_id)?;
        if !meets {
            return Ok(Refreshed { member: None, user: self.refresh_user(user)? });
        }
        self.insert_member(key, member, user);
        self.store.put(UNCOUNTED.at(guild, user_id), &[]);
        let tally = compose::user_tally(&*self.store, user_id)?;
        let user = match tally.filter(|_| self.member_events) {
            Some(Tally { holders, document }) => {
                let (count, document) = ((holders + 1).to_le_bytes(), document.to_vec());
                self.store.put(USERS.at(user_id), &[&count, &document]);
                None
            }
            None => self.put_user(user, 1)?,
        };
        Ok(Refreshed { member: None, user })
    }

    fn insert_member(&mut self, key: Key, member: Map<'_>, user: Map<'_>) {
        let mut own = Vec::new();
        self.own_member(member, user, &mut own);
        self.store.put(key, &[&own]);
    }

    /// Whether a member was not counted; now it is.
    fn was_uncounted(&mut self, member: Key) -> Result<bool, StoreError> {
        let mark = UNCOUNTED.at(member.owner(), member.id());
        let was = self.store.get(mark)?.is_some();
        if was {
            self.store.delete(mark);
        }
        Ok(was)
    }

    /// Merges a member over the cached one; false if none is cached.
    fn merge_member(
        &mut self,
        key: Key,
        member: Map<'_>,
        user: Map<'_>,
    ) -> Result<bool, StoreError> {
        let Some(held) = self.store.get(key)? else { return Ok(false) };
        let held = compose::stored_map(held);
        let mut own = Vec::new();
        self.own_member(member, user, &mut own);
        let own = compose::stored_map(&own);
        if edit::merge_changes(held, own) {
            let mut merged = Vec::new();
            edit::merge(held, own, &mut merged);
            self.store.put(key, &[&merged]);
        }
        Ok(true)
    }

    /// What is kept under a member: its own fields, and its user where users are not kept apart.
    fn own_member(&self, member: Map<'_>, user: Map<'_>, out: &mut Vec<u8>) {
        if self.settings.caches(Resource::Users) {
            return edit::without(member, &NOT_OF_MEMBER, out);
        }
        let mut bare = Vec::new();
        edit::without(member, &NOT_OF_MEMBER[..3], &mut bare);
        edit::with(compose::stored_map(&bare), &[(atoms::USER, Value::Map(user))], out);
    }

    /// Whether somebody left the guild a moment ago: what still comes about them is late (G-46).
    pub(super) fn has_departed(&self, guild: u64, user: u64) -> Result<bool, StoreError> {
        let left = self.store.get(DEPARTED.at(guild, user))?;
        Ok(left.is_some_and(|left| self.is_recent(left_at(left))))
    }

    fn is_recent(&self, left_us: u64) -> bool {
        left_us.saturating_add(DEPARTED_US) >= self.now_us
    }

    /// Remembers for a while that somebody left; of too many, whoever left first is forgotten.
    pub(super) fn put_departed(&mut self, guild: u64, user: u64) -> Result<(), StoreError> {
        let mut known = Vec::new();
        self.store.scan(DEPARTED.of(guild), &mut |key, left| {
            known.push((left_at(left), key));
            true
        })?;
        known.sort_unstable();
        let old = known.partition_point(|&(left, _)| !self.is_recent(left));
        let spare = (known.len() + 1).saturating_sub(DEPARTED_MAX);
        for &(_, key) in &known[..spare.max(old)] {
            self.store.delete(key);
        }
        self.store.put(DEPARTED.at(guild, user), &[&self.now_us.to_le_bytes()]);
        Ok(())
    }

    /// These members are back, if they had left.
    pub(super) fn forget_departed(
        &mut self,
        guild: u64,
        members: impl Iterator<Item = u64>,
    ) -> Result<(), StoreError> {
        // Mostly nobody left of late, and members that come may be many.
        let mut some = false;
        self.store.scan(DEPARTED.of(guild), &mut |_, _| {
            some = true;
            false
        })?;
        for key in members.filter(|_| some).map(|member| DEPARTED.at(guild, member)) {
            if self.store.get(key)?.is_some() {
                self.store.delete(key);
            }
        }
        Ok(())
    }

    /// Erases a member with all that exists only with it; says whether it was cached.
    pub(super) fn erase_member(
        &mut self,
        guild: u64,
        facts: &mut GuildFacts,
        user: u64,
    ) -> Result<bool, StoreError> {
        let key = MEMBERS.at(guild, user);
        self.store.delete(PRESENCES.at(guild, user));
        self.store.delete(VOICE_STATES.at(guild, user));
        if self.store.get(key)?.is_none() {
            return Ok(false);
        }
        self.store.delete(key);
        if !self.was_uncounted(key)? {
            facts.members_cached = facts.members_cached.saturating_sub(1);
        }
        self.release_user(user)?;
        Ok(true)
    }
}
