//! The presence that a command set on a shard: a section of its ring's checkpoint.
//!
//! A session keeps its presence as long as it lives, a new one begins with that of its IDENTIFY. So the gateway keeps
//! what it was told last, over its own restarts as well, and whoever looks on sees it.

use serde::{Deserialize, Serialize};

use crate::sections;
use crate::send::PresenceUpdate;

/// The section of a shard ring's checkpoint. Its other sections are in [`crate::status`].
const PRESENCE: u8 = 6;
/// Raised only when what is there begins to mean something else.
const VERSION: u8 = 1;
/// The longest section, in bytes: a checkpoint has other things to keep. Names and texts of 128 characters fit.
const BYTES_MAX: usize = 1 << 10;

/// A presence that was set by a command.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SetPresence {
    /// It.
    pub presence: PresenceUpdate,
    /// What the gateway's options said then. A gateway that is started with another presence has been told
    /// something newer than the command.
    pub instead_of: Option<PresenceUpdate>,
}

impl SetPresence {
    /// The section, to be appended to a checkpoint; empty when it would be too long.
    pub fn encode(&self) -> Vec<u8> {
        let content = bincode::serde::encode_to_vec(self, bincode::config::standard());
        let mut section = Vec::new();
        if let Some(content) = content.ok().filter(|content| content.len() <= BYTES_MAX) {
            sections::put(&mut section, PRESENCE, VERSION, &content);
        }
        section
    }

    /// Reads it from a shard ring's checkpoint, if that has it.
    pub fn decode(checkpoint: &[u8]) -> Option<Self> {
        let (&crate::status::CHECKPOINT, all) = checkpoint.split_first()? else { return None };
        let read: Self = sections::read(sections::find(all, PRESENCE, VERSION)?)?;
        // Whatever wrote it: what is sent has been checked.
        read.presence.check().is_ok().then_some(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::send::Activity;

    fn set(name: &str) -> SetPresence {
        let activity = Activity { name: name.into(), kind: 2, state: None, url: None };
        let presence = PresenceUpdate {
            since: None,
            activities: vec![activity],
            status: "idle".into(),
            afk: true,
        };
        SetPresence { instead_of: Some(presence.clone()), presence }
    }

    #[test]
    fn p8_a_presence_comes_back_and_other_bytes_are_none() {
        let bytes = [&[crate::status::CHECKPOINT], &set("rain").encode()[..]].concat();
        assert_eq!(SetPresence::decode(&bytes), Some(set("rain")));
        for end in 0..bytes.len() {
            assert_eq!(SetPresence::decode(&bytes[..end]), None, "{end}");
        }
        let mut other = set("rain");
        other.presence.status = "away".into();
        let bytes = [&[crate::status::CHECKPOINT], &other.encode()[..]].concat();
        assert_eq!(SetPresence::decode(&bytes), None, "Discord would close the connection for it");
    }

    #[test]
    fn one_that_is_too_long_takes_no_room() {
        let mut long = set("rain");
        long.presence.activities = vec![set(&"x".repeat(128)).presence.activities[0].clone(); 10];
        assert!(long.encode().is_empty());
        let longest = set(&"\u{1f327}".repeat(100));
        assert!(!longest.encode().is_empty());
    }
}
