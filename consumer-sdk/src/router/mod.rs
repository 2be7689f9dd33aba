//! A handler for each kind of event, with the arguments it wants.

mod extract;
mod handler;
mod interaction;
#[cfg(feature = "serenity")]
mod serenity;
#[cfg(feature = "twilight")]
mod twilight;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use mixcord_event::Kind;

pub use self::extract::{FromEvent, Mismatch, Shared};
pub use self::handler::Handler;
use self::handler::{Route, route};
use self::interaction::Interactions;
pub use self::interaction::Options;
#[cfg(feature = "serenity")]
pub use self::serenity::Serenity;
#[cfg(feature = "twilight")]
pub use self::twilight::{MaybeTwilight, Twilight};
use crate::{Builder, Consumer, Error, Event};

/// Gives each event to the handler of its kind, with the arguments which that asks for ([`FromEvent`]).
///
/// ```no_run
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use mixcord::{Change, Consumer, Event, Kind, Router, Shared};
///
/// #[derive(serde::Deserialize)]
/// struct Message {
///     content: String,
/// }
///
/// #[derive(serde::Deserialize)]
/// struct Role {
///     name: String,
/// }
///
/// #[tokio::main]
/// async fn main() -> std::process::ExitCode {
///     mixcord::exit(run().await)
/// }
///
/// async fn run() -> Result<(), mixcord::Error> {
///     let router = Router::with(Arc::new(AtomicU64::new(0)))
///         .on(Kind::MESSAGE_CREATE, count)
///         .on(Kind::GUILD_ROLE_UPDATE, renamed)
///         .on_interaction("ping", pong);
///     Consumer::builder().group("bot").stop_on_signals().route(router).await
/// }
///
/// async fn count(message: Message, words: Shared<Arc<AtomicU64>>) {
///     words.fetch_add(message.content.split_whitespace().count() as u64, Ordering::Relaxed);
/// }
///
/// async fn renamed(role: Change<Role>) -> Result<(), std::io::Error> {
///     if let (Some(old), Some(new)) = (role.old, role.new) {
///         println!("{} is {} now", old.name, new.name);
///     }
///     Ok(())
/// }
///
/// async fn pong(event: Event) {
///     println!("answer {:?} here", event.identity());
/// }
/// ```
pub struct Router<S = ()> {
    shared: S,
    kinds: HashMap<Kind, Route<S>>,
    names: HashMap<String, Route<S>>,
    interactions: Interactions<S>,
    otherwise: Option<Route<S>>,
}

impl Router {
    /// A router without routes, whose handlers share nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::with(())
    }
}

impl Default for Router {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Send + Sync + 'static> Router<S> {
    /// A router without routes, whose handlers can ask for `shared` ([`Shared`]).
    #[must_use]
    pub fn with(shared: S) -> Self {
        let (kinds, names, interactions) = Default::default();
        Self { shared, kinds, names, interactions, otherwise: None }
    }

    /// Gives events of this kind to `handler`.
    ///
    /// # Panics
    /// When the kind has a handler already.
    #[must_use]
    pub fn on<A>(self, kind: Kind, handler: impl Handler<A, S>) -> Self {
        self.add(kind, route(handler))
    }

    /// [`on`](Self::on) for several kinds.
    ///
    /// # Panics
    /// When one of them has a handler already.
    #[must_use]
    pub fn on_each<A>(
        self,
        kinds: impl IntoIterator<Item = Kind>,
        handler: impl Handler<A, S>,
    ) -> Self {
        let handler = route(handler);
        kinds.into_iter().fold(self, |router, kind| router.add(kind, Arc::clone(&handler)))
    }

    fn add(mut self, kind: Kind, handler: Route<S>) -> Self {
        let before = self.kinds.insert(kind, handler);
        assert!(before.is_none(), "{kind} has two handlers: call both from one");
        self
    }

    /// [`on`](Self::on) by the kind's name; also of one newer than this build.
    ///
    /// # Panics
    /// When the kind has a handler already.
    #[must_use]
    pub fn on_name<A>(mut self, name: &str, handler: impl Handler<A, S>) -> Self {
        match Kind::from_name(name.as_bytes()) {
            Some(kind) => self.on(kind, handler),
            None => {
                let before = self.names.insert(name.to_owned(), route(handler));
                assert!(before.is_none(), "{name} has two handlers: call both from one");
                self
            }
        }
    }

