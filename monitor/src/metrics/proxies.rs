//! The proxies, and the clients that they serve.

use std::fmt::Error;

use mixcord::operator::ProxyStatus;

use super::family::Families;
use crate::sample::Sample;

/// Whether one lives; `None` where none runs or was killed: sessions of its clients outlive one that was stopped.
pub(super) fn up(sample: &Sample) -> Option<bool> {
    let proxies = &sample.overview.proxies;
    (!proxies.running.is_empty()).then(|| proxies.running.iter().any(|proxy| proxy.alive))
}

pub(super) fn encode(sample: &Sample, out: &mut Families<'_>) -> Result<(), Error> {
    let proxies = &sample.overview.proxies;
    if proxies.is_empty() {
        return Ok(());
    }
    let each = |of: fn(&ProxyStatus) -> u64| {
        let living = proxies.running.iter().filter(|proxy| proxy.alive);
        living.map(move |proxy| ([("listen", proxy.listen.as_str())], of(proxy) as f64))
    };
    out.gauge("proxy_clients", "Clients of the proxy that are connected", each(|it| it.clients))?;
    out.counter("proxy_events", "Events sent to clients, counted for each", each(|it| it.events))?;
    out.counter(
        "proxy_stalled_clients",
        "Clients cut because they took nothing for too long",
        each(|it| it.stalled),
    )?;
    out.gauge(
        "proxy_sessions",
        "Sessions of clients that are connected or may come back",
        [([("", ""); 0], proxies.sessions as f64)],
    )
}
