//! A session: which of the ring's records are its events, and which number each of them has.
//!
//! It is a position, not a queue. Which records it is sent follows from its filter, the guilds it was given and
//! what its [`Log`] says, so that the number of any record can be counted again, by any process, as long as the
//! record is in the ring. Nothing here waits or knows a socket.

mod filter;
mod folder;
mod log;
#[cfg(test)]
mod model_tests;
mod resume;
mod start;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::io;

use mixcord::event::{Reason, Value};
use mixcord::{Kind, atoms};

pub(crate) use self::filter::Filter;
pub(crate) use self::folder::Folder;
pub(crate) use self::log::Head;
use self::log::{Entry, Log};
pub(crate) use self::resume::{Records, Refusal, Resumed};
use self::start::Guilds;
use crate::feed::Item;

/// How many records are sent, or passed over, before the log is told how far it is.
const MARK_SENT: u64 = 64;
const MARK_PASSED: u64 = 4096;
/// Records within which a shard that began anew has told its guilds.
const WHOLE: u64 = 16_384;

/// One client's session.
pub(crate) struct Session {
    log: Log,
    head: Head,
    filter: Filter,
    /// The last number given.
    seq: u64,
    /// The next record to look at.
    next: u64,
    marked: (u64, u64),
    guilds: Guilds,
    /// What goes to it alone, by position; known only where a RESUME begins.
    routed: BTreeMap<u64, Route>,
    /// Requests that are not answered yet.
    asked: Asked,
    gap: Gap,
}

/// What it asked for.
#[derive(Debug, Default)]
struct Asked {
    /// Requests for members: our nonce, and the client's; the oldest first.
    members: VecDeque<(u64, String)>,
    /// Answers without a nonce; the oldest first.
    others: VecDeque<(Kind, u64)>,
    /// Guilds in which it has the bot's voice; the oldest first.
    voice: VecDeque<u64>,
}

/// Of each kind of request so many are remembered: the oldest is forgotten then, for it is one that Discord never
/// answered.
const ASKED_MAX: usize = 1000;
/// Guilds of one client that has the bot's voice.
const VOICE_MAX: usize = 2500;

impl Asked {
    fn members(&mut self, ours: u64, theirs: &str) {
        self.members.retain(|(of, _)| *of != ours);
        make_room(&mut self.members, ASKED_MAX);
        self.members.push_back((ours, theirs.to_owned()));
    }

    fn other(&mut self, kind: Kind, guild: u64) {
        make_room(&mut self.others, ASKED_MAX);
        self.others.push_back((kind, guild));
    }

    /// Whether that is new.
    fn speaks(&mut self, guild: u64, speaks: bool) -> bool {
        let known = self.voice.contains(&guild);
        if speaks && !known {
            make_room(&mut self.voice, VOICE_MAX);
            self.voice.push_back(guild);
        } else if !speaks {
            self.voice.retain(|of| *of != guild);
        }
        known != speaks
    }
}

fn make_room<T>(queue: &mut VecDeque<T>, max: usize) {
    while queue.len() >= max {
        queue.pop_front();
    }
}

/// A record that goes to those alone who asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Route {
    /// The nonce that stands in it for this client; `None` where it has none, or stays as it is.
    pub(crate) nonce: Option<String>,
}

/// Events of a shard were lost: once its guilds are whole again, the session ends.
#[derive(Debug, Default)]
enum Gap {
    #[default]
    None,
    /// Its READY is to come.
    Lost { shard: u16 },
    /// These guilds are to come, or never (an outage): before this position it ends in any case.
    Waiting { guilds: HashSet<u64>, until: u64 },
}

/// What a record is to a session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Skip,
    Send {
        seq: u64,
        route: Option<Route>,
    },
    /// It ends: what its client knows is no longer so.
    Over,
}

impl Session {
    /// Its id.
    pub(crate) fn id(&self) -> &str {
        self.log.id()
    }

    /// The terms on which it began.
    pub(crate) const fn head(&self) -> &Head {
        &self.head
    }

    pub(crate) const fn filter(&self) -> &Filter {
        &self.filter
    }

    /// The last number given.
    pub(crate) const fn seq(&self) -> u64 {
        self.seq
    }

    /// The next record that it looks at.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// Nothing that it could be resumed with is left.
    pub(crate) fn end(self) {
        self.log.remove();
    }

    /// Looks at the next record; with a number it is to be sent.
    pub(crate) fn look(&mut self, item: &Item) -> io::Result<Verdict> {
        let verdict = self.judge(item);
        self.next = item.position + 1;
        let Some(route) = verdict else {
            if self.is_over(item) {
                return Ok(Verdict::Over);
            }
            if self.next - self.marked.1 >= MARK_PASSED {
                self.mark()?;
            }
            return Ok(Verdict::Skip);
        };
        if self.is_over(item) {
            return Ok(Verdict::Over);
        }
        self.seq += 1;
        let seq = self.seq;
        if let Some(route) = &route {
            self.log.write(&Entry::routed(seq, item.position, route))?;
            self.answered(item);
        }
        if seq - self.marked.0 >= MARK_SENT {
            self.mark()?;
        }
        Ok(Verdict::Send { seq, route })
    }

    /// A number for what is in no record, and cannot be sent again.
    pub(crate) fn answer(&mut self) -> io::Result<u64> {
        self.seq += 1;
        self.log.write(&Entry::Answer { seq: self.seq, position: self.next })?;
        Ok(self.seq)
    }

    /// Every record below `position` was looked at: there were none for it in a batch.
    pub(crate) fn pass(&mut self, position: u64) {
        self.next = self.next.max(position);
    }

