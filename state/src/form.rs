//! The forms in which documents lie in the store. Who reads or writes values knows nothing of them.
//!
//! A value of a table of documents begins with its document, which begins with its tag, or with a form: a byte
//! that is the tag of no document.
//!
//! | byte | then |
//! |---|---|
//! | `1F` | by its shape: the shape's number, two bytes, then the rest ([`mixcord_event::shape`]) |
//! | `1D` | the same, times and hashes in the rest made short: the shape's number, the bytes that this gains, one byte, then the rest |
//! | `1E` | as `1F`, the rest compressed: the shape's number, the length of the rest, two bytes each, then a frame of zstd (`packed.rs`) |
//!
//! A user's has the number of its guilds before ([`Tally`](crate::Tally)). A form that is added needs a higher
//! version of the store, or programs of before would not know what they see (P11).

use mixcord_event::shape::Shape;

use crate::{Arena, Key, StoreError, Table, packed};

/// A document by its shape.
pub(crate) const SHAPED: u8 = 0x1F;
/// Bytes before the rest of one.
const SHAPED_HEAD: usize = 3;
/// A document by its shape, with short times and hashes.
pub(crate) const SHORTENED: u8 = 0x1D;
const SHORTENED_HEAD: usize = 4;
/// A document by its shape, compressed.
pub(crate) const PACKED: u8 = 0x1E;
const PACKED_HEAD: usize = 5;
/// Bytes that are no tags of documents.
const FORMS: std::ops::RangeInclusive<u8> = 0x12..=0x1F;

/// What stands before the rest of a document by its shape, whose rest gained so many bytes: the first so many of these.
pub(crate) const fn head_of(shape: u16, gain: u8) -> ([u8; SHORTENED_HEAD], usize) {
    let [low, high] = shape.to_le_bytes();
    match gain {
        0 => ([SHAPED, low, high, 0], SHAPED_HEAD),
        gain => ([SHORTENED, low, high, gain], SHORTENED_HEAD),
    }
}

/// Where shapes are found by their numbers.
pub(crate) trait Shapes {
    /// The shape, which values have that were read already.
    fn shape(&self, number: u16) -> Result<&Shape, StoreError>;
}

/// Where the document begins in values of a table; `None` of what is never in a form.
pub(crate) const fn document_at(table: Table) -> Option<usize> {
    match table {
        Table::Guilds
        | Table::Roles
        | Table::Channels
        | Table::Threads
        | Table::Members
        | Table::Presences
        | Table::VoiceStates
        | Table::Messages
        | Table::StageInstances
        | Table::ScheduledEvents
        | Table::Sounds
        | Table::Integrations
        | Table::AutomodRules => Some(0),
        Table::Users => Some(size_of::<u32>()),
        Table::Meta
        | Table::GuildFacts
        | Table::Emojis
        | Table::Stickers
        | Table::RoleOrder
        | Table::ChannelFacts
        | Table::ChannelMap
        | Table::Departed
        | Table::Uncounted
        | Table::Archived => None,
    }
}

/// Whether times and hashes in a table's documents are made short. They are text in messages: those that rest are
/// compressed, by a dictionary of such texts.
pub(crate) const fn is_shortened(table: Table) -> bool {
    !matches!(table, Table::Messages)
}

/// A value in a form, ready to be written as it was put.
pub(crate) struct Formed<'a> {
    key: Key,
    /// What stands before the document.
    head: &'a [u8],
    shape: &'a Shape,
    rest: Rest<'a>,
}

/// What a document has beside its shape.
#[derive(Clone, Copy)]
enum Rest<'a> {
    /// And the bytes that it is shorter than what it was made of.
    Plain(&'a [u8], usize),
    Packed {
        len: usize,
        frame: &'a [u8],
    },
}

/// What a form says, in words that are none of the value's.
#[derive(Clone, Copy)]
struct Head {
    /// Where the document begins.
    at: usize,
    shape: u16,
    rest: RestHead,
}

#[derive(Clone, Copy)]
enum RestHead {
    /// So many bytes before the rest, and those that were gained in it.
    Plain(usize, usize),
    /// Bytes of the rest, before they were compressed.
    Packed(usize),
}

