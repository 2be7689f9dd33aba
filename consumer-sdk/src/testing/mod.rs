//! Tests of your handlers: events, a state and a consumer made by hand, without processes and without `/dev/shm`
//! (feature `testing`).
//!
//! A handler is a function, and an event is made of JSON:
//!
//! ```
//! use mixcord::testing::{Settled, Testbed};
//! use mixcord::{Event, Kind};
//!
//! async fn handle(event: Event) {
//!     if event.channel_id() == Some(7) {
//!         event.ack();
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let bed = Testbed::new();
//! let event = bed.event(Kind::MESSAGE_CREATE, r#"{"id":"1","channel_id":"7","content":"hi"}"#).make();
//! handle(event.clone()).await;
//! assert_eq!(Settled::of(&event), Some(Settled::Acked));
//! # }
//! ```
//!
//! What the cache knows is said by [`Testbed::guild`] with a `GUILD_CREATE`, or entity by entity, and answered by
//! [`Event::state`](crate::Event::state) and [`Testbed::state`].
//!
//! A whole consumer runs on the bed's own ring: groups, order, attempts, timeouts and dead letters are those of
//! production, for it is the same code on another memory.
//!
//! ```
//! # use std::time::Duration;
//! # use mixcord::testing::Testbed;
//! # use mixcord::{Event, Kind};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), mixcord::Error> {
//! let bed = Testbed::new();
//! let consumer = bed.consumer().group("bot").attempts(2).retry(Duration::ZERO, Duration::ZERO);
//! let consumer = consumer.connect().await?;
//! let (stop, meter) = (consumer.stop_handle(), consumer.meter());
//! bed.event(Kind::TYPING_START, r#"{"channel_id":"7","user_id":"5"}"#).publish();
//! let running = tokio::spawn(consumer.run(|_: Event| async { Err("no, never") }));
//! bed.drained("bot").await;
//! assert_eq!(meter.read().dead, 1);
//! stop.stop();
//! running.await.expect("no panic")
//! # }
//! ```
//!
//! [`Testbed::commands`] gives commands that are checked as the gateway checks them, and written down instead of
//! sent. For the whole chain with sockets and processes there is `fake-discord`.

mod bed;
mod made;

pub use self::bed::Testbed;
pub(crate) use self::made::Given;
pub use self::made::{Made, Settled};
