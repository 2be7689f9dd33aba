//! The names where the processes of one instance meet: segments, groups, sockets, files that ask for something.
//!
//! Gateway, cache and consumers do not know each other; they agree on these.

/// The ring into which the cache writes and from which every consumer reads.
pub const OUTPUT_RING: &str = "out";

/// What a consumer's source is called when it is [`OUTPUT_RING`] itself, and no stage.
pub const OUTPUT_SOURCE: &str = OUTPUT_RING;

/// The durable group of the cache in every shard ring.
pub const CACHE_GROUP: &str = "cache";

/// The durable group of the bridge in every shard ring, where there is one: it follows the ring.
pub const BRIDGE_GROUP: &str = "bridge";

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

/// The ring of the stage of this name, and its group in the ring that it reads: `stage-spam`.
pub fn stage_ring(stage: &str) -> String {
    format!("stage-{stage}")
}

/// Reads a name made by [`stage_ring`]; `None` for any other.
pub fn parse_stage_ring(name: &str) -> Option<&str> {
    name.strip_prefix("stage-").filter(|stage| is_stage_name(stage))
}

/// Whether `stage` may name a stage: as an instance, and not [`OUTPUT_SOURCE`].
pub fn is_stage_name(stage: &str) -> bool {
    is_instance_name(stage) && stage != OUTPUT_SOURCE
}

/// The ring that a consumer of `source` reads: the cache's, or a stage's. `None` where there can be none.
pub fn source_ring(source: &str) -> Option<String> {
    if source == OUTPUT_SOURCE {
        return Some(OUTPUT_RING.to_owned());
    }
    is_stage_name(source).then(|| stage_ring(source))
}

/// What a consumer calls the source whose events are in the ring of this name: of [`source_ring`] the reverse.
pub fn source_of(ring: &str) -> Option<&str> {
    if ring == OUTPUT_RING { Some(OUTPUT_SOURCE) } else { parse_stage_ring(ring) }
}

/// The directory of the cache's store, unless [`state_link`] is there.
pub fn state_dir(instance: &str) -> String {
    format!("/dev/shm/{}.state", namespace(instance))
}

/// A symbolic link to the directory of the cache's store, when that is not [`state_dir`].
pub fn state_link(instance: &str) -> String {
    format!("/dev/shm/{}.store", namespace(instance))
}

/// The socket of the bridge where the gateways of this machine ask for identifies that no other machine begins
/// meanwhile ([`crate::permit`]).
pub fn permit_socket(instance: &str) -> String {
    format!("/dev/shm/{}.permits", namespace(instance))
}

/// The socket at which `mixcord-bridge receive` of this machine lets a gateway take its rings over ([`crate::permit`]).
pub fn takeover_socket(instance: &str) -> String {
    format!("/dev/shm/{}.takeover", namespace(instance))
}

/// The directory of files that are locked as long as a gateway waits to take their shards over, `SHARD-COUNT` each.
pub fn standby_dir(instance: &str) -> String {
    format!("/dev/shm/{}.standby", namespace(instance))
}

/// The directory in which a copy of another machine's state arrives, before the rings of its shards are made.
pub fn copy_dir(instance: &str) -> String {
    format!("/dev/shm/{}.copy", namespace(instance))
}

/// The name in [`copy_dir`] of a copy that is whole. Of the shards that it knows, only those from the first to the last
/// of so many are wanted; `None` for all.
pub fn copy_file(shards: Option<(u16, u16, u16)>) -> String {
    match shards {
        Some((first, last, count)) => format!("state-{first}-{last}-{count}"),
        None => "state".to_owned(),
    }
}

/// Reads the name of a [`copy_file`].
pub fn parse_copy_file(name: &str) -> Option<Option<(u16, u16, u16)>> {
    let mut words = name.strip_prefix("state")?.split('-');
    if words.next() != Some("") {
        return None;
    }
    let numbers: Vec<u16> = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
    match *numbers {
        [] => Some(None),
        [first, last, count] if first <= last && last < count => Some(Some((first, last, count))),
        _ => None,
    }
}

/// The directory of the sessions of an instance's proxies, and of what each of those says of itself.
pub fn proxy_dir(instance: &str) -> String {
    format!("/dev/shm/{}.proxy", namespace(instance))
}

/// The directory in which the bridges of an instance say how they are ([`crate::bridge`]), one file each.
pub fn bridge_dir(instance: &str) -> String {
    format!("/dev/shm/{}.bridge", namespace(instance))
}

/// How the name begins of a file in [`proxy_dir`] in which a proxy says how it is ([`crate::proxy`]). The others, of 32
/// hexadecimal digits, are sessions.
pub const PROXY_BOARD: &str = "serves-";

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

/// The file by which the cache is asked to change the shard count: a [`ReshardOrder`]. Whoever asks puts it in its place
/// whole; the cache removes it once that is done. A name with a dot is no ring's.
pub fn reshard_order(instance: &str) -> String {
    format!("/dev/shm/{}.reshard.order", namespace(instance))
}

/// The file in which the cache says how far a change of the shard count is ([`crate::reshard`]).
pub fn reshard_board(instance: &str) -> String {
    format!("/dev/shm/{}.reshard.board", namespace(instance))
}

/// What a cache is asked for while it runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReshardOrder {
    /// To change the shard count to this without a pause.
    To(u16),
    /// To call the change off; why, where that is said.
    CallOff(String),
    /// To let the old set go as soon as the new one delivers everything, as the cache does by itself.
    Leave,
}

impl ReshardOrder {
    /// Reads it.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "call off" => Some(Self::CallOff(String::new())),
            "leave" => Some(Self::Leave),
            text => match text.strip_prefix("call off: ") {
                Some(why) => Some(Self::CallOff(why.to_owned())),
                None => text.strip_prefix("to ")?.parse().ok().map(Self::To),
            },
        }
    }
}

impl std::fmt::Display for ReshardOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::To(to) => write!(f, "to {to}"),
            Self::CallOff(why) if why.is_empty() => f.write_str("call off"),
            Self::CallOff(why) => write!(f, "call off: {why}"),
            Self::Leave => f.write_str("leave"),
        }
    }
}
