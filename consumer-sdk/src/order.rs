//! Which of a group's events wait for each other.

use std::fmt;

use mixcord_event::record::Record;
use mixcord_event::{Seal, Value, atoms};
use mixcord_ring::{Entry, Order as RingOrder, WorkerOptions};

/// Which events of a group wait for each other: those of one key are handled one after the other, in
/// Discord's order; all others side by side.
///
/// All members of a group must ask for the same. A group keeps the order it was made with; a consumer that asks
/// for none takes what the group has.
#[derive(Clone, Copy, Default)]
#[non_exhaustive]
pub enum Order {
    /// Those of one guild: the default. Events without a guild wait for those of their channel, else of their
    /// user.
    #[default]
    Guild,
    /// Those of one channel or thread; events without one wait for those of their guild that have none either.
    /// A slow handler in one channel does not hold up its guild, but a `CHANNEL_DELETE` may overtake the messages
    /// of its threads, and a member's events those in a channel.
    Channel,
    /// Those for which this function gives one number. It must depend on nothing but the record, and be the same
    /// in all members. It is called for every record of the ring, wanted or not.
    Key(fn(&Record<'_>) -> u64),
    /// None: every event is handled as soon as there is room.
    None,
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Guild => "Guild",
            Self::Channel => "Channel",
            Self::Key(_) => "Key(..)",
            Self::None => "None",
        })
    }
}

/// Numbers of the keys that members work out.
const OWN: RingOrder = RingOrder::Own(0);
pub(crate) const CHANNEL: RingOrder = RingOrder::Own(1);

impl Order {
    pub(crate) const fn in_ring(self) -> RingOrder {
        match self {
            Self::Guild => RingOrder::Key,
            Self::Channel => CHANNEL,
            Self::Key(_) => OWN,
            Self::None => RingOrder::None,
        }
    }

    /// What a group has, where a member of it needs nothing else to know.
    pub(crate) fn of(order: RingOrder) -> Option<Self> {
        match order {
            // The ring's own order needs no key.
            RingOrder::Key | RingOrder::Finer | RingOrder::Ring => Some(Self::Guild),
            RingOrder::None => Some(Self::None),
            CHANNEL => Some(Self::Channel),
            _ => None,
        }
    }

    /// The options of a worker that works the key out.
    pub(crate) fn with(self, options: WorkerOptions) -> WorkerOptions {
        let of: fn(&Record<'_>) -> u64 = match self {
            Self::Channel => channel_of,
            Self::Key(of) => of,
            Self::Guild | Self::None => return options,
        };
        options.key(move |entry: Entry<'_>| {
            Record::parse_sealed(entry.payload, Seal::from_bits(entry.seal))
                .map_or(entry.key, |record| of(&record))
        })
    }
}

/// The channel a record is about, else its guild.
fn channel_of(record: &Record<'_>) -> u64 {
    let data = record.data();
    let name = record.kind_name();
    let channel = data.get(atoms::CHANNEL_ID).and_then(Value::as_u64);
    let own = || {
        let is_one = name.starts_with("CHANNEL_") || name.starts_with("THREAD_");
        is_one.then(|| data.get(atoms::ID).and_then(Value::as_u64)).flatten()
    };
    channel.or_else(own).unwrap_or_else(|| record.header().key)
}