    /// Gives uses of this command to `handler`: a slash command's name, with those of group and subcommand behind
    /// it, blanks between (`config set`), or that of a command of the user's or message's menu. A handler of the
    /// command gets its subcommands that have none of their own.
    ///
    /// # Panics
    /// When the command has a handler already.
    #[must_use]
    pub fn on_interaction<A>(mut self, command: &str, handler: impl Handler<A, S>) -> Self {
        self.interactions.commands.add("command", command, route(handler));
        self
    }

    /// Gives what Discord asks for while somebody types this command's options to `handler`.
    ///
    /// # Panics
    /// When the command has such a handler already.
    #[must_use]
    pub fn on_autocomplete<A>(mut self, command: &str, handler: impl Handler<A, S>) -> Self {
        self.interactions.autocompletes.add("command", command, route(handler));
        self
    }

    /// Gives uses of buttons and menus to `handler` whose `custom_id` is this, or begins with it and a colon
    /// (`vote` for `vote:yes:42`).
    ///
    /// # Panics
    /// When the component has a handler already.
    #[must_use]
    pub fn on_component<A>(mut self, custom_id: &str, handler: impl Handler<A, S>) -> Self {
        self.interactions.components.add("component", custom_id, route(handler));
        self
    }

    /// [`on_component`](Self::on_component), for forms that were sent.
    ///
    /// # Panics
    /// When the form has a handler already.
    #[must_use]
    pub fn on_modal<A>(mut self, custom_id: &str, handler: impl Handler<A, S>) -> Self {
        self.interactions.modals.add("modal", custom_id, route(handler));
        self
    }

    /// Gives everything else to `handler`. Without it, events that have no handler are not even looked at, and an
    /// event that says that others were [lost](Event::lost) is logged.
    #[must_use]
    pub fn otherwise<A>(mut self, handler: impl Handler<A, S>) -> Self {
        self.otherwise = Some(route(handler));
        self
    }

    /// The kinds that have handlers.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        let interaction = (!self.interactions.is_empty()).then_some(Kind::INTERACTION_CREATE);
        let interaction = interaction.filter(|kind| !self.kinds.contains_key(kind));
        self.kinds.keys().copied().chain(interaction)
    }

    /// Calls the handler of this event, for programs with a loop of their own, and for tests.
    ///
    /// # Errors
    /// What the handler says.
    pub async fn handle(&self, event: Event) -> Result<(), String> {
        match self.route_of(&event) {
            Some(route) => route(event, &self.shared).await,
            None => {
                if let Some(lost) = event.lost() {
                    tracing::warn!(lost, "records were lost, and no handler asks for that");
                }
                Ok(())
            }
        }
    }

    fn route_of(&self, event: &Event) -> Option<&Route<S>> {
        let interaction = (event.kind() == Kind::INTERACTION_CREATE)
            .then(|| self.interactions.route_of(event.data()))
            .flatten();
        interaction
            .or_else(|| match event.kind() {
                Kind::UNKNOWN => self.names.get(event.name()),
                kind => self.kinds.get(&kind),
            })
            .or(self.otherwise.as_ref())
    }
}

impl<S> fmt::Debug for Router<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("kinds", &self.kinds.keys())
            .field("names", &self.names.keys())
            .field("otherwise", &self.otherwise.is_some())
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// Connects, and [routes](Consumer::route).
    ///
    /// # Errors
    /// See [`Error`].
    ///
    /// # Panics
    /// As [`connect`](Self::connect).
    pub async fn route<S: Send + Sync + 'static>(self, router: Router<S>) -> Result<(), Error> {
        self.connect().await?.route(router).await
    }
}

impl Consumer {
    /// [`run`](Self::run) with a handler for each kind. If the builder was not told which kinds, and the router has
    /// no [`otherwise`](Router::otherwise), the consumer asks for exactly those that have handlers.
    ///
    /// # Errors
    /// See [`Error`]; the handlers at work are finished before it returns.
    ///
    /// # Panics
    /// As [`run`](Self::run).
    pub async fn route<S: Send + Sync + 'static>(mut self, router: Router<S>) -> Result<(), Error> {
        let filter = &mut self.options.filter;
        if router.otherwise.is_none() && filter.is_open() {
            filter.close();
            router.kinds().for_each(|kind| filter.add(kind));
            router.names.keys().for_each(|name| filter.add_name(name));
        }
        let router = Arc::new(router);
        self.run(move |event| {
            let router = Arc::clone(&router);
            async move { router.handle(event).await }
        })
        .await
    }
}
