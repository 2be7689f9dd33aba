//! A model of what Discord means, and every way in which the wire may say it.
#![allow(dead_code, reason = "each test uses its share")]

pub(crate) mod corpus;
pub(crate) mod etf;
pub(crate) mod json;

use mixcord_event::{Atom, Value};
use proptest::prelude::*;

/// A value as it is meant. `settle` makes it one that can come from a wire: what is a snowflake
/// follows from the keys alone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    /// Within the range of `i64` or `u64`.
    Int(i128),
    /// Finite, and no 64-bit integer.
    Float(f64),
    Text(String),
    Id(u64),
    List(Vec<Self>),
    /// May hold a key twice: the last one counts.
    Map(Vec<(String, Self)>),
}

/// Where a value stands.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Place {
    Plain,
    /// Under a key of snowflakes.
    Ids,
    /// In a list under a key of snowflakes.
    IdList,
    /// Under the key whose members are snowflakes.
    Owners,
    /// Where a map's own `id` is a number: components, and the answers of a poll.
    Numbered,
}

impl Place {
    pub(crate) fn under(key: &str, map: Self) -> Self {
        match Atom::lookup(key.as_bytes()) {
            Some(_) if key == "id" && map == Self::Numbered => Self::Plain,
            Some(atom) if atom.is_snowflake() => Self::Ids,
            Some(_)
                if matches!(key, "components" | "component" | "accessory" | "answer_counts") =>
            {
                Self::Numbered
            }
            Some(_) if key == "authorizing_integration_owners" => Self::Owners,
            None if map == Self::Owners => Self::Ids,
            _ => Self::Plain,
        }
    }

    pub(crate) fn in_list(self) -> Self {
        match self {
            Self::Ids => Self::IdList,
            Self::Numbered => Self::Numbered,
            _ => Self::Plain,
        }
    }

    fn is_id(self) -> bool {
        matches!(self, Self::Ids | Self::IdList)
    }
}

impl Tree {
    /// What a JSON text says; ids are still text.
    pub(crate) fn of(json: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Self::Null,
            Json::Bool(truth) => Self::Bool(*truth),
            Json::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => Self::Int(number.into()),
                (_, Some(number)) => Self::Int(number.into()),
                _ => Self::Float(number.as_f64().expect("a float")),
            },
            Json::String(text) => Self::Text(text.clone()),
            Json::Array(items) => Self::List(items.iter().map(Self::of).collect()),
            Json::Object(members) => Self::Map(
                members.iter().map(|(key, value)| (key.clone(), Self::of(value))).collect(),
            ),
        }
    }

    /// The value as it is when it stands at `place`.
    pub(crate) fn settle(self, place: Place) -> Self {
        match self {
            Self::Int(number) if place.is_id() => {
                u64::try_from(number).map_or(Self::Int(number), Self::Id)
            }
            Self::Text(text) if place.is_id() => decimal(&text).map_or(Self::Text(text), Self::Id),
            Self::Id(id) if !place.is_id() => Self::Text(id.to_string()),
            Self::List(items) => {
                Self::List(items.into_iter().map(|item| item.settle(place.in_list())).collect())
            }
            Self::Map(members) => {
                let settled = members.into_iter().map(|(key, value)| {
                    let place = Place::under(&key, place);
                    (key, value.settle(place))
                });
                Self::Map(settled.collect())
            }
            other => other,
        }
    }

    /// Without the members that a later one replaces.
    pub(crate) fn last_wins(&self) -> Self {
        match self {
            Self::List(items) => Self::List(items.iter().map(Self::last_wins).collect()),
            Self::Map(members) => {
                let kept = members.iter().enumerate().filter(|(index, (key, _))| {
                    members[index + 1..].iter().all(|(later, _)| later != key)
                });
                Self::Map(kept.map(|(_, (key, value))| (key.clone(), value.last_wins())).collect())
            }
            other => other.clone(),
        }
    }

    /// Whether a document's value is this one, of the same type all the way down.
    pub(crate) fn is(&self, value: Value<'_>) -> bool {
        match (self, value) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(a), Value::Bool(b)) => *a == b,
            (Self::Int(a), Value::Int(b)) => *a == i128::from(b),
            (Self::Int(a), Value::Uint(b)) => *a == i128::from(b),
            (Self::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Text(a), Value::Str(b)) => a == b,
            (Self::Id(a), Value::Id(b)) => *a == b,
            (Self::List(a), Value::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is(b))
            }
            (Self::Map(a), Value::Map(b)) => {
                a.len() == b.len()
                    && a.iter().all(|(key, a)| b.get_named(key).is_some_and(|b| a.is(b)))
            }
            _ => false,
        }
    }
}

