//! The one writer of a ring.

mod space;
mod wakes;

use std::sync::Arc;

pub use self::wakes::Wakes;
use crate::bell::Bell;
use crate::core::checkpoint::{self, CheckpointError};
use crate::core::layout::{Layout, PRODUCER, producer as words};
use crate::core::memory::Ordering;
use crate::core::writer::restage::RestageError;
use crate::core::writer::{Meta, StageError, Writer};
use crate::core::{Core, Life, Position, groups, locks};
use crate::error::{AttachError, CreateError};
use crate::namespace::Namespace;
use crate::ring::{Ring, core_of};
use crate::spin::Spin;
use crate::system::bells::Bells;
use crate::system::lock::{self, Held};
use crate::system::segment::{Role, Segment};
use crate::{Geometry, GroupSpec, RingId};

/// The producer of a ring. There is one at a time, by a lock the kernel holds.
///
/// Records are staged beyond the tail, where no reader looks, and become visible all at once with
/// [`publish`](Self::publish). Staging and publishing make no system call and allocate nothing, but
/// for sleepers to wake and records too long for the ring.
///
/// ```
/// # use mixcord_ring::{Geometry, Meta, Namespace, Producer, Ring};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let namespace = Namespace::private();
/// # let bell = namespace.bell()?;
/// # let geometry = Geometry::new(64, 1 << 16, 4, 1, 4)?;
/// let mut producer = Producer::create(&namespace, "events", geometry, &[], &bell)?;
/// let ring = Ring::attach(&namespace, "events")?;
/// producer.stage(&Meta { key: 7, ..Meta::default() }, &[b"one"])?;
/// producer.stage(&Meta { key: 8, ..Meta::default() }, &[b"t", b"wo"])?;
/// assert_eq!(ring.tail(), 0, "staged is not published");
/// producer.publish();
/// assert_eq!(ring.tail(), 2, "both at once");
///
/// // Another process, after this one has ended or was killed, goes on behind them.
/// drop(producer);
/// let producer = Producer::attach(&namespace, "events", &bell)?;
/// assert_eq!(producer.tail(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Producer {
    writer: Writer,
    name: String,
    bell: Bell,
    bells: Arc<Bells>,
    spin: Spin,
    /// Keeps the producer's lock.
    _held: Life,
}

impl Producer {
    /// Makes a ring with these groups, so that nothing is lost to who starts first.
    ///
    /// Memory is asked for before a page is touched. A creation that fails leaves nothing behind.
    ///
    /// # Errors
    /// There is a ring of that name; no memory for it; sizes or names that cannot be; the system.
    pub fn create(
        namespace: &Namespace,
        name: &str,
        geometry: Geometry,
        groups: &[GroupSpec],
        bell: &Bell,
    ) -> Result<Self, CreateError> {
        geometry.validate()?;
        let segment_name = namespace.segment(name)?;
        if let Some(rings) = &namespace.private {
            let bells = namespace.bells().map_err(|error| AttachError::Bell(Box::new(error)))?;
            let made = rings.make(name, Layout::new(geometry), &bells)?;
            let core = made.ok_or(CreateError::Exists { name: segment_name })?;
            for group in groups {
                groups::declare(&core, group)?;
            }
            return Ok(Self::attach(namespace, name, bell)?);
        }
        if crate::system::segment::path_of(&segment_name).symlink_metadata().is_ok() {
            return Err(CreateError::Exists { name: segment_name });
        }
        let bells = namespace.bells().map_err(|error| AttachError::Bell(Box::new(error)))?;
        let layout = Layout::new(geometry);
        let (mut draft, segment) = Segment::draft(&segment_name, &layout)?;
        let busy = || AttachError::Locked { name: segment_name.clone() };
        let held = lock::hold(&segment.file, locks::PRODUCER)?.ok_or_else(busy)?;
        let core = core_of(segment, &segment_name, &bells)?;
        for group in groups {
            groups::declare(&core, group)?;
        }
        drop(core);
        draft.place(&segment_name)?;
        Ok(Self::adopt(namespace, &segment_name, bell, held)?)
    }

