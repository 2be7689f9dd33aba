//! The bot's token: read once, never shown (P9).

use std::fs;
use std::path::Path;

/// The token. Neither `Debug` nor any error shows it.
#[derive(Clone)]
pub struct Token(String);

/// What identifies a token without giving it away: the first half of its SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 16]);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Neither place holds one.
    #[error("no token: set DISCORD_TOKEN or give --token-file")]
    Missing,
    /// The file cannot be read.
    #[error("--token-file {path}: {error}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// What was found cannot be a token.
    #[error("the token from {place} is no token: it has to be one line of visible ASCII")]
    Malformed {
        /// Where it came from.
        place: &'static str,
    },
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(hidden)")
    }
}

impl Token {
    /// From `file` when given, else from the value of the environment variable.
    ///
    /// # Errors
    /// When neither holds a token.
    pub fn read(file: Option<&Path>, environment: Option<String>) -> Result<Self, TokenError> {
        let (text, place) = match (file, environment) {
            (Some(path), _) => {
                let text = fs::read_to_string(path).map_err(|error| TokenError::File {
                    path: path.display().to_string(),
                    error,
                })?;
                (text, "--token-file")
            }
            (None, Some(text)) => (text, "DISCORD_TOKEN"),
            (None, None) => return Err(TokenError::Missing),
        };
        let text = text.trim();
        let bare = text.strip_prefix("Bot ").unwrap_or(text).trim();
        if bare.is_empty() {
            return Err(TokenError::Missing);
        }
        if bare.len() > 512 || !bare.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Malformed { place });
        }
        Ok(Self(bare.to_owned()))
    }

    /// The token itself, for IDENTIFY, RESUME and the `Authorization` header only.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The same for the same token, and of no use to learn it.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&[self.0.as_bytes()])
    }

    /// The same for the same token at the same API: what an identify budget belongs to. A test
    /// server has its own.
    pub fn fingerprint_at(&self, api_url: &str) -> Fingerprint {
        Fingerprint::of(&[self.0.as_bytes(), b"\n", api_url.as_bytes()])
    }
}

impl Fingerprint {
    fn of(parts: &[&[u8]]) -> Self {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        parts.iter().for_each(|part| context.update(part));
        let mut half = [0; 16];
        half.copy_from_slice(&context.finish().as_ref()[..16]);
        Self(half)
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_wins_and_both_are_trimmed() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), "Bot abc.def\n").expect("written");
        let token = Token::read(Some(file.path()), Some("other".into())).expect("a token");
        assert_eq!(token.reveal(), "abc.def");
        let token = Token::read(None, Some(" other ".into())).expect("a token");
        assert_eq!(token.reveal(), "other");
    }

    #[test]
    fn p9_neither_debug_nor_errors_show_it() {
        let secret = "hid den";
        let error = Token::read(None, Some(secret.into())).expect_err("malformed");
        assert!(!format!("{error} {error:?}").contains("hid"));
        let token = Token::read(None, Some("hidden-value".into())).expect("a token");
        assert!(!format!("{token:?} {}", token.fingerprint()).contains("hidden-value"));
        assert!(matches!(Token::read(None, None), Err(TokenError::Missing)));
        assert!(matches!(Token::read(None, Some(String::new())), Err(TokenError::Missing)));
    }
}
