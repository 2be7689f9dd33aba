//! What is looked for in documents again and again.

use mixcord_event::{Atom, Map, Value};

/// The maps in a list.
pub(super) fn maps(list: Option<Value<'_>>) -> impl Iterator<Item = Map<'_>> + use<'_> {
    let list = list.and_then(Value::as_list);
    list.into_iter().flat_map(|list| list.iter()).filter_map(Value::as_map)
}

/// The snowflakes in a list.
pub(super) fn ids(list: Option<Value<'_>>) -> impl Iterator<Item = u64> + use<'_> {
    let list = list.and_then(Value::as_list);
    list.into_iter().flat_map(|list| list.iter()).filter_map(Value::as_id)
}

/// The snowflake under `key`.
pub(super) fn id_in(map: Map<'_>, key: Atom) -> Option<u64> {
    map.get(key)?.as_id()
}
