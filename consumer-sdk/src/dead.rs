use crate::Event;

/// An event that was given up: its attempts were used up, or its handler said so with [`Event::term`].
///
/// It is kept in the ring's file of the group (`mixcord groups dead NAME`), whatever is done with this.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The event; to settle it does nothing any more. `None` where its bytes are gone, or damaged.
    pub event: Option<Event>,
    /// The group that gave it up.
    pub group: String,
    /// Why the last attempt failed, with the whole chain of causes.
    pub error: String,
    /// How often it was given.
    pub attempts: u32,
}
