//! A ring gets other sizes, or this layout, once it is drained.

use std::fs::{self, File};
use std::io::ErrorKind;

use crate::core::carry::{self, Estate, HeldBy};
use crate::core::layout::Layout;
use crate::core::{locks, patience};
use crate::error::{AttachError, CreateError};
use crate::ring::core_of;
use crate::system::lock::{self, Held};
use crate::system::segment::{Segment, open_checked};
use crate::system::v2;
use crate::{Bell, Geometry, GroupSpec, HeaderError, Namespace, Producer};

/// Whether a ring has the sizes that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fit {
    /// It has.
    AsAsked,
    /// It has them from now on: it was drained. Id, positions, checkpoint and groups are as they were; who has the
    /// old file open attaches anew (see [`Ring::is_current`](crate::Ring::is_current)).
    Changed {
        /// Its sizes until now; `None` of one of an earlier layout.
        from: Option<Geometry>,
    },
    /// It keeps its sizes until it is drained and its producer starts again.
    Kept {
        /// The sizes it has.
        geometry: Geometry,
        /// What holds it.
        by: HeldBy,
    },
}

impl Producer {
    /// Attaches the ring, or makes it when there is none; a ring of other sizes, or of the layout before this one,
    /// gets these sizes if it is drained: no group has a record before it.
    ///
    /// # Errors
    /// Those of [`create_or_attach`](Self::create_or_attach); for a ring of the layout before this one that is not
    /// drained, [`CreateError::Held`].
    pub fn create_or_fit(
        namespace: &Namespace,
        name: &str,
        geometry: Geometry,
        groups: &[GroupSpec],
        bell: &Bell,
    ) -> Result<(Self, Fit), CreateError> {
        geometry.validate()?;
        let this = match Self::create_or_attach(namespace, name, geometry, groups, bell) {
            Err(CreateError::Attach(
                refused @ AttachError::Header {
                    why: HeaderError::Version { found: v2::VERSION, .. },
                    ..
                },
            )) => {
                let this = Self::from_layout_2(namespace, name, geometry, bell, refused)?;
                for group in groups {
                    this.ring().declare_group(group)?;
                }
                return Ok((this, Fit::Changed { from: None }));
            }
            other => other?,
        };
        this.fit(namespace, geometry, bell)
    }

    /// Gives a ring other sizes, if it is drained.
    ///
    /// # Errors
    /// There is no room for the new one beside the old one, or the system refused. The ring is as it was.
    pub fn fit(
        self,
        namespace: &Namespace,
        geometry: Geometry,
        bell: &Bell,
    ) -> Result<(Self, Fit), CreateError> {
        let old = self.geometry();
        if old == geometry {
            return Ok((self, Fit::AsAsked));
        }
        let segment_name = self.segment_name().to_owned();
        let layout = Layout::new(geometry);
        let core = self.core();
        let mut outcome = None;
        // With the table, so that no group is made in what goes.
        let locked = core.environment.with_table(patience::CHANGING, &mut || {
            let stock = carry::take_stock(&core).and_then(|estate| {
                estate.fits(&layout)?;
                Ok(estate)
            });
            outcome = Some(match stock {
                Ok(estate) => replace(namespace, &segment_name, &layout, core.id, &estate).map(Ok),
                Err(held) => Ok(Err(held)),
            });
        });
        locked?;
        match outcome.unwrap_or(Ok(Err(HeldBy::Busy)))? {
            Err(by) => Ok((self, Fit::Kept { geometry: old, by })),
            Ok(held) => {
                // Whoever sleeps on the old one looks, and finds that it is not there any more.
                drop(self);
                core.ring_everybody();
                let this = Self::adopt(namespace, &segment_name, bell, held)?;
                Ok((this, Fit::Changed { from: Some(old) }))
            }
        }
    }

    fn from_layout_2(
        namespace: &Namespace,
        name: &str,
        geometry: Geometry,
        bell: &Bell,
        refused: AttachError,
    ) -> Result<Self, CreateError> {
        let segment_name = namespace.segment(name)?;
        let file = open_checked(&segment_name)?;
        let locked = || AttachError::Locked { name: segment_name.clone() };
        let _producer = lock::hold(&file, locks::PRODUCER)?.ok_or_else(locked)?;
        let _table = lock::hold(&file, locks::TABLE)?.ok_or_else(locked)?;
        let held = |by| CreateError::Held { name: segment_name.clone(), by };
        let layout = Layout::new(geometry);
        let (id, stock) = v2::take_stock(&file).map_err(|error| match error.kind() {
            // It says that it is of that layout, and no more.
            ErrorKind::InvalidData => CreateError::Attach(refused),
            _ => error.into(),
        })?;
        let estate = stock.map_err(held)?;
        estate.fits(&layout).map_err(held)?;
        let lock = replace(namespace, &segment_name, &layout, id, &estate)?;
        Ok(Self::adopt(namespace, &segment_name, bell, lock)?)
    }
}

/// Makes the new ring whole, and puts it in the place of the old one by one rename.
fn replace(
    namespace: &Namespace,
    segment_name: &str,
    layout: &Layout,
    id: u64,
    estate: &Estate,
) -> Result<Held, CreateError> {
    let bells = namespace.bells().map_err(|error| AttachError::Bell(Box::new(error)))?;
    let (mut draft, segment) = Segment::draft_of(segment_name, layout, id)?;
    let busy = || AttachError::Locked { name: segment_name.to_owned() };
    let held = lock::hold(&segment.file, locks::PRODUCER)?.ok_or_else(busy)?;
    let core = core_of(segment, segment_name, &bells)?;
    estate.endow(&core)?;
    drop(core);
    draft.take_place(segment_name)?;
    Ok(held)
}

/// Whether a file is still the one of that name.
pub(crate) fn is_current(file: &File, name: &str) -> bool {
    use std::os::unix::fs::MetadataExt;
    let there = fs::symlink_metadata(crate::system::segment::path_of(name));
    match (file.metadata(), there) {
        (Ok(own), Ok(there)) => (own.dev(), own.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}
