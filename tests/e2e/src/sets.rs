//! The oracle of two shard counts at once: what happened in the world of fake-discord, each event once, against what a
//! consumer was given of what the sessions of both counts brought.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::journal::Delivered;

/// One event of the world.
#[derive(Debug, Clone, Deserialize)]
pub struct Happened {
    /// Its number, from 1.
    pub n: u64,
    /// The guild's id, where it has one.
    pub guild: Option<String>,
    /// Its name.
    pub kind: String,
    /// It says that a guild is unavailable.
    #[serde(default)]
    pub outage: bool,
    /// Of its payload; none where every session is sent one of its own.
    pub hash: Option<String>,
    /// The shard counts whose sessions were told.
    pub sets: Vec<u16>,
}

/// One dispatch of one session.
#[derive(Debug, Clone, Deserialize)]
pub struct Dispatched {
    /// The shard.
    pub shard: u16,
    /// The shard count.
    pub shards: u16,
    /// The server's number of the session.
    pub session: u32,
    /// What READY calls it.
    pub session_id: String,
    /// Its number within the session.
    pub seq: u64,
    /// Its name.
    pub kind: String,
    /// Of its payload.
    pub hash: String,
}

/// Whether there were events of which one set alone was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// While both sets had a guild both were told everything: its order is demanded.
    Both,
    /// Some events were withheld from one set. They may come later than they happened; the order of the others is
    /// demanded.
    OneAlone,
}

/// Kinds that belong to a session, or of which each session is told its own.
const NOT_OF_THE_WORLD: &[&str] = &[
    "READY",
    "RESUMED",
    "GUILD_CREATE",
    "GUILD_MEMBERS_CHUNK",
    "SOUNDBOARD_SOUNDS",
    "CHANNEL_INFO",
    "RATE_LIMITED",
];
/// It is told the set that asked for a voice channel, and is of no order with what both are told.
const UNORDERED: &str = "VOICE_SERVER_UPDATE";

/// What is left where a consumer was given some events again, after another had died.
#[must_use]
pub fn once(given: &[Delivered]) -> Vec<Delivered> {
    let mut seen = BTreeSet::new();
    let new =
        |(name, event): &(Name, &Delivered)| !event.is_sent() || seen.insert((*name, event.seq));
    names(given).into_iter().filter(new).map(|(_, event)| event.clone()).collect()
}

/// Demands that a consumer was given what happened, and nothing else: every event once, those of each guild in their
/// order, and no gap. `given` has the data of READY, SHARD_STATE and GUILD_DELETE.
///
/// # Errors
/// Says what is missing, doubled or out of order first.
pub fn compare_world(
    happened: &[Happened],
    sent: &[Dispatched],
    given: &[Delivered],
    told: Told,
) -> Result<()> {
    if let Some(own) = given.iter().find(|event| matches!(event.kind.as_str(), "GAP" | "LOST")) {
        bail!("something was lost: {own:?}");
    }
    let given = given_by_guild(sent, given)?;
    let mut world: BTreeMap<u64, Vec<&Happened>> = BTreeMap::new();
    for event in happened {
        if !NOT_OF_THE_WORLD.contains(&&*event.kind) && !event.outage {
            let guild = event.guild.as_deref().map_or(Ok(0), str::parse)?;
            world.entry(guild).or_default().push(event);
        }
    }
    let guilds: BTreeSet<u64> = world.keys().chain(given.keys()).copied().collect();
    for guild in guilds {
        let (world, given) = (world.remove(&guild), given.get(&guild));
        let (world, given) = (world.unwrap_or_default(), given.map_or(&[][..], Vec::as_slice));
        same_events(&world, given).with_context(|| format!("guild {guild}"))?;
        same_order(&world, given, told).with_context(|| format!("guild {guild}"))?;
    }
    Ok(())
}

/// A session as records name it: shard count, shard, the counter of the shard's ring; and how often that counter was
/// there before, in a ring that was removed since. What is no session is 0.
type Name = (u16, u16, u32, usize);