    /// Says how far it is, so that a RESUME need not count from its beginning.
    fn mark(&mut self) -> io::Result<()> {
        // Who counts again has to begin before the loss, to see it again.
        if !matches!(self.gap, Gap::None) {
            return Ok(());
        }
        self.marked = (self.seq, self.next);
        self.log.write(&Entry::Mark { seq: self.seq, position: self.next })?;
        if self.log.is_long() && self.guilds.is_done() {
            self.log.shorten(&self.asked, self.marked)?;
        }
        Ok(())
    }

    /// `Some` if it is to be sent; with a route if it is for those alone who asked.
    fn judge(&mut self, item: &Item) -> Option<Option<Route>> {
        if let Some(route) = self.routed.remove(&item.position) {
            return Some(Some(route));
        }
        let (event, kind) = (&item.event, item.kind());
        if !self.filter.is_of_shard(item) {
            return None;
        }
        if !filter::is_answer(kind) {
            return self.judge_plain(item);
        }
        let nonce = match kind {
            Kind::VOICE_SERVER_UPDATE => {
                let voice = item.guild().is_some_and(|guild| self.asked.voice.contains(&guild));
                return voice.then_some(Some(Route { nonce: None }));
            }
            Kind::GUILD_MEMBERS_CHUNK => event.data().get(atoms::NONCE),
            Kind::RATE_LIMITED => {
                event.data().get_str("meta").and_then(|meta| meta.get(atoms::NONCE))
            }
            _ => {
                let asked = (kind, item.guild().unwrap_or(0));
                return self.asked.others.contains(&asked).then_some(Some(Route { nonce: None }));
            }
        };
        let ours = nonce.and_then(Value::as_str).and_then(crate::requests::number_of)?;
        let (_, theirs) = self.asked.members.iter().find(|(of, _)| *of == ours)?;
        Some(Some(Route { nonce: Some(theirs.clone()) }))
    }

    /// The same of what everybody is sent.
    fn judge_plain(&mut self, item: &Item) -> Option<Option<Route>> {
        if let Some(guild) = item.guild()
            && self.guilds.hold_back(guild, item.position)
        {
            // Gone before it was told: the client has it in its READY.
            let gone = item.kind() == Kind::GUILD_DELETE && self.guilds.is_pending(guild);
            return (gone && self.filter.admits(item)).then_some(Some(Route { nonce: None }));
        }
        self.filter.admits(item).then_some(None)
    }

    /// An answer was given: the last of its kind ends the request.
    fn answered(&mut self, item: &Item) {
        let (data, kind) = (item.event.data(), item.kind());
        let number = |key| data.get_str(key).and_then(Value::as_u64);
        match kind {
            Kind::GUILD_MEMBERS_CHUNK => {
                let (index, count) = (number("chunk_index"), number("chunk_count"));
                let last = index.zip(count).is_some_and(|(index, count)| index + 1 >= count);
                let nonce = data.get(atoms::NONCE).and_then(Value::as_str);
                if last && let Some(ours) = nonce.and_then(crate::requests::number_of) {
                    self.asked.members.retain(|(of, _)| *of != ours);
                }
            }
            Kind::VOICE_SERVER_UPDATE | Kind::RATE_LIMITED | Kind::GUILD_DELETE => {}
            _ => {
                let asked = (kind, item.guild().unwrap_or(0));
                self.asked.others.retain(|other| *other != asked);
            }
        }
    }

    /// Whether what the client knows has to be told anew, after this event.
    fn is_over(&mut self, item: &Item) -> bool {
        let event = &item.event;
        match &mut self.gap {
            _ if event.kind() == Kind::GAP && self.filter.concerns(event.shard()) => {
                let anew = matches!(event.reason(), Reason::SessionLost | Reason::StateLost);
                if anew {
                    self.gap = Gap::Lost { shard: event.shard().id };
                }
                !anew
            }
            Gap::None => false,
            Gap::Lost { shard } => {
                if event.kind() != Kind::READY || event.shard().id != *shard {
                    return false;
                }
                let listed = event.data().get(atoms::GUILDS).and_then(Value::as_list);
                let ids = listed.into_iter().flat_map(|list| list.iter());
                let ids: HashSet<_> =
                    ids.filter_map(|guild| guild.get(atoms::ID)?.as_id()).collect();
                let whole = ids.is_empty();
                self.gap = Gap::Waiting { guilds: ids, until: item.position + WHOLE };
                whole
            }
            Gap::Waiting { guilds, until } => {
                if matches!(event.kind(), Kind::GUILD_CREATE | Kind::GUILD_DELETE)
                    && let Some(guild) = event.guild_id()
                {
                    guilds.remove(&guild);
                }
                guilds.is_empty() || item.position >= *until
            }
        }
    }

    /// The client asked for members, with a nonce of its own; the answer carries ours.
    pub(crate) fn asks_members(&mut self, ours: u64, theirs: &str) -> io::Result<()> {
        self.log.write(&Entry::Asked { number: ours, nonce: theirs.to_owned() })?;
        self.asked.members(ours, theirs);
        Ok(())
    }

    /// The client asked for what comes without a nonce.
    pub(crate) fn asks(&mut self, kind: Kind, guild: u64) {
        self.asked.other(kind, guild);
    }

    /// The client has the bot's voice in a guild, or no longer.
    pub(crate) fn speaks(&mut self, guild: u64, speaks: bool) -> io::Result<()> {
        if self.asked.speaks(guild, speaks) {
            self.log.write(&Entry::Voice { guild, speaks })
        } else {
            Ok(())
        }
    }
}
