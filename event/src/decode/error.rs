//! Why a payload could not be read, and where.

use std::fmt;

/// A payload that could not be read.
#[derive(Clone, PartialEq, Debug)]
pub struct DecodeError {
    /// What is wrong.
    pub kind: DecodeErrorKind,
    /// The byte at which it was noticed, from the start of the payload. Of a compressed term: from
    /// the start of what it inflates to.
    pub offset: usize,
    /// The keys and places that lead there: `d.embeds[0].title`.
    pub path: String,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {}", self.kind, self.offset)?;
        if !self.path.is_empty() {
            write!(f, ", at {}", self.path)?;
        }
        f.write_str(")")
    }
}

impl std::error::Error for DecodeError {}

/// What can be wrong with a payload.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The payload ends within a value, or a count says more than there is left.
    #[error("payload cut short")]
    Truncated,
    /// Bytes follow the payload.
    #[error("{0} bytes follow the payload")]
    Trailing(usize),
    /// It does not begin with ETF's version byte.
    #[error("not ETF: begins with byte {0} instead of 131")]
    Version(u8),
    /// A term that makes no sense in an event: pid, port, reference, fun, bit string and the like.
    #[error("term with tag {0} has no place in an event")]
    Term(u8),
    /// A byte that is no tag of ETF.
    #[error("{0} is no tag of the external term format")]
    UnknownTag(u8),
    /// A map key that is neither atom nor binary nor integer.
    #[error("map key with tag {0}: only atoms, binaries and integers can be keys")]
    Key(u8),
    /// A key too long for a document.
    #[error("key of {0} bytes is too long")]
    KeyTooLong(usize),
    /// A list with a tail.
    #[error("improper list")]
    ImproperList,
    /// A float that is infinite or not a number, or a float's text that is none.
    #[error("not a finite number")]
    NotFinite,
    /// The sign byte of a big integer is neither 0 nor 1.
    #[error("sign byte {0} of a big integer")]
    Sign(u8),
    /// Not JSON.
    #[error("not JSON: {0}")]
    Json(&'static str),
    /// A compressed term does not inflate, or not to the size it says.
    #[error("compressed term is broken")]
    Inflate,
    /// Containers nest deeper than the limit.
    #[error("nested deeper than {0}")]
    Depth(usize),
    /// The payload is larger than the limit.
    #[error("payload of {len} bytes exceeds the limit of {limit}")]
    TooLarge {
        /// Its size in bytes.
        len: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A compressed term says that it inflates to more than the limit.
    #[error("compressed term of {len} bytes exceeds the limit of {limit}")]
    InflatedTooLarge {
        /// Its inflated size in bytes.
        len: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A list or map has more elements than the limit.
    #[error("{len} elements in one list or map exceed the limit of {limit}")]
    TooMany {
        /// How many there are.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// The document would be larger than the limit.
    #[error("the document exceeds the limit of {0} bytes")]
    DocumentTooLarge(usize),
    /// The payload is no map, or its `op`, `s` or `t` are not what the gateway sends.
    #[error("not a gateway payload: {0}")]
    Envelope(&'static str),
    /// The name of the event is longer than a record can hold.
    #[error("event name of {0} bytes is too long")]
    NameTooLong(usize),
}
