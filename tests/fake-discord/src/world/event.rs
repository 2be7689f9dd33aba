//! What the world says has happened.

use super::intents::Intents;
use super::kind::Kind;
use crate::value::{Obj, Val};

/// One dispatch, before it is cut to what a session may see.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) kind: Kind,
    /// The guild whose shard gets it; without one, shard 0 does (G-39).
    pub(crate) guild: Option<u64>,
    pub(crate) body: Val,
    pub(crate) limited: Option<Limited>,
}

/// What sessions without some intents get instead of the whole body.
#[derive(Clone, Debug)]
pub(crate) struct Limited {
    pub(crate) needs: Intents,
    /// None: nothing at all.
    pub(crate) other: Option<Val>,
}

impl Event {
    pub(crate) fn guild(kind: Kind, guild: u64, body: impl Into<Val>) -> Self {
        Self { kind, guild: Some(guild), body: body.into(), limited: None }
    }

    pub(crate) fn direct(kind: Kind, body: impl Into<Val>) -> Self {
        Self { kind, guild: None, body: body.into(), limited: None }
    }

    /// Sessions without all of `needs` get `other`.
    pub(crate) fn limited(mut self, needs: Intents, other: Option<Obj>) -> Self {
        self.limited = Some(Limited { needs, other: other.map(Val::Obj) });
        self
    }

    pub(crate) fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// What a session with `intents` is sent; None when it is not sent the event.
    pub(crate) fn body_for(&self, intents: Intents) -> Option<&Val> {
        if !intents.admits(self.kind.intents(self.guild.is_none())) {
            return None;
        }
        match &self.limited {
            Some(limited) if !intents.has(limited.needs) => limited.other.as_ref(),
            _ => Some(&self.body),
        }
    }
}
