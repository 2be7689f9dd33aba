//! What a server can be told.

use std::path::PathBuf;

use clap::Args;

use crate::wire::etf::EtfShape;

/// The options of a server. The defaults make a small world on a free port.
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Port to listen on, on 127.0.0.1; 0 picks a free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Number of shards: what /gateway/bot recommends, and the parts the world is cut into
    #[arg(long, default_value_t = 1)]
    pub shards: usize,
    /// Number of guilds, spread evenly over the shards
    #[arg(long, default_value_t = 8)]
    pub guilds: usize,
    /// Members of each guild
    #[arg(long, default_value_t = 40)]
    pub members: usize,
    /// Events a second over all shards; 0 is as fast as the clients take them
    #[arg(long, default_value_t = 20.0)]
    pub rate: f64,
    /// Stop sending events this long after the first session became ready (the server stays)
    #[arg(long)]
    pub seconds: Option<f64>,
    /// Stop after this many events over all shards, not counting READY, RESUMED and the first
    /// GUILD_CREATEs. Each shard has an equal share; what one step of the world brings is never
    /// cut, so a share may be exceeded by a few events, the same ones for the same seed
    #[arg(long)]
    pub events: Option<u64>,
    /// The same seed gives the same world and the same events
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How ETF is written
    #[arg(long, value_enum, default_value_t = EtfShape::Discord)]
    pub etf: EtfShape,
    /// The only token accepted; without it any is
    #[arg(long)]
    pub token: Option<String>,
    /// What happens how often, as name=weight,name=weight; `even` makes everything equally likely
    /// (a wrong name is answered with the list of them)
    #[arg(long, default_value = "")]
    pub mix: String,
    /// Heartbeat interval in milliseconds
    #[arg(long, default_value_t = 41_250)]
    pub heartbeat_ms: u64,
    /// Milliseconds without a heartbeat after which a connection is closed with 4009
    #[arg(long)]
    pub patience_ms: Option<u64>,
    /// Identify buckets: IDENTIFYs allowed at once, each bucket once every five seconds
    #[arg(long, default_value_t = 16)]
    pub max_concurrency: u64,
    /// Seconds a bucket stays closed after an IDENTIFY
    #[arg(long, default_value_t = 5.0)]
    pub identify_seconds: f64,
    /// IDENTIFYs left today
    #[arg(long, default_value_t = 1000)]
    pub identifies: u64,
    /// Guilds a shard may have before an IDENTIFY is refused with 4011
    #[arg(long, default_value_t = 2500)]
    pub guilds_per_shard: u64,
    /// Let intents pass that Discord does not document, but takes (bits 17 to 19, 22 and 23), instead
    /// of refusing them with 4013: interactions.py sends one
    #[arg(long)]
    pub undocumented_intents: bool,
    /// Obfuscate channels the bot may not see for every session, not only for those whose IDENTIFY
    /// has the capability CHANNEL_OBFUSCATION
    #[arg(long)]
    pub obfuscate_channels: bool,
    /// The resume_gateway_url that READY names, where it shall be another than this server's own
    #[arg(long)]
    pub resume_url: Option<String>,
    /// Refuse an IDENTIFY with 4010 unless its number of shards is a multiple of this, as Discord does
    /// with large bots
    #[arg(long, default_value_t = 1)]
    pub shard_multiple: u64,
    /// Refuse the privileged intents with 4014
    #[arg(long)]
    pub no_privileged_intents: bool,
    /// Events a session keeps for RESUME. By default Discord's own rule (75 a guild, 100 to 3,500),
    /// or 65,536 where a session holds its shard
    #[arg(long)]
    pub replay: Option<usize>,
    /// While a client is away its shard goes on only until the replay buffer is full, so that
    /// nothing is lost. The default with --rate 0
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub hold_while_away: Option<bool>,
    /// Seconds a session waits for its client to come back
    #[arg(long, default_value_t = 180.0)]
    pub session_seconds: f64,
    /// Forget an event once a heartbeat has acknowledged it: a RESUME from before is refused
    #[arg(long)]
    pub forget_acked: bool,
    /// The seq of a session's first event
    #[arg(long, default_value_t = 1)]
    pub first_seq: u64,
    /// Sends a connection may make in 60 seconds before it is closed with 4008
    #[arg(long, default_value_t = 120)]
    pub sends_per_minute: usize,
    /// End the zstd frame after every message, as some servers do
    #[arg(long)]
    pub zstd_whole_frames: bool,
    /// Split messages over websocket frames at any byte
    #[arg(long)]
    pub split: bool,
    /// Make and encode this many events of a session before the first of them is sent, and stay as
    /// far ahead of its client: with all of --events the server costs next to nothing while it sends
    #[arg(long, default_value_t = 0)]
    pub ahead: usize,
    /// Journal entries kept a session; 0 keeps none and saves the hashing
    #[arg(long, default_value_t = 4_000_000)]
    pub journal_max: usize,
    /// How the sessions of one number of shards are served, beside those of another: shards=N, and of
    /// delay=MS or delay=LEAST..MOST (each event comes so many milliseconds later; guilds overtake each
    /// other, never events of one guild), withhold=N (one event in N is not told, if another set is),
    /// kinds=NAME+NAME (of these kinds only). May be repeated; one event is withheld from one set at most
    #[arg(long = "set", value_name = "shards=N,NAME=VALUE")]
    pub sets: Vec<String>,
    /// What goes wrong by itself, as name=weight,name=weight: cut, op7, op9true, op9false, close,
    /// stall, miss-acks, duplicate, hole, slow-accept, restart, restart-fresh, outage, set-outage
    #[arg(long, default_value = "")]
    pub faults: String,
    /// Seconds from one of --faults to the next
    #[arg(long, default_value_t = 5.0)]
    pub fault_seconds: f64,
    /// Also append the journal to this file as JSON lines
    #[arg(long)]
    pub journal: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        #[derive(clap::Parser)]
        struct Nothing {
            #[command(flatten)]
            config: Config,
        }
        <Nothing as clap::Parser>::parse_from(["fake-discord"]).config
    }
}
