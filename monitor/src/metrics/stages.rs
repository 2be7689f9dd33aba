//! What stages did with their events. Their rings, and the groups by which they read, are among those of all.

use std::fmt::Error;

use super::family::Families;
use crate::sample::Sample;

pub(super) fn encode(sample: &Sample, out: &mut Families<'_>) -> Result<(), Error> {
    let stages = sample.overview.rings.iter().filter_map(|ring| ring.stage.as_ref());
    let counts = stages.flat_map(|stage| {
        [
            ("passed", stage.passed),
            ("changed", stage.changed),
            ("dropped", stage.dropped),
            ("added", stage.added),
            ("failed", stage.failed),
        ]
        .map(|(outcome, count)| {
            ([("stage", stage.stage.as_str()), ("outcome", outcome)], count as f64)
        })
    });
    out.counter(
        "stage_events",
        "Events of a stage since its ring was made, by what it did with them: passed on as they were, passed on with \
         other data, left out, added of its own, or failed with for the last time",
        counts,
    )
}
