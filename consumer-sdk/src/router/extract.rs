//! What a handler can ask for as an argument.

use std::fmt;

use mixcord_event::ReadError;
use serde::de::DeserializeOwned;

use crate::{Change, Event, State};

/// What a handler of a [`Router`](super::Router) can have as an argument:
///
/// | argument | what it is |
/// |---|---|
/// | [`Event`] | the event itself |
/// | a type of serde's, yours or of a library | the event's [`data`](Event::data), read into it |
/// | [`Change<T>`](Change) | the entity before and after the event |
/// | [`Shared<S>`](Shared) | what the router was made with |
/// | [`State`] | the cache's state, the event included |
/// | [`Options<T>`](super::Options) | the options of a command, read into a `T` |
/// | `Twilight`, `MaybeTwilight` | twilight-model's event (feature `twilight`) |
/// | `Serenity` | serenity's event (feature `serenity`) |
///
/// Implement it for types of your own that are made of an event and what is shared.
pub trait FromEvent<S>: Sized {
    /// Makes it.
    ///
    /// # Errors
    /// When the event is not such. No attempt will do better, so the event becomes a dead letter; once the
    /// program is mended, `mixcord groups retry` gives it again.
    fn from_event(event: &Event, shared: &S) -> Result<Self, Mismatch>;
}

/// What all handlers of a [`Router`](super::Router) share: the value that it was made with
/// ([`Router::with`](super::Router::with)), cloned for each call. Make it cheap to clone, an `Arc` for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shared<S>(pub S);

impl<S> std::ops::Deref for Shared<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0
    }
}

/// Why an event is not what a handler asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event is no {wanted}: {why}")]
pub struct Mismatch {
    wanted: String,
    why: String,
}

impl Mismatch {
    /// Of what was wanted, and why it is none.
    pub fn new(wanted: impl Into<String>, why: impl fmt::Display) -> Self {
        Self { wanted: wanted.into(), why: why.to_string() }
    }

    pub(super) fn of<T>(why: &ReadError) -> Self {
        Self::new(short(std::any::type_name::<T>()), why)
    }
}

/// The name of a type without the paths in it.
fn short(name: &str) -> String {
    let mut short = String::new();
    for part in name.split_inclusive(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
        short.push_str(part.rsplit("::").next().unwrap_or(part));
    }
    short
}

impl<S> FromEvent<S> for Event {
    fn from_event(event: &Event, _: &S) -> Result<Self, Mismatch> {
        Ok(event.clone())
    }
}

impl<S> FromEvent<S> for State {
    fn from_event(event: &Event, _: &S) -> Result<Self, Mismatch> {
        Ok(event.state().clone())
    }
}

impl<S: Clone> FromEvent<S> for Shared<S> {
    fn from_event(_: &Event, shared: &S) -> Result<Self, Mismatch> {
        Ok(Self(shared.clone()))
    }
}

impl<S, T: DeserializeOwned> FromEvent<S> for Change<T> {
    fn from_event(event: &Event, _: &S) -> Result<Self, Mismatch> {
        event.change_as().map_err(|why| Mismatch::of::<T>(&why))
    }
}

impl<S, T: DeserializeOwned> FromEvent<S> for T {
    fn from_event(event: &Event, _: &S) -> Result<Self, Mismatch> {
        event.data_as().map_err(|why| Mismatch::of::<T>(&why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_told_by_its_last_name() {
        assert_eq!(short("my_bot::events::Message"), "Message");
        assert_eq!(short("alloc::vec::Vec<my_bot::Message>"), "Vec<Message>");
        assert_eq!(short("u64"), "u64");
    }
}
