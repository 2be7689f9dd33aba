//! Discord's events, from Mixcord to your own code.
//!
//! A gateway process holds the websockets, a cache process remembers the state and puts the old
//! entity beside the new. This crate attaches your process to the events they publish:
//!
//! ```no_run
//! use mixcord::{Consumer, Event, Kind};
//!
//! #[tokio::main]
//! async fn main() -> std::process::ExitCode {
//!     let _log = mixcord::log::init();
//!     let consumer = Consumer::builder()
//!         .group("greeter")
//!         .kinds([Kind::GUILD_MEMBER_ADD])
//!         .stop_on_signals();
//!     mixcord::exit(consumer.run(greet).await)
//! }
//!
//! async fn greet(event: Event) {
//!     println!("welcome to guild {:?}", event.guild_id());
//! }
//! ```
//!
//! * **Groups.** Every group sees every event; inside a group each event goes to one member. Start as
//!   many processes as you like with one group name: they share the work, and each guild's events are
//!   handled in order.
//! * **Acknowledgement.** An event counts as handled once it is acknowledged, which
//!   [`Consumer::run`] does when the handler returns, and [`Event::ack`] before. If the handler fails or the process
//!   dies before, it is given again, so a handler may see an event twice and never misses one. Tell a redelivery by
//!   [`Event::identity`].
//! * **Failures.** A handler that fails, hangs or waits holds up its own guild and nothing else, and that not for
//!   ever: after [`attempts`](Builder::attempts) its event is kept as a [`DeadLetter`].
//! * **State in memory.** In a [sticky](Builder::sticky) group a guild's events come to one process as long as that lives.
//! * **Waiting.** [`Event::wait_for`] gets the answer to a handler's question, whichever member gets its event.
//! * **Demand.** Events are given when they are asked for. A group that does not keep up fills the
//!   ring, then the cache waits, then the gateway stops reading its sockets (heartbeats go on).
//! * **Old and new.** [`Event::old`] is the entity before the event, [`Event::data`] the entity after.
//! * **State.** [`Event::state`] asks what the cache knows, from your own process: guilds, members,
//!   messages. What a handler is told contains its event already.
//! * **Loss is visible.** What Discord did not resume is an event of [`Kind::GAP`]; what an observer
//!   missed is an event with [`Event::lost`].
//!
//! What happens out of sight (a handler failed, the output ring is not there yet) is told through
//! `tracing`: without a subscriber nobody hears of it. [`log::init`] installs one.
//!
//! * **Handlers by kind.** A [`Router`] gives each event to the handler of its kind, with the arguments that it asks
//!   for: types of yours, of twilight-model or of serenity, [the entity before and after](Change), what handlers share.
//!
//! Features: `twilight` and `serenity` give those libraries' types (`Event::to_twilight`, `Event::to_serenity`),
//! `testing` a kit for tests of your handlers (`mixcord::testing`).
//!
//! * **Stages.** A [`stage()`] between the cache and consumers changes, drops and adds events, exactly once.
//!
//! [`state`] answers questions; [`commands`] sends to Discord: presence, voice states, requests for
//! members. Examples: `greeter` (events), `who` (state), `members` (commands).
//! [`event`] has the values events are made of; [`operator`] shows and manages rings and groups.

mod builder;
pub mod commands;
mod consumer;
mod dead;
mod doorbell;
mod error;
mod exit;
mod filter;
mod group;
pub mod log;
pub mod operator;
mod options;
mod order;
mod past;
mod rebalance;
mod received;
mod router;
mod run;
pub mod stage;
pub mod standby;
pub mod state;
mod stop;
#[cfg(feature = "testing")]
pub mod testing;

pub use builder::Builder;
pub use consumer::{Consumer, Next};
pub use dead::DeadLetter;
pub use error::Error;
pub use exit::{EXIT_CONFIG, exit};
pub use group::meter::{Meter, Reading};
/// The values events are made of: kinds, keys, documents, serde.
pub use mixcord_event as event;
pub use mixcord_event::{Kind, Value, atoms, kinds};
/// The rings below, whose errors are parts of ours.
pub use mixcord_ring as ring;
pub use mixcord_ring::Pace;
pub use order::Order;
pub use past::{Past, Reading as PastReading};
pub use rebalance::Rebalance;
pub use received::{Change, Event, Identity};
#[cfg(feature = "serenity")]
pub use router::Serenity;
pub use router::{FromEvent, Handler, Mismatch, Options, Router, Shared};
#[cfg(feature = "twilight")]
pub use router::{MaybeTwilight, Twilight};
pub use run::Outcome;
/// The release whose types the feature `serenity` gives.
#[cfg(feature = "serenity")]
pub use serenity;
pub use stage::stage;
pub use state::State;
pub use stop::Stop;

/// The examples of the README are compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
