//! Single-producer shared-memory rings with durable reader groups.
//!
//! One process writes records into a ring, any number of groups read them. A group sees every record,
//! inside a group each record goes to one member, and records of one key stay in order whoever handles
//! them. Any process may be killed at any instruction: the producer goes on at its tail, a durable
//! group at its cursors.
//!
//! ```
//! # use std::time::Duration;
//! use mixcord_ring::{Geometry, GroupSpec, Limits, Meta, Namespace, Producer, Ring, Start};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let prefix = format!("ring-doc-{}", std::process::id());
//! let namespace = Namespace::new(&prefix)?;
//! let bell = namespace.bell()?;
//! let geometry = Geometry::new(1024, 1 << 20, 4, 8, 16)?;
//! let group = GroupSpec::durable("workers").from(Start::Earliest);
//! let mut producer = Producer::create(&namespace, "events", geometry, &[group.clone()], &bell)?;
//!
//! // Usually in another process:
//! let mut member = Ring::attach(&namespace, "events")?.join(&group, &bell)?;
//!
//! producer.stage(&Meta { key: 7, ..Meta::default() }, &[b"hello ", b"world"])?;
//! producer.publish();
//!
//! member.wait(Duration::from_secs(1));
//! let batch = member.take(Limits::default())?.expect("one record was published");
//! assert_eq!(batch.first().unwrap().payload, b"hello world");
//! batch.ack();
//! # drop((member, producer, bell));
//! # namespace.remove_all()?;
//! # Ok(())
//! # }
//! ```
//!
//! # Ordering
//! [`Producer::publish`] is the only commit: one Release store for all records staged. A member sees
//! the records of one partition in the order they were staged, and no record of a partition is given
//! to anybody while another member holds that partition.
//!
//! # Promises and their limits
//! Bytes in a segment, whatever they are, give an error or a record, never undefined behaviour or a
//! panic. Outside that promise: another process of the same user that truncates a live segment.

mod anew;
mod bell;
mod core;
mod delivery;
mod error;
mod groups;
mod lease;
mod member;
mod namespace;
mod observer;
mod pace;
mod producer;
mod refit;
mod ring;
mod spin;
mod system;
#[cfg(feature = "tokio")]
mod wait;
mod waiting;
mod worker;

pub use bell::{Bell, Ticket, Woken};
pub use core::Position;
pub use core::buffers::{Entry, Limits};
pub use core::carry::HeldBy;
pub use core::checkpoint::CheckpointError;
pub use core::descriptor::RECORD_MAX;
pub use core::errors::{JoinError, TakeError};
pub use core::geometry::{Geometry, GeometryError};
pub use core::group_spec::{GroupError, GroupSpec, Mode, Order, Policy, Start};
pub use core::layout::{HeaderError, LAYOUT_VERSION};
pub use core::writer::restage::RestageError;
pub use core::writer::{Meta, StageError, TailError};
pub use delivery::{Buried, Deliveries, Delivery, Dropped, Settle, SettleError, Settled};
pub use error::{AttachError, BellError, CreateError, NameError, RemoveError, Shortage};
pub use groups::{DeadLetter, GroupFigures, MemberInfo, Peeked, Standing, State};
pub use lease::{InPlace, Lease, View};
pub use member::{Batch, Claim, Member, Records};
pub use namespace::Namespace;
pub use observer::{Observed, Observer};
pub use pace::{Pace, Pacer, UnknownPace};
pub use producer::{Producer, Wakes};
pub use refit::Fit;
pub use ring::{GroupInfo, Pressure, Ring};
#[cfg(feature = "tokio")]
pub use wait::AsyncBell;
pub use waiting::{Pulse, Sleeping, arm_all};
pub use worker::{Rebalanced, Worker, WorkerOptions};

/// The random number of one incarnation of a ring; a ring made anew under the same name has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RingId(pub u64);
