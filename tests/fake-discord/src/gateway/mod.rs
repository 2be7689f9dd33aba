//! The gateway: sessions, the connections they live on, and the lanes that feed them.

pub(crate) mod budget;
pub(crate) mod connection;
pub(crate) mod dispatch;
pub(crate) mod hub;
pub(crate) mod identify;
pub(crate) mod outage;
pub(crate) mod outbound;
pub(crate) mod requests;
pub(crate) mod session;
pub(crate) mod sets;
