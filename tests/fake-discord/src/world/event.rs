//! What the world says has happened.

use super::guild::Viewer;
use super::intents::Intents;
use super::kind::Kind;
use super::lane::Lane;
use crate::value::{Obj, Val};

/// One dispatch, before it is cut to what a session may see.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) kind: Kind,
    /// The guild whose shard gets it; without one, shard 0 does (G-39), or every shard.
    pub(crate) guild: Option<u64>,
    /// Its place among the events of its lane; no two of them have the same.
    pub(crate) number: u64,
    body: Body,
    limited: Option<Limited>,
    /// Sent whatever the intents.
    always: bool,
    /// Sent to every shard.
    pub(crate) everywhere: bool,
    /// A name of its own, of an event nobody documented.
    name: Option<&'static str>,
}

#[derive(Clone, Debug)]
enum Body {
    Same(Val),
    /// A GUILD_CREATE: how much of the guild is shown depends on who looks (G-44).
    Guild {
        again: bool,
    },
}

/// What some sessions get instead of the whole body.
#[derive(Clone, Debug)]
struct Limited {
    whom: Whom,
    /// Makes the other form; None: they get nothing at all.
    other: Option<fn(&Obj) -> Obj>,
}

#[derive(Clone, Copy, Debug)]
enum Whom {
    /// Sessions without all of these intents.
    Lacking(Intents),
    /// Sessions that are shown nothing of channels they may not see (G-49).
    Obfuscated,
}

impl Whom {
    fn meets(self, viewer: Viewer) -> bool {
        match self {
            Self::Lacking(needs) => !viewer.intents.has(needs),
            Self::Obfuscated => viewer.obfuscated,
        }
    }
}

/// What a session sees of an event.
pub(crate) enum Seen<'a> {
    Whole(&'a Val),
    /// Made for this session alone.
    Own(Val),
}

impl Event {
    pub(crate) fn guild(kind: Kind, guild: u64, body: impl Into<Val>) -> Self {
        Self::new(kind, Some(guild), Body::Same(body.into()))
    }

    pub(crate) fn direct(kind: Kind, body: impl Into<Val>) -> Self {
        Self::new(kind, None, Body::Same(body.into()))
    }

    /// GUILD_CREATE outside start-up. `again`: it was unavailable (G-42).
    pub(crate) fn whole_guild(guild: u64, again: bool) -> Self {
        Self::new(Kind::GUILD_CREATE, Some(guild), Body::Guild { again })
    }

    fn new(kind: Kind, guild: Option<u64>, body: Body) -> Self {
        Self {
            kind,
            guild,
            number: 0,
            body,
            limited: None,
            always: false,
            everywhere: false,
            name: None,
        }
    }

    /// Sessions without all of `needs` get what `other` makes of the body.
    pub(crate) fn limited(mut self, needs: Intents, other: Option<fn(&Obj) -> Obj>) -> Self {
        self.limited = Some(Limited { whom: Whom::Lacking(needs), other });
        self
    }

    /// The event is about a channel the bot may not see: sessions that obfuscate such channels get
    /// what `other` makes of the body.
    pub(crate) fn hidden(mut self, other: fn(&Obj) -> Obj) -> Self {
        self.limited = Some(Limited { whom: Whom::Obfuscated, other: Some(other) });
        self
    }

    pub(crate) fn always(mut self) -> Self {
        self.always = true;
        self
    }

    /// It concerns the bot itself: every session is told, of whatever shard.
    pub(crate) fn everywhere(mut self) -> Self {
        self.everywhere = true;
        self
    }

    pub(crate) fn named(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self.always()
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name.unwrap_or_else(|| self.kind.name())
    }

    /// Whether it says that a guild is away for a while (G-43).
    pub(crate) fn is_outage(&self) -> bool {
        let body = self.whole().and_then(Val::as_obj);
        self.kind == Kind::GUILD_DELETE
            && body.is_some_and(|body| body.get("unavailable").is_some())
    }

    /// The body that a session with every intent is sent; None where each is sent one of its own.
    pub(crate) const fn whole(&self) -> Option<&Val> {
        match &self.body {
            Body::Same(body) => Some(body),
            Body::Guild { .. } => None,
        }
    }

    /// What a session is sent; None when it is not sent the event. `lane` is as it was when the
    /// event happened.
    pub(crate) fn seen(&self, viewer: Viewer, lane: &Lane) -> Option<Seen<'_>> {
        let needed = self.kind.intents(self.guild.is_none());
        if !self.always && !viewer.intents.admits(needed) {
            return None;
        }
        match (&self.body, &self.limited) {
            (Body::Guild { again }, _) => {
                let guild = lane.guilds.iter().find(|guild| Some(guild.id) == self.guild)?;
                Some(Seen::Own(guild.create(lane, viewer, *again).into()))
            }
            (Body::Same(body), Some(limited)) if limited.whom.meets(viewer) => {
                let other = limited.other?;
                Some(Seen::Own(other(body.as_obj()?).into()))
            }
            (Body::Same(body), _) => Some(Seen::Whole(body)),
        }
    }
}
