//! The oracle: what fake-discord sent against what a consumer was given.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::fake::Fake;
use crate::process::{Program, until};

/// One dispatch in the journal of fake-discord.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Sent {
    /// The shard it went to.
    pub shard: u16,
    /// Which of the shard's sessions, counted from 1 in the order they were made.
    pub session: u32,
    /// Its sequence number within the session.
    pub seq: u64,
    /// Its name.
    pub kind: String,
}

/// One line of `mixcord tail`.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// The event's name.
    pub kind: String,
    /// The shard; `None` only for LOST lines.
    pub shard: Option<u16>,
    /// The shard count; `None` only for LOST lines.
    pub shards: Option<u16>,
    /// The guild, where there is one.
    pub guild: Option<u64>,
    /// The shard's session counter.
    pub session: Option<u32>,
    /// Discord's sequence number.
    pub seq: Option<u64>,
    /// 0, or more for derived events.
    pub index: Option<u16>,
    /// The entity before; null unless the follower keeps the payloads of this kind.
    pub old: Value,
    /// The payload, or the entity after; null unless the follower keeps the payloads of this kind.
    pub data: Value,
}

#[derive(Deserialize)]
struct Line<'a> {
    kind: String,
    shard: Option<u16>,
    shards: Option<u16>,
    guild_id: Option<String>,
    session: Option<u32>,
    seq: Option<u64>,
    index: Option<u16>,
    #[serde(borrow)]
    old: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl Delivered {
    fn parse(line: &str, keep: &[&str]) -> Result<Self> {
        let line: Line<'_> = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let kept = |value: Option<&RawValue>| match value {
            Some(text) if keep.contains(&line.kind.as_str()) => serde_json::from_str(text.get()),
            _ => Ok(Value::Null),
        };
        Ok(Self {
            old: kept(line.old)?,
            data: kept(line.data)?,
            shard: line.shard,
            shards: line.shards,
            guild: line.guild_id.as_deref().map(str::parse).transpose()?,
            session: line.session,
            seq: line.seq,
            index: line.index,
            kind: line.kind,
        })
    }

    /// Is it an event that Discord sent, and not one of Mixcord's own or a derived one?
    pub fn is_sent(&self) -> bool {
        self.index == Some(0) && !matches!(self.kind.as_str(), "GAP" | "SHARD_STATE" | "LOST")
    }
}

/// Reads what a tail prints, while it prints, without keeping what nobody asked for.
#[derive(Debug)]
pub struct Follower {
    file: BufReader<File>,
    partial: Vec<u8>,
    keep: &'static [&'static str],
    /// Everything read so far.
    pub delivered: Vec<Delivered>,
}

impl Follower {
    /// Follows the output of `tail`, and keeps `old` and `data` of the kinds in `keep`.
    ///
    /// # Errors
    /// When the output cannot be opened.
    pub fn new(tail: &Program, keep: &'static [&'static str]) -> Result<Self> {
        let file = BufReader::new(File::open(tail.stdout_path())?);
        Ok(Self { file, partial: Vec::new(), keep, delivered: Vec::new() })
    }

    /// Reads what has been printed since the last call; returns how many events that Discord sent
    /// have been seen in all.
    ///
    /// # Errors
    /// When a line is not what the contract says.
    pub fn read(&mut self) -> Result<usize> {
        while self.file.read_until(b'\n', &mut self.partial)? > 0 {
            // What is cut here may be cut within a character.
            if !self.partial.ends_with(b"\n") {
                break;
            }
            let line = std::str::from_utf8(&self.partial)?;
            self.delivered.push(Delivered::parse(line, self.keep)?);
            self.partial.clear();
        }
        Ok(self.delivered.iter().filter(|d| d.is_sent()).count())
    }

    /// Reads until everything that `fake` has sent was delivered, and returns its journal. A client
    /// that has just come back may still be sent its RESUMED, so the journal is looked at again.
    ///
    /// # Errors
    /// When that takes longer than `deadline`, or the server does not answer.
    pub fn read_all(&mut self, fake: &Fake, deadline: Duration) -> Result<Vec<Sent>> {
        fake.until_finished(deadline)?;
        loop {
            let sent = fake.journal()?;
            self.read_until(sent.len(), deadline)?;
            if self.read()? <= sent.len() && fake.journal()?.len() == sent.len() {
                return Ok(sent);
            }
        }
    }

    /// Reads until READY of each of `shards` shards has been seen. A gateway that dies between a shard's IDENTIFY and its
    /// READY leaves a session behind that nobody can resume, and what that was sent is in the server's journal alone.
    ///
    /// # Errors
    /// When that takes longer than `deadline`.
    pub fn read_until_begun(&mut self, shards: u16, deadline: Duration) -> Result<()> {
        let mut seen = Ok(0);
        until("every shard's READY to be delivered", deadline, || {
            seen = self.read();
            let ready = self.delivered.iter().filter(|event| event.kind == "READY");
            let begun: BTreeSet<_> = ready.filter_map(|event| event.shard).collect();
            seen.is_err() || begun.len() == usize::from(shards)
        })?;
        seen.map(drop)
    }

    /// Reads until `events` that Discord sent have been seen.
    ///
    /// # Errors
    /// When that takes longer than `deadline`.
    pub fn read_until(&mut self, events: usize, deadline: Duration) -> Result<()> {
        let mut seen = Ok(0);
        let reached = until("the consumer to be given everything", deadline, || {
            seen = self.read();
            seen.as_ref().map_or(true, |&count| count >= events)
        });
        let seen = seen?;
        reached.with_context(|| format!("{seen} of {events} events were delivered"))
    }
}

