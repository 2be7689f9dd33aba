//! One lane of a stream: the ring that is sent in it, if there is one and it may be.

use std::time::{Duration, Instant};

use mixcord_bridge::lease::Source;
use mixcord_bridge::names::Lane;
use mixcord_bridge::sender::Fault;

use super::feed::Feed;
use super::setting::Setting;

/// How long a ring that cannot be read is left alone.
const RETRY: Duration = Duration::from_secs(10);

/// A lane, as one process sends it.
#[derive(Debug)]
pub(super) struct SentLane {
    pub(super) lane: Lane,
    pub(super) subject: String,
    /// `None` while there is no ring.
    pub(super) feed: Option<Feed>,
    /// Since which generation it is sent; `None` while it is not claimed.
    pub(super) since: Option<u64>,
    pub(super) fault: Option<Fault>,
    /// When the ring could not be read.
    refused: Option<Instant>,
}

impl SentLane {
    pub(super) const fn new(lane: Lane) -> Self {
        let subject = String::new();
        Self { lane, subject, feed: None, since: None, fault: None, refused: None }
    }

    /// Joins a ring that is new, and lets go of one that is gone.
    pub(super) fn open_ring(&mut self, setting: &Setting, is_listed: bool) {
        if self.feed.as_mut().is_some_and(Feed::is_over) {
            (self.feed, self.since, self.fault) = (None, None, None);
        }
        let rests = self.refused.is_some_and(|at| at.elapsed() < RETRY);
        if self.feed.is_none() && is_listed && !rests {
            self.feed = Feed::join(&setting.namespace, self.lane, setting.bell.bell());
            self.refused = self.feed.is_none().then(Instant::now);
        }
    }

    /// The ring cannot be read for now.
    pub(super) fn refuse(&mut self) {
        (self.feed, self.since, self.refused) = (None, None, Some(Instant::now()));
    }

    /// What is to be claimed for it.
    pub(super) fn source(&self) -> Option<Source> {
        let feed = self.feed.as_ref()?;
        Some(Source { lane: self.lane, log: feed.id(), written: feed.ring.producer_alive() })
    }

    /// What can be sent.
    pub(super) fn sending(&mut self) -> Option<&mut Feed> {
        self.since?;
        self.feed.as_mut().filter(|_| self.fault.is_none())
    }

    /// Whether its last message is still needed: more follows it, or it proves that the ring is a copy.
    pub(super) const fn sends(&self) -> bool {
        self.feed.is_some() && !matches!(self.fault, Some(Fault::Superseded { .. }))
    }
}
