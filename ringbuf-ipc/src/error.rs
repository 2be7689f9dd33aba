//! Errors of making, attaching and removing; those of the protocol stand beside what fails.

use std::io;

use crate::core::carry::HeldBy;
use crate::core::geometry::GeometryError;
use crate::core::group_spec::GroupError;
use crate::core::layout::HeaderError;
use crate::core::writer::TailError;

/// A name that cannot be part of a segment's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no {what} name: {rule}")]
pub struct NameError {
    /// The name refused.
    pub name: String,
    /// Of what.
    pub what: &'static str,
    /// What it must look like.
    pub rule: &'static str,
}

/// Which limit a new segment would break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shortage {
    /// Space in /dev/shm.
    Directory,
    /// The machine's available memory.
    Memory,
    /// `memory.max` of the control group this process runs in.
    ControlGroup,
}

impl std::fmt::Display for Shortage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Directory => "/dev/shm has",
            Self::Memory => "this machine has",
            Self::ControlGroup => "the memory limit (memory.max) of this control group leaves",
        })
    }
}

/// Why a ring was not made. Nothing is left of the attempt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// There is a ring of that name.
    #[error("/dev/shm/{name} exists already")]
    Exists {
        /// Its segment.
        name: String,
    },
    /// Not enough memory. Nothing was touched.
    #[error(
        "{shortage} {free} bytes free, {needed} are needed: choose a smaller ring, or make room \
         (docker run --shm-size, mount -o remount,size=… /dev/shm)"
    )]
    NoSpace {
        /// Where.
        shortage: Shortage,
        /// Bytes the segment takes.
        needed: u64,
        /// Bytes there are.
        free: u64,
    },
    /// A size that cannot be.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// A ring's name that cannot be.
    #[error(transparent)]
    Name(#[from] NameError),
    /// It is of an earlier layout, and goes over into this one only when it is drained.
    #[error(
        "/dev/shm/{name} is of an earlier layout and is taken over once it is drained: {by}; the programs \
         that made it read it"
    )]
    Held {
        /// Its segment.
        name: String,
        /// What holds it.
        by: HeldBy,
    },
    /// A group that cannot be declared.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The new or the existing segment could not be attached.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// The system refused.
    #[error("making a segment: {0}")]
    Io(#[from] io::Error),
}

/// Why a ring could not be attached. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// There is none of that name (yet).
    #[error("/dev/shm/{name} does not exist: start the program that makes it")]
    NotFound {
        /// The segment.
        name: String,
    },
    /// A living producer writes it.
    #[error("/dev/shm/{name} has a producer already: stop it first")]
    Locked {
        /// The segment.
        name: String,
    },
    /// Not a regular file.
    #[error("/dev/shm/{name} is not a regular file: remove it")]
    NotAFile {
        /// The segment.
        name: String,
    },
    /// Of another user.
    #[error("/dev/shm/{name} belongs to another user: run as that user, or use another name")]
    NotOurs {
        /// The segment.
        name: String,
    },
    /// Others may open it.
    #[error(
        "/dev/shm/{name} is open to other users (mode {mode:03o}, not 600): who may have changed it? Remove it, or chmod 600"
    )]
    TooOpen {
        /// The segment.
        name: String,
        /// Its permission bits.
        mode: u32,
    },
    /// Its header is not one of this version, or damaged.
    #[error("/dev/shm/{name} {why}{}", why.advice())]
    Header {
        /// The segment.
        name: String,
        /// What is wrong.
        #[source]
        why: HeaderError,
    },
    /// Its newest record is damaged.
    #[error("/dev/shm/{name} is damaged ({why}): stop its processes and remove the file")]
    Tail {
        /// The segment.
        name: String,
        /// What is wrong.
        #[source]
        why: TailError,
    },
    /// A name that cannot be.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The bells could not be had.
    #[error("bells: {0}")]
    Bell(#[from] Box<BellError>),
    /// The system refused.
    #[error("attaching: {0}")]
    Io(#[from] io::Error),
}

/// Why a bell could not be claimed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BellError {
    /// Every place is held by a living process.
    #[error("all {limit} bells are taken by living processes")]
    Full {
        /// Places there are.
        limit: usize,
    },
    /// What stands in the bells' place is none of this version.
    #[error(
        "/dev/shm/{name} holds no bells of this version: stop every process that uses it and remove the file"
    )]
    Foreign {
        /// The segment.
        name: String,
    },
    /// Its file is not as it must be.
    #[error(transparent)]
    Segment(#[from] AttachError),
    /// There is no memory for them.
    #[error("bells: {0}")]
    NoSpace(#[source] Box<CreateError>),
    /// The system refused.
    #[error("bells: {0}")]
    Io(#[from] io::Error),
}

/// Why a ring was not removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoveError {
    /// Its producer, a member or an observer lives.
    #[error("/dev/shm/{name} is in use: stop its processes first")]
    InUse {
        /// The segment.
        name: String,
    },
    /// There is none.
    #[error("/dev/shm/{name} does not exist")]
    NotFound {
        /// The segment.
        name: String,
    },
    /// A name that cannot be.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The system refused.
    #[error("removing: {0}")]
    Io(#[from] io::Error),
}
