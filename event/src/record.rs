//! A record: fixed header, the name of an unknown kind, the event's data, the entity before it.

use crate::{
    atom::{self, atoms},
    header::{self, HEADER_LEN, Header, Origin, Reason, Shard, field},
    kind::{self, Kind},
    seal::{Seal, Sum},
    validate::{self, DocumentError},
    value::Value,
    writer::Writer,
};

/// The layout of records and documents, their keys' and kinds' numbers included. Every release with the
/// same one reads what the others write.
pub const LAYOUT: u8 = header::LAYOUT;
/// Layouts that may come while this build is still in use: a byte further on is a damaged one.
const LAYOUTS_AHEAD: u8 = 16;
/// How many keys have a number in this layout; all others travel by name.
pub const KEYS: usize = atom::ATOMS;
/// How many of Discord's kinds have a number in this layout.
pub const KINDS: usize = kind::KINDS;
/// The longest name of an unknown kind, in bytes.
pub const NAME_MAX: usize = 255;
/// The most bytes a head may take: fixed header and name.
pub(crate) const HEAD_MAX: usize = HEADER_LEN + NAME_MAX;

/// Appends a whole record to `out`.
///
/// `name` is that of a [`Kind::UNKNOWN`], cut at [`NAME_MAX`] bytes; other kinds need none.
pub fn encode(
    header: &Header,
    name: Option<&str>,
    data: &[u8],
    old: Option<&[u8]>,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(head(header, name, data.len(), old.map(<[u8]>::len)).as_ref());
    out.extend_from_slice(data);
    out.extend_from_slice(old.unwrap_or(&[]));
}

/// Says in a record where it came from, if it says nothing of that yet. Of another layout it stays as it is: who
/// reads that one knows where to look.
pub fn set_origin(record: &mut [u8], origin: Origin) {
    let Some(fixed) = record.first_chunk_mut::<HEADER_LEN>() else { return };
    if fixed[0] == LAYOUT && field::<8>(fixed, 40) == [0; 8] {
        fixed[40..48].copy_from_slice(&origin.ring.to_le_bytes());
        fixed[48..56].copy_from_slice(&origin.position.to_le_bytes());
    }
}

/// Replaces `out` by the record of a loss that a process after the gateway found: what of the shard is lost is not
/// known by Discord's numbers, which are null. Its identity is that of the event in whose place it stands.
pub fn gap(
    shard: Shard,
    reason: Reason,
    origin: Origin,
    index: u16,
    received_us: u64,
    out: &mut Vec<u8>,
) {
    let mut data = Vec::new();
    let mut map = Writer::new(&mut data).map();
    map.entry(atoms::SHARD, Value::Int(i64::from(shard.id)));
    map.named("from_seq", Value::Null);
    map.named("to_seq", Value::Null);
    map.entry(atoms::REASON, reason.as_str().map_or(Value::Null, Value::Str));
    map.end();
    let header =
        Header { kind: Kind::GAP, reason, shard, index, received_us, origin, ..Header::default() };
    out.clear();
    encode(&header, None, &data, None, out);
}

/// What stands before the documents, for writers that gather a record from its parts:
/// head, data, old.
pub fn head(header: &Header, name: Option<&str>, data_len: usize, old_len: Option<usize>) -> Head {
    let name = cut(header.kind.carried(name.unwrap_or("")));
    let mut bytes = [0; HEAD_MAX];
    if let Some(fixed) = bytes.first_chunk_mut() {
        header.write(fixed, name.len() as u8, data_len as u32, old_len.unwrap_or(0) as u32);
    }
    let len = HEADER_LEN + name.len();
    bytes[HEADER_LEN..len].copy_from_slice(name.as_bytes());
    Head { bytes, len }
}

/// The longest start of `name` that a record can hold.
fn cut(name: &str) -> &str {
    let mut len = name.len().min(NAME_MAX);
    while !name.is_char_boundary(len) {
        len -= 1;
    }
    &name[..len]
}

/// The bytes of a record before its documents.
#[derive(Clone, Debug)]
pub struct Head {
    bytes: [u8; HEAD_MAX],
    len: usize,
}

impl AsRef<[u8]> for Head {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A record that was checked: reading it cannot fail.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    header: Header,
    name: &'a str,
    data: &'a [u8],
    old: Option<&'a [u8]>,
    /// Of the data, where it was worked out.
    data_sum: Option<Sum>,
}