/// Demands that `delivered` holds exactly what `sent` holds: nothing lost, nothing twice, and the
/// order of every shard kept where one member received it all.
///
/// The session counters of both sides are matched by their order within a shard.
///
/// # Errors
/// Says what is missing, doubled or out of order first.
pub fn compare(sent: &[Sent], delivered: &[Delivered], order: Order) -> Result<()> {
    if let Some(own) = delivered.iter().find(|d| matches!(d.kind.as_str(), "GAP" | "LOST")) {
        bail!("something was lost: {own:?}");
    }
    let expected = by_shard(sent.iter().map(|s| (s.shard, s.session, s.seq, s.kind.as_str())));
    let received = by_shard(delivered.iter().filter(|d| d.is_sent()).map(|d| {
        (d.shard.unwrap_or(u16::MAX), d.session.unwrap_or(0), d.seq.unwrap_or(0), d.kind.as_str())
    }));
    ensure!(
        expected.keys().eq(received.keys()),
        "shards sent: {:?}, shards delivered: {:?}",
        expected.keys(),
        received.keys()
    );
    for (shard, expected) in &expected {
        compare_shard(*shard, expected, &received[shard], order)?;
    }
    Ok(())
}

/// How much order the comparison may demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The whole shard: one member read it.
    Shard,
    /// None here: events of several members were put together.
    Any,
}

type Event<'a> = (u32, u64, &'a str);

fn by_shard<'a>(
    events: impl Iterator<Item = (u16, u32, u64, &'a str)>,
) -> BTreeMap<u16, Vec<Event<'a>>> {
    let mut shards: BTreeMap<u16, Vec<Event<'a>>> = BTreeMap::new();
    for (shard, session, seq, kind) in events {
        shards.entry(shard).or_default().push((session, seq, kind));
    }
    for events in shards.values_mut() {
        let sessions: BTreeSet<u32> = events.iter().map(|e| e.0).collect();
        let ordinal: BTreeMap<u32, u32> = sessions.into_iter().zip(1..).collect();
        events.iter_mut().for_each(|event| event.0 = ordinal[&event.0]);
    }
    shards
}

fn compare_shard(
    shard: u16,
    expected: &[Event<'_>],
    received: &[Event<'_>],
    order: Order,
) -> Result<()> {
    let mut received = received.to_vec();
    if order == Order::Any {
        received.sort_unstable();
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = received.iter().find(|event| !seen.insert((event.0, event.1))) {
        bail!("shard {shard}: delivered twice: {twice:?}");
    }
    if let Some(lost) = expected.iter().find(|event| !seen.contains(&(event.0, event.1))) {
        bail!(
            "shard {shard}: lost {lost:?} ({} sent, {} delivered)",
            expected.len(),
            received.len()
        );
    }
    let sent: BTreeSet<_> = expected.iter().map(|event| (event.0, event.1)).collect();
    if let Some(extra) = received.iter().find(|event| !sent.contains(&(event.0, event.1))) {
        bail!("shard {shard}: {extra:?} was delivered, and never sent");
    }
    let different = expected.iter().zip(&received).find(|(a, b)| a != b);
    if let Some((sent, delivered)) = different {
        bail!("shard {shard}: {delivered:?} was delivered where {sent:?} was sent");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(seq: u64) -> Sent {
        Sent { shard: 0, session: 1, seq, kind: "TYPING_START".to_owned() }
    }

    fn delivered(seq: u64) -> Delivered {
        let line = format!(
            r#"{{"kind":"TYPING_START","shard":0,"session":9,"seq":{seq},"index":0,"old":null,"data":{{}}}}"#
        );
        Delivered::parse(&line, &[]).unwrap()
    }

    #[test]
    fn equal_journals_pass() {
        compare(&[sent(1), sent(2)], &[delivered(1), delivered(2)], Order::Shard).unwrap();
    }

    #[test]
    fn a_lost_event_is_named() {
        let error = compare(&[sent(1), sent(2)], &[delivered(2)], Order::Shard).unwrap_err();
        assert!(error.to_string().contains("lost (1, 1,"), "{error}");
    }

    #[test]
    fn an_event_given_twice_is_named() {
        let twice = [delivered(1), delivered(1)];
        let error = compare(&[sent(1)], &twice, Order::Shard).unwrap_err();
        assert!(error.to_string().contains("twice"), "{error}");
    }

    #[test]
    fn reordering_is_seen_unless_several_members_received() {
        let swapped = [delivered(2), delivered(1)];
        compare(&[sent(1), sent(2)], &swapped, Order::Shard).unwrap_err();
        compare(&[sent(1), sent(2)], &swapped, Order::Any).unwrap();
    }
}
