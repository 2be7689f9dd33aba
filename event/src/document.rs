//! Documents that own their bytes.

use std::fmt;

use serde::Deserialize;

use crate::{
    Atom, ReadError,
    decode::{DecodeError, Decoder, Limits},
    format, from_value,
    validate::{self, DocumentError},
    value::Value,
};

/// One value with its bytes.
#[derive(Clone)]
pub struct Document(Vec<u8>);

impl Document {
    /// Takes bytes that should be a document, after checking all of them.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, DocumentError> {
        validate::document(&bytes)?;
        Ok(Self(bytes))
    }

    /// Takes bytes that this crate wrote. Safe on any others: what cannot be read there is null,
    /// empty or missing.
    pub const fn trusted(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Reads any JSON value, as the payload of an event is read.
    pub fn from_json(json: &str) -> Result<Self, DecodeError> {
        Decoder::new(Limits::default()).document_from_json(json.as_bytes())
    }

    /// Reads any term (with its leading byte 131), as the payload of an event is read.
    pub fn from_etf(term: &[u8]) -> Result<Self, DecodeError> {
        Decoder::new(Limits::default()).document_from_etf(term)
    }

    /// The value as JSON, as Discord writes it: snowflakes as text.
    pub fn to_json(&self) -> String {
        self.value().to_json()
    }

    /// The value.
    #[inline]
    pub fn value(&self) -> Value<'_> {
        Value::trusted(&self.0)
    }

    /// A member of the value, if that is a map.
    #[inline]
    pub fn get(&self, key: Atom) -> Option<Value<'_>> {
        self.value().get(key)
    }

    /// The value as a type of yours, which may borrow its strings from the document.
    ///
    /// ```
    /// #[derive(serde::Deserialize)]
    /// struct Role<'a> {
    ///     id: u64,
    ///     name: &'a str,
    /// }
    /// let document = mixcord_event::Document::from_json(r#"{"id":"7","name":"admin"}"#)?;
    /// let role: Role<'_> = document.read()?;
    /// assert_eq!((role.id, role.name), (7, "admin"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, ReadError> {
        from_value(self.value())
    }

    /// The document's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Gives the bytes away.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl Default for Document {
    fn default() -> Self {
        Self(vec![format::NULL])
    }
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.value() == other.value()
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value().fmt(f)
    }
}

impl From<Value<'_>> for Document {
    fn from(value: Value<'_>) -> Self {
        let mut bytes = Vec::new();
        value.write_to(&mut bytes);
        Self(bytes)
    }
}

impl Value<'_> {
    /// The value in a document of its own.
    pub fn to_document(self) -> Document {
        Document::from(self)
    }

    /// The value as JSON, as Discord writes it: snowflakes as text.
    pub fn to_json(self) -> String {
        // Serialisation to memory fails only on values nested deeper than the format allows.
        serde_json::to_string(&self).unwrap_or_else(|_| "null".to_owned())
    }
}
