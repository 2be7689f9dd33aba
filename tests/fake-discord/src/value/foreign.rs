//! Values a client sent, taken over into the world: only members Discord knows, as Discord does.

use serde_json::Value;

use super::{Key, Obj, Val};

/// The members of embeds, components and polls, in order.
const KNOWN: [&str; 55] = [
    "accent_color",
    "accessory",
    "allow_multiselect",
    "animated",
    "answers",
    "author",
    "channel_types",
    "color",
    "components",
    "content",
    "custom_id",
    "default",
    "default_values",
    "description",
    "disabled",
    "divider",
    "duration",
    "emoji",
    "fields",
    "file",
    "footer",
    "height",
    "icon_url",
    "id",
    "image",
    "inline",
    "items",
    "label",
    "layout_type",
    "max_length",
    "max_values",
    "media",
    "min_length",
    "min_values",
    "name",
    "options",
    "placeholder",
    "poll_media",
    "provider",
    "proxy_url",
    "question",
    "required",
    "sku_id",
    "spacing",
    "spoiler",
    "style",
    "text",
    "thumbnail",
    "timestamp",
    "title",
    "type",
    "url",
    "value",
    "video",
    "width",
];

/// `value` without what Discord does not know. It does not nest deeply: serde_json has refused more
/// than 128 levels.
pub(crate) fn taken_over(value: &Value) -> Val {
    match value {
        Value::Null => Val::Null,
        Value::Bool(value) => Val::Bool(*value),
        Value::Number(number) => match number.as_i64() {
            Some(value) => Val::Int(value),
            None => number.as_f64().map_or(Val::Null, Val::Float),
        },
        Value::String(text) => Val::Str(text.clone().into()),
        Value::Array(list) => Val::List(list.iter().map(taken_over).collect()),
        Value::Object(map) => {
            let known = map.iter().filter_map(|(key, value)| {
                let at = KNOWN.binary_search(&key.as_str()).ok()?;
                let id = value.as_str().filter(|_| matches!(KNOWN[at], "id" | "sku_id"));
                let id = id.and_then(|id| id.parse().ok()).map(Val::Id);
                Some((Key::Name(KNOWN[at]), id.unwrap_or_else(|| taken_over(value))))
            });
            Val::Obj(Obj::from_members(known.collect()))
        }
    }
}
