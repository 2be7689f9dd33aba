//! How many files the process may have open.

use mixcord_process::files;

use crate::failure::Failure;

/// Open files of a shard: four of its ring, its socket.
const OF_SHARD: u64 = 5;
/// Everything else: bells, command connections, the identify book, `/gateway/bot`, the log.
const BESIDE: u64 = 64;

/// Raises the soft limit to the hard one, and refuses shards that do not fit even then: they would start, and find no file left when they reconnect.
///
/// # Errors
/// When the hard limit is too small.
pub(crate) fn raise(shards: u64) -> Result<(), Failure> {
    let needed = shards * OF_SHARD + BESIDE;
    let Some(limit) = files::raise() else { return Ok(()) };
    if limit < needed {
        return Err(Failure::configuration(format!(
            "{shards} shards need up to {needed} open files and the limit is {limit}: raise it with \
             `ulimit -n {needed}` (LimitNOFILE= of systemd, --ulimit nofile= of docker), or run fewer \
             shards in this process"
        )));
    }
    Ok(())
}
