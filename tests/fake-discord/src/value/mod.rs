//! Payload values: what the world says about itself before it is written as JSON or ETF.
//!
//! Ids are a type of their own, because Discord writes them as text in JSON and as integers in
//! ETF. The members of an object are kept in the order of their keys, so that the JSON written
//! here is also the canonical text the journal's hash is taken of.

mod foreign;
mod json;
mod object;

use std::sync::{Arc, OnceLock};

pub(crate) use foreign::taken_over;
pub(crate) use json::{write_digits, write_json};
pub(crate) use object::{Key, Obj, is_sorted, obj};

/// One value of a payload.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Val {
    Null,
    Bool(bool),
    Int(i64),
    /// A snowflake.
    Id(u64),
    Float(f64),
    Str(Text),
    List(Vec<Self>),
    Obj(Obj),
    /// An object that many payloads carry: written once, copied afterwards.
    Shared(Arc<Shared>),
}

/// Text that is cheap to clone.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    Static(&'static str),
    Counted(Arc<str>),
}

impl Text {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Static(text) => text,
            Self::Counted(text) => text,
        }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        Self::Static(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::Counted(text.into())
    }
}

/// An object with its encodings, each made on first use.
#[derive(Debug)]
pub(crate) struct Shared {
    object: Obj,
    json: OnceLock<Box<[u8]>>,
    etf: [OnceLock<Box<[u8]>>; 2],
}

impl Shared {
    pub(crate) fn new(object: Obj) -> Arc<Self> {
        Arc::new(Self { object, json: OnceLock::new(), etf: Default::default() })
    }

    pub(crate) fn object(&self) -> &Obj {
        &self.object
    }

    pub(crate) fn json(&self) -> &[u8] {
        self.json.get_or_init(|| {
            let mut out = Vec::with_capacity(256);
            json::write_object(&self.object, &mut out);
            out.into()
        })
    }

    /// The object in one of the two ETF shapes; `write` is asked at most once a shape.
    pub(crate) fn etf(&self, shape: usize, write: impl FnOnce(&Obj, &mut Vec<u8>)) -> &[u8] {
        self.etf[shape].get_or_init(|| {
            let mut out = Vec::with_capacity(256);
            write(&self.object, &mut out);
            out.into()
        })
    }
}

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        self.object == other.object
    }
}

impl Val {
    /// An id, or null.
    pub(crate) fn id_or_null(id: Option<u64>) -> Self {
        id.map_or(Self::Null, Self::Id)
    }

    /// A list of ids.
    pub(crate) fn ids(ids: &[u64]) -> Self {
        Self::List(ids.iter().copied().map(Self::Id).collect())
    }

    /// The object behind this value, wherever it is kept.
    pub(crate) fn as_obj(&self) -> Option<&Obj> {
        match self {
            Self::Obj(object) => Some(object),
            Self::Shared(shared) => Some(shared.object()),
            _ => None,
        }
    }

    pub(crate) fn as_id(&self) -> Option<u64> {
        match self {
            Self::Id(id) => Some(*id),
            _ => None,
        }
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        write_json(self, &mut out);
        out
    }
}

impl From<bool> for Val {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

macro_rules! from_integer {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Val {
            fn from(value: $kind) -> Self {
                Self::Int(i64::from(value))
            }
        }
    )*};
}
from_integer!(u8, u16, u32, i32, i64);

impl From<usize> for Val {
    fn from(value: usize) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Val {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&'static str> for Val {
    fn from(text: &'static str) -> Self {
        Self::Str(Text::Static(text))
    }
}

impl From<String> for Val {
    fn from(text: String) -> Self {
        Self::Str(text.into())
    }
}

impl From<Text> for Val {
    fn from(text: Text) -> Self {
        Self::Str(text)
    }
}

impl From<Obj> for Val {
    fn from(object: Obj) -> Self {
        Self::Obj(object)
    }
}

impl From<Arc<Shared>> for Val {
    fn from(shared: Arc<Shared>) -> Self {
        Self::Shared(shared)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Val {
    fn from(list: Vec<T>) -> Self {
        Self::List(list.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Self>> From<Option<T>> for Val {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
