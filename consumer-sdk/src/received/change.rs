//! The entity of an event, before and after it.

use mixcord_event::edit;
use mixcord_event::{EntityChange, ReadError};
use serde::de::DeserializeOwned;

use super::Event;

/// The entity of an event before and after it, read into a type of yours; an argument of a
/// [`Router`](crate::Router)'s handlers, and the answer of [`Event::change_as`].
///
/// ```
/// # use mixcord::{Change, Event};
/// #[derive(serde::Deserialize)]
/// struct Role {
///     name: String,
/// }
///
/// async fn renamed(role: Change<Role>) {
///     if let (Some(old), Some(new)) = (&role.old, &role.new) {
///         println!("{} is {} now", old.name, new.name);
///     }
///     for change in role.changes() {
///         println!("{}: {:?} -> {:?}", change.path_text(), change.old, change.new);
///     }
/// }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Change<T> {
    /// The entity before the event; `None` where it did not exist, or was not cached.
    pub old: Option<T>,
    /// The entity after the event; `None` where it was deleted, or where the event carries only a part of it and
    /// the rest was not cached.
    pub new: Option<T>,
    whole: Option<EntityChange>,
}

impl<T: DeserializeOwned> Change<T> {
    pub(crate) fn of(event: &Event) -> Result<Self, ReadError> {
        let whole = event.change();
        let (old, new) = whole.as_ref().map_or(Ok((None, None)), EntityChange::read)?;
        Ok(Self { old, new, whole })
    }
}

impl<T> Change<T> {
    /// Every place where the two differ, whether your type has it or not; none where one of them is missing.
    #[must_use]
    pub fn changes(&self) -> Vec<edit::Change<'_>> {
        self.whole.as_ref().map(EntityChange::changes).unwrap_or_default()
    }

    /// Both as documents, and what they are; `None` for kinds that are about no entity.
    #[must_use]
    pub const fn whole(&self) -> Option<&EntityChange> {
        self.whole.as_ref()
    }
}

impl Event {
    /// The entity the event is about, before and after it, in one shape for every kind: a role is the role on
    /// both sides, though Discord wraps it (`{guild_id, role}`), a channel whose pins changed is the whole channel.
    /// `None` for kinds that are about no entity of the cache. [`data`](Self::data) keeps Discord's shape.
    ///
    /// Which kinds are about what is listed in [`kinds`](crate::kinds).
    ///
    /// ```
    /// # fn example(event: &mixcord::Event) {
    /// if let Some(change) = event.change() {
    ///     for place in change.changes() {
    ///         println!("{} {}: {:?} -> {:?}", change.entity, place.path_text(), place.old, place.new);
    ///     }
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn change(&self) -> Option<EntityChange> {
        EntityChange::between(self.kind(), self.flags(), self.data(), self.old())
    }

    /// [`change`](Self::change), read into a type of yours.
    ///
    /// # Errors
    /// When the entity does not fit the type.
    pub fn change_as<T: DeserializeOwned>(&self) -> Result<Change<T>, ReadError> {
        Change::of(self)
    }
}
