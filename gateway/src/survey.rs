//! What there is of an instance before a gateway starts: for each shard count, who runs, and which
//! sessions can be resumed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::time::SystemTime;

use mixcord_event::topology;
use mixcord_ring::{Namespace, Ring};

use crate::checkpoint::{Checkpoint, Settings};
use crate::config::{Options, ShardSet, Token};
use crate::failure::Failure;

/// The shard rings of an instance, by shard count.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    counts: BTreeMap<u16, Count>,
}

/// The shard rings of one count.
#[derive(Debug, Default)]
struct Count {
    /// One of them that a gateway writes now.
    written: Option<String>,
    /// Sessions began in some of them.
    began: bool,
    /// The shards whose session can be resumed.
    sessions: BTreeSet<u16>,
    /// When the newest was changed, as far as the system knows.
    changed: Option<SystemTime>,
}

impl Survey {
    /// What there is of an instance, for a process with these options.
    ///
    /// # Errors
    /// When the segments cannot be listed.
    pub(crate) fn of_instance(
        namespace: &Namespace,
        options: &Options,
        token: &Token,
    ) -> Result<Self, Failure> {
        let settings = Settings::new(options, token);
        Self::of(namespace, |shard, count| settings.of_shard(shard, count))
            .map_err(Failure::trouble)
    }

    /// Looks at every ring there is. `settings` are those of a shard of this process, by shard and count.
    ///
    /// # Errors
    /// When the segments cannot be listed.
    fn of(namespace: &Namespace, settings: impl Fn(u16, u16) -> Settings) -> io::Result<Self> {
        let mut survey = Self::default();
        for name in namespace.rings()? {
            let Some((shard, count)) = topology::parse_shard_ring(&name) else { continue };
            // One that cannot be read is complained about when it is opened.
            let Ok(ring) = Ring::attach(namespace, &name) else { continue };
            let of_count = survey.counts.entry(count).or_default();
            if of_count.written.is_none() && ring.producer_alive() {
                of_count.written = Some(name.clone());
            }
            let path = Namespace::directory().join(format!("{}.{name}", namespace.prefix()));
            let changed = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
            of_count.changed = of_count.changed.max(changed);
            let Some(bytes) = ring.checkpoint() else { continue };
            let checkpoint = Checkpoint::decode(&bytes);
            of_count.began |= checkpoint.as_ref().is_none_or(|it| it.status.seq.is_some());
            if checkpoint.is_some_and(|it| it.restore(&settings(shard, count)).session.is_some()) {
                of_count.sessions.insert(shard);
            }
        }
        Ok(survey)
    }

    /// The count whose sessions live, or lived last.
    pub(crate) fn kept(&self) -> Option<u16> {
        let known = self.counts.iter().filter(|(_, it)| it.written.is_some() || it.began);
        let newest =
            known.max_by_key(|(_, it)| (it.written.is_some(), !it.sessions.is_empty(), it.changed));
        newest.map(|(count, _)| *count)
    }

    /// The shards of a set whose session can be resumed.
    pub(crate) fn resumable(&self, shards: &ShardSet) -> BTreeSet<u16> {
        let of_count = self.counts.get(&shards.count);
        let sessions = of_count.map(|it| it.sessions.range(shards.ids()).copied().collect());
        sessions.unwrap_or_default()
    }

    /// Whether a gateway runs this count.
    pub(crate) fn is_written(&self, count: u16) -> bool {
        self.counts.get(&count).is_some_and(|it| it.written.is_some())
    }

    /// Whether there is a ring of this count in which a session began.
    pub(crate) fn began(&self, count: u16) -> bool {
        self.counts.get(&count).is_some_and(|it| it.began)
    }

    /// Another count, not of those that may, that a gateway of the instance runs now, and a ring it writes.
    pub(crate) fn runs_beside(&self, count: u16, may: impl Fn(u16) -> bool) -> Option<(u16, &str)> {
        let others = self.counts.iter().filter(|(other, _)| **other != count && !may(**other));
        others.filter_map(|(other, it)| Some((*other, it.written.as_deref()?))).next()
    }

    /// Did sessions of another count end?
    pub(crate) fn has_ended_count(&self, count: u16) -> bool {
        self.counts.iter().any(|(other, it)| *other != count && it.written.is_none() && it.began)
    }
}
