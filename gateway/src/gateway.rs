//! What `GET /gateway/bot` says (G-1, G-2): where to connect, kept until it fails, and the identify
//! budget.

use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::time::Instant;

use crate::config::Token;
use crate::discovery::{Discovered, DiscoveryError, discover};
use crate::identify::Gate;
use crate::wire::{Proxy, Tls};

/// Shards that fail together ask once.
const FRESH: Duration = Duration::from_secs(5);

/// The API and what it said last.
#[derive(Debug)]
pub struct Gateway {
    api_url: String,
    token: Token,
    tls: Tls,
    proxy: Option<Proxy>,
    said: watch::Sender<Option<Discovered>>,
    asked: AsyncMutex<Option<Instant>>,
}

impl Gateway {
    /// An API that was not asked yet.
    pub fn new(api_url: &str, token: &Token, tls: &Tls, proxy: Option<Proxy>) -> Self {
        Self {
            api_url: api_url.to_owned(),
            token: token.clone(),
            tls: tls.clone(),
            proxy,
            said: watch::channel(None).0,
            asked: AsyncMutex::new(None),
        }
    }

    /// Who asks.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// The roots that are trusted.
    pub fn tls(&self) -> &Tls {
        &self.tls
    }

    /// The way out, where it is not direct.
    pub fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// Must connections be encrypted, because the API is?
    pub fn is_encrypted(&self) -> bool {
        self.api_url.starts_with("https://")
    }

    /// Asks once.
    ///
    /// # Errors
    /// When there is no usable answer.
    pub async fn ask(&self) -> Result<Discovered, DiscoveryError> {
        let (api_url, token, tls) = (self.api_url.clone(), self.token.clone(), self.tls.clone());
        let (url, proxy) = (api_url.clone(), self.proxy.clone());
        let ask = move || discover(&api_url, &token, &tls, proxy.as_ref());
        let asked = tokio::task::spawn_blocking(ask).await;
        let answer = asked.unwrap_or_else(|error| {
            Err(DiscoveryError::Later { url, why: error.to_string(), after: None })
        })?;
        self.said.send_replace(Some(answer.clone()));
        Ok(answer)
    }

    /// How many shards Discord recommends; 0 before the first answer.
    pub fn recommended(&self) -> u64 {
        self.said.borrow().as_ref().map_or(0, |said| said.shards)
    }

    /// Was there ever an answer?
    pub fn has_answered(&self) -> bool {
        self.said.borrow().is_some()
    }

    /// Where to connect; asked for again first when that failed. Waits for the first answer.
    pub async fn url(&self, ask_again: bool, gate: &Gate) -> String {
        if ask_again {
            self.refresh(gate).await;
        }
        let mut said = self.said.subscribe();
        let url = match said.wait_for(Option::is_some).await {
            Ok(said) => said.as_ref().map(|answer| answer.url.clone()),
            // Cannot be: the sender is ours.
            Err(_) => None,
        };
        match url {
            Some(url) => url,
            None => std::future::pending().await,
        }
    }

    async fn refresh(&self, gate: &Gate) {
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|asked| asked.elapsed() < FRESH) {
            return;
        }
        match self.ask().await {
            // Whoever asks for a permit next hears of it.
            Ok(answer) => {
                if let Err(error) = gate.tell(&answer.session_start_limit).await {
                    tracing::warn!(%error, "the common identify queue cannot be used");
                }
            }
            Err(error) => tracing::warn!(%error, "the gateway's URL cannot be asked for"),
        }
        *asked = Some(Instant::now());
    }
}
