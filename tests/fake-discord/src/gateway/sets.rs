//! Sets of sessions: those of one number of shards see the world together, beside those of another (G-40). How each
//! is served, where that is not at once and everything.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use crate::world::dice::Dice;
use crate::world::event::Event;
use crate::world::kind::Kind;
use crate::world::lane::Lane;

/// No event comes later than that.
const DELAY_MAX_MS: u64 = 600_000;
/// Number of shards no set has more of.
const SHARDS_MAX: u64 = 1 << 16;

/// How a set is served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Milliseconds that an event comes later, at least and at most. Events of one guild never overtake each other.
    pub(crate) delay_ms: (u64, u64),
    /// One in so many events is not told; 0: all are.
    pub(crate) withhold: u64,
    /// Only of these kinds; without any of all but those that say where a guild is.
    pub(crate) kinds: Vec<Kind>,
}

impl Manner {
    /// Changes what is named.
    pub(crate) fn change(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "delay" => {
                let (least, most) = value.split_once("..").unwrap_or((value, value));
                let (least, most) = (number(name, least)?, number(name, most)?);
                if least > most || most > DELAY_MAX_MS {
                    return Err(format!(
                        "delay={value}: from less to more, at most {DELAY_MAX_MS} ms"
                    ));
                }
                self.delay_ms = (least, most);
            }
            "withhold" => self.withhold = number(name, value)?,
            "kinds" => {
                let names = value.split('+').filter(|name| !name.is_empty());
                let kind = |name| {
                    Kind::from_name(name).ok_or_else(|| format!("no event is called {name:?}"))
                };
                self.kinds = names.map(kind).collect::<Result<_, _>>()?;
            }
            _ => {
                return Err(format!(
                    "a set has no {name:?}; known: shards, delay, withhold, kinds"
                ));
            }
        }
        Ok(())
    }

    /// `place` is that of the set among all: no two sets withhold the same.
    fn withholds(&self, event: &Event, dice: &Dice, place: u64) -> bool {
        let is_of_kind = match &self.kinds[..] {
            [] => !matches!(event.kind, Kind::GUILD_CREATE | Kind::GUILD_DELETE),
            kinds => kinds.contains(&event.kind),
        };
        if self.withhold == 0 || !is_of_kind || event.everywhere {
            return false;
        }
        dice.clone().next() % self.withhold == place % self.withhold
    }

    fn delay(&self, mut dice: Dice) -> Duration {
        let (least, most) = self.delay_ms;
        let span = usize::try_from(most - least + 1).unwrap_or(usize::MAX);
        Duration::from_millis(least + dice.below(span) as u64)
    }
}

fn number(name: &str, value: &str) -> Result<u64, String> {
    value.parse().map_err(|_| format!("{name}={value}: {value:?} is no number"))
}

/// One set.
#[derive(Clone, Debug, Default)]
struct Set {
    manner: Manner,
    /// Guilds that are unavailable to these sessions alone.
    away: BTreeSet<u64>,
}

/// All of them by their numbers of shards.
#[derive(Debug, Default)]
pub(crate) struct Sets {
    by_shards: RwLock<BTreeMap<u64, Set>>,
    /// Whether any is there.
    some: AtomicBool,
    /// The set that asked last to be in a voice channel of a guild.
    voices: Mutex<HashMap<u64, u64>>,
    seed: u64,
}

impl Sets {
    /// `shards=3,delay=20..60,withhold=50,kinds=TYPING_START+PRESENCE_UPDATE`, for each set.
    pub(crate) fn parse(texts: &[String], seed: u64) -> Result<Self, String> {
        let sets = Self { seed, ..Self::default() };
        for text in texts {
            let parts = text.split(',').filter(|part| !part.is_empty());
            let part = |part: &str| {
                let (name, value) =
                    part.split_once('=').ok_or_else(|| format!("{part:?} has no value"))?;
                Ok::<_, String>((name.to_owned(), value.to_owned()))
            };
            sets.change(&parts.map(part).collect::<Result<Vec<_>, _>>()?)?;
        }
        Ok(sets)
    }

    /// Changes what is named of the set whose `shards` is among it. Gives how it is served now; nothing is changed
    /// where something makes no sense.
    pub(crate) fn change(&self, named: &[(String, String)]) -> Result<(u64, Manner), String> {
        let shards = named.iter().find(|(name, _)| name == "shards");
        let (_, shards) = shards.ok_or("a set is named by its shards: shards=N")?;
        let shards = number("shards", shards)?;
        if !(1..=SHARDS_MAX).contains(&shards) {
            return Err(format!("shards must be from 1 to {SHARDS_MAX}"));
        }
        let mut all = self.write();
        let mut manner = all.get(&shards).map(|set| set.manner.clone()).unwrap_or_default();
        for (name, value) in named.iter().filter(|(name, _)| name != "shards") {
            manner.change(name, value)?;
        }
        all.entry(shards).or_default().manner = manner.clone();
        self.some.store(true, Ordering::Release);
        Ok((shards, manner))
    }

