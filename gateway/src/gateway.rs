//! Where to connect: the URL of `GET /gateway/bot`, kept until it fails (G-2).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use crate::config::Token;
use crate::discovery::{Discovered, DiscoveryError, discover};
use crate::identify::Gate;
use crate::wire::Tls;

/// Shards that fail together ask once.
const FRESH: Duration = Duration::from_secs(5);

/// The API and what it said last.
#[derive(Debug)]
pub struct Gateway {
    api_url: String,
    token: Token,
    tls: Tls,
    url: Mutex<String>,
    asked: AsyncMutex<Instant>,
}

impl Gateway {
    /// Asks for the first time.
    ///
    /// # Errors
    /// When there is no usable answer.
    pub async fn discover(
        api_url: &str,
        token: &Token,
        tls: &Tls,
    ) -> Result<(Self, Discovered), DiscoveryError> {
        let discovered = ask(api_url, token, tls).await?;
        let gateway = Self {
            api_url: api_url.to_owned(),
            token: token.clone(),
            tls: tls.clone(),
            url: Mutex::new(discovered.url.clone()),
            asked: AsyncMutex::new(Instant::now()),
        };
        Ok((gateway, discovered))
    }

    /// Must connections be encrypted, because the API is?
    pub fn is_encrypted(&self) -> bool {
        self.api_url.starts_with("https://")
    }

    /// The URL; asked for again first when it failed. The old one when the API does not answer.
    pub async fn url(&self, ask_again: bool, gate: &Gate) -> String {
        if ask_again {
            let mut asked = self.asked.lock().await;
            if asked.elapsed() >= FRESH {
                match ask(&self.api_url, &self.token, &self.tls).await {
                    Ok(discovered) => {
                        // Whoever asks for a permit next hears of it.
                        if let Err(error) = gate.tell(&discovered.session_start_limit).await {
                            tracing::warn!(%error, "the common identify queue cannot be used");
                        }
                        *self.url.lock().unwrap_or_else(PoisonError::into_inner) = discovered.url;
                    }
                    Err(error) => tracing::warn!(%error, "the gateway's URL cannot be asked for"),
                }
                *asked = Instant::now();
            }
        }
        self.url.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn ask(api_url: &str, token: &Token, tls: &Tls) -> Result<Discovered, DiscoveryError> {
    let (api_url, token, tls) = (api_url.to_owned(), token.clone(), tls.clone());
    let url = api_url.clone();
    tokio::task::spawn_blocking(move || discover(&api_url, &token, &tls)).await.unwrap_or_else(
        |error| Err(DiscoveryError::Later { url, why: error.to_string(), after: None }),
    )
}
