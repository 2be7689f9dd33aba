//! What may go wrong.

/// What a test may do to it, at any step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The sender is killed; what it has under way may still land.
    KillSender,
    /// The receiver is killed between two messages.
    KillReceiver,
    /// The receiver is killed once so many records of the next message are published.
    KillAmid(u64),
    /// The next publish lands, and its acknowledgement is lost.
    LoseAck,
    /// The next publish is refused, and does not land.
    LosePublish,
    /// The next publish stays under way until [`Fault::Land`].
    Delay,
    /// What is under way reaches the log now.
    Land,
    /// The connection is another one: the receiver begins reading anew.
    Reconnect,
    /// Messages that nobody needs are trimmed.
    Trim,
    /// The receiver, unless it reads lane 1 already, does not find it before the end.
    Late,
    /// Nothing more comes in lane 1, and its ring is removed once all of it is sent.
    End,
    /// Somebody writes into lane 1 by hand.
    Foreign,
    /// A second sender of the same ring begins to write.
    Second,
    /// An election: the log loses so many messages from its end, and with them what was under way.
    Truncate(usize),
    /// The stream is deleted, and made anew.
    Remake,
    /// The shard's ring is removed, and another one made.
    NewRing,
    /// The sender's group is evicted.
    Evict,
}

impl Fault {
    /// What costs nothing but time. [`Fault::End`] is none of them: a loss behind which nothing comes is not told.
    pub(crate) const HARMLESS: [Self; 13] = [
        Self::KillSender,
        Self::KillReceiver,
        Self::KillAmid(0),
        Self::KillAmid(1),
        Self::LoseAck,
        Self::LosePublish,
        Self::Delay,
        Self::Land,
        Self::Reconnect,
        Self::Trim,
        Self::Late,
        Self::Foreign,
        Self::Second,
    ];
    /// What may cost records, each of which has to be told.
    pub(crate) const HARMFUL: [Self; 5] =
        [Self::Truncate(1), Self::Truncate(3), Self::Remake, Self::NewRing, Self::Evict];
}