    /// Whether a guild is unavailable to these sessions alone.
    pub(crate) fn is_away(&self, shards: u64, guild: u64) -> bool {
        self.some.load(Ordering::Acquire)
            && self.read().get(&shards).is_some_and(|set| set.away.contains(&guild))
    }

    /// Makes a guild unavailable to these sessions, or available. False: it is so already.
    pub(crate) fn set_away(&self, shards: u64, guild: u64, away: bool) -> bool {
        let mut all = self.write();
        let set = all.entry(shards).or_default();
        self.some.store(true, Ordering::Release);
        if away { set.away.insert(guild) } else { set.away.remove(&guild) }
    }

    /// How an event is served, which has just happened in the lane.
    pub(crate) fn serve(&self, event: &Event, lane: &Lane) -> Serving<'_> {
        let dice = Dice::derived(self.seed ^ (lane.index as u64) << 40, event.number);
        if !self.some.load(Ordering::Acquire) {
            return Serving { all: None, withheld: None, guild: None, dice };
        }
        let all = self.read();
        // One set at most does not get it: else nobody would.
        let mut placed = all.iter().zip(0..);
        let withheld = placed.find(|((_, set), place)| set.manner.withholds(event, &dice, *place));
        let withheld = withheld.map(|((shards, _), _)| *shards);
        // That the bot has left is told, whatever is away.
        let is_there = |id: &u64| lane.guilds.iter().any(|guild| guild.id == *id);
        let guild = event.guild.filter(is_there);
        Serving { all: Some(all), withheld, guild, dice }
    }

    /// A session of this set asked for a voice channel of a guild: it is the one that is told of its server.
    pub(crate) fn asked_voice(&self, guild: u64, shards: u64) {
        self.voices.lock().unwrap_or_else(PoisonError::into_inner).insert(guild, shards);
    }

    /// The set that did so last.
    pub(crate) fn voice(&self, guild: u64) -> Option<u64> {
        self.voices.lock().unwrap_or_else(PoisonError::into_inner).get(&guild).copied()
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<u64, Set>> {
        self.by_shards.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<u64, Set>> {
        self.by_shards.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How one event is served to each set.
pub(crate) struct Serving<'s> {
    /// None: to all alike.
    all: Option<RwLockReadGuard<'s, BTreeMap<u64, Set>>>,
    /// The set that is not told.
    withheld: Option<u64>,
    /// The guild that it is of, and that is there.
    guild: Option<u64>,
    dice: Dice,
}

impl Serving<'_> {
    /// How much later the sessions of this set are told; None: not at all.
    pub(crate) fn delay(&self, shards: u64) -> Option<Duration> {
        let Some(set) = self.all.as_ref().and_then(|all| all.get(&shards)) else {
            return Some(Duration::ZERO);
        };
        let is_away = self.guild.is_some_and(|guild| set.away.contains(&guild));
        if is_away || self.withheld == Some(shards) {
            return None;
        }
        let mut dice = self.dice.clone();
        Some(set.manner.delay(Dice::derived(dice.next(), shards)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Result<Sets, String> {
        Sets::parse(&[text.to_owned()], 1)
    }

    #[test]
    fn what_makes_no_sense_is_named_and_changes_nothing() {
        for (text, part) in [
            ("delay=3", "shards=N"),
            ("shards=0", "from 1"),
            ("shards=x", "no number"),
            ("shards=3,delay=9..2", "from less to more"),
            ("shards=3,delay=999999999", "at most"),
            ("shards=3,kinds=NONE_OF_THEM", "NONE_OF_THEM"),
            ("shards=3,later=1", "known:"),
            ("shards=3,delay", "no value"),
        ] {
            let error = named(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
        let sets = named("shards=3,delay=2..9,withhold=4").unwrap();
        let wrong = [("shards", "3"), ("delay", "7"), ("withhold", "x")];
        let wrong = wrong.map(|(name, value)| (name.to_owned(), value.to_owned()));
        sets.change(&wrong).unwrap_err();
        let (_, manner) = sets.change(&wrong[..1]).unwrap();
        assert_eq!((manner.delay_ms, manner.withhold), ((2, 9), 4));
    }
}
