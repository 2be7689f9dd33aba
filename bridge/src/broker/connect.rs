//! From options to a connection.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use async_nats::jetstream::context::ContextBuilder;
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use tokio::sync::watch;

use super::{Broker, PATIENCE, PAUSE, PAYLOAD_MIN, REMIND};
use crate::failure::Failure;
use crate::options::BrokerOptions;

/// The oldest server: before it, buckets cannot be made by this client.
const SERVER_MIN: (u32, u32) = (2, 11);
/// A connection that is silently broken is found by then.
const PING: Duration = Duration::from_secs(2);
/// No password file is longer.
const PASSWORD_MAX: u64 = 4 << 10;

/// Connects; tries again for as long as nobody answers.
///
/// # Errors
/// The server refuses us, or is none that can be used.
pub(crate) async fn connect(name: &str, options: &BrokerOptions) -> Result<Broker, Failure> {
    let servers = servers(options)?;
    let (counted, connections) = watch::channel(0);
    let mut reminded: Option<Instant> = None;
    let client = loop {
        let attempt = prepare(name, options, &servers, counted.clone()).await?;
        let error = match attempt.connect(servers.clone()).await {
            Ok(client) => break client,
            Err(error) => error,
        };
        let line = format!("NATS at {}: {error}", shown(&servers));
        match error.kind() {
            ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                return Err(Failure::Configuration(format!(
                    "{line}: see --nats-creds and --nats-password-file"
                )));
            }
            ConnectErrorKind::Tls | ConnectErrorKind::ServerParse => {
                return Err(Failure::Configuration(format!("{line}: see --nats-ca-file")));
            }
            _ => {}
        }
        if reminded.is_none_or(|at| at.elapsed() >= REMIND) {
            reminded = Some(Instant::now());
            tracing::warn!("no connection yet, nothing is lost so far: {line}");
        }
        tokio::time::sleep(PAUSE).await;
    };
    let info = client.server_info();
    check(&client, &info.version, info.max_payload).await?;
    let jetstream = ContextBuilder::new().timeout(PATIENCE).ack_timeout(PATIENCE).build(client);
    Ok(Broker { jetstream, connections })
}

fn servers(options: &BrokerOptions) -> Result<Vec<ServerAddr>, Failure> {
    let wrong = |why: &str| Failure::Configuration(format!("--nats: {why}"));
    let mut servers = Vec::new();
    for url in &options.nats {
        // What stands in it may be a secret, and is not repeated.
        let server: ServerAddr = url.trim().parse().map_err(|_| wrong("not a list of URLs"))?;
        if server.has_user_pass() {
            return Err(wrong(
                "an argument list is no place for a password: use --nats-creds or --nats-password-file",
            ));
        }
        let tls = server.tls_required() || options.nats_ca_file.is_some();
        if !tls && !options.nats_without_tls && !is_here(server.host()) {
            return Err(wrong(&format!(
                "{} is another machine: begin the URL with tls://, or give --nats-ca-file, or \
                 --nats-without-tls in a network that only you read",
                server.host()
            )));
        }
        servers.push(server);
    }
    Ok(servers)
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn shown(servers: &[ServerAddr]) -> String {
    let hosts = servers.iter().map(|server| format!("{}:{}", server.host(), server.port()));
    hosts.collect::<Vec<_>>().join(", ")
}

async fn prepare(
    name: &str,
    options: &BrokerOptions,
    servers: &[ServerAddr],
    counted: watch::Sender<u64>,
) -> Result<ConnectOptions, Failure> {
    let mut prepared = ConnectOptions::new()
        .name(name)
        .ping_interval(PING)
        .connection_timeout(PATIENCE)
        .request_timeout(Some(PATIENCE))
        .reconnect_delay_callback(|tries| {
            let ms = 50_u64 << tries.min(5);
            Duration::from_millis(ms + u64::from(std::process::id()) % ms)
        })
        .event_callback(move |event| {
            match &event {
                Event::Connected => counted.send_modify(|count| *count += 1),
                Event::Disconnected => tracing::warn!(
                    "the connection to NATS is gone; nothing is lost while the rings have room"
                ),
                Event::ServerError(error) => tracing::warn!("NATS says: {error}"),
                other => tracing::debug!("NATS: {other}"),
            }
            std::future::ready(())
        });
    if let Some(path) = &options.nats_ca_file {
        prepared = prepared.add_root_certificates(path.clone());
    }
    let tls = options.nats_ca_file.is_some() || servers.iter().any(ServerAddr::tls_required);
    prepared = prepared.require_tls(tls);
    // A cluster tells of its other servers, which may be on other machines.
    if !tls && !options.nats_without_tls {
        prepared = prepared.ignore_discovered_servers();
    }
    if let Some(path) = &options.nats_creds {
        let unusable =
            |error| Failure::Configuration(format!("--nats-creds {}: {error}", path.display()));
        prepared = prepared.credentials_file(path).await.map_err(unusable)?;
    }
    if let Some(path) = &options.nats_password_file {
        let (user, password) = password(path).map_err(|why| {
            Failure::Configuration(format!("--nats-password-file {}: {why}", path.display()))
        })?;
        prepared = prepared.user_and_password(user, password);
    }
    Ok(prepared)
}

fn password(path: &Path) -> Result<(String, String), String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > PASSWORD_MAX {
        return Err("too long".to_owned());
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let pair = text.lines().next().and_then(|line| line.trim().split_once(':'));
    let (user, password) = pair.ok_or("expected USER:PASSWORD in its first line")?;
    Ok((user.to_owned(), password.to_owned()))
}

/// Refuses a server that is too old, takes too short messages only, or has no JetStream.
async fn check(client: &Client, version: &str, payload_max: usize) -> Result<(), Failure> {
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < SERVER_MIN {
        let (major, minor) = SERVER_MIN;
        return Err(Failure::Configuration(format!(
            "nats-server {version} is too old: {major}.{minor} or newer is needed"
        )));
    }
    if payload_max < PAYLOAD_MIN {
        return Err(Failure::Configuration(format!(
            "nats-server takes messages of {payload_max} bytes at most: set max_payload in its configuration to \
             {PAYLOAD_MIN} or more (1MB is its default)"
        )));
    }
    let jetstream = ContextBuilder::new().timeout(PATIENCE).build(client.clone());
    match jetstream.query_account().await {
        Err(error) if error.to_string().contains("not enabled") => Err(Failure::Configuration(
            "the server has no JetStream, or this account may not use it: start nats-server with -js"
                .to_owned(),
        )),
        // Perhaps an election: whoever asks next asks again.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(nats: &str) -> BrokerOptions {
        BrokerOptions {
            nats: vec![nats.to_owned()],
            nats_creds: None,
            nats_password_file: None,
            nats_ca_file: None,
            nats_without_tls: false,
        }
    }

    #[test]
    fn p9_no_secret_is_taken_from_a_url_or_repeated() {
        for url in ["nats://user:secret@127.0.0.1", "nats://secret@127.0.0.1", "http//secret@"] {
            let said = servers(&options(url)).err().map(|failure| failure.to_string());
            assert!(said.is_some_and(|said| !said.contains("secret")), "{url}");
        }
    }

    #[test]
    fn other_machines_are_talked_to_by_tls() {
        assert!(servers(&options("nats://10.0.0.1")).is_err());
        assert!(servers(&options("tls://10.0.0.1")).is_ok());
        assert!(servers(&options("127.0.0.1:4222")).is_ok());
        let open = BrokerOptions { nats_without_tls: true, ..options("nats://10.0.0.1") };
        assert!(servers(&open).is_ok());
    }
}
