//! What an event can ask of the process it is in.

use std::sync::Arc;

use super::Event;
use crate::State;
use crate::filter::Filter;

/// Shared by all events of a consumer.
pub(crate) struct Context {
    pub(crate) state: State,
    pub(crate) lookout: Arc<dyn Lookout>,
}

/// Whoever sees what comes next, whichever member of whichever group gets it.
pub(crate) trait Lookout: Send + Sync {
    /// Shows every event published from now on that the filter admits, until the watcher has enough.
    fn enlist(&self, filter: Filter, watcher: Box<dyn Watcher>);
}

/// Who is shown events.
pub(crate) trait Watcher: Send {
    /// Whether it wants more.
    fn show(&mut self, event: &Event) -> bool;
    /// Events were missed that it may have wanted.
    fn missed(&mut self, records: u64) -> bool;
    /// Nothing comes any more.
    fn end(&mut self);
    /// Whether nobody asks any more.
    fn is_gone(&self) -> bool;
}
