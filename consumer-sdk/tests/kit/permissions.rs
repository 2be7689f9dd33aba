//! Permissions against two oracles: twilight-util's calculator, and Discord's documented steps written down once
//! more, on random worlds.

use mixcord::State;
use mixcord::event::twilight::twilight_model::channel::ChannelType;
use mixcord::event::twilight::twilight_model::channel::permission_overwrite::{
    PermissionOverwrite, PermissionOverwriteType,
};
use mixcord::event::twilight::twilight_model::guild::Permissions as Theirs;
use mixcord::event::twilight::twilight_model::id::Id;
use mixcord::state::{Get, Permissions, Resource};
use mixcord::testing::Testbed;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use twilight_util::permission_calculator::PermissionCalculator;

const GUILD: u64 = 100;
const OWNER: u64 = 1;
const MEMBER: u64 = 2;
const CHANNEL: u64 = 200;
const THREAD: u64 = 300;
/// Roles are 11 to 16.
const ROLES: std::ops::Range<u64> = 11..17;

#[derive(Debug, Clone)]
struct Overwrite {
    /// 0 for a role, 1 for a member.
    kind: u8,
    id: u64,
    allow: u64,
    deny: u64,
}

#[derive(Debug, Clone)]
struct World {
    everyone: u64,
    /// Permissions of each role.
    roles: Vec<u64>,
    /// Which of them the member has.
    held: Vec<bool>,
    channel_type: u8,
    overwrites: Vec<Overwrite>,
    user: u64,
}

/// Bits that mostly lack ADMINISTRATOR, or nothing else would ever be seen.
fn bits() -> impl Strategy<Value = u64> {
    let all = Permissions::ALL.bits();
    (any::<u64>(), any::<u64>(), 0..20u8).prop_map(move |(a, b, admin)| {
        let bits = a & b & all & !Permissions::ADMINISTRATOR.bits();
        if admin == 0 { bits | Permissions::ADMINISTRATOR.bits() } else { bits }
    })
}

fn overwrite() -> impl Strategy<Value = Overwrite> {
    let id = prop_oneof![
        Just((0u8, GUILD)),
        ROLES.prop_map(|id| (0, id)),
        Just((1, MEMBER)),
        Just((1, OWNER)),
        Just((1, 77)),
        // A member's overwrite with the id of a role, and a role's with that of the member: of nobody.
        ROLES.prop_map(|id| (1, id)),
        Just((0, MEMBER)),
    ];
    let deny = (any::<u64>(), any::<u64>()).prop_map(|(a, b)| a & b & Permissions::ALL.bits());
    (id, bits(), deny).prop_map(|((kind, id), allow, deny)| Overwrite { kind, id, allow, deny })
}

fn world() -> impl Strategy<Value = World> {
    let everyone = prop_oneof![bits(), bits().prop_map(|bits| bits | 1 << 10 | 1 << 11 | 1 << 20)];
    let count = ROLES.count();
    (
        everyone,
        prop::collection::vec(bits(), count),
        prop::collection::vec(any::<bool>(), count),
        prop::sample::select(vec![0u8, 2, 5, 13, 15]),
        prop::collection::vec(overwrite(), 0..8),
        prop_oneof![9 => Just(MEMBER), 1 => Just(OWNER)],
    )
        .prop_map(|(everyone, roles, held, channel_type, mut overwrites, user)| {
            // A channel has one of each.
            overwrites.sort_by_key(|o| (o.kind, o.id));
            overwrites.dedup_by_key(|o| (o.kind, o.id));
            World { everyone, roles, held, channel_type, overwrites, user }
        })
}

impl World {
    fn held_roles(&self) -> Vec<(u64, u64)> {
        let all = ROLES.zip(&self.roles).zip(&self.held);
        all.filter(|(_, held)| **held).map(|((id, bits), _)| (id, *bits)).collect()
    }