impl Head {
    /// `None` where the value is as it was put.
    #[inline]
    fn of(key: Key, value: &[u8]) -> Result<Option<Self>, StoreError> {
        let Some(at) = document_at(key.table()) else { return Ok(None) };
        match value.get(at) {
            Some(form) if FORMS.contains(form) => Self::read(key, &value[at..], at).map(Some),
            _ => Ok(None),
        }
    }

    fn read(key: Key, document: &[u8], at: usize) -> Result<Self, StoreError> {
        let (number, rest) = match *document {
            [SHAPED, low, high, ..] => ([low, high], RestHead::Plain(SHAPED_HEAD, 0)),
            [SHORTENED, low, high, gain, ..] => {
                ([low, high], RestHead::Plain(SHORTENED_HEAD, gain.into()))
            }
            [PACKED, low, high, len_low, len_high, ..] => {
                ([low, high], RestHead::Packed(u16::from_le_bytes([len_low, len_high]).into()))
            }
            [SHAPED | SHORTENED | PACKED, ..] | [] => return Err(StoreError::Damaged { key }),
            [form, ..] => return Err(StoreError::UnknownForm { key, form }),
        };
        Ok(Self { at, shape: u16::from_le_bytes(number), rest })
    }

    /// The value with this head.
    fn formed<'a>(self, key: Key, value: &'a [u8], shape: &'a Shape) -> Formed<'a> {
        let (head, document) = value.split_at(self.at);
        let rest = match self.rest {
            RestHead::Plain(head, gain) => Rest::Plain(&document[head..], gain),
            RestHead::Packed(len) => Rest::Packed { len, frame: &document[PACKED_HEAD..] },
        };
        Formed { key, head, shape, rest }
    }
}

impl<'a> Formed<'a> {
    /// `None` where the value is as it was put.
    #[inline]
    pub(crate) fn of(
        key: Key,
        value: &'a [u8],
        shapes: &'a impl Shapes,
    ) -> Result<Option<Self>, StoreError> {
        let Some(head) = Head::of(key, value)? else { return Ok(None) };
        Ok(Some(head.formed(key, value, shapes.shape(head.shape)?)))
    }

    /// Makes the value that stands in `into` from `begin` on what was put.
    #[inline]
    pub(crate) fn unfold(
        key: Key,
        into: &mut Vec<u8>,
        begin: usize,
        shapes: &impl Shapes,
    ) -> Result<(), StoreError> {
        let Some(head) = Head::of(key, &into[begin..])? else { return Ok(()) };
        let (shape, end) = (shapes.shape(head.shape)?, into.len());
        let len = head.formed(key, &into[begin..], shape).len();
        // Behind the form, which it is made of; then over it.
        into.resize(end + len, 0);
        let (stored, plain) = into.split_at_mut(end);
        head.formed(key, &stored[begin..], shape).write(plain)?;
        into.copy_within(end.., begin);
        into.truncate(begin + len);
        Ok(())
    }

    /// Bytes of the value as it was put.
    pub(crate) fn len(&self) -> usize {
        let rest = match self.rest {
            Rest::Plain(rest, gain) => rest.len() + gain,
            Rest::Packed { len, .. } => len,
        };
        self.head.len() + self.shape.document_len(rest)
    }

    /// Writes it into `out`, which has its length.
    fn write(&self, out: &mut [u8]) -> Result<(), StoreError> {
        let Self { key, head, shape, rest } = *self;
        let (before, document) = out.split_at_mut(head.len());
        before.copy_from_slice(head);
        let whole = match rest {
            Rest::Plain(rest, _) => shape.join(rest, document),
            Rest::Packed { len, frame } => {
                let mut rest = vec![0; len];
                packed::unpack(frame, &mut rest) && shape.join(&rest, document)
            }
        };
        if whole { Ok(()) } else { Err(StoreError::Damaged { key }) }
    }

    /// Writes it into the arena.
    pub(crate) fn write_in(self, arena: &Arena) -> Result<&[u8], StoreError> {
        let out = arena.space(self.len());
        self.write(out)?;
        Ok(out)
    }

    /// Writes it to the end of `out`.
    pub(crate) fn append(self, out: &mut Vec<u8>) -> Result<(), StoreError> {
        let begin = out.len();
        out.resize(begin + self.len(), 0);
        self.write(&mut out[begin..])
    }
}
