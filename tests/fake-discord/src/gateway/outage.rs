//! Guilds that are away for a while: to everybody, or to the sessions of one number of shards alone.

use super::dispatch::dispatch;
use super::hub::{Feed, Hub};
use crate::world::guilds;

impl Hub {
    /// Takes a guild away from everybody, or brings it back. False: no such guild.
    pub(crate) fn outage(&self, guild: u64, away: bool) -> bool {
        self.feeds.iter().any(|feed| {
            feed.act(self, |lane| {
                let at = lane.guilds.iter().position(|held| held.id == guild);
                match at {
                    Some(at) if lane.guilds[at].unavailable == away => {}
                    Some(at) if away => guilds::away_now(lane, at),
                    Some(at) => guilds::back(lane, at),
                    None => return false,
                }
                true
            })
        })
    }

    /// The same for the sessions of one number of shards, which others do not notice.
    pub(crate) fn outage_of(&self, shards: u64, guild: u64, away: bool) -> bool {
        self.feeds.iter().any(|feed| self.outage_in(feed, shards, guild, away))
    }

    fn outage_in(&self, feed: &Feed, shards: u64, guild: u64, away: bool) -> bool {
        let mut lane = feed.lane();
        let Some(held) = lane.guilds.iter().find(|held| held.id == guild) else { return false };
        let everybody_misses_it = held.unavailable;
        if self.sets.is_away(shards, guild) == away {
            return true;
        }
        // Nothing of a guild that is away is told: it says so before, and that it is back after.
        if !away {
            self.sets.set_away(shards, guild, away);
        }
        if !everybody_misses_it {
            lane.emit(if away { guilds::gone_for_a_while(guild) } else { guilds::is_back(guild) });
            let events = lane.take_events();
            let mut listeners = feed.listeners().clone();
            listeners.retain(|session| session.shards == shards);
            dispatch(self, &lane, &events, &listeners);
            listeners.iter().for_each(|session| session.wake());
        }
        if away {
            self.sets.set_away(shards, guild, away);
        }
        true
    }
}
