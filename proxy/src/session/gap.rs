//! Events of a shard were lost: what a session waits for until its client is told to begin anew.

use std::collections::{BTreeSet, HashSet};

use mixcord::event::{Reason, Value};
use mixcord::{Kind, atoms};

use super::Filter;
use crate::feed::Item;

/// Records within which a shard that began anew has told its guilds.
const WHOLE: u64 = 16_384;

/// Once the guilds of every shard that lost something are whole again, the session ends: what its client knows is no
/// longer so, and the state says how it is.
#[derive(Debug, Default)]
pub(super) struct Gap {
    /// Shards whose READY is to come.
    shards: BTreeSet<u16>,
    /// Guilds that are to come, or never (an outage).
    guilds: HashSet<u64>,
    /// Before this position it ends in any case; `None` before the first READY.
    until: Option<u64>,
}

impl Gap {
    /// Whether nothing is waited for.
    pub(super) fn is_none(&self) -> bool {
        self.shards.is_empty() && self.guilds.is_empty()
    }

    /// Whether the session ends after this record.
    pub(super) fn ends(&mut self, item: &Item, filter: &Filter) -> bool {
        let (event, kind) = (&item.event, item.kind());
        if kind == Kind::GAP && filter.concerns(event.shard()) {
            // After anything else the state does not begin anew: it is as whole as it will be.
            let anew = matches!(event.reason(), Reason::SessionLost | Reason::StateLost);
            if anew {
                self.shards.insert(event.shard().id);
            }
            return !anew;
        }
        if self.is_none() {
            return false;
        }
        match kind {
            Kind::READY if self.shards.remove(&event.shard().id) => {
                let listed = event.data().get(atoms::GUILDS).and_then(Value::as_list);
                let ids = listed.into_iter().flat_map(|list| list.iter());
                self.guilds.extend(ids.filter_map(|guild| guild.get(atoms::ID)?.as_id()));
                self.until = Some(item.position + WHOLE);
            }
            Kind::GUILD_CREATE | Kind::GUILD_DELETE => {
                if let Some(guild) = event.guild_id() {
                    self.guilds.remove(&guild);
                }
            }
            _ => {}
        }
        self.is_none() || self.until.is_some_and(|until| item.position >= until)
    }
}
