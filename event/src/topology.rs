//! The names where the processes of one instance meet: segments, groups, sockets.
//!
//! Gateway, cache and consumers do not know each other; they agree on these.

/// The ring into which the cache writes and from which every consumer reads.
pub const OUTPUT_RING: &str = "out";

/// The durable group of the cache in every shard ring.
pub const CACHE_GROUP: &str = "cache";

/// The prefix of every segment of `instance`: `/dev/shm/mixcord.{instance}.*`.
pub fn namespace(instance: &str) -> String {
    format!("mixcord.{instance}")
}

/// Reads a name made by [`namespace`]; `None` for any other.
pub fn parse_namespace(name: &str) -> Option<&str> {
    name.strip_prefix("mixcord.").filter(|instance| is_instance_name(instance))
}

/// Whether `instance` may name an instance: `[a-z0-9][a-z0-9_-]{0,31}`.
pub fn is_instance_name(instance: &str) -> bool {
    let bytes = instance.as_bytes();
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    bytes.len() <= 32
        && bytes.first().is_some_and(plain)
        && bytes.iter().all(|byte| plain(byte) || matches!(byte, b'_' | b'-'))
}

/// The ring of shard `shard` of `shards`: `shard-3-16`.
pub fn shard_ring(shard: u16, shards: u16) -> String {
    format!("shard-{shard}-{shards}")
}

/// Reads a name made by [`shard_ring`]; `None` for any other.
pub fn parse_shard_ring(name: &str) -> Option<(u16, u16)> {
    let (shard, shards) = name.strip_prefix("shard-")?.split_once('-')?;
    let (shard, shards) = (shard.parse().ok()?, shards.parse().ok()?);
    (shard < shards && shard_ring(shard, shards) == name).then_some((shard, shards))
}

/// The directory of the cache's store, unless [`state_link`] is there.
pub fn state_dir(instance: &str) -> String {
    format!("/dev/shm/{}.state", namespace(instance))
}

/// A symbolic link to the directory of the cache's store, when that is not [`state_dir`].
pub fn state_link(instance: &str) -> String {
    format!("/dev/shm/{}.store", namespace(instance))
}

/// The command socket of the gateway process that runs shards `first..` of `shards`.
pub fn command_socket(instance: &str, first: u16, shards: u16) -> String {
    format!("/dev/shm/{}.cmd-{first}-{shards}", namespace(instance))
}

/// Reads the file name of a [`command_socket`] of `instance`: first shard and shard count.
pub fn parse_command_socket(instance: &str, file_name: &str) -> Option<(u16, u16)> {
    let rest = file_name.strip_prefix(&namespace(instance))?.strip_prefix(".cmd-")?;
    let (first, shards) = rest.split_once('-')?;
    Some((first.parse().ok()?, shards.parse().ok()?))
}