/// The session of each event. SHARD_STATE says which one it is as soon as it is there; its READY may be given later than
/// other events, or never.
fn names(given: &[Delivered]) -> Vec<(Name, &Delivered)> {
    let mut ids: BTreeMap<(u16, u16, u32), Vec<&str>> = BTreeMap::new();
    let name = |event| {
        let &Delivered { shards, shard, session, .. } = event;
        let (shards, shard) = (shards.unwrap_or(0), shard.unwrap_or(0));
        let session = session.unwrap_or(0);
        let ids = ids.entry((shards, shard, session)).or_default();
        if let Some(id) = session_id(event).filter(|id| ids.last() != Some(id)) {
            ids.push(id);
        }
        ((shards, shard, session, ids.len().saturating_sub(1)), event)
    };
    given.iter().map(name).collect()
}

/// What Discord calls the session of an event, where that says it.
fn session_id(event: &Delivered) -> Option<&str> {
    let says_it = matches!(event.kind.as_str(), "READY" | "SHARD_STATE");
    event.data["session_id"].as_str().filter(|_| says_it)
}

/// An event that was given.
#[derive(Debug, Clone)]
struct Given<'s> {
    name: Name,
    seq: u64,
    kind: &'s str,
    hash: &'s str,
}

/// Of each guild what was given of it that is of the world; 0 is no guild.
fn given_by_guild<'s>(
    sent: &'s [Dispatched],
    given: &[Delivered],
) -> Result<BTreeMap<u64, Vec<Given<'s>>>> {
    let given = names(given);
    let sessions = Sessions::of(sent, &given)?;
    let mut seen = BTreeSet::new();
    let mut by_guild: BTreeMap<u64, Vec<Given<'s>>> = BTreeMap::new();
    for (name, event) in given.into_iter().filter(|(_, event)| event.is_sent()) {
        let seq = event.seq.unwrap_or(0);
        ensure!(seen.insert((name, seq)), "given twice: {event:?}");
        let is_outage = event.kind == "GUILD_DELETE" && event.data["unavailable"] == true;
        // Every shard is told of the bot's user.
        let is_echo = event.kind == "USER_UPDATE" && event.shard != Some(0);
        if NOT_OF_THE_WORLD.contains(&&*event.kind) || is_outage || is_echo {
            continue;
        }
        let copy = sessions.copy(name, seq).with_context(|| format!("never sent: {event:?}"))?;
        ensure!(copy.kind == event.kind, "{event:?} was sent as {copy:?}");
        let given = Given { name, seq, kind: &copy.kind, hash: &copy.hash };
        by_guild.entry(event.guild.unwrap_or(0)).or_default().push(given);
    }
    Ok(by_guild)
}

/// The server's sessions under the names that records have.
struct Sessions<'s>(BTreeMap<Name, BTreeMap<u64, &'s Dispatched>>);

impl<'s> Sessions<'s> {
    /// READY and SHARD_STATE say which session it is. Where neither was given, it is the one with the same kinds under the
    /// same numbers.
    fn of(sent: &'s [Dispatched], given: &[(Name, &Delivered)]) -> Result<Self> {
        let mut all: BTreeMap<u32, BTreeMap<u64, &Dispatched>> = BTreeMap::new();
        for event in sent {
            all.entry(event.session).or_default().insert(event.seq, event);
        }
        let mut named: BTreeMap<Name, Vec<&Delivered>> = BTreeMap::new();
        let mut ids: BTreeMap<Name, &str> = BTreeMap::new();
        for (name, event) in given {
            ids.extend(session_id(event).map(|id| (*name, id)));
            if event.is_sent() {
                named.entry(*name).or_default().push(event);
            }
        }
        let find = |(name, events): (Name, Vec<&Delivered>)| {
            let id = ids.get(&name).copied();
            let fits = |session: &&BTreeMap<u64, &Dispatched>| {
                let Some(first) = session.values().next() else { return false };
                let same = |event: &&Delivered| {
                    let sent = session.get(&event.seq.unwrap_or(0));
                    sent.is_some_and(|sent| sent.kind == event.kind)
                };
                (first.shards, first.shard) == (name.0, name.1)
                    && id.map_or_else(|| events.iter().all(same), |id| id == first.session_id)
            };
            let found = all.values().find(fits);
            let found = found.with_context(|| format!("no session was sent what {name:?} has"))?;
            Ok((name, found.clone()))
        };
        Ok(Self(named.into_iter().map(find).collect::<Result<_>>()?))
    }

