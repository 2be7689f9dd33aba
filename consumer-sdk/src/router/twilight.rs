//! Events as twilight-model's.

use mixcord_event::twilight::TwilightError;
use mixcord_event::twilight::twilight_model::gateway::event::DispatchEvent;

use super::extract::{FromEvent, Mismatch};
use crate::Event;

/// The event as twilight-model's, an argument of handlers. Ask for [`MaybeTwilight`] where kinds come that
/// twilight-model has no type for. Single entities need no wrapper: a parameter of a type such
/// as `twilight_model::channel::Message`, or `Change<twilight_model::guild::Role>`, will do.
///
/// ```
/// # use mixcord::{Kind, Router, Twilight};
/// use mixcord::event::twilight::twilight_model::gateway::event::DispatchEvent;
///
/// let router = Router::new().on(Kind::MESSAGE_CREATE, |Twilight(event): Twilight| async move {
///     if let DispatchEvent::MessageCreate(message) = event {
///         println!("{}: {}", message.author.name, message.content);
///     }
/// });
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Twilight(pub DispatchEvent);

impl<S> FromEvent<S> for Twilight {
    fn from_event(event: &Event, _: &S) -> Result<Self, Mismatch> {
        let made = event.to_twilight();
        made.map(Self).map_err(|why| Mismatch::new("event of twilight-model", why))
    }
}

/// The event as twilight-model's, or `None` where that has no type for it, an argument of handlers.
#[derive(Debug, Clone, PartialEq)]
pub struct MaybeTwilight(pub Option<DispatchEvent>);

impl<S> FromEvent<S> for MaybeTwilight {
    fn from_event(event: &Event, _: &S) -> Result<Self, Mismatch> {
        match event.to_twilight() {
            Ok(made) => Ok(Self(Some(made))),
            Err(TwilightError::Unknown { .. }) => Ok(Self(None)),
            Err(why) => Err(Mismatch::new("event of twilight-model", why)),
        }
    }
}
