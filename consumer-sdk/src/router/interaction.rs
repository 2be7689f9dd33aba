//! Interactions by what they are about.

use std::collections::HashMap;

use mixcord_event::{Document, Value, Writer, atoms};
use serde::de::DeserializeOwned;

use super::extract::{FromEvent, Mismatch};
use super::handler::Route;
use crate::Event;

/// Discord's types of interactions.
mod types {
    pub(super) const COMMAND: u64 = 2;
    pub(super) const COMPONENT: u64 = 3;
    pub(super) const AUTOCOMPLETE: u64 = 4;
    pub(super) const MODAL: u64 = 5;
}

/// Types of a command's options that have options of their own.
const SUBCOMMANDS: std::ops::RangeInclusive<u64> = 1..=2;

/// Handlers of interactions.
pub(super) struct Interactions<S> {
    pub(super) commands: Named<S>,
    pub(super) autocompletes: Named<S>,
    pub(super) components: Named<S>,
    pub(super) modals: Named<S>,
}

/// Handlers by name.
pub(super) struct Named<S>(HashMap<String, Route<S>>);

impl<S> Default for Interactions<S> {
    fn default() -> Self {
        let none = || Named(HashMap::new());
        Self { commands: none(), autocompletes: none(), components: none(), modals: none() }
    }
}

impl<S> Named<S> {
    pub(super) fn add(&mut self, what: &str, name: &str, route: Route<S>) {
        let before = self.0.insert(name.to_owned(), route);
        assert!(before.is_none(), "the {what} {name:?} has two handlers: call both from one");
    }

    /// The handler of a name, or of the longest part of it that ends before a separator.
    fn find(&self, name: &str, separator: char) -> Option<&Route<S>> {
        let mut part = name;
        loop {
            if let Some(route) = self.0.get(part) {
                return Some(route);
            }
            part = &part[..part.rfind(separator)?];
        }
    }
}

impl<S> Interactions<S> {
    pub(super) fn is_empty(&self) -> bool {
        let all = [&self.commands, &self.autocompletes, &self.components, &self.modals];
        all.iter().all(|named| named.0.is_empty())
    }

    /// The handler of an interaction.
    pub(super) fn route_of(&self, interaction: Value<'_>) -> Option<&Route<S>> {
        let data = interaction.get(atoms::DATA)?;
        let custom_id = || data.get(atoms::CUSTOM_ID)?.as_str();
        match interaction.get(atoms::TYPE)?.as_u64()? {
            types::COMMAND => self.commands.find(&path(data).0, ' '),
            types::AUTOCOMPLETE => self.autocompletes.find(&path(data).0, ' '),
            types::COMPONENT => self.components.find(custom_id()?, ':'),
            types::MODAL => self.modals.find(custom_id()?, ':'),
            _ => None,
        }
    }
}

/// The names of a command and its subcommands, with blanks between, and the innermost of them.
fn path(data: Value<'_>) -> (String, Value<'_>) {
    let (mut names, mut at) = (String::new(), data);
    loop {
        names.push_str(at.get(atoms::NAME).and_then(Value::as_str).unwrap_or_default());
        match options(at).find(is_subcommand) {
            Some(sub) => at = sub,
            None => return (names, at),
        }
        names.push(' ');
    }
}

fn is_subcommand(option: &Value<'_>) -> bool {
    let kind = option.get(atoms::TYPE).and_then(Value::as_u64);
    kind.is_some_and(|kind| SUBCOMMANDS.contains(&kind))
}

fn options(of: Value<'_>) -> impl Iterator<Item = Value<'_>> {
    let list = of.get(atoms::OPTIONS).and_then(Value::as_list);
    list.into_iter().flat_map(|list| list.iter())
}

/// The options of a slash command, of its innermost subcommand, read into a type of yours by their names. What
/// was not given is missing: an `Option` is `None` then.
///
/// ```
/// # use mixcord::{Options, Router};
/// #[derive(serde::Deserialize)]
/// struct Roll {
///     sides: u32,
///     times: Option<u32>,
/// }
///
/// let router = Router::new().on_interaction("roll", |Options(roll): Options<Roll>| async move {
///     println!("{} dice of {} sides", roll.times.unwrap_or(1), roll.sides);
/// });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options<T>(pub T);

impl<S, T: DeserializeOwned> FromEvent<S> for Options<T> {
    fn from_event(event: &Event, _: &S) -> Result<Self, Mismatch> {
        let data = event.data().get(atoms::DATA).unwrap_or(Value::Null);
        let mut bytes = Vec::new();
        let mut map = Writer::new(&mut bytes).map();
        for option in options(path(data).1) {
            let name = option.get(atoms::NAME).and_then(Value::as_str);
            if let (Some(name), Some(value)) = (name, option.get(atoms::VALUE)) {
                map.named(name, value);
            }
        }
        map.end();
        let read = Document::trusted(bytes).read();
        read.map(Self).map_err(|why| Mismatch::of::<T>(&why))
    }
}
