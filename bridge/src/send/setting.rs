//! What all streams of a sender have in common.

use std::sync::Arc;

use mixcord_ring::{AsyncBell, Namespace};

use super::board::Board;
use super::leases::Leases;
use super::permits::Permits;
use super::standing::Standing;
use crate::broker::Broker;
use crate::notice::Notice;
use crate::options::SendOptions;

/// See above.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) instance: String,
    pub(super) bot: String,
    pub(super) options: SendOptions,
    pub(super) namespace: Namespace,
    pub(super) bell: AsyncBell,
    pub(super) broker: Broker,
    pub(super) board: Board,
    pub(super) leases: Leases,
    pub(super) permits: Permits,
    pub(super) standing: Standing,
    pub(super) notice: Arc<Notice>,
}
