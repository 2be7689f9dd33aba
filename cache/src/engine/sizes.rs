//! The output ring gets the sizes that are asked for, once it is drained.

use mixcord_event::topology;
use mixcord_ring::{Fit, Geometry, Producer};

use super::{Engine, EngineError};

impl Engine {
    /// Gives the output ring these sizes if it is drained, and else says what holds it.
    ///
    /// Only what is published goes over: what an earlier cache had committed and not published comes before.
    pub(super) fn fit(self, wanted: Geometry) -> Result<Self, EngineError> {
        let Self { out, namespace, bell, .. } = self;
        let has = out.geometry();
        let out = match out.fit(&namespace, wanted, &bell) {
            Ok((out, Fit::Kept { by, .. })) => {
                let holdup = mixcord_holdup::of(&out.ring());
                let why = holdup.map_or_else(|| by.to_string(), |holdup| holdup.to_string());
                tell(has, wanted, &why);
                out
            }
            Ok((out, Fit::Changed { .. })) => {
                let Geometry { slots, payload_bytes: bytes, partitions, groups, .. } = wanted;
                tracing::info!(
                    slots,
                    bytes,
                    partitions,
                    groups,
                    "the output ring was drained, and has these sizes from now on"
                );
                out
            }
            Ok((out, _)) => out,
            // Both do not fit beside each other, perhaps: it goes on as it is.
            Err(error) => {
                tell(has, wanted, &error.to_string());
                Producer::attach(&namespace, topology::OUTPUT_RING, &bell)
                    .map_err(|error| EngineError::output(error.into()))?
            }
        };
        Ok(Self { out, namespace, bell, ..self })
    }
}

/// Says which options are not in force, and why.
fn tell(has: Geometry, wanted: Geometry, why: &str) {
    let options = [
        ("--output-slots", has.slots.into(), wanted.slots.into()),
        ("--output-bytes", has.payload_bytes, wanted.payload_bytes),
        ("--output-partitions", has.partitions.into(), wanted.partitions.into()),
        ("--output-groups", has.groups.into(), wanted.groups.into()),
    ];
    let waiting: Vec<_> = options
        .into_iter()
        .filter(|(_, has, wanted)| has != wanted)
        .map(|(option, has, wanted)| format!("{option} {wanted} (it has {has})"))
        .collect();
    if waiting.is_empty() {
        // Only what nobody can ask for differs.
        tracing::info!("the output ring keeps the sizes of the release that made it: {why}");
        return;
    }
    tracing::warn!(
        "{} not in force: the output ring keeps its sizes until it is drained and mixcord-cache starts again: {why}",
        waiting.join(", ")
    );
}
