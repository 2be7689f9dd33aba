//! One lane of a stream: the ring that is sent in it, if there is one and it may be.

use std::time::{Duration, Instant};

use mixcord_bridge::lease::Source;
use mixcord_bridge::names::Lane;
use mixcord_bridge::sender::Fault;

use super::feed::{Feed, Joined};
use super::setting::Setting;
use super::standing::{State, over};

/// How long a ring that cannot be read is left alone.
const RETRY: Duration = Duration::from_secs(10);
/// The same of one that no gateway of this machine writes yet.
const RETRY_SOON: Duration = Duration::from_millis(250);

/// A lane, as one process sends it.
#[derive(Debug)]
pub(super) struct SentLane {
    pub(super) lane: Lane,
    pub(super) subject: String,
    /// `None` while there is no ring.
    pub(super) feed: Option<Box<Feed>>,
    /// Since which generation it is sent; `None` while it is not claimed.
    pub(super) since: Option<u64>,
    pub(super) fault: Option<Fault>,
    /// Another machine took it over, and where that is.
    pub(super) ended: Option<String>,
    /// The log was looked at since it is claimed.
    pub(super) is_looked_at: bool,
    /// The ring that it was let go of though it is there: nothing comes of it any more.
    left: Option<u64>,
    /// When it is looked at again whether the ring can be read.
    again: Option<Instant>,
    /// It cannot, for now.
    is_refused: bool,
}

impl SentLane {
    pub(super) const fn new(lane: Lane) -> Self {
        let subject = String::new();
        Self {
            lane,
            subject,
            feed: None,
            since: None,
            fault: None,
            ended: None,
            is_looked_at: false,
            left: None,
            again: None,
            is_refused: false,
        }
    }

    /// Joins a ring that is new, and lets go of one that is gone, or left with `all_kept` of it in the log.
    pub(super) fn open_ring(&mut self, setting: &Setting, is_listed: bool, all_kept: bool) {
        if let Some(feed) = &mut self.feed {
            let is_left = all_kept && feed.is_left();
            if is_left {
                self.left = Some(feed.id());
            }
            if is_left || feed.is_over() {
                (self.feed, self.since, self.fault, self.ended) = (None, None, None, None);
            }
        }
        let rests = self.again.is_some_and(|again| Instant::now() < again);
        if self.feed.is_some() || !is_listed || rests {
            return;
        }
        let bell = setting.bell.bell();
        let pause = match Feed::join(&setting.namespace, self.lane, bell, self.left) {
            Joined::Feed(feed) => {
                (self.feed, self.is_refused) = (Some(feed), false);
                return;
            }
            Joined::NotYet => RETRY_SOON,
            Joined::Refused => RETRY,
        };
        self.is_refused = pause == RETRY;
        self.again = Some(Instant::now() + pause);
    }

    /// The ring cannot be read for now.
    pub(super) fn refuse(&mut self) {
        (self.feed, self.since, self.is_refused) = (None, None, true);
        self.again = Some(Instant::now() + RETRY);
    }

    /// What is to be claimed for it.
    pub(super) fn source(&self) -> Option<Source> {
        let feed = self.feed.as_ref()?;
        Some(Source { lane: self.lane, log: feed.id(), written: feed.ring.producer_alive() })
    }

    /// How it stands, for the gateway that writes the ring; `has_begun` is whether the log has something of it.
    pub(super) fn state(&self, has_begun: bool) -> State {
        match (&self.ended, self.fault, &self.feed) {
            (Some(by), ..) => State::Over(over(self.lane, by)),
            (None, Some(fault @ Fault::Superseded { .. }), _) => State::Over(fault.to_string()),
            (None, None, Some(feed)) => {
                let is_sent = self.since.is_some() && self.is_looked_at;
                // One that was taken over is this machine's once everybody can see that.
                let is_sent = is_sent && (has_begun || !feed.is_taken());
                if is_sent { State::Sends } else { State::Begins }
            }
            (None, None, None) if !self.is_refused => State::Begins,
            _ => State::Unreadable,
        }
    }

    /// What can be sent.
    pub(super) fn sending(&mut self) -> Option<&mut Feed> {
        self.since?;
        self.feed.as_deref_mut().filter(|_| self.fault.is_none() && self.ended.is_none())
    }

    /// Whether its last message is still needed: more follows it, or it proves that the ring is a copy.
    pub(super) const fn sends(&self) -> bool {
        let is_over = matches!(self.fault, Some(Fault::Superseded { .. })) || self.ended.is_some();
        self.feed.is_some() && !is_over
    }
}
