//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use hyper::Uri;
use mixcord_process::command_line::{self, ConfigFile};
use mixcord_process::log::LogOptions;

/// Discord's gateway protocol for clients of this machine: any library, unchanged but for one address.
///
/// Clients find it by its HTTP address, as they find Discord by discord.com/api: what they ask of the gateway
/// is answered here, everything else is passed on to Discord. They log in with the bot's token, or with a secret
/// (--secret-file).
#[derive(Parser, Debug)]
#[command(name = "mixcord-proxy", version = version())]
pub(crate) struct Options {
    /// The instance, shared by its gateway, cache and consumers
    #[arg(long, env = "MIXCORD_INSTANCE", default_value = "mixcord")]
    instance: String,
    /// Where to listen; port 0 takes a free one, which is printed. Another address than of loopback needs --secret-file
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        env = "MIXCORD_PROXY_LISTEN",
        default_value = "127.0.0.1:9465"
    )]
    pub(crate) listen: SocketAddr,
    /// How many shards clients are recommended to run, whatever Discord's count is: any number works
    #[arg(long, value_name = "N", env = "MIXCORD_PROXY_SHARDS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    shards: u32,
    /// The address at which clients find this proxy's websocket, where that is another than what they asked:
    /// behind a proxy with TLS, say
    #[arg(long, value_name = "ws(s)://HOST[:PORT]", env = "MIXCORD_PROXY_PUBLIC_URL", value_parser = public_url)]
    public_url: Option<String>,
    /// Where everything is passed on that is not the gateway's; only its host counts, paths stay as they are
    #[arg(long, value_name = "URL", env = "MIXCORD_REST_URL", default_value = "https://discord.com", value_parser = rest_url)]
    rest_url: Uri,
    /// Pass nothing on: answer for the gateway alone
    #[arg(long, env = "MIXCORD_NO_REST")]
    no_rest: bool,
    /// File with secrets, one a line, that clients show instead of the bot's token. Where a library reads the bot's
    /// id from its token, give the secret the shape of one
    #[arg(long, value_name = "FILE", env = "MIXCORD_SECRET_FILE")]
    pub(crate) secret_file: Option<PathBuf>,
    /// File with the bot's token; else it is taken from DISCORD_TOKEN. Needed with --secret-file alone
    #[arg(long, value_name = "FILE", env = "MIXCORD_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// How many seconds a client may take nothing before it is cut
    #[arg(long, value_name = "SECONDS", env = "MIXCORD_STALL", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    stall: u64,
    /// Put the entity before under "__old" into updates and deletes
    #[arg(long, env = "MIXCORD_WITH_OLD")]
    with_old: bool,
    /// Options from a file
    #[command(flatten)]
    config: ConfigFile,
    /// What is logged, and how
    #[command(flatten)]
    pub(crate) log: LogOptions,
}

/// What the rest of the program goes by.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) instance: String,
    pub(crate) shards: u32,
    pub(crate) public_url: Option<String>,
    /// `None` where nothing is passed on.
    pub(crate) rest_url: Option<Uri>,
    pub(crate) stall: Duration,
    pub(crate) with_old: bool,
    /// Does it listen on loopback without secrets? Then only names of loopback are answered.
    pub(crate) is_local: bool,
}

impl Options {
    /// # Errors
    /// One line that says which option cannot be.
    pub(crate) fn settings(&self) -> Result<Settings, String> {
        if !self.listen.ip().is_loopback() && self.secret_file.is_none() {
            return Err(format!(
                "--listen {}: whoever reaches that address could try tokens, and would send the bot's own over the \
                 network: give --secret-file, or listen on 127.0.0.1",
                self.listen
            ));
        }
        Ok(Settings {
            instance: self.instance.clone(),
            shards: self.shards,
            public_url: self.public_url.clone(),
            rest_url: (!self.no_rest).then(|| self.rest_url.clone()),
            stall: Duration::from_secs(self.stall),
            with_old: self.with_old,
            is_local: self.secret_file.is_none(),
        })
    }
}

fn version() -> &'static str {
    command_line::version(env!("CARGO_PKG_VERSION"), &mixcord::operator::LAYOUTS)
}

fn public_url(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let host = url.strip_prefix("ws://").or_else(|| url.strip_prefix("wss://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['?', '#']) => Ok(url.to_owned()),
        _ => Err("expected ws://HOST:PORT or wss://HOST".into()),
    }
}

fn rest_url(text: &str) -> Result<Uri, String> {
    let wrong = || "expected https://HOST or http://HOST:PORT".to_owned();
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let known = matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some();
    if known { Ok(uri) } else { Err(wrong()) }
}
