//! Who may come in: whoever shows the bot's token, or one of the secrets that stand for it.

use std::hint::black_box;
use std::path::Path;

use mixcord::operator::Instance;
use ring::digest::{SHA256, digest};

/// What is compared with the token of an IDENTIFY or a request.
pub(crate) struct Door {
    /// Hashes of the secrets; none where clients show the token itself.
    secrets: Vec<[u8; 32]>,
    /// The token, where it is given to the proxy at all.
    token: Option<String>,
    instance: Instance,
}

/// What a client showed; nobody keeps the text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown([u8; 32]);

impl Shown {
    pub(crate) fn new(text: &str) -> Self {
        Self(hash(bare(text)))
    }
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown(hidden)")
    }
}

/// Why the door cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DoorError {
    #[error("{option} {path}: {error}")]
    File { option: &'static str, path: String, error: std::io::Error },
    #[error("--secret-file {path} holds no secret: one a line, of at least 16 visible characters")]
    NoSecret { path: String },
    #[error(
        "--secret-file needs the bot's token, which then leaves this process towards Discord alone: set DISCORD_TOKEN \
         or give --token-file (or --no-rest, where nothing is passed on to Discord)"
    )]
    NoToken,
    #[error("the token is no token: it has to be one line of visible ASCII")]
    Malformed,
}

impl Door {
    /// `environment` is the value of DISCORD_TOKEN.
    pub(crate) fn new(
        instance: Instance,
        secret_file: Option<&Path>,
        token_file: Option<&Path>,
        environment: Option<&str>,
        rest: bool,
    ) -> Result<Self, DoorError> {
        let read = |option, path: &Path| {
            std::fs::read_to_string(path).map_err(|error| DoorError::File {
                option,
                path: path.display().to_string(),
                error,
            })
        };
        let token = match token_file {
            Some(path) => Some(read("--token-file", path)?),
            None => environment.map(str::to_owned),
        };
        let token = token.as_deref().map(bare).filter(|token| !token.is_empty()).map(str::to_owned);
        let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if token.as_deref().is_some_and(|token| token.len() > 512 || !visible(token)) {
            return Err(DoorError::Malformed);
        }
        let mut secrets = Vec::new();
        if let Some(path) = secret_file {
            let text = read("--secret-file", path)?;
            let lines =
                text.lines().map(bare).filter(|line| !line.is_empty() && !line.starts_with('#'));
            for line in lines {
                if line.len() < 16 || !visible(line) {
                    return Err(DoorError::NoSecret { path: path.display().to_string() });
                }
                secrets.push(hash(line));
            }
            if secrets.is_empty() {
                return Err(DoorError::NoSecret { path: path.display().to_string() });
            }
            if token.is_none() && rest {
                return Err(DoorError::NoToken);
            }
        }
        Ok(Self { secrets, token, instance })
    }

    /// Whether clients show secrets, and never the token.
    pub(crate) fn has_secrets(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// What a client has to show.
    pub(crate) fn wants(&self) -> &'static str {
        if self.has_secrets() { "a secret of --secret-file" } else { "that of mixcord-gateway" }
    }

    /// Whether who showed this may come in. Without secrets the token given here decides, else the gateway's own note
    /// of its token; `None` while there is neither.
    pub(crate) fn admits(&self, shown: &Shown) -> Option<bool> {
        if self.has_secrets() {
            // All of them, whichever it is.
            return Some(self.secrets.iter().fold(false, |any, one| any | same(one, &shown.0)));
        }
        if let Some(token) = &self.token {
            return Some(same(&hash(token), &shown.0));
        }
        let (rings, _) = self.instance.survey().ok()?;
        let known = rings.iter().filter_map(|ring| ring.shard.as_ref()?.fingerprint);
        known.map(|note| same(&shown.0[..16], &note)).reduce(|one, other| one | other)
    }

    /// The token to show Discord for who showed this in `Authorization`; the error is who may not.
    pub(crate) fn token_for(&self, shown: &str) -> Result<&str, ()> {
        match &self.token {
            Some(token) if self.admits(&Shown::new(shown)) == Some(true) => Ok(token),
            _ => Err(()),
        }
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

/// Whether two hashes are the same, in a time that does not say where they differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    let pairs = one.iter().zip(other);
    one.len() == other.len() && black_box(pairs.fold(0, |found, (a, b)| found | (a ^ b))) == 0
}

fn bare(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix("Bot ").unwrap_or(text).trim()
}

fn hash(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(secrets: Option<&str>, token: Option<&str>) -> Result<Door, DoorError> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), secrets.unwrap_or_default()).expect("written");
        let instance = Instance::open("no-such-instance").expect("a name");
        Door::new(instance, secrets.map(|_| file.path()), None, token, true)
    }

    #[test]
    fn with_secrets_the_token_is_none() {
        let door =
            door(Some("# clients\nsecret-of-sixteen\n"), Some("the.bots.token")).expect("fine");
        let admits = |text| door.admits(&Shown::new(text));
        assert_eq!(admits("secret-of-sixteen"), Some(true));
        assert_eq!(admits("Bot secret-of-sixteen"), Some(true));
        assert_eq!((admits("the.bots.token"), admits("")), (Some(false), Some(false)));
        assert_eq!(door.token_for("Bot secret-of-sixteen"), Ok("the.bots.token"));
        assert_eq!(door.token_for("Bot the.bots.token"), Err(()));
    }

    #[test]
    fn hashes_are_the_same_to_their_last_byte() {
        let (one, mut other) = (hash("a"), hash("a"));
        assert!(same(&one, &other) && same(&[], &[]) && !same(&one, &one[..16]));
        other[31] ^= 1;
        assert!(!same(&one, &other));
    }

    #[test]
    fn every_secret_of_the_file_is_one() {
        let file =
            "the-first-of-three-secrets\nthe-second-of-three-secrets\nthe-third-of-three-secrets\n";
        let door = door(Some(file), Some("the.bots.token")).expect("fine");
        assert!(file.lines().all(|line| door.admits(&Shown::new(line)) == Some(true)));
    }

    #[test]
    fn where_nothing_is_known_nobody_comes_in() {
        let door = door(None, None).expect("fine");
        assert_eq!(door.admits(&Shown::new("any")), None);
    }

    #[test]
    fn p9_nothing_shows_what_is_secret() {
        let error = door(Some("hidden"), Some("the.bots.token")).expect_err("too short");
        assert!(!format!("{error} {error:?}").contains("hidden"));
        let door = door(Some("hidden-secret-of-many"), Some("hidden.token")).expect("fine");
        assert!(!format!("{door:?}").contains("hidden"));
        assert!(matches!(self::door(Some("hidden-secret-of-many"), None), Err(DoorError::NoToken)));
    }
}