    fn bed(&self, timed_out_until: Option<&str>) -> Testbed {
        let role = |id: u64, bits: u64| json!({"id": id.to_string(), "permissions": bits.to_string(), "position": id});
        let mut roles = vec![role(GUILD, self.everyone)];
        roles.extend(ROLES.zip(&self.roles).map(|(id, bits)| role(id, *bits)));
        let held: Vec<_> = self.held_roles().iter().map(|(id, _)| id.to_string()).collect();
        let member = |id: u64| {
            json!({"user": {"id": id.to_string(), "username": "x"}, "roles": held,
                   "communication_disabled_until": timed_out_until})
        };
        let overwrites: Vec<_> = self
            .overwrites
            .iter()
            .map(|Overwrite { kind, id, allow, deny }| {
                let (id, allow) = (id.to_string(), allow.to_string());
                json!({"id": id, "type": kind, "allow": allow, "deny": deny.to_string()})
            })
            .collect();
        let channel = json!({"id": CHANNEL.to_string(), "type": self.channel_type,
                             "permission_overwrites": overwrites});
        let thread =
            json!({"id": THREAD.to_string(), "type": 11, "parent_id": CHANNEL.to_string()});
        let bed = Testbed::with_ring(64, 64 << 10);
        bed.guild(json!({
            "id": GUILD.to_string(), "owner_id": OWNER.to_string(), "roles": roles,
            "members": [member(OWNER), member(MEMBER)], "channels": [channel], "threads": [thread],
        }));
        bed
    }

    /// What twilight says, before what it leaves to its user.
    fn twilights(&self, channel: Option<ChannelType>) -> u64 {
        let of = |bits| Theirs::from_bits_truncate(bits);
        let roles: Vec<_> =
            self.held_roles().into_iter().map(|(id, bits)| (Id::new(id), of(bits))).collect();
        let calculator = PermissionCalculator::new(
            Id::new(GUILD),
            Id::new(self.user),
            of(self.everyone),
            &roles,
        )
        .owner_id(Id::new(OWNER));
        let Some(channel) = channel else { return calculator.root().bits() };
        let overwrites: Vec<_> = self
            .overwrites
            .iter()
            .map(|Overwrite { kind, id, allow, deny }| PermissionOverwrite {
                allow: of(*allow),
                deny: of(*deny),
                id: Id::new(*id),
                kind: PermissionOverwriteType::from(*kind),
            })
            .collect();
        calculator.in_channel(channel, &overwrites).bits()
    }

    /// Discord's documentation, step by step.
    fn documented(&self, writing: Permissions) -> u64 {
        let mut base = self.everyone;
        self.held_roles().iter().for_each(|(_, bits)| base |= bits);
        if self.user == OWNER || base & Permissions::ADMINISTRATOR.bits() != 0 {
            return base | Permissions::ALL.bits();
        }
        let is = |kind, id| move |o: &&Overwrite| o.kind == kind && o.id == id;
        for o in self.overwrites.iter().filter(is(0, GUILD)) {
            base &= !o.deny;
        }
        for o in self.overwrites.iter().filter(is(0, GUILD)) {
            base |= o.allow;
        }
        let (mut allow, mut deny) = (0, 0);
        for (id, _) in self.held_roles() {
            for o in self.overwrites.iter().filter(is(0, id)) {
                (allow, deny) = (allow | o.allow, deny | o.deny);
            }
        }
        base = base & !deny | allow;
        let own = || self.overwrites.iter().filter(is(1, self.user));
        base = own().fold(base, |base, o| base & !o.deny);
        base = own().fold(base, |base, o| base | o.allow);
        implied(base, writing, matches!(self.channel_type, 2 | 13))
    }
}

