//! `GET /gateway/bot` (G-1, G-2): where to connect, how many shards, how many identifies are left.

use std::time::Duration;

use serde::Deserialize;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::config::Token;
use crate::wire::Tls;

/// The whole request may take this long.
const TIMEOUT: Duration = Duration::from_secs(10);
/// No answer is larger.
const ANSWER_MAX: u64 = 64 << 10;
/// The longest pause a 429 can ask for before we ask again anyway.
const RETRY_MAX: Duration = Duration::from_secs(300);

/// Discord's answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Discovered {
    /// Where to connect.
    pub url: String,
    /// The recommended number of shards (G-4).
    pub shards: u64,
    /// What may be identified.
    pub session_start_limit: StartLimit,
}

/// The identify budget (G-13).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StartLimit {
    /// Identifies per day.
    pub total: u64,
    /// Identifies left.
    pub remaining: u64,
    /// Milliseconds until `remaining` is `total` again.
    pub reset_after: u64,
    /// Identifies at once (G-14).
    pub max_concurrency: u32,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// 401.
    #[error("Discord refused the token: check DISCORD_TOKEN or --token-file")]
    Token,
    /// 404 and the like: not an API at all.
    #[error(
        "--api-url: {url} answered {status}; it has to be the API's base, such as https://discord.com/api/v10"
    )]
    NoSuchApi {
        /// What was asked.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// Asking again later may help.
    #[error("{url}: {why}")]
    Later {
        /// What was asked.
        url: String,
        /// What happened.
        why: String,
        /// Not before this time.
        after: Option<Duration>,
    },
}

/// Asks once; blocks the thread.
///
/// # Errors
/// When there is no usable answer.
pub fn discover(api_url: &str, token: &Token, tls: &Tls) -> Result<Discovered, DiscoveryError> {
    let url = format!("{api_url}/gateway/bot");
    let builtin = ask(&url, token, RootCerts::WebPki);
    if tls.added().is_empty() || !url.starts_with("https://") {
        return builtin;
    }
    // ureq takes either the built-in roots or ours.
    builtin.or_else(|_| {
        let added: Vec<_> =
            tls.added().iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        ask(&url, token, RootCerts::new_with_certs(&added))
    })
}

fn ask(url: &str, token: &Token, roots: RootCerts) -> Result<Discovered, DiscoveryError> {
    let later = |why: String, after| DiscoveryError::Later { url: url.to_owned(), why, after };
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls =
        TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider).build();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .tls_config(tls)
        .user_agent(concat!("DiscordBot (mixcord-gateway, ", env!("CARGO_PKG_VERSION"), ")"))
        .build()
        .into();
    let mut answer = agent
        .get(url)
        .header("Authorization", format!("Bot {}", token.reveal()))
        .call()
        .map_err(|error| later(error.to_string(), None))?;
    let status = answer.status().as_u16();
    match status {
        200 => {}
        401 => return Err(DiscoveryError::Token),
        403 | 429 | 500..=599 => {
            let after = answer
                .headers()
                .get("retry-after")
                .and_then(|value| value.to_str().ok()?.parse::<f64>().ok())
                .filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
                .map(|seconds| Duration::from_secs_f64(seconds.min(RETRY_MAX.as_secs_f64())));
            return Err(later(format!("answered {status}"), after));
        }
        _ => return Err(DiscoveryError::NoSuchApi { url: url.to_owned(), status }),
    }
    let text = answer
        .body_mut()
        .with_config()
        .limit(ANSWER_MAX)
        .read_to_string()
        .map_err(|error| later(error.to_string(), None))?;
    serde_json::from_str(&text).map_err(|error| later(format!("unusable answer: {error}"), None))
}