    /// Goes on where the last producer stopped or was killed: at the tail. What it had staged can be
    /// had again with [`restage`](Self::restage), and is forgotten otherwise.
    ///
    /// # Errors
    /// There is no such ring; it has a living producer; it is damaged, or of another version.
    pub fn attach(namespace: &Namespace, name: &str, bell: &Bell) -> Result<Self, AttachError> {
        let segment_name = namespace.segment(name)?;
        if let Some(rings) = &namespace.private {
            let Some(core) = rings.get(name) else {
                return Err(AttachError::NotFound { name: segment_name });
            };
            let Some(held) = core.environment.hold(locks::PRODUCER)? else {
                return Err(AttachError::Locked { name: segment_name });
            };
            return Self::over(namespace, core, segment_name, bell, held);
        }
        let file = crate::system::segment::open_checked(&segment_name)?;
        let Some(held) = lock::hold(&file, locks::PRODUCER)? else {
            return Err(AttachError::Locked { name: segment_name });
        };
        Self::adopt(namespace, &segment_name, bell, held)
    }

    /// Attaches the ring, or makes it when there is none. A ring that exists keeps its geometry and
    /// its groups; of `groups`, those it lacks are declared.
    ///
    /// # Errors
    /// Those of [`create`](Self::create) and [`attach`](Self::attach).
    pub fn create_or_attach(
        namespace: &Namespace,
        name: &str,
        geometry: Geometry,
        groups: &[GroupSpec],
        bell: &Bell,
    ) -> Result<Self, CreateError> {
        // Somebody may make it, or remove it, between a look and the next.
        for _ in 0..16 {
            match Self::attach(namespace, name, bell) {
                Ok(this) => {
                    let ring = this.ring();
                    for group in groups {
                        ring.declare_group(group)?;
                    }
                    return Ok(this);
                }
                Err(AttachError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            match Self::create(namespace, name, geometry, groups, bell) {
                Err(CreateError::Exists { .. }) => {}
                other => return other,
            }
        }
        Err(CreateError::Attach(AttachError::NotFound { name: namespace.segment(name)? }))
    }

    /// The ring it writes, as others see it.
    pub fn ring(&self) -> Ring {
        Ring::of(Arc::clone(&self.writer.core), &self.name, Arc::clone(&self.bells))
    }

    /// The ring's incarnation.
    pub fn id(&self) -> RingId {
        RingId(self.writer.core.id)
    }

    /// The ring's name, without the namespace.
    pub fn name(&self) -> &str {
        self.name.rsplit_once('.').map_or(&*self.name, |(_, name)| name)
    }

    /// The ring's sizes.
    pub fn geometry(&self) -> Geometry {
        self.writer.core.layout.geometry
    }

    /// Records published since the ring was made; the position of the next one.
    pub fn tail(&self) -> Position {
        self.writer.tail()
    }

    /// The position the next staged record gets.
    pub fn staged_tail(&self) -> Position {
        self.writer.staged()
    }

    /// The oldest record that can still be read.
    pub fn earliest(&self) -> Position {
        self.writer.core.reserved()
    }

    /// Writes a record, the concatenation of `parts`, beyond the tail, where nobody sees it, and gives
    /// its position.
    ///
    /// # Errors
    /// No room, or too long. Nothing was written then.
    #[inline(always)]
    pub fn stage(&mut self, meta: &Meta, parts: &[&[u8]]) -> Result<Position, StageError> {
        self.writer.stage(meta, parts)
    }

    /// [`stage`](Self::stage), and beside the payload what its writer says of it: 31 bits, free for the user, meant for a
    /// sum that tells damage. It costs neither room nor time. Readers of an earlier release do not see it, and
    /// a record that was put aside, or into another ring, comes without it.
    ///
    /// # Errors
    /// Those of [`stage`](Self::stage).
    #[inline(always)]
    pub fn stage_sealed(
        &mut self,
        meta: &Meta,
        seal: u32,
        parts: &[&[u8]],
    ) -> Result<Position, StageError> {
        debug_assert!(seal >> 31 == 0, "a seal has 31 bits");
        self.writer.stage_sealed(meta, seal, parts)
    }

    /// Keeps `bytes` with the records staged so far and those before: it is the ring's checkpoint from
    /// the next publish on, and not if that never happens.
    ///
    /// ```
    /// # use mixcord_ring::{Geometry, Meta, Namespace, Producer};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let namespace = Namespace::private();
    /// # let bell = namespace.bell()?;
    /// # let geometry = Geometry::new(64, 1 << 16, 4, 1, 4)?;
    /// # let mut producer = Producer::create(&namespace, "events", geometry, &[], &bell)?;
    /// // How far the input is done is one moment with what came of it: a killed program finds both, or neither.
    /// producer.stage(&Meta::default(), &[b"what came of input 41"])?;
    /// producer.set_checkpoint(b"42")?;
    /// producer.publish();
    /// # drop(producer);
    /// let producer = Producer::attach(&namespace, "events", &bell)?;
    /// assert_eq!(producer.checkpoint().as_deref(), Some(&b"42"[..]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Longer than [`checkpoint_bytes`](Geometry::checkpoint_bytes).
    pub fn set_checkpoint(&mut self, bytes: &[u8]) -> Result<(), CheckpointError> {
        self.writer.set_checkpoint(bytes)
    }

    /// Makes everything staged visible at once, wakes who sleeps on this ring, and gives the tail.
    #[inline]
    pub fn publish(&mut self) -> Position {
        self.writer.publish()
    }

    /// The same, but who sleeps on this ring is woken only once what is given is dropped; `None` where no record was
    /// staged. For a producer of many rings, whose reader is to be woken once for the news of all, and not to take those
    /// of each by themselves.
    #[inline]
    pub fn publish_quietly(&mut self) -> Option<Wakes> {
        let from = self.writer.publish_quietly()?;
        Some(Wakes::new(self.core(), from..self.tail()))
    }

    /// Forgets what is staged, and the checkpoint set since the last publish.
    pub fn discard_staged(&mut self) {
        self.writer.discard_staged();
    }

    /// The checkpoint that belongs to the tail or before, the newest.
    pub fn checkpoint(&self) -> Option<Vec<u8>> {
        checkpoint::newest_checkpoint(&self.writer.core, self.writer.tail())
            .map(|found| found.bytes)
    }

    /// Stages again what an earlier producer had staged up to `intended_tail`, if it is all there.
    /// [`publish`](Self::publish) then commits it.
    ///
    /// # Errors
    /// Something is staged already, or not all of those records are complete. Nothing changed.
    pub fn restage(&mut self, intended_tail: Position) -> Result<(), RestageError> {
        self.writer.restage(intended_tail)
    }

    pub(crate) fn core(&self) -> Arc<crate::core::Core> {
        Arc::clone(&self.writer.core)
    }

    pub(crate) fn segment_name(&self) -> &str {
        &self.name
    }

    pub(crate) fn adopt(
        namespace: &Namespace,
        segment_name: &str,
        bell: &Bell,
        held: Held,
    ) -> Result<Self, AttachError> {
        let segment = Segment::open(segment_name, Role::Producer)?;
        if !crate::system::segment::same_file(&segment.file, held.file())? {
            return Err(AttachError::NotFound { name: segment_name.to_owned() });
        }
        let bells = namespace.bells().map_err(|error| AttachError::Bell(Box::new(error)))?;
        let core = Arc::new(core_of(segment, segment_name, &bells)?);
        core.populate(true);
        Self::over(namespace, core, segment_name.to_owned(), bell, Box::new(held))
    }

    /// Goes on at the tail of what is there.
    fn over(
        namespace: &Namespace,
        core: Arc<Core>,
        name: String,
        bell: &Bell,
        held: Life,
    ) -> Result<Self, AttachError> {
        let bells = namespace.bells().map_err(|error| AttachError::Bell(Box::new(error)))?;
        let word = PRODUCER + words::BELL;
        let index = bell.index_in(&bells).map_or(0, |index| index + 1);
        core.memory.store(word, index, Ordering::Relaxed);
        let writer =
            Writer::resume(core).map_err(|why| AttachError::Tail { name: name.clone(), why })?;
        Ok(Self { writer, name, bell: bell.clone(), bells, spin: Spin::new(), _held: held })
    }
}