/// What Discord denies with something else that is denied.
fn implied(mut bits: u64, writing: Permissions, is_voice: bool) -> u64 {
    if bits & 1 << 10 == 0 {
        return 0;
    }
    if bits & writing.bits() == 0 {
        bits &= !(1 << 17 | 1 << 12 | 1 << 15 | 1 << 14);
    }
    if is_voice && bits & 1 << 20 == 0 {
        let voice = [4, 28, 8, 9, 21, 22, 23, 24, 25, 32, 39, 42, 45, 48];
        bits = voice.iter().fold(bits, |bits, bit| bits & !(1u64 << bit));
    }
    bits
}

fn in_channel(state: &State, channel: u64, user: u64) -> u64 {
    let found = state.permissions(GUILD, channel, user).expect("a state");
    found.expect("all is cached").bits()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn are_those_of_the_documentation_and_of_twilight(world in world()) {
        let state = world.bed(None).state();
        let in_guild = state.permissions_in_guild(GUILD, world.user).expect("a state");
        let in_guild = in_guild.expect("all is cached").bits();
        let ours = in_channel(&state, CHANNEL, world.user);
        prop_assert_eq!(ours, world.documented(Permissions::SEND_MESSAGES));
        // twilight knows no permission without a name of its own.
        let named = Theirs::all().bits();
        prop_assert_eq!(in_guild & named, world.twilights(None) & named);
        // Of a channel it gives those that its type can use: what it gives where all are held.
        let kind = ChannelType::from(world.channel_type);
        let all = World { everyone: named & !8, overwrites: Vec::new(), user: MEMBER, ..world.clone() };
        let all = World { held: vec![false; ROLES.count()], ..all };
        let usable = all.twilights(Some(kind));
        let is_voice = matches!(world.channel_type, 2 | 13);
        let theirs = world.twilights(Some(kind));
        if theirs & Permissions::ADMINISTRATOR.bits() != 0 {
            prop_assert_eq!(ours & named, theirs);
        } else {
            // It goes by the overwrites only where it implies; once more, and both say the same.
            let writing = if usable & 1 << 11 == 0 { Permissions::NONE } else { Permissions::SEND_MESSAGES };
            let theirs = implied(theirs | (u64::from(usable & 1 << 11 == 0) << 11), writing, is_voice);
            prop_assert_eq!(ours & usable, theirs & usable);
        }
    }

    #[test]
    fn of_a_thread_are_its_parents_but_for_writing(world in world()) {
        let state = world.bed(None).state();
        let ours = in_channel(&state, THREAD, world.user);
        prop_assert_eq!(ours, world.documented(Permissions::SEND_MESSAGES_IN_THREADS));
    }

    #[test]
    fn in_a_timeout_only_seeing_and_reading_is_left(world in world()) {
        let free = world.bed(Some("2020-01-01T00:00:00Z")).state();
        prop_assert_eq!(in_channel(&free, CHANNEL, world.user), world.documented(Permissions::SEND_MESSAGES));
        let out = world.bed(Some("2999-01-01T00:00:00.000000+00:00")).state();
        let held = world.documented(Permissions::SEND_MESSAGES);
        let is_mighty = held & Permissions::ADMINISTRATOR.bits() != 0 && held & Permissions::ALL.bits() == Permissions::ALL.bits();
        let left = if is_mighty { held } else { held & (1 << 10 | 1 << 16) };
        prop_assert_eq!(in_channel(&out, CHANNEL, world.user), left);
    }

    #[test]
    fn who_stands_above_whom(a in prop::collection::vec(0..6usize, 0..4), b in prop::collection::vec(0..6usize, 0..4),
                             positions in prop::collection::vec(0..3i64, 6)) {
        let bed = Testbed::with_ring(64, 64 << 10);
        let role = |at: usize| json!({"id": (11 + at).to_string(), "position": positions[at]});
        let mut roles: Vec<Json> = (0..6).map(role).collect();
        roles.push(json!({"id": GUILD.to_string(), "position": 0}));
        let member = |id: u64, held: &[usize]| {
            let held: Vec<_> = held.iter().map(|at| (11 + at).to_string()).collect();
            json!({"user": {"id": id.to_string()}, "roles": held})
        };
        let members = [member(OWNER, &[]), member(2, &a), member(3, &b)];
        bed.guild(json!({"id": GUILD.to_string(), "owner_id": OWNER.to_string(), "roles": roles, "members": members}));
        let state = bed.state();
        // The higher position, and of two at one the lower id.
        let best = |held: &[usize]| held.iter().copied().max_by_key(|at| (positions[*at], std::cmp::Reverse(*at)));
        for (id, held) in [(2, &a), (3, &b)] {
            let highest = state.highest_role(GUILD, id).expect("a state").expect("cached");
            let wanted = best(held).map_or(GUILD, |at| 11 + at as u64);
            prop_assert_eq!(highest.get(mixcord::atoms::ID).and_then(|id| id.as_id()), Some(wanted));
        }
        let key = |held: &[usize]| best(held).map(|at| (positions[at], std::cmp::Reverse(at)));
        let can = |actor, target| state.can_act_on(GUILD, actor, target).expect("a state");
        prop_assert_eq!(can(2, 3), Some(key(&a) > key(&b)));
        prop_assert_eq!(can(3, 2), Some(key(&b) > key(&a)));
        prop_assert_eq!((can(OWNER, 2), can(2, OWNER), can(2, 2), can(OWNER, OWNER)),
                        (Some(true), Some(false), Some(false), Some(false)));
        prop_assert_eq!((can(2, 99), can(99, 2)), (None, None));
    }
}