impl<'a> Record<'a> {
    /// Checks all of `bytes`, both documents included.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let record = Self::parse_head(bytes)?;
        validate::document(record.data).map_err(RecordError::Data)?;
        record.old.map_or(Ok(()), validate::document).map_err(RecordError::Old)?;
        Ok(record)
    }

    /// Compares `bytes` with the seal of whoever wrote them; without one that is known here, checks all of them.
    ///
    /// Safe on any bytes under any seal, as [`Record::parse_head`] is.
    pub fn parse_sealed(bytes: &'a [u8], seal: Seal) -> Result<Self, RecordError> {
        if !seal.is_known() {
            return Self::parse(bytes);
        }
        let mut record = Self::parse_head(bytes)?;
        let old = record.old.unwrap_or_default();
        let head = &bytes[..bytes.len() - record.data.len() - old.len()];
        let sum = Sum::of(record.data);
        record.data_sum = Some(sum);
        if Seal::of_parts(head, sum, Sum::of(old)) == seal {
            Ok(record)
        } else {
            Err(RecordError::Seal)
        }
    }

    /// Checks the head only, for a record whose documents were checked before.
    ///
    /// Safe on any bytes: what cannot be read in the documents is null, empty or missing.
    pub fn parse_head(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let (fixed, rest) = bytes
            .split_first_chunk::<HEADER_LEN>()
            .ok_or(RecordError::Truncated { needed: HEADER_LEN, len: bytes.len() })?;
        if fixed[0] != LAYOUT {
            return Err(RecordError::Layout { found: fixed[0] });
        }
        let number = u16::from_le_bytes(field(fixed, 2));
        let mut header = Header::from_bytes(fixed).ok_or(RecordError::Kind { number })?;

        let data_len = u32::from_le_bytes(field(fixed, 56)) as usize;
        let old_len = u32::from_le_bytes(field(fixed, 60)) as usize;
        let name_len = usize::from(fixed[64]);
        let needed = (HEADER_LEN + name_len).saturating_add(data_len).saturating_add(old_len);
        if bytes.len() < needed {
            return Err(RecordError::Truncated { needed, len: bytes.len() });
        }
        if bytes.len() > needed {
            return Err(RecordError::Trailing { extra: bytes.len() - needed });
        }
        if name_len > 0 && header.kind != Kind::UNKNOWN {
            return Err(RecordError::Name);
        }
        let (name, documents) = rest.split_at(name_len);
        let (data, old) = documents.split_at(data_len);
        let name = simdutf8::basic::from_utf8(name).map_err(|_| RecordError::Name)?;
        let name = match header.kind {
            Kind::UNKNOWN => {
                header.kind = Kind::later(name.as_bytes()).unwrap_or(Kind::UNKNOWN);
                name
            }
            kind => kind.name(),
        };
        Ok(Self { header, name, data, old: (!old.is_empty()).then_some(old), data_sum: None })
    }

    /// The header.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// What happened.
    pub const fn kind(&self) -> Kind {
        self.header.kind
    }

    /// Discord's name for it, whether this build knows it or not.
    pub const fn kind_name(&self) -> &'a str {
        self.name
    }

    /// The guild it belongs to, if any.
    pub fn guild_id(&self) -> Option<u64> {
        let key = match self.header.kind {
            Kind::GUILD_CREATE | Kind::GUILD_UPDATE | Kind::GUILD_DELETE => atoms::ID,
            _ => atoms::GUILD_ID,
        };
        self.data().get(key)?.as_id()
    }

    /// The event's data.
    pub fn data(&self) -> Value<'a> {
        Value::trusted(self.data)
    }

    /// The document of [`Record::data`].
    pub const fn data_bytes(&self) -> &'a [u8] {
        self.data
    }

    /// The sum of [`Record::data_bytes`], for whoever seals another record with the same data; `None` where there was
    /// no seal to compare it with.
    pub const fn data_sum(&self) -> Option<Sum> {
        self.data_sum
    }

    /// The entity before the event.
    pub fn old(&self) -> Option<Value<'a>> {
        self.old.map(Value::trusted)
    }

    /// The document of [`Record::old`].
    pub const fn old_bytes(&self) -> Option<&'a [u8]> {
        self.old
    }
}

/// Why bytes are no record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// There are fewer bytes than the header says.
    #[error("record cut short: needs {needed} bytes, has {len}")]
    Truncated {
        /// What header and documents need.
        needed: usize,
        /// What is there.
        len: usize,
    },
    /// There are more bytes than the header says.
    #[error("record has {extra} bytes too many")]
    Trailing {
        /// How many.
        extra: usize,
    },
    /// Another layout of records. Layout 0 never was, and one far from this build's is none: both are damage.
    #[error(
        "record has layout {found}, this build reads {LAYOUT}: update this one, or run the Mixcord that wrote it \
         until the ring is drained"
    )]
    Layout {
        /// The layout it has.
        found: u8,
    },
    /// A kind that has no number in this layout.
    #[error("kind number {number} is unknown here: written by a newer Mixcord, update this one")]
    Kind {
        /// Its number.
        number: u16,
    },
    /// The name of the unknown kind is not UTF-8, or a kind of the table has one.
    #[error("the record's kind has a broken name")]
    Name,
    /// The bytes are not those that were sealed.
    #[error("its bytes do not have the sum that was written with them")]
    Seal,
    /// The data is no document.
    #[error("data of the record: {0}")]
    Data(DocumentError),
    /// The old entity is no document.
    #[error("old entity of the record: {0}")]
    Old(DocumentError),
}

impl RecordError {
    /// Whether the bytes may be a whole record that another release of Mixcord wrote, and reads. Then
    /// nothing is lost yet: whoever cannot read it stops in front of it, until it is updated (P11).
    #[must_use]
    pub const fn is_of_another_release(&self) -> bool {
        match self {
            Self::Layout { found } => *found != 0 && *found <= LAYOUT.saturating_add(LAYOUTS_AHEAD),
            Self::Kind { .. } => true,
            Self::Data(error) | Self::Old(error) => error.is_of_another_release(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_said_once() {
        let mut bytes = Vec::new();
        encode(&Header { seq: 9, ..Header::default() }, None, &[0], None, &mut bytes);
        let first = Origin { ring: 7, position: 8 };
        set_origin(&mut bytes, first);
        set_origin(&mut bytes, Origin { ring: 1, position: 2 });
        let record = Record::parse(&bytes).unwrap();
        assert_eq!(*record.header(), Header { seq: 9, origin: first, ..Header::default() });
        bytes[0] = LAYOUT + 1;
        let later = bytes.clone();
        set_origin(&mut bytes, first);
        assert_eq!(bytes, later);
        set_origin(&mut bytes[..5], first);
    }
}
