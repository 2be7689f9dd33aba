//! What a change of the shard count is between, and how long things take.

/// One of the two sets of sessions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Side {
    /// The set that ran before.
    Old,
    /// The set that is to run alone.
    New,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Old, Self::New];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Old => Self::New,
            Self::New => Self::Old,
        }
    }
}

/// Something of each side.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Sides<T>([T; 2]);

impl<T> Sides<T> {
    /// Of the old side and of the new one.
    pub const fn new(old: T, new: T) -> Self {
        Self([old, new])
    }
}

impl<T> std::ops::Index<Side> for Sides<T> {
    type Output = T;

    fn index(&self, side: Side) -> &T {
        &self.0[side as usize]
    }
}

impl<T> std::ops::IndexMut<Side> for Sides<T> {
    fn index_mut(&mut self, side: Side) -> &mut T {
        &mut self.0[side as usize]
    }
}

/// How long things take, in microseconds of the records' receive times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Times {
    /// How long one side is waited for.
    pub window_us: u64,
    /// How much later one session may receive an event than the other while both are well.
    pub slack_us: u64,
}

impl Default for Times {
    fn default() -> Self {
        Self { window_us: 60_000_000, slack_us: 5_000_000 }
    }
}

impl Times {
    /// How much later than it began a session may have its READY, which is long, with all that comes behind it.
    pub(super) const fn ready_us(self) -> u64 {
        self.slack_us.saturating_mul(4)
    }

    /// For so long a session may be away and still be resumed (G-22, G-25).
    pub(super) const fn away_us(self) -> u64 {
        self.window_us.saturating_mul(10)
    }
}

/// How far a change of the shard count is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// The guilds that the state knows are being listed; those behind this one are not.
    Listing(u64),
    /// Both sets run, and the old one delivers.
    Overlapping,
    /// Guild by guild the new set takes over.
    Cutting,
    /// The new set delivers everything.
    Cut,
    /// The old set is being closed, and is not counted on any more.
    Leaving,
    /// It was called off: the old set delivers everything again, and the new one is not counted on.
    CalledOff,
    /// This side alone is left.
    Over(Side),
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// The shard counts.
    pub counts: Sides<u16>,
    /// How long things take.
    pub times: Times,
    /// About the memory for what waits, in bytes: beyond it no side is read ahead of the other. What the other never
    /// brings is kept until its time is over all the same, and READYs are not counted.
    pub bytes_max: usize,
}