#[test]
fn what_is_not_cached_is_none() {
    let bed = Testbed::with_ring(64, 64 << 10);
    let state = bed.state();
    assert_eq!(state.permissions(GUILD, CHANNEL, MEMBER).expect("a state"), None);
    bed.guild(json!({"id": GUILD.to_string(), "owner_id": "1", "roles": [],
                     "members": [{"user": {"id": MEMBER.to_string()}, "roles": []}]}));
    assert_eq!(state.permissions_in_guild(GUILD, 99).expect("a state"), None);
    assert_eq!(
        state.permissions_in_guild(GUILD, MEMBER).expect("a state"),
        Some(Permissions::NONE)
    );
    assert_eq!(state.permissions(GUILD, CHANNEL, MEMBER).expect("a state"), None);
    // A thread whose parent is hidden.
    let thread = json!({"id": THREAD.to_string(), "type": 11, "parent_id": CHANNEL.to_string()});
    bed.entity(Resource::Threads, GUILD, thread);
    assert_eq!(state.permissions(GUILD, THREAD, MEMBER).expect("a state"), None);
}

#[test]
fn many_are_answered_in_the_order_asked() {
    let bed = Testbed::with_ring(64, 64 << 10);
    bed.guild(json!({"id": GUILD.to_string(), "name": "g", "roles": [{"id": "11", "name": "r"}],
                     "members": [{"user": {"id": "2", "username": "u"}, "roles": []}],
                     "channels": [{"id": "200", "name": "c"}]}));
    bed.me(r#"{"id":"9","username":"bot"}"#);
    let state = bed.state();
    let all = state.get_many([
        Get::Channel(CHANNEL),
        Get::Member(GUILD, 3),
        Get::Me,
        Get::Role(GUILD, 11),
        Get::Guild(GUILD),
        Get::Entity(Resource::Users, 0, 2),
    ]);
    let [channel, nobody, me, role, guild, user] = all.expect("a state");
    assert_eq!(channel, state.channel(CHANNEL).expect("a state"));
    assert!(nobody.is_none());
    assert_eq!(me, state.me().expect("a state"));
    assert_eq!(role, state.role(GUILD, 11).expect("a state"));
    assert_eq!(guild, state.guild(GUILD).expect("a state"));
    assert_eq!(user, state.user(2).expect("a state"));
    for found in [channel, me, role, guild, user] {
        assert!(found.is_some());
    }
}
