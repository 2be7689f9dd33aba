//! A session: which of the ring's records are its events, and which number each of them has.
//!
//! It is a position, not a queue. Which records it is sent follows from its filter, the guilds it was given and
//! what its [`Log`] says, so that the number of any record can be counted again, by any process, as long as the
//! record is in the ring. Nothing here waits or knows a socket.

mod asked;
mod entry;
mod filter;
mod folder;
mod gap;
mod log;
#[cfg(test)]
mod model_tests;
mod resume;
mod start;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;

use mixcord::event::Value;
use mixcord::{Kind, atoms};

use self::asked::Asked;
use self::entry::Entry;
pub(crate) use self::entry::Head;
pub(crate) use self::filter::Filter;
pub(crate) use self::folder::{Folder, remove_unheld};
use self::gap::Gap;
use self::log::Log;
pub(crate) use self::resume::{Records, Refusal, Resumed};
use self::start::Guilds;
use crate::feed::Item;
use crate::intents::is_for_all;
use crate::requests::number_of;

/// How many records are sent, or passed over, before the log is told how far it is.
const MARK_SENT: u64 = 64;
const MARK_PASSED: u64 = 4096;

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

/// A record that goes to those alone who asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Route {
    /// The nonce that stands in it for this client; `None` where it has none, or stays as it is.
    pub(crate) nonce: Option<String>,
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
            if self.gap.ends(item, &self.filter) {
                return Ok(Verdict::Over);
            }
            if self.next - self.marked.1 >= MARK_PASSED {
                self.mark()?;
            }
            return Ok(Verdict::Skip);
        };
        if self.gap.ends(item, &self.filter) {
            return Ok(Verdict::Over);
        }
        self.seq += 1;
        let seq = self.seq;
        if let Some(route) = &route {
            self.log.write(&Entry::routed(seq, item.position, route))?;
            self.answered(item)?;
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
        if !self.gap.is_none() {
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
            Kind::RATE_LIMITED => nonce_of_refused(event.data()),
            _ => {
                let asked = (kind, item.guild().unwrap_or(0));
                return self.asked.others.contains(&asked).then_some(Some(Route { nonce: None }));
            }
        };
        let ours = nonce.and_then(Value::as_str).and_then(number_of)?;
        let (_, theirs) = self.asked.members.iter().find(|(of, _)| *of == ours)?;
        Some(Some(Route { nonce: Some(theirs.clone()) }))
    }

    /// The same of what everybody is sent.
    fn judge_plain(&mut self, item: &Item) -> Option<Option<Route>> {
        if let Some(guild) = item.guild()
            && self.guilds.hold_back(guild, item.position)
            && !is_for_all(item.kind())
        {
            // Gone before it was told: the client has it in its READY.
            let gone = item.kind() == Kind::GUILD_DELETE && self.guilds.is_pending(guild);
            return (gone && self.filter.admits(item)).then_some(Some(Route { nonce: None }));
        }
        self.filter.admits(item).then_some(None)
    }

    /// An answer was given: the last of its kind ends the request.
    fn answered(&mut self, item: &Item) -> io::Result<()> {
        let (data, kind) = (item.event.data(), item.kind());
        let number = |key| data.get_str(key).and_then(Value::as_u64);
        let of_ours = |nonce: Option<Value<'_>>| nonce.and_then(Value::as_str).and_then(number_of);
        let done = match kind {
            Kind::GUILD_MEMBERS_CHUNK => {
                let (index, count) = (number("chunk_index"), number("chunk_count"));
                let last = index.zip(count).is_some_and(|(index, count)| index + 1 >= count);
                of_ours(data.get(atoms::NONCE)).filter(|_| last)
            }
            // There will be no other answer.
            Kind::RATE_LIMITED => of_ours(nonce_of_refused(data)),
            Kind::SOUNDBOARD_SOUNDS | Kind::CHANNEL_INFO => {
                let guild = item.guild().unwrap_or(0);
                self.log.write(&Entry::Other { kind, guild, answer: Some(self.seq) })?;
                self.asked.is_told(kind, guild);
                None
            }
            _ => None,
        };
        if let Some(ours) = done {
            self.asked.members.retain(|(of, _)| *of != ours);
        }
        Ok(())
    }

    /// The client asked for members, with a nonce of its own; the answer carries ours.
    pub(crate) fn asks_members(&mut self, ours: u64, theirs: &str) -> io::Result<()> {
        self.log.write(&Entry::Asked { number: ours, nonce: theirs.to_owned() })?;
        self.asked.members(ours, theirs);
        Ok(())
    }

    /// The client asked for what comes without a nonce.
    pub(crate) fn asks(&mut self, kind: Kind, guild: u64) -> io::Result<()> {
        self.log.write(&Entry::Other { kind, guild, answer: None })?;
        self.asked.other(kind, guild);
        Ok(())
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

/// The nonce of a request that was refused because it came too soon (G-32).
pub(crate) fn nonce_of_refused(data: Value<'_>) -> Option<Value<'_>> {
    data.get_str("meta")?.get(atoms::NONCE)
}
