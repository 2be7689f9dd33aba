//! Families of metrics, with values that were just read.

use std::fmt::Error;

use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;

/// Writes families. One without a value is left out.
pub(super) struct Families<'a>(DescriptorEncoder<'a>);

impl<'a> Families<'a> {
    pub(super) fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    pub(super) fn info(
        &mut self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
    ) -> Result<(), Error> {
        let labels = labels.to_vec();
        self.0.encode_descriptor(name, help, None, MetricType::Info)?.encode_info(&labels)
    }

    pub(super) fn gauge<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, f64)>,
    ) -> Result<(), Error> {
        self.family(name, help, MetricType::Gauge, values, |mut metric, value| {
            metric.encode_gauge(&value)
        })
    }

    /// `name` is without `_total`, which is added.
    pub(super) fn counter<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, f64)>,
    ) -> Result<(), Error> {
        let none: Option<&Exemplar<NoLabelSet, f64>> = None;
        self.family(name, help, MetricType::Counter, values, |mut metric, value| {
            metric.encode_counter(&value, none)
        })
    }

    fn family<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        values: impl IntoIterator<Item = (L, f64)>,
        write: impl Fn(MetricEncoder<'_>, f64) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        values.try_for_each(|(labels, value)| write(family.encode_family(&labels)?, value))
    }

    /// `buckets` are upper bounds and how many lay in each, not cumulative.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        sum: f64,
        buckets: &[(f64, u64)],
    ) -> Result<(), Error> {
        self.histograms(name, help, [([("", ""); 0], sum, buckets)])
    }

    /// Several of one name.
    pub(super) fn histograms<L: EncodeLabelSet, B: AsRef<[(f64, u64)]>>(
        &mut self,
        name: &str,
        help: &str,
        all: impl IntoIterator<Item = (L, f64, B)>,
    ) -> Result<(), Error> {
        let mut all = all.into_iter().peekable();
        if all.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        all.try_for_each(|(labels, sum, buckets)| {
            let count = buckets.as_ref().iter().map(|(_, count)| count).sum();
            let mut one = family.encode_family(&labels)?;
            one.encode_histogram::<NoLabelSet>(sum, count, buckets.as_ref(), None)
        })
    }
}
