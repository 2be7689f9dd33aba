//! Shards that run nowhere, though a gateway of this machine waits to take them over.

use mixcord::operator::{BridgeStatus, GatewayStatus, StreamStatus};

/// For how long nobody has had the lease of the streams that a standby's shards are in, as its bridge sees it.
pub(crate) fn free_seconds(bridge: &BridgeStatus, gateway: &GatewayStatus) -> f64 {
    let GatewayStatus { first, last, count, .. } = gateway;
    // Streams are named by the first of their shards.
    let named = |stream: &&StreamStatus| stream.first_shard().is_some_and(|of| of.1 == *count);
    let is_within = |stream: &&StreamStatus| {
        stream.first_shard().is_some_and(|of| (*first..=*last).contains(&of.0))
    };
    let of_count: Vec<_> = bridge.streams.iter().filter(named).collect();
    let within: Vec<_> = of_count.iter().copied().filter(is_within).collect();
    let streams = if within.is_empty() { of_count } else { within };
    let still = streams.iter().map(|stream| {
        let lease = stream.lease.as_ref();
        lease.filter(|lease| !lease.is_held()).map_or(0.0, |lease| lease.still_seconds)
    });
    still.reduce(f64::min).unwrap_or(bridge.started_seconds)
}
