//! `GET /gateway/bot` (G-1, G-2): where to connect, how many shards, how many identifies are left.

use std::time::Duration;

use serde::Deserialize;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::config::Token;
use crate::wire::{Proxy, Tls};

/// The whole request may take this long.
const TIMEOUT: Duration = Duration::from_secs(10);
/// No answer is larger.
const ANSWER_MAX: u64 = 64 << 10;
/// The longest pause a 429 can ask for before we ask again anyway.
const RETRY_MAX: Duration = Duration::from_secs(300);

/// Discord's answer. What a server leaves out is as Discord has it for a small bot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Discovered {
    /// Where to connect.
    pub url: String,
    /// The recommended number of shards (G-4).
    #[serde(default = "one", deserialize_with = "whole")]
    pub shards: u64,
    /// What may be identified.
    #[serde(default)]
    pub session_start_limit: StartLimit,
}

/// The identify budget (G-13).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct StartLimit {
    /// Identifies per day.
    #[serde(deserialize_with = "whole")]
    pub total: u64,
    /// Identifies left.
    #[serde(deserialize_with = "whole")]
    pub remaining: u64,
    /// Milliseconds until `remaining` is `total` again.
    #[serde(deserialize_with = "whole")]
    pub reset_after: u64,
    /// Identifies at once (G-14).
    #[serde(deserialize_with = "whole")]
    pub max_concurrency: u32,
}

impl Default for StartLimit {
    fn default() -> Self {
        Self { total: 1_000, remaining: 1_000, reset_after: 0, max_concurrency: 1 }
    }
}

fn one() -> u64 {
    1
}

/// A number that may be written with a fraction.
fn whole<'de, D, N>(deserializer: D) -> Result<N, D::Error>
where
    D: serde::Deserializer<'de>,
    N: TryFrom<u64>,
{
    let number = serde_json::Number::deserialize(deserializer)?;
    let rounded = number.as_f64().filter(|number| (0.0..9e15).contains(number));
    number
        .as_u64()
        .or_else(|| rounded.map(|number| number.ceil() as u64))
        .and_then(|number| N::try_from(number).ok())
        .ok_or_else(|| serde::de::Error::custom(format!("{number} makes no sense here")))
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
pub fn discover(
    api_url: &str,
    token: &Token,
    tls: &Tls,
    proxy: Option<&Proxy>,
) -> Result<Discovered, DiscoveryError> {
    let url = format!("{api_url}/gateway/bot");
    let parsed = url.parse().ok();
    let proxy = proxy.zip(parsed.as_ref()).and_then(|(proxy, url)| proxy.of(url));
    let builtin = ask(&url, token, RootCerts::WebPki, proxy);
    if tls.added().is_empty() || !url.starts_with("https://") {
        return builtin;
    }
    // ureq takes either the built-in roots or ours.
    builtin.or_else(|_| {
        let added: Vec<_> =
            tls.added().iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        ask(&url, token, RootCerts::new_with_certs(&added), proxy)
    })
}

fn ask(
    url: &str,
    token: &Token,
    roots: RootCerts,
    proxy: Option<&ureq::Proxy>,
) -> Result<Discovered, DiscoveryError> {
    let later = |why: String, after| DiscoveryError::Later { url: url.to_owned(), why, after };
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls =
        TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider).build();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(proxy.cloned())
        .tls_config(tls)
        .user_agent(crate::wire::USER_AGENT)
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
            let header = answer.headers().get("retry-after");
            let header = header.and_then(|value| value.to_str().ok()?.parse().ok());
            let body = answer.body_mut().with_config().limit(ANSWER_MAX).read_to_string();
            let seconds = header.or_else(|| retry_after(&body.unwrap_or_default()));
            return Err(later(format!("answered {status}"), seconds.and_then(pause)));
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

/// The pause in the body of a 429, in seconds.
fn retry_after(body: &str) -> Option<f64> {
    #[derive(Deserialize)]
    struct Limited {
        retry_after: f64,
    }
    serde_json::from_str::<Limited>(body).ok().map(|limited| limited.retry_after)
}

fn pause(seconds: f64) -> Option<Duration> {
    let sensible = Some(seconds).filter(|seconds| seconds.is_finite() && *seconds >= 0.0)?;
    Some(Duration::from_secs_f64(sensible.min(RETRY_MAX.as_secs_f64())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Discovered> {
        serde_json::from_str(text).ok()
    }

    /// G-1; and a server that says less, or says it with a fraction.
    #[test]
    fn g1_the_answer_and_what_may_be_missing_from_it() {
        let limit = r#""session_start_limit":{"total":2000,"remaining":7,"reset_after":60000.5,"max_concurrency":16}"#;
        let whole = read(&format!(r#"{{"url":"wss://x","shards":9.0,{limit},"more":[1]}}"#));
        let whole = whole.expect("an answer");
        assert_eq!((whole.url.as_str(), whole.shards), ("wss://x", 9));
        let limit = &whole.session_start_limit;
        assert_eq!((limit.total, limit.remaining), (2_000, 7));
        assert_eq!((limit.reset_after, limit.max_concurrency), (60_001, 16));
        let least = read(r#"{"url":"wss://x"}"#).expect("an answer");
        assert_eq!((least.shards, least.session_start_limit), (1, StartLimit::default()));
        for wrong in ["{}", r#"{"url":"x","shards":-1}"#, r#"{"url":"x","shards":"2"}"#, "<html>"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_429_says_when_in_its_header_or_its_body() {
        assert_eq!(
            retry_after(r#"{"message":"slow","retry_after":1.5,"global":false}"#),
            Some(1.5)
        );
        assert_eq!(retry_after("<html>"), None);
        assert_eq!(pause(1.5), Some(Duration::from_millis(1_500)));
        assert_eq!(pause(1e12), Some(RETRY_MAX));
        assert_eq!(pause(f64::NAN), None);
        assert_eq!(pause(-1.0), None);
    }
}