    fn copy(&self, name: Name, seq: u64) -> Option<&'s Dispatched> {
        self.0.get(&name)?.get(&seq).copied()
    }
}

/// Every event as often as it happened. Equal ones, of which each set was told another one, are one event told to both for
/// all that anybody can know.
fn same_events(world: &[&Happened], given: &[Given<'_>]) -> Result<()> {
    /// When it happened, and where it was given.
    type Often = (Vec<u64>, Vec<String>);
    let mut counts: BTreeMap<(&str, &str), Often> = BTreeMap::new();
    for event in world {
        let key = (&*event.kind, event.hash.as_deref().unwrap_or_default());
        counts.entry(key).or_default().0.push(event.n);
    }
    for Given { name, seq, kind, hash } in given {
        let copies = &mut counts.entry((*kind, *hash)).or_default().1;
        copies.push(format!("{name:?} seq {seq}"));
    }
    let fewest = |happened: &[u64]| {
        let mut told: BTreeMap<u16, usize> = BTreeMap::new();
        let events = world.iter().filter(|event| happened.contains(&event.n));
        events.flat_map(|event| &event.sets).for_each(|&set| *told.entry(set).or_default() += 1);
        told.into_values().max().unwrap_or(happened.len())
    };
    let is_wrong = |(happened, given): &Often| {
        given.len() > happened.len()
            || given.len() < happened.len() && given.len() < fewest(happened)
    };
    let wrong: Vec<_> = counts.iter().filter(|(_, both)| is_wrong(both)).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let count = |of: fn(&(Vec<u64>, Vec<String>)) -> usize| -> usize {
        wrong.iter().map(|(_, both)| of(both)).sum()
    };
    let lost = count(|(world, given)| world.len().saturating_sub(given.len()));
    let doubled = count(|(world, given)| given.len().saturating_sub(world.len()));
    let first: Vec<String> = wrong
        .iter()
        .take(8)
        .map(|((kind, _), (happened, copies))| {
            let told = world.iter().filter(|event| happened.contains(&event.n));
            let told: Vec<_> = told.map(|event| (event.n, &event.sets)).collect();
            format!("{kind} happened as {told:?} and was given as {copies:?}")
        })
        .collect();
    bail!(
        "of {} events lost {lost}, too often {doubled}; the first ones:\n{}",
        world.len(),
        first.join("\n")
    )
}

/// What both sets were told, in the order in which it happened.
fn same_order(world: &[&Happened], given: &[Given<'_>], told: Told) -> Result<()> {
    let mut without: BTreeSet<&str> = BTreeSet::new();
    if told == Told::OneAlone {
        // Which of two equal ones came late nobody could say.
        let alone = world.iter().filter(|event| event.sets.len() < 2);
        without.extend(alone.filter_map(|event| event.hash.as_deref()));
    }
    let is_ordered = |kind: &str, hash: &str| kind != UNORDERED && !without.contains(hash);
    let wanted: Vec<_> = world
        .iter()
        .map(|event| (event.n, &*event.kind, event.hash.as_deref().unwrap_or_default()))
        .filter(|(_, kind, hash)| is_ordered(kind, hash))
        .collect();
    let given: Vec<_> = given.iter().filter(|event| is_ordered(event.kind, event.hash)).collect();
    let differs = wanted.iter().zip(&given).position(|(world, given)| world.2 != given.hash);
    let Some(at) = differs else { return Ok(()) };
    let end = wanted.len().min(at + 3);
    bail!("given {:?} where happened {:?}", &given[at..end], &wanted[at..end])
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn happened(n: u64, sets: &[u16]) -> Happened {
        let line = json!({"n": n, "guild": "5", "kind": "TYPING_START", "hash": n.to_string(), "sets": sets});
        serde_json::from_value(line).expect("a line")
    }

    fn sent(shards: u16, seq: u64, hash: u64) -> Dispatched {
        let line = json!({
            "shard": 0, "shards": shards, "session": shards, "session_id": "a", "seq": seq,
            "kind": "TYPING_START", "hash": hash.to_string(),
        });
        serde_json::from_value(line).expect("a line")
    }

    fn given(shards: u16, seq: u64) -> Delivered {
        Delivered {
            kind: "TYPING_START".to_owned(),
            shard: Some(0),
            shards: Some(shards),
            guild: Some(5),
            session: Some(9),
            seq: Some(seq),
            index: Some(0),
            old: Value::Null,
            data: Value::Null,
        }
    }

    /// Three events; the sessions of two counts number them otherwise.
    fn world() -> (Vec<Happened>, Vec<Dispatched>) {
        let happened = (1..=3).map(|n| happened(n, &[1, 2])).collect();
        let sent = (1..=3).flat_map(|n| [sent(1, n, n), sent(2, n + 10, n)]).collect();
        (happened, sent)
    }

    fn error(given: &[Delivered]) -> String {
        let (happened, sent) = world();
        let error = compare_world(&happened, &sent, given, Told::Both).expect_err("wrong");
        format!("{error:#}")
    }

    #[test]
    fn whichever_copy_of_an_event_is_given_counts() {
        let (happened, sent) = world();
        let all = [given(1, 1), given(2, 12), given(1, 3)];
        compare_world(&happened, &sent, &all, Told::Both).expect("equal");
    }

    #[test]
    fn what_is_lost_doubled_unknown_or_in_another_order_is_named() {
        assert!(error(&[given(1, 1), given(1, 3)]).contains("lost 1, too often 0"));
        let both = [given(1, 1), given(2, 11), given(1, 2), given(1, 3)];
        assert!(error(&both).contains("lost 0, too often 1"));
        assert!(error(&[given(1, 1), given(1, 1)]).contains("given twice"));
        assert!(error(&[given(1, 7)]).contains("no session"));
        assert!(error(&[given(1, 2), given(2, 11), given(1, 3)]).contains("where happened"));
        let gap = Delivered { kind: "GAP".to_owned(), ..given(1, 4) };
        assert!(error(&[gap]).contains("something was lost"));
    }

    #[test]
    fn what_one_set_alone_was_told_may_come_late() {
        let (mut all, sent) = world();
        all[0].sets = vec![2];
        let late = [given(1, 2), given(1, 3), given(2, 11)];
        compare_world(&all, &sent, &late, Told::OneAlone).expect("late");
        compare_world(&all, &sent, &late, Told::Both).unwrap_err();
        let swapped = [given(1, 3), given(1, 2), given(2, 11)];
        compare_world(&all, &sent, &swapped, Told::OneAlone).unwrap_err();
    }

    /// A ring that is made anew begins its sessions anew: their numbers were another session's.
    #[test]
    fn sessions_of_rings_of_one_name_are_told_apart() {
        let happened = [happened(1, &[1]), happened(2, &[1])];
        let again = Dispatched { session: 7, session_id: "b".to_owned(), ..sent(1, 1, 2) };
        let state = |id| Delivered {
            kind: "SHARD_STATE".to_owned(),
            seq: Some(0),
            data: json!({"session_id": id}),
            ..given(1, 0)
        };
        let all = [state("a"), given(1, 1), state("b"), given(1, 1)];
        let told = Told::Both;
        compare_world(&happened, &[sent(1, 1, 1), again.clone()], &once(&all), told)
            .expect("equal");
        // A session that is resumed is the one that it was.
        let resumed = [state("a"), given(1, 1), state("a"), given(1, 1)];
        assert_eq!(once(&resumed).iter().filter(|event| event.is_sent()).count(), 1);
        let error = compare_world(&happened, &[sent(1, 1, 1), again], &once(&all[..3]), told);
        assert!(format!("{:#}", error.expect_err("wrong")).contains("lost 1, too often 0"));
    }

    #[test]
    fn what_is_given_again_after_a_death_counts_once() {
        let again = once(&[given(1, 1), given(1, 2), given(1, 1)]);
        assert_eq!(again.iter().map(|event| event.seq).collect::<Vec<_>>(), [Some(1), Some(2)]);
    }
}
