use crate::Event;

/// What came of waiting for the next event within a time.
///
/// ```no_run
/// # fn example(mut consumer: mixcord::Consumer) -> Result<(), mixcord::Error> {
/// use std::time::Duration;
/// use mixcord::Next;
///
/// loop {
///     match consumer.next_timeout(Duration::from_secs(1))? {
///         Next::Event(event) => event.ack(),
///         Next::Timeout => println!("quiet"),
///         Next::Stopped => return Ok(()),
///     }
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub enum Next {
    /// The next event.
    Event(Event),
    /// None came in time.
    Timeout,
    /// The consumer is stopped: none will come any more.
    Stopped,
}

impl Next {
    /// The event, if one came.
    #[must_use]
    pub fn event(self) -> Option<Event> {
        match self {
            Self::Event(event) => Some(event),
            Self::Timeout | Self::Stopped => None,
        }
    }

    /// Whether none came in time.
    #[must_use]
    pub const fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout)
    }

    /// Whether none will come any more.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        matches!(self, Self::Stopped)
    }
}

impl From<Option<Event>> for Next {
    /// What [`Consumer::next`](crate::Consumer::next) gives.
    fn from(next: Option<Event>) -> Self {
        next.map_or(Self::Stopped, Self::Event)
    }
}
