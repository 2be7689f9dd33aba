//! What a stage's function says of an event.

use std::error::Error;

use mixcord_event::{Document, DocumentError, Kind, Map, Value, edit};

use crate::Event;
use crate::run::told;

/// What becomes of an event: it is passed on, changed or left out, and other events may follow it.
#[derive(Debug, Clone)]
#[must_use = "the stage publishes what its function gives"]
pub struct Emit {
    pub(super) own: Own,
    pub(super) added: Vec<Added>,
}

/// What becomes of the event itself.
#[derive(Debug, Clone)]
pub(super) enum Own {
    Passed,
    Dropped,
    /// With this data, and with another entity before it where one is given.
    Changed(Document, Option<Option<Document>>),
}

/// An event that a stage adds, named by the stage's ring and its position there.
#[derive(Debug, Clone)]
pub struct Added {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) data: Document,
    pub(super) old: Option<Document>,
    pub(super) key: Option<u64>,
}

impl Emit {
    /// The event is passed on as it is.
    pub const fn pass() -> Self {
        Self { own: Own::Passed, added: Vec::new() }
    }

    /// The event is left out: no consumer of the stage sees it.
    pub const fn nothing() -> Self {
        Self { own: Own::Dropped, added: Vec::new() }
    }

    /// The event is passed on with this data.
    pub const fn changed(data: Document) -> Self {
        Self { own: Own::Changed(data, None), added: Vec::new() }
    }

    /// The event is passed on with these members in its data: replaced where they are, added where they are not. Any
    /// name will do, also one that Discord does not have.
    ///
    /// ```
    /// # use mixcord::{Event, event::{Document, DocumentError}, stage::Emit};
    /// # fn example(event: &Event) -> Result<Emit, Box<dyn std::error::Error>> {
    /// let words = Document::from_json(r#"{"found": ["free", "nitro"]}"#)?;
    /// let emit = Emit::with(event, &[("spam_score", 0.9.into()), ("spam_words", words.value())])?;
    /// # Ok(emit)
    /// # }
    /// ```
    ///
    /// # Errors
    /// A value is nested too deep.
    pub fn with(event: &Event, members: &[(&str, Value<'_>)]) -> Result<Self, DocumentError> {
        let mut bytes = Vec::new();
        let data = event.data().as_map().unwrap_or(Map::EMPTY);
        edit::with_named(data, members, &mut bytes);
        Ok(Self::changed(Document::from_bytes(bytes)?))
    }

    /// The entity before it becomes this one, or none. Of a changed event only: what is passed on as it is keeps all
    /// it has, what is left out has nothing.
    pub fn old(mut self, entity: Option<Document>) -> Self {
        if let Own::Changed(_, old) = &mut self.own {
            *old = Some(entity);
        }
        self
    }

    /// Another event follows it.
    pub fn and(mut self, added: Added) -> Self {
        self.added.push(added);
        self
    }

    /// Whether the event is left out.
    #[must_use]
    pub const fn is_dropped(&self) -> bool {
        matches!(self.own, Own::Dropped)
    }

    /// The data that it is passed on with; `None` where that is as it was, or it is left out.
    #[must_use]
    pub const fn data(&self) -> Option<&Document> {
        match &self.own {
            Own::Changed(data, _) => Some(data),
            Own::Passed | Own::Dropped => None,
        }
    }

    /// The events that follow it.
    #[must_use]
    pub fn added(&self) -> &[Added] {
        &self.added
    }
}

impl Added {
    /// An event of this kind.
    #[must_use]
    pub fn new(kind: Kind, data: Document) -> Self {
        Self { kind, name: kind.name().to_owned(), data, old: None, key: None }
    }

    /// An event of any name, at most 255 bytes of it, also one of your own: a consumer asks for it by
    /// [`names`](crate::Builder::names), and its [`kind`](Event::kind) is [`Kind::UNKNOWN`].
    #[must_use]
    pub fn named(name: &str, data: Document) -> Self {
        let kind = Kind::from_name(name.as_bytes()).unwrap_or(Kind::UNKNOWN);
        Self { kind, name: name.to_owned(), data, old: None, key: None }
    }

    /// The entity before it.
    #[must_use]
    pub fn old(mut self, entity: Document) -> Self {
        self.old = Some(entity);
        self
    }

    /// Which events it keeps its order with: those with this key, a guild's id say. By default those of the event that
    /// it follows.
    #[must_use]
    pub const fn key(mut self, key: u64) -> Self {
        self.key = Some(key);
        self
    }

    /// The name of its kind.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its data.
    #[must_use]
    pub const fn data(&self) -> &Document {
        &self.data
    }
}

/// What a stage's function returns: an [`Emit`], or a `Result` whose error says why it has none.
pub trait Emits {
    /// What to publish, or why there is nothing to say.
    ///
    /// # Errors
    /// The function failed.
    fn emits(self) -> Result<Emit, String>;
}

impl Emits for Emit {
    fn emits(self) -> Result<Emit, String> {
        Ok(self)
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> Emits for Result<Emit, E> {
    fn emits(self) -> Result<Emit, String> {
        self.map_err(|error| told(&*error.into()))
    }
}
