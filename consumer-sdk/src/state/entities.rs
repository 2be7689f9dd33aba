use std::collections::VecDeque;

use mixcord_event::Document;
use mixcord_state::{Found, Resource, Scan};

use super::{Error, State};

/// Entities one after the other, fetched in pages of some hundred.
///
/// No snapshot is held between two pages, however long you take: what is written meanwhile may or
/// may not be seen, each entity is whole, and none is seen twice.
#[derive(Debug)]
pub struct Entities {
    state: State,
    /// What is left to read in the store.
    scan: Option<Scan>,
    page: VecDeque<Found>,
    failed: bool,
}

impl Entities {
    pub(super) fn scanned(state: &State, scan: Scan) -> Self {
        let (scan, page) = (Some(scan), VecDeque::new());
        Self { state: state.clone(), scan, page, failed: false }
    }

    #[cfg(feature = "testing")]
    pub(super) fn listed(state: &State, found: Vec<Found>) -> Self {
        Self { state: state.clone(), scan: None, page: found.into(), failed: false }
    }

    /// The documents alone, without the ids.
    pub fn documents(self) -> impl Iterator<Item = Result<Document, Error>> {
        self.map(|found| found.map(|found| found.document))
    }
}

impl Iterator for Entities {
    type Item = Result<Found, Error>;

    /// The next entity. After an error there is none.
    fn next(&mut self) -> Option<Self::Item> {
        while self.page.is_empty()
            && !self.failed
            && let Some(scan) = self.scan.as_ref().filter(|scan| !scan.is_done())
        {
            // Where it stood before, in case that the page is asked of a new store again.
            let page = self.state.ask_store(|store| {
                let mut scan = scan.clone();
                store.page(&mut scan).map(|page| (page, scan))
            });
            match page {
                Ok((page, scan)) => (self.page, self.scan) = (page.into(), Some(scan)),
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        self.page.pop_front().map(Ok)
    }
}

/// Which entities, in which order.
#[derive(Clone, Copy)]
pub(super) enum Range {
    All(Resource),
    Of(Resource, u64),
    /// At most `limit` messages that are older than `id`, the newest first.
    Before {
        channel: u64,
        id: u64,
        limit: usize,
    },
    /// At most `limit` messages that are newer than `id`, the oldest first.
    After {
        channel: u64,
        id: u64,
        limit: usize,
    },
}

impl Range {
    pub(super) fn scan(self) -> Scan {
        match self {
            Self::All(resource) => Scan::all(resource),
            Self::Of(resource, owner) => Scan::of(resource, owner),
            Self::Before { channel, id, limit } => Scan::messages_before(channel, id, limit),
            Self::After { channel, id, limit } => Scan::messages_after(channel, id, limit),
        }
    }
}
