//! The bridges to other machines, and the streams at their broker.

use std::fmt::Error;

use mixcord::event::topology;
use mixcord::operator::{BridgeStatus, StreamStatus};

use super::family::Families;
use crate::sample::Sample;

/// Whether somebody sends the shards' rings to other machines; `None` where no ring has a group for that.
pub(super) fn up(sample: &Sample) -> Option<bool> {
    let groups = sample.overview.shards().flat_map(|ring| &ring.groups);
    let mut of_bridge = groups.filter(|group| group.name == topology::BRIDGE_GROUP).peekable();
    of_bridge.peek()?;
    Some(of_bridge.any(|group| group.members > 0))
}

pub(super) fn encode(sample: &Sample, out: &mut Families<'_>) -> Result<(), Error> {
    let living = || sample.overview.bridges.iter().filter(|bridge| bridge.alive);
    if living().next().is_none() {
        return Ok(());
    }
    let each = |of: fn(&BridgeStatus) -> f64| {
        living().map(move |bridge| ([("end", bridge.end.as_str())], of(bridge)))
    };
    out.gauge(
        "bridge_connected",
        "Whether the bridge has a connection to its broker",
        each(|it| f64::from(u8::from(it.connected))),
    )?;
    out.gauge(
        "bridge_lag_records",
        "What the broker does not have yet (records), or this machine does not have of it (messages)",
        each(|it| it.behind as f64),
    )?;
    out.gauge(
        "bridge_lag_seconds",
        "For how long the oldest of that has waited",
        each(|it| it.behind_seconds),
    )?;
    out.gauge(
        "bridge_messages_under_way",
        "Messages that the broker has not acknowledged",
        each(|it| f64::from(it.under_way)),
    )?;
    out.counter(
        "bridge_begun_again",
        "Times that what was under way was sent again, or reading began again",
        each(|it| it.again as f64),
    )?;
    let stream = |of: fn(&StreamStatus) -> f64| {
        let streams = living().flat_map(|bridge| bridge.streams.iter().map(move |it| (bridge, it)));
        streams.map(move |(bridge, it)| {
            ([("end", bridge.end.as_str()), ("stream", it.name.as_str())], of(it))
        })
    };
    out.gauge(
        "bridge_stream_used_ratio",
        "How full the stream at the broker is, 0 to 1",
        stream(StreamStatus::fullness),
    )
}
