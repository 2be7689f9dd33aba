//! Whose versions the figures are of.

use std::fs;
use std::path::Path;

use crate::report::said;

/// Crates of the peers.
const CRATES: [&str; 3] = ["twilight-gateway", "twilight-cache-inmemory", "async-nats"];

/// The peers' versions, by a lock file and by what programs say of themselves.
#[must_use]
pub fn versions(lock: &Path) -> Vec<(String, String)> {
    let lock = fs::read_to_string(lock).unwrap_or_default();
    let locked = |name: &str| {
        let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        Some((name.to_owned(), rest.split('"').next()?.to_owned()))
    };
    let mut versions: Vec<_> = CRATES.into_iter().filter_map(locked).collect();
    for (name, arguments) in [("nats-server", ["--version"]), ("elixir", ["--short-version"])] {
        let version = said(name, &arguments);
        // As nats-server says it: `nats-server: v2.9.10`.
        let version = version.rsplit([' ', 'v']).next().unwrap_or_default();
        if !version.is_empty() {
            versions.push((name.to_owned(), version.to_owned()));
        }
    }
    versions
}
