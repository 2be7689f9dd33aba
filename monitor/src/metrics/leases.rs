//! Who may write the streams at the broker, and the gateways that wait for that.

use std::fmt::Error;

use mixcord::operator::{BridgeStatus, GatewayStatus, LeaseStatus};

use super::family::Families;
use crate::leases::free_seconds;
use crate::sample::Sample;

/// What a lease can be.
const LEASES: [&str; 3] = ["held", "ended", "lapsed"];
/// What a gateway with `--take-over` can be.
const GATEWAYS: [&str; 4] = ["standby", "holder", "waits", "over"];
/// What a bridge can be.
const ROLES: [&str; 2] = ["holder", "standby"];
/// Below these bits of a generation stands when the bucket of the leases was made.
const CHANGES: u64 = u32::MAX as u64;

pub(super) fn encode(sample: &Sample, out: &mut Families<'_>) -> Result<(), Error> {
    let living = || sample.overview.bridges.iter().filter(|bridge| bridge.alive);
    out.gauge(
        "bridge_role",
        "1 for what the bridge is: it has the lease of a stream, or a gateway here waits to take shards over",
        living().flat_map(|bridge| {
            let labels = |role| [("end", bridge.end.as_str()), ("role", role)];
            ROLES.iter().map(move |role| (labels(*role), one_if(bridge.role == Some(*role))))
        }),
    )?;
    let leases: Vec<([(&str, &str); 2], &LeaseStatus)> = living()
        .flat_map(|bridge| bridge.streams.iter().map(move |stream| (bridge, stream)))
        .filter_map(|(bridge, stream)| {
            let labels = [("end", bridge.end.as_str()), ("stream", stream.name.as_str())];
            Some((labels, stream.lease.as_ref()?))
        })
        .collect();
    out.gauge(
        "bridge_lease_state",
        "1 for how the lease of the stream stands, 0 for the others: who has it may write the stream",
        leases.iter().flat_map(|([end, stream], lease)| {
            let labels = |state| [*end, *stream, ("state", state)];
            LEASES.iter().map(move |state| (labels(*state), one_if(lease.state == *state)))
        }),
    )?;
    let each = |of: fn(&LeaseStatus) -> f64| leases.iter().map(move |(of_it, it)| (*of_it, of(it)));
    out.gauge(
        "bridge_lease_own",
        "Whether the bridge that tells this has the lease, or had it last",
        each(|lease| one_if(lease.own)),
    )?;
    out.gauge(
        "bridge_lease_generation",
        "Changes of the bucket of leases until the holder of this one got what it sends: another number is another holder",
        leases
            .iter()
            .filter_map(|(labels, lease)| Some((*labels, (lease.generation? & CHANGES) as f64))),
    )?;
    out.gauge(
        "bridge_lease_age_seconds",
        "For how long the lease was not seen renewed: its holder does it every 2 seconds, and loses it after 12",
        each(|lease| lease.still_seconds),
    )?;
    let gateways: Vec<(String, &BridgeStatus, &GatewayStatus)> = living()
        .flat_map(|bridge| bridge.gateways.iter().map(move |gateway| (bridge, gateway)))
        .map(|(bridge, it)| (format!("{}..{}/{}", it.first, it.last, it.count), bridge, it))
        .collect();
    out.gauge(
        "bridge_gateway_state",
        "1 for how a gateway with --take-over stands with the bridge, 0 for the others",
        gateways.iter().flat_map(|(name, bridge, gateway)| {
            let labels = |state| {
                [("end", bridge.end.as_str()), ("gateway", name.as_str()), ("state", state)]
            };
            GATEWAYS.iter().map(move |state| (labels(*state), one_if(gateway.state == *state)))
        }),
    )?;
    // Without a connection nobody here knows.
    let standing_by =
        gateways.iter().filter(|(_, bridge, gateway)| bridge.connected && gateway.is_standby());
    out.gauge(
        "bridge_lease_free_seconds",
        "For how long nobody has had the lease of the shards that a standby waits for: they run nowhere; 0 while it is held",
        standing_by
            .map(|(name, bridge, it)| ([("gateway", name.as_str())], free_seconds(bridge, it))),
    )
}

fn one_if(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}
