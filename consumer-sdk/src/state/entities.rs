use std::collections::VecDeque;

use mixcord_event::Document;
use mixcord_state::{Found, Scan};

use super::{Error, State};

/// Entities one after the other, fetched in pages of some hundred.
///
/// No snapshot is held between two pages, however long you take: what is written meanwhile may or
/// may not be seen, each entity is whole, and none is seen twice.
#[derive(Debug)]
pub struct Entities {
    state: State,
    scan: Scan,
    page: VecDeque<Found>,
    failed: bool,
}

impl Entities {
    pub(super) fn new(state: &State, scan: Scan) -> Self {
        Self { state: state.clone(), scan, page: VecDeque::new(), failed: false }
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
        while self.page.is_empty() && !self.failed && !self.scan.is_done() {
            let scan = &self.scan;
            // Where it stood before, in case that the page is asked of a new store again.
            let page = self.state.ask(|store| {
                let mut scan = scan.clone();
                store.page(&mut scan).map(|page| (page, scan))
            });
            match page {
                Ok((page, scan)) => (self.page, self.scan) = (page.into(), scan),
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        self.page.pop_front().map(Ok)
    }
}
