//! What a client asked for and is owed an answer to, which nobody else gets.

use std::collections::VecDeque;

use mixcord::Kind;

/// Of each kind of request so many are remembered: the oldest is forgotten then, for it is one that Discord never
/// answered.
const ASKED_MAX: usize = 1000;
/// Guilds of one client that has the bot's voice.
const VOICE_MAX: usize = 2500;

/// What it asked for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Requests for members: our nonce, and the client's; the oldest first.
    pub(super) members: VecDeque<(u64, String)>,
    /// Answers without a nonce, and the guild they are about; the oldest first.
    pub(super) others: VecDeque<(Kind, u64)>,
    /// Guilds in which it has the bot's voice; the oldest first.
    pub(super) voice: VecDeque<u64>,
}

impl Asked {
    pub(super) fn members(&mut self, ours: u64, theirs: &str) {
        self.members.retain(|(of, _)| *of != ours);
        make_room(&mut self.members, ASKED_MAX);
        self.members.push_back((ours, theirs.to_owned()));
    }

    pub(super) fn other(&mut self, kind: Kind, guild: u64) {
        make_room(&mut self.others, ASKED_MAX);
        self.others.push_back((kind, guild));
    }

    /// The answer came.
    pub(super) fn is_told(&mut self, kind: Kind, guild: u64) {
        self.others.retain(|other| *other != (kind, guild));
    }

    /// Whether that is new.
    pub(super) fn speaks(&mut self, guild: u64, speaks: bool) -> bool {
        let known = self.voice.contains(&guild);
        if speaks && !known {
            make_room(&mut self.voice, VOICE_MAX);
            self.voice.push_back(guild);
        } else if !speaks {
            self.voice.retain(|of| *of != guild);
        }
        known != speaks
    }
}

fn make_room<T>(queue: &mut VecDeque<T>, max: usize) {
    while queue.len() >= max {
        queue.pop_front();
    }
}
