//! What bridges to other machines say of themselves.

use std::time::Duration;

use mixcord::event::topology;
use mixcord::operator::{BridgeStatus, GatewayStatus, span};

use super::Finding;
use super::instance::Judge;
use crate::leases::free_seconds;

/// From there on a stream at a broker is about to stand still.
const STREAM_FULL: f64 = 0.8;
/// A standby has the lease well before that, unless something keeps it from it.
const LEASE_FREE: f64 = 30.0;

impl Judge<'_> {
    /// Who carries the shards' rings to other machines, where the gateway made a group for it.
    pub(super) fn bridge(&mut self) {
        let count = self.count();
        let now = self.overview.shards().filter(|ring| ring.of_shard().map(|of| of.1) == count);
        let groups = now.flat_map(|ring| &ring.groups);
        let gone: Vec<_> = groups
            .filter(|group| group.name == topology::BRIDGE_GROUP && group.members == 0)
            .collect();
        if gone.is_empty() {
            return;
        }
        let (shards, waiting) = (gone.len(), gone.iter().map(|group| group.lag).sum::<u64>());
        let text = format!(
            "mixcord-bridge send does not run: {waiting} records of {shards} shards wait for it, and the rings stand still \
             once they are full"
        );
        let command = format!("{} send", self.start("mixcord-bridge"));
        self.found.push(Finding::broken("bridge-gone", text, command));
    }

    /// Bridges that were killed or cut off, and streams that fill.
    pub(super) fn bridges(&mut self) {
        for bridge in &self.overview.bridges {
            let end = &bridge.end;
            let start = format!("{} {end}", self.start("mixcord-bridge"));
            if !bridge.alive {
                let text = format!(
                    "mixcord-bridge {end} was killed: its {} shards stand still",
                    bridge.shards
                );
                self.found.push(Finding::broken("bridge-killed", text, start));
                continue;
            }
            if !bridge.connected {
                let text = format!(
                    "mixcord-bridge {end} has no broker: {} wait, and rings stand still once they are full; start \
                     nats-server",
                    bridge.behind
                );
                self.found.push(Finding::broken("broker-gone", text, start));
            }
            let status = format!("mixcord-bridge --bot {} status", bridge.bot);
            if bridge.connected {
                self.standby(bridge, &status);
            }
            for stream in bridge.streams.iter().filter(|stream| stream.fullness() >= STREAM_FULL) {
                let (name, full) = (&stream.name, stream.fullness() * 100.0);
                let text = format!(
                    "stream {name} is {full:.0} % full: a receiver does not go on, or --stream-bytes is too little; full \
                     it stops the sockets"
                );
                self.found.push(Finding::warning("stream-full", text, status.clone()));
            }
        }
    }

    /// Gateways that wait to take shards over which nobody runs.
    fn standby(&mut self, bridge: &BridgeStatus, status: &str) {
        for gateway in bridge.gateways.iter().filter(|gateway| gateway.is_standby()) {
            let GatewayStatus { first, last, count, why, .. } = gateway;
            let free = free_seconds(bridge, gateway);
            if free < LEASE_FREE {
                continue;
            }
            let free = span(Duration::from_secs_f64(free));
            let text = format!(
                "a gateway stands by for shards {first}..{last}/{count}, and nobody has had the lease of their streams for \
                 {free}: they run nowhere. It waits: {why}"
            );
            self.found.push(Finding::broken("lease-free", text, status));
        }
    }
}
