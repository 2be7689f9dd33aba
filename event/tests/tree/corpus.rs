//! Real payloads, when they are at hand: they are no part of the repository.

use std::{env, fs, path::PathBuf};

use serde_json::Value as Json;

/// Each payload as it stands there, and read. None where there is no corpus: `MIXCORD_CORPUS` says where
/// it is, else it is looked for beside the repository.
pub(crate) fn payloads() -> Vec<(String, Json)> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus/discord-payloads.jsonl");
    let named = env::var_os("MIXCORD_CORPUS").map(PathBuf::from);
    let text = match &named {
        Some(path) => fs::read_to_string(path).expect("MIXCORD_CORPUS names a readable file"),
        None => fs::read_to_string(beside).unwrap_or_default(),
    };
    let read = |line: &str| (line.to_owned(), serde_json::from_str(line).expect("a line of JSON"));
    text.lines().map(read).collect()
}
