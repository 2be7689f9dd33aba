//! All of it as rows of the state, and back.

use std::collections::{HashSet, VecDeque};

use super::guild::{Brief, Count, Guild, There};
use super::shards::{Shard, Shards};
use super::stand::{Stand, Step};
use super::waiting::Wait;
use super::{Figures, Keys, Overlap, Request, Side, Sides, Stage, Times};

/// A row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Row {
    /// What is asked for, and how far it is. Without it there is no change of the shard count.
    Head,
    /// A shard's clocks.
    Shard(Side, u16),
    /// READY of a shard of the new set.
    Ready(u16),
    /// A guild.
    Guild(u64),
    /// Some counts of a guild.
    Block(u64),
    /// A record that waits.
    Wait(u64),
}

/// A row is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("damaged row of a change of the shard count: {row:?}")]
pub struct RowError {
    /// Which one.
    pub row: Row,
}

const VERSION: u8 = 1;

impl Overlap {
    /// Writes what changed since the last time; `None` for a row that is gone.
    ///
    /// # Errors
    /// Those of `put`. Then nobody knows what is written: the whole has to be [loaded](Self::load) anew.
    pub fn drain<E>(
        &mut self,
        mut put: impl FnMut(Row, Option<&[u8]>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut bytes = Vec::new();
        for row in std::mem::take(&mut self.changed) {
            bytes.clear();
            if self.write(row, &mut bytes) {
                self.stored.insert(row);
                put(row, Some(&bytes))?;
            } else if self.stored.remove(&row) {
                put(row, None)?;
            }
        }
        Ok(())
    }

    /// Writes a row; false where there is none.
    fn write(&mut self, row: Row, out: &mut Vec<u8>) -> bool {
        match row {
            Row::Head => self.head(out),
            Row::Shard(..) if self.is_cleared() => return false,
            Row::Shard(side, shard) => {
                let Some(shard) = self.shards[side].get(shard) else { return false };
                let Shard { began_us, clock_us, last_us, woke_us, active_us, .. } = shard;
                words(out, [u64::from(shard.has_session), *began_us, *clock_us]);
                words(out, [*last_us, *woke_us, *active_us]);
            }
            Row::Ready(shard) => {
                let shard = self.shards[Side::New].get(shard);
                let Some(ready) = shard.and_then(|shard| shard.ready.as_ref()) else {
                    return false;
                };
                out.extend_from_slice(ready);
            }
            Row::Guild(id) => {
                let Some(guild) = self.guilds.get(&id) else { return false };
                let Guild { delivers, there, since_us, of, stand, .. } = guild;
                let there = Side::BOTH.map(|side| there[side] as u8);
                let bits =
                    |of: &Sides<bool>| u8::from(of[Side::Old]) | u8::from(of[Side::New]) << 1;
                let flags = u8::from(stand.is_held)
                    | u8::from(stand.is_away) << 1
                    | bits(&guild.has_met) << 2
                    | bits(&guild.in_doubt) << 4
                    | u8::from(guild.has_given_way) << 6;
                out.extend([*delivers as u8, there[0], there[1], flags]);
                words(out, Side::BOTH.map(|side| since_us[side]));
                words(out, [of[Side::Old], of[Side::New], stand.number]);
            }
            Row::Block(number) => {
                let Some(&(id, side)) = self.blocks.get(&number) else { return false };
                let guild = self.guilds.get(&id);
                let counts = guild.map(|guild| of_block(&guild.counts[side], number));
                let mut counts = counts.into_iter().flatten().peekable();
                if counts.peek().is_none() {
                    self.blocks.remove(&number);
                    return false;
                }
                words(out, [id, side as u64]);
                for Count { print, at_us, mark_us, claimed_us, of, is_away, .. } in counts {
                    let flags = u64::from(*is_away);
                    words(out, [*print, *at_us, *mark_us, *claimed_us, *of, flags]);
                }
            }
            Row::Wait(number) => {
                let Some(wait) = self.waits.get(number) else { return false };
                let Wait { guild, side, at_us, brief, is_due, part, bytes } = wait;
                let Brief { print, of, step, number: _ } = brief;
                let step = step.map_or(0, |step| step as u64);
                let flags =
                    *side as u64 | u64::from(*is_due) << 8 | step << 9 | u64::from(*part) << 16;
                words(out, [flags, *guild, *print, *at_us, *of]);
                out.extend_from_slice(bytes);
            }
        }
        true
    }

    fn head(&self, out: &mut Vec<u8>) {
        let Request { counts, times, bytes_max } = self.request;
        let Figures { cancelled, one_sided, taken_over, counts: _ } = self.figures;
        let (stage, of) = match self.stage {
            Stage::Listing(guild) => (0, guild),
            Stage::Overlapping => (1, 0),
            Stage::Cutting => (2, 0),
            Stage::Cut => (3, 0),
            Stage::Leaving => (4, 0),
            Stage::CalledOff => (5, 0),
            Stage::Over(side) => (6, side as u64),
        };
        out.push(VERSION);
        words(out, [counts[Side::Old].into(), counts[Side::New].into()]);
        words(out, [times.window_us, times.slack_us, bytes_max as u64]);
        words(out, self.keys.0);
        words(out, [stage, of, self.next_block, self.waits.next()]);
        words(out, [cancelled, one_sided[Side::Old], one_sided[Side::New], taken_over]);
    }

    /// Reads it back, from all its rows in whatever order; `None` where there is no head.
    ///
    /// # Errors
    /// When a row is damaged.
    pub fn load(rows: Vec<(Row, Vec<u8>)>) -> Result<Option<Self>, RowError> {
        let head = rows.iter().find(|(row, _)| *row == Row::Head);
        let Some((_, head)) = head else { return Ok(None) };
        let mut overlap = read_head(head).ok_or(RowError { row: Row::Head })?;
        let mut rows = rows;
        // Guilds before what belongs to them, and that in its order.
        rows.sort_unstable_by_key(|(row, _)| *row);
        for (row, bytes) in rows {
            overlap.read_row(row, &bytes).ok_or(RowError { row })?;
            overlap.stored.insert(row);
        }
        overlap.waits.queue();
        overlap.show_all();
        Ok(Some(overlap))
    }

    fn read_row(&mut self, row: Row, bytes: &[u8]) -> Option<()> {
        match row {
            Row::Head => {}
            Row::Shard(side, number) => {
                let [has_session, began_us, clock_us, last_us, woke_us, active_us] =
                    exactly(bytes)?;
                let shard = self.shards[side].get_mut(number)?;
                let has_session = has_session != 0;
                *shard = Shard {
                    has_session,
                    began_us,
                    clock_us,
                    last_us,
                    woke_us,
                    active_us,
                    ready: None,
                };
            }
            Row::Ready(number) => {
                self.shards[Side::New].get_mut(number)?.ready = Some(bytes.to_vec());
            }
            Row::Guild(id) => {
                let (&[delivers, old, new, flags], rest) = bytes.split_first_chunk()?;
                let [since_old, since_new, of_old, of_new, number] = exactly(rest)?;
                let mut guild = Guild::unknown(side_of(delivers.into())?);
                guild.there = Sides::new(There::from_number(old)?, There::from_number(new)?);
                guild.since_us = Sides::new(since_old, since_new);
                guild.of = Sides::new(of_old, of_new);
                let is_set = |bit: u8| flags >> bit & 1 != 0;
                guild.has_met = Sides::new(is_set(2), is_set(3));
                guild.in_doubt = Sides::new(is_set(4), is_set(5));
                guild.has_given_way = is_set(6);
                guild.stand = Stand { number, is_held: is_set(0), is_away: is_set(1) };
                self.guilds.insert(id, guild);
            }
            Row::Block(number) => {
                let words = all(bytes)?;
                let (&[id, side], rest) = words.split_first_chunk()?;
                let ((counts, []), side) = (rest.as_chunks(), side_of(side)?) else { return None };
                let guild = self.guilds.get_mut(&id)?;
                for &[print, at_us, mark_us, claimed_us, of, flags] in counts {
                    let (is_away, block) = (flags != 0, number);
                    let count = Count { print, at_us, mark_us, claimed_us, of, is_away, block };
                    guild.counts[side].push_back(count);
                    guild.claims[side] += u32::from(claimed_us > 0);
                    self.figures.counts += 1;
                }
                self.blocks.insert(number, (id, side));
                self.next_block = self.next_block.max(number);
            }
            Row::Wait(number) => {
                let (head, bytes) = bytes.split_first_chunk::<40>()?;
                let [flags, guild, print, at_us, of] = exactly(head)?;
                let (side, is_due) = (side_of(flags & 0xff)?, flags >> 8 & 1 != 0);
                let step = Step::from_number((flags >> 9 & 3) as u8)?;
                let part = (flags >> 16) as u16;
                let brief = Brief { number, print, of, step };
                self.guilds.get_mut(&guild)?.waiting[side].push_back(brief);
                let bytes = bytes.to_vec();
                let wait = Wait { guild, side, at_us, brief, is_due, part, bytes };
                self.waits.insert(wait);
            }
        }
        Some(())
    }

    /// After a start: READYs that are kept though their shards deliver.
    fn show_all(&mut self) {
        for shard in 0..self.request.counts[Side::New] {
            let of = self.shards[Side::New].get(shard);
            let is_kept = of.is_some_and(|shard| shard.ready.is_some());
            let is_new = |guild: &Guild| guild.delivers == Side::New;
            if is_kept && self.guilds_of(Side::New, shard).any(|(_, guild)| is_new(guild)) {
                self.waits.show(shard);
            }
        }
    }
}

/// The counts of a block: blocks follow each other in the list.
fn of_block(counts: &VecDeque<Count>, number: u64) -> impl Iterator<Item = &Count> {
    let first = counts.partition_point(|count| count.block < number);
    counts.range(first..).take_while(move |count| count.block == number)
}

fn read_head(bytes: &[u8]) -> Option<Overlap> {
    let (&version, rest) = bytes.split_first()?;
    if version != VERSION {
        return None;
    }
    let [old, new, window_us, slack_us, bytes_max, key0, key1, rest @ ..] = exactly::<15>(rest)?;
    let [stage, of, next_block, next_wait, cancelled, from_old, from_new, taken_over] = rest;
    let (old, new) = (u16::try_from(old).ok()?, u16::try_from(new).ok()?);
    let request = Request {
        counts: Sides::new(old, new),
        times: Times { window_us, slack_us },
        bytes_max: usize::try_from(bytes_max).ok()?,
    };
    let shards = Sides::new(Shards::new(old, 0), Shards::new(new, 0));
    let mut overlap = Overlap::empty(request, Keys([key0, key1]), shards);
    overlap.stage = match stage {
        0 => Stage::Listing(of),
        1 => Stage::Overlapping,
        2 => Stage::Cutting,
        3 => Stage::Cut,
        4 => Stage::Leaving,
        5 => Stage::CalledOff,
        6 => Stage::Over(side_of(of)?),
        _ => return None,
    };
    overlap.next_block = next_block;
    overlap.waits.set_next(next_wait);
    let one_sided = Sides::new(from_old, from_new);
    overlap.figures = Figures { cancelled, one_sided, taken_over, counts: 0 };
    Some(overlap)
}

fn side_of(number: u64) -> Option<Side> {
    Side::BOTH.get(usize::try_from(number).ok()?).copied()
}

fn words<const N: usize>(out: &mut Vec<u8>, words: [u64; N]) {
    out.extend(words.into_iter().flat_map(u64::to_le_bytes));
}

fn all(bytes: &[u8]) -> Option<Vec<u64>> {
    let (words, rest) = bytes.as_chunks();
    rest.is_empty().then(|| words.iter().map(|word| u64::from_le_bytes(*word)).collect())
}

fn exactly<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    all(bytes)?.try_into().ok()
}

/// Rows that are stored.
pub(super) type Stored = HashSet<Row>;