/// A snowflake as text: 1 to 20 digits without a leading zero, within 64 bits.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let id: u64 = text.parse().ok()?;
    (id.to_string() == text).then_some(id)
}

/// Any tree that a wire can carry, at the top of a document.
pub(crate) fn tree() -> impl Strategy<Value = Tree> {
    nested().prop_map(|tree| tree.settle(Place::Plain))
}

/// As [`tree`], and a map.
pub(crate) fn map() -> impl Strategy<Value = Tree> {
    members(nested()).prop_map(|tree| tree.settle(Place::Plain))
}

fn nested() -> impl Strategy<Value = Tree> {
    leaf().prop_recursive(4, 48, 8, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..8).prop_map(Tree::List),
            1 => prop::collection::vec(byte(), 0..12).prop_map(Tree::List),
            4 => members(inner),
        ]
    })
}

fn members(inner: impl Strategy<Value = Tree>) -> impl Strategy<Value = Tree> {
    prop::collection::vec((key(), inner), 0..12).prop_map(Tree::Map)
}

fn byte() -> impl Strategy<Value = Tree> {
    any::<u8>().prop_map(|byte| Tree::Int(byte.into()))
}

fn leaf() -> impl Strategy<Value = Tree> {
    let whole = |number: &f64| {
        number.fract() == 0.0
            && (-9_223_372_036_854_775_808.0..18_446_744_073_709_551_616.0).contains(number)
    };
    prop_oneof![
        2 => Just(Tree::Null),
        2 => any::<bool>().prop_map(Tree::Bool),
        1 => byte(),
        1 => any::<i64>().prop_map(|number| Tree::Int(number.into())),
        1 => any::<u64>().prop_map(|number| Tree::Int(number.into())),
        1 => prop::sample::select(vec![
            0, 63, 64, 127, 128, 255, 256, 32_767, 32_768, 65_535, 65_536, i128::from(i32::MAX),
            1 << 31, (1 << 32) - 1, 1 << 32, (1 << 53) + 1, i128::from(i64::MAX), 1 << 63,
            i128::from(u64::MAX), -1, -128, -129, -32_768, -32_769, i128::from(i32::MIN),
            i128::from(i32::MIN) - 1, i128::from(i64::MIN),
        ]).prop_map(Tree::Int),
        1 => any::<f64>().prop_filter("finite, with a fraction", move |number| {
            number.is_finite() && !whole(number)
        }).prop_map(Tree::Float),
        1 => (-1000.0..1000.0).prop_filter("a fraction", move |number| !whole(number)).prop_map(Tree::Float),
        3 => any::<u64>().prop_map(Tree::Id),
        1 => (0..300_u64).prop_map(Tree::Id),
        4 => text().prop_map(Tree::Text),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,24}",
        "\\PC{0,24}",
        any::<String>(),
        "[0-9]{1,21}",
        // Around the lengths where the format and the fast paths change.
        (
            prop::sample::select(vec![
                15, 16, 17, 31, 32, 33, 62, 63, 64, 65, 127, 128, 255, 256, 300
            ]),
            "[a-z]"
        )
            .prop_map(|(length, letter)| letter.repeat(length)),
        prop::sample::select(vec![
            "nil",
            "null",
            "true",
            "false",
            "",
            "0",
            "00",
            "007",
            "18446744073709551615",
            "18446744073709551616",
            "99999999999999999999",
            "+1",
            "-1",
            "1.0",
            " 1",
            "1\u{0}",
            "\u{0}",
            "Grüße",
            "🦀",
            "\u{fffd}",
            "\"\\/\u{8}\u{c}\n\r\t",
            "\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}",
        ])
        .prop_map(str::to_owned),
    ]
}

/// Keys of the table and others.
pub(crate) fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (0..Atom::all().count()).prop_map(|number| {
            Atom::all().nth(number).map_or(String::new(), |atom| atom.as_str().to_owned())
        }),
        3 => prop::sample::select(vec![
            "id", "guild_id", "roles", "user", "content", "nonce", "custom_id", "resolved", "ids",
            "authorizing_integration_owners", "components", "answer_counts", "permissions", "code", "session_id",
        ]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["0", "1", "302050872383242240", "007", "-5", "255", "256"])
            .prop_map(str::to_owned),
        1 => "[a-zäß€🦀]{0,40}",
        1 => "[a-z]{60,70}",
    ]
}

/// Choices that a seed decides.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % bound.max(1)
    }
}
