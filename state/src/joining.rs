//! What a store of before has in two values about each channel goes into one.

use crate::tables::{CHANNEL_FACTS, CHANNEL_MAP, CHANNELS, THREADS};
use crate::{Arena, Key, Read, StoreError, Writer, compose};

/// Channels that are changed in one batch at most; of each two keys.
const PART: usize = 1024;

impl Writer {
    /// Makes of what was put as an older store had it what this one has. It is for a store that is being made, of a copy
    /// ([`Writer::put_stored`]) or of LMDB: it commits, and nobody reads it yet.
    ///
    /// # Errors
    /// The store is to be thrown away.
    pub fn join_channels(&mut self) -> Result<(), StoreError> {
        let (mut arena, mut keys) = (Arena::default(), Vec::new());
        let part = PART.min(self.changes_max() as usize / 2).max(1);
        let mut rest = Some(CHANNEL_MAP.all());
        while let Some(range) = rest.take() {
            arena.clear();
            keys.clear();
            self.view(&arena).keys(range, &mut |key| {
                keys.push(key);
                keys.len() < part
            })?;
            for &key in &keys {
                self.join_channel(key, &arena)?;
            }
            self.commit(self.output())?;
            let last = keys.last().filter(|_| keys.len() == part);
            rest = last.and_then(|last| range.behind(*last));
        }
        Ok(())
    }

    fn join_channel(&mut self, key: Key, arena: &Arena) -> Result<(), StoreError> {
        let view = self.view(arena);
        let is_apart = view.get(key)?.is_some_and(|value| value.len() == size_of::<u64>());
        if !is_apart {
            return Ok(());
        }
        let channel = key.owner();
        let Some(facts) = compose::facts_of_channel(&view, channel)? else { return Ok(()) };
        let apart = CHANNEL_FACTS.at(facts.guild(), channel);
        let is_there = |table: crate::Pairs| view.get(table.at(facts.guild(), channel));
        let is_cached = is_there(CHANNELS)?.is_some() || is_there(THREADS)?.is_some();
        let facts = facts.into_owned();
        self.put(key, &[facts.as_bytes()])?;
        if is_cached { self.delete(apart) } else { self.put(apart, &[]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::MESSAGES;
    use crate::{Cached, ChannelFacts, LastMessage};

    const COUNT: u64 = 3000;

    fn facts(channel: u64) -> ChannelFacts<'static> {
        let mut facts = ChannelFacts::of(channel % 3);
        facts.set_last_message(LastMessage::Id(channel));
        for id in 0..channel % 4 {
            facts.insert(Cached { id, received_us: channel });
        }
        facts
    }

    /// A channel of four is cached, one of four is a thread, and the others are known by messages alone.
    #[test]
    fn p11_what_was_known_in_two_values_is_known_in_one() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut writer = Writer::create(dir.path(), 64 << 20).expect("a store");
        for channel in 0..COUNT {
            let facts = facts(channel);
            let (guild, rest) = facts.parts();
            writer.put_stored(CHANNEL_MAP.at(channel), guild).expect("room");
            let apart = CHANNEL_FACTS.at(facts.guild(), channel);
            writer.put_stored(apart, rest).expect("room");
            for (table, of) in [(CHANNELS, 1), (THREADS, 2)] {
                if channel % 4 == of {
                    writer.put(table.at(facts.guild(), channel), &[&[0]]).expect("room");
                }
            }
            writer.put(MESSAGES.at(channel, 1), &[&[0]]).expect("room");
        }
        writer.commit((7, 9)).expect("room");
        let known = |writer: &Writer| {
            let arena = Arena::default();
            let view = writer.view(&arena);
            let all = (0..COUNT).map(|channel| {
                let facts = compose::facts_of_channel(&view, channel).expect("a store");
                facts.expect("known").into_owned()
            });
            all.collect::<Vec<_>>()
        };
        let before = known(&writer);
        for _ in 0..2 {
            writer.join_channels().expect("room");
            assert_eq!(known(&writer), before);
            assert_eq!(before, (0..COUNT).map(facts).collect::<Vec<_>>());
            assert_eq!(writer.output(), (7, 9));
            let arena = Arena::default();
            for channel in 0..COUNT {
                let facts = facts(channel);
                let key = CHANNEL_MAP.at(channel);
                assert_eq!(writer.get(key, &arena).expect("a store"), Some(facts.as_bytes()));
                let stray = writer.get(CHANNEL_FACTS.at(facts.guild(), channel), &arena);
                let is_stray = matches!(channel % 4, 0 | 3);
                assert_eq!(stray.expect("a store"), is_stray.then_some(&[][..]), "{channel}");
            }
        }
    }
}
