//! What a consumer was asked to be: set by the builder, checked once, read by everybody.

use std::time::Duration;

use mixcord_event::topology;
use mixcord_ring::{GroupSpec, Namespace, Start};

use crate::filter::Filter;
use crate::lane::{Mode, Terms};
use crate::{Error, Stop};

/// What a consumer is.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) instance: String,
    pub(crate) group: Option<String>,
    pub(crate) observer: bool,
    pub(crate) ephemeral: bool,
    pub(crate) max_absence: Option<Duration>,
    pub(crate) start: Start,
    pub(crate) terms: Terms,
    pub(crate) filter: Filter,
    pub(crate) concurrency: usize,
    pub(crate) ring_order: bool,
    pub(crate) wait: Option<Duration>,
    pub(crate) grace: Duration,
    pub(crate) stop: Stop,
    pub(crate) signals: bool,
}

impl Options {
    pub(crate) fn new() -> Self {
        Self {
            instance: std::env::var("MIXCORD_INSTANCE").unwrap_or_else(|_| "mixcord".to_owned()),
            group: None,
            observer: false,
            ephemeral: false,
            max_absence: None,
            start: Start::Latest,
            terms: Terms {
                mode: Mode::AtLeastOnce,
                retry: (Duration::from_millis(50), Duration::from_secs(30)),
            },
            filter: Filter::default(),
            concurrency: 16,
            ring_order: false,
            wait: None,
            grace: Duration::from_secs(4),
            stop: Stop::new(),
            signals: false,
        }
    }

    /// Whether they go together.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.observer && (self.group.is_some() || self.ephemeral || self.max_absence.is_some()) {
            return Err(Error::Options(
                "an observer belongs to no group: leave out either `.observer()` or the group's options",
            ));
        }
        if self.ephemeral && self.max_absence.is_some() {
            return Err(Error::Options(
                "an ephemeral group ends with its last member: `.max_absence()` has no meaning for it",
            ));
        }
        match &self.group {
            Some(group) => GroupSpec::durable(group).check().map_err(|source| Error::Join {
                instance: self.instance.clone(),
                group: group.clone(),
                source: source.into(),
            }),
            None if self.observer => Ok(()),
            None => Err(Error::NoGroup),
        }
    }

    pub(crate) fn spec(&self, group: &str, start: Start) -> GroupSpec {
        let spec =
            if self.ephemeral { GroupSpec::ephemeral(group) } else { GroupSpec::durable(group) };
        let spec = spec.from(start);
        match self.max_absence {
            Some(absence) => spec.max_absence(absence),
            None => spec,
        }
    }
}

/// The namespace of an instance, whose name is checked.
pub(crate) fn namespace(instance: &str) -> Result<Namespace, Error> {
    let wrong = || Error::Instance { instance: instance.to_owned() };
    if !topology::is_instance_name(instance) {
        return Err(wrong());
    }
    Namespace::new(&topology::namespace(instance)).map_err(|_| wrong())
}
