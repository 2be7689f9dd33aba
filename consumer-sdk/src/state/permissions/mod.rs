//! Who may do what: Discord's rules over what the state has.

mod compute;
mod set;

use std::time::{SystemTime, UNIX_EPOCH};

use mixcord_event::{Document, Value, atoms};
use mixcord_state::StoreError;

use self::compute::{Subject, timed_out_until_us};
pub use self::set::Permissions;
use super::look::Look;
use super::{Answer, Error, Resource, State};

/// Permissions and the order of roles. `None` is said where the guild, the member or the channel is not cached.
impl State {
    /// What a member may do in a channel or thread, by [Discord's rules]: owners and administrators everything;
    /// else what @everyone and the member's roles have in the guild, with the channel's overwrites (a thread has
    /// those of its parent), then without what is of no use to who may not see the channel, write in it or join
    /// it; while it is timed out, only seeing and reading.
    ///
    /// Permissions that belong to the guild, such as [`Permissions::KICK_MEMBERS`], are among them. Membership of a
    /// private thread is not looked at.
    ///
    /// [Discord's rules]: https://discord.com/developers/docs/topics/permissions
    ///
    /// # Errors
    /// When there is no state: see [`Error`].
    ///
    /// ```no_run
    /// # fn example(event: &mixcord::Event, bot: u64) -> Result<(), mixcord::state::Error> {
    /// use mixcord::state::Permissions;
    ///
    /// let needed = Permissions::VIEW_CHANNEL | Permissions::SEND_MESSAGES;
    /// if let (Some(guild), Some(channel)) = (event.guild_id(), event.channel_id()) {
    ///     match event.state().permissions(guild, channel, bot)? {
    ///         Some(held) if held.contains(needed) => println!("it can answer"),
    ///         Some(held) => println!("it lacks {}", needed - held),
    ///         None => println!("not cached"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn permissions(
        &self,
        guild: u64,
        channel: u64,
        user: u64,
    ) -> Result<Option<Permissions>, Error> {
        self.ask(|look| {
            let Some(person) = Person::of(look, guild, user)? else { return Ok(None) };
            let Some(found) = look.channel(channel)? else { return Ok(None) };
            let parent = match parent_of_thread(&found) {
                None => None,
                Some(parent) => match look.channel(parent)? {
                    None => return Ok(None),
                    parent => parent,
                },
            };
            let parent = parent.as_ref().map(Document::value);
            Ok(Some(person.subject().in_channel(found.value(), parent)))
        })
    }

    /// What a member may do in a guild, outside of any channel: everything for owners and administrators, else what
    /// @everyone and the member's roles have; while it is timed out, only seeing and reading.
    ///
    /// # Errors
    /// When there is no state: see [`Error`].
    pub fn permissions_in_guild(
        &self,
        guild: u64,
        user: u64,
    ) -> Result<Option<Permissions>, Error> {
        self.ask(
            |look| Ok(Person::of(look, guild, user)?.map(|person| person.subject().in_guild())),
        )
    }

    /// The highest role of a member; @everyone's where it has no other.
    pub fn highest_role(&self, guild: u64, user: u64) -> Answer {
        self.ask(|look| {
            let Some(person) = Person::of(look, guild, user)? else { return Ok(None) };
            let highest = person.rank.map_or(guild, |(_, id)| id.0);
            look.entity(Resource::Roles, guild, highest)
        })
    }

    /// Whether `actor` stands above `target`, as kicking, banning, timing out and changing nicknames want beside
    /// their permission: the owner stands above all, and all others above those whose highest role is lower than
    /// theirs. Nobody stands above himself.
    ///
    /// # Errors
    /// When there is no state: see [`Error`].
    pub fn can_act_on(&self, guild: u64, actor: u64, target: u64) -> Result<Option<bool>, Error> {
        self.ask(|look| {
            let (Some(actor), Some(target)) =
                (Person::of(look, guild, actor)?, Person::of(look, guild, target)?)
            else {
                return Ok(None);
            };
            if actor.is_owner || target.is_owner {
                return Ok(Some(actor.is_owner && actor.user != target.user));
            }
            Ok(Some(actor.rank > target.rank))
        })
    }
}

/// Where a role stands: higher is greater. Of two at one position, the older one is the higher.
type Rank = (i64, std::cmp::Reverse<u64>);

/// A member and what its roles give it.
struct Person {
    guild: u64,
    user: u64,
    is_owner: bool,
    roles: Vec<u64>,
    of_roles: Permissions,
    /// Of its highest role beside @everyone.
    rank: Option<Rank>,
    timed_out: bool,
}

impl Person {
    fn of(look: &dyn Look, guild: u64, user: u64) -> Result<Option<Self>, StoreError> {
        let Some(owner) = look.guild_fields(guild)? else { return Ok(None) };
        let Some(member) = look.entity(Resource::Members, guild, user)? else { return Ok(None) };
        let roles: Vec<u64> = member
            .get(atoms::ROLES)
            .and_then(Value::as_list)
            .into_iter()
            .flat_map(|list| list.iter().filter_map(Value::as_id))
            .filter(|role| *role != guild)
            .collect();
        let everyone = look.entity(Resource::Roles, guild, guild)?;
        let mut of_roles = Permissions::of(everyone.as_ref().and_then(permissions));
        let mut rank = None;
        for &id in &roles {
            // One that was deleted this moment gives nothing.
            let Some(role) = look.entity(Resource::Roles, guild, id)? else { continue };
            of_roles |= Permissions::of(permissions(&role));
            let position = role.get(atoms::POSITION).and_then(Value::as_i64).unwrap_or(0);
            rank = rank.max(Some((position, std::cmp::Reverse(id))));
        }
        let is_owner = owner.get(atoms::OWNER_ID).and_then(Value::as_id) == Some(user);
        let timed_out = timed_out_until_us(&member).is_some_and(|until_us| until_us > now_us());
        Ok(Some(Self { guild, user, is_owner, roles, of_roles, rank, timed_out }))
    }

    fn subject(&self) -> Subject<'_> {
        let Self { guild, user, is_owner, of_roles, timed_out, .. } = *self;
        Subject { guild, user, is_owner, roles: &self.roles, of_roles, timed_out }
    }
}

fn permissions(role: &Document) -> Option<Value<'_>> {
    role.get(atoms::PERMISSIONS)
}

/// The channel a thread is in.
fn parent_of_thread(channel: &Document) -> Option<u64> {
    /// Discord's types of threads.
    const THREADS: std::ops::RangeInclusive<u64> = 10..=12;
    let kind = channel.get(atoms::TYPE)?.as_u64()?;
    THREADS.contains(&kind).then(|| channel.get(atoms::PARENT_ID)?.as_id())?
}

fn now_us() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}
