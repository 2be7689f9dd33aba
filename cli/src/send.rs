//! `mixcord send`: what a consumer can ask of Discord, by hand.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use mixcord::commands::{
    Activity, Command, Commands, PresenceUpdate, RequestChannelInfo, RequestMembers, RequestSounds,
    VoiceState,
};
use mixcord_process::command_line;

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    instance: crate::Instance,
    /// Try again for this long (20, 0.5, 2m) what is refused for the moment only.
    #[arg(long, value_name = "TIME", env = "MIXCORD_PATIENCE", value_parser = command_line::duration, global = true)]
    patience: Option<Duration>,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Set the presence, of every shard or of one.
    Presence {
        #[arg(value_parser = ["online", "dnd", "idle", "invisible", "offline"])]
        status: String,
        /// What the bot is doing.
        #[arg(long, value_name = "TEXT", env = "MIXCORD_ACTIVITY")]
        activity: Option<String>,
        /// How: 0 playing, 1 streaming, 2 listening, 3 watching, 4 custom, 5 competing.
        #[arg(
            long = "type",
            value_name = "N",
            env = "MIXCORD_TYPE",
            default_value_t = 0,
            value_parser = clap::value_parser!(u8).range(0..=5)
        )]
        kind: u8,
        /// Only on this shard.
        #[arg(long, value_name = "N", env = "MIXCORD_SHARD")]
        shard: Option<u16>,
    },
    /// Ask for members of a guild: all, those whose names begin so, or those with these ids. They come
    /// as GUILD_MEMBERS_CHUNK.
    Members {
        /// The guild.
        #[arg(long, value_name = "ID", env = "MIXCORD_GUILD")]
        guild: u64,
        /// What their names begin with.
        #[arg(long, value_name = "TEXT", env = "MIXCORD_QUERY", conflicts_with = "user")]
        query: Option<String>,
        /// How many at most; 0 for all.
        #[arg(long, value_name = "N", env = "MIXCORD_LIMIT", default_value_t = 0)]
        limit: u32,
        /// Their ids, 100 at most.
        #[arg(long, value_name = "ID,ID", env = "MIXCORD_USER", value_delimiter = ',')]
        user: Vec<u64>,
        /// With their presences.
        #[arg(long, env = "MIXCORD_PRESENCES")]
        presences: bool,
        /// Comes back in the chunks; 32 bytes at most.
        #[arg(long, value_name = "TEXT", env = "MIXCORD_NONCE")]
        nonce: Option<String>,
    },
    /// Join or move to a voice channel, or leave voice.
    Voice {
        /// The guild.
        #[arg(long, value_name = "ID", env = "MIXCORD_GUILD")]
        guild: u64,
        /// The channel; without it, leave.
        #[arg(long, value_name = "ID", env = "MIXCORD_CHANNEL")]
        channel: Option<u64>,
        /// Muted.
        #[arg(long, env = "MIXCORD_MUTE")]
        mute: bool,
        /// Deafened.
        #[arg(long, env = "MIXCORD_DEAF")]
        deaf: bool,
    },
    /// Ask for the soundboard sounds of guilds. They come as SOUNDBOARD_SOUNDS.
    Sounds {
        /// The guilds.
        #[arg(
            long,
            value_name = "ID,ID",
            env = "MIXCORD_GUILD",
            value_delimiter = ',',
            required = true
        )]
        guild: Vec<u64>,
    },
    /// Ask for what channel events leave out of a guild's channels. It comes as CHANNEL_INFO.
    ChannelInfo {
        /// The guild.
        #[arg(long, value_name = "ID", env = "MIXCORD_GUILD")]
        guild: u64,
        /// What to ask for.
        #[arg(
            long,
            value_name = "NAME,NAME",
            env = "MIXCORD_FIELD",
            value_delimiter = ',',
            default_values = ["status", "voice_start_time"]
        )]
        field: Vec<String>,
    },
}

pub(crate) fn run(options: Options) -> Result<ExitCode> {
    let commands = Commands::open(options.instance.name)?;
    let commands = commands.patience(options.patience.unwrap_or_default());
    match options.what.into_command() {
        (Some(shard), command) => commands.send_to_blocking(shard, command)?,
        (None, command) => commands.send_blocking(command)?,
    }
    Ok(ExitCode::SUCCESS)
}

impl What {
    /// The command, and the one shard it is for.
    fn into_command(self) -> (Option<u16>, Command) {
        match self {
            Self::Presence { status, activity, kind, shard } => {
                // The text of a custom status is not its name.
                let state = activity.clone().filter(|_| kind == 4);
                let activities = activity.map(|name| Activity { name, kind, state, url: None });
                let activities = activities.into_iter().collect();
                let presence = PresenceUpdate { since: None, activities, status, afk: false };
                (shard, presence.into())
            }
            Self::Members { guild, query, limit, user, presences, nonce } => {
                let query = query.or_else(|| user.is_empty().then(String::new));
                let request = RequestMembers {
                    guild_id: guild,
                    query,
                    limit,
                    user_ids: user,
                    presences,
                    nonce,
                };
                (None, request.into())
            }
            Self::Voice { guild, channel, mute, deaf } => {
                let state = VoiceState {
                    guild_id: guild,
                    channel_id: channel,
                    self_mute: mute,
                    self_deaf: deaf,
                };
                (None, state.into())
            }
            Self::Sounds { guild } => (None, RequestSounds { guild_ids: guild }.into()),
            Self::ChannelInfo { guild, field } => {
                (None, RequestChannelInfo { guild_id: guild, fields: field }.into())
            }
        }
    }
}
