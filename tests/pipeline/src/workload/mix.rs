//! The mix: what bots that are in many guilds receive most of.

use serde_json::{Value, json};

use super::guild::{self, CHANNEL, CHANNELS, MEMBERS, MESSAGE, ROLE, USER, id};

/// Makes events: 30 % PRESENCE_UPDATE, 30 % MESSAGE_CREATE, 10 % each TYPING_START, MESSAGE_UPDATE,
/// GUILD_MEMBER_UPDATE and VOICE_STATE_UPDATE, over guilds and members by chance, sized like the payloads
/// of part `event`: presences of 0.45 kB, messages of 1.9 kB. Each changes something, as Discord's do.
#[derive(Debug)]
pub struct Mix {
    guilds: u64,
    made: u64,
    bytes: u64,
    blends: Blend,
    /// What a message's text begins with.
    stamp: &'static str,
    dice: u64,
    /// The latest messages: guild, channel, message, author.
    messages: Vec<(u64, u64, u64, u64)>,
    /// How often each member was updated, guild by guild: what other events carry of it is as it is.
    updates: Vec<u32>,
}

/// What is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Blend {
    /// All kinds.
    Everything,
    /// MESSAGE_CREATE alone.
    Messages,
}

/// An event: its name, the number of its guild, and its data.
pub type Made = (&'static str, u64, Value);

/// Messages of which one is edited.
const EDITED: u64 = 4096;

impl Mix {
    /// For so many guilds, whose members are as their GUILD_CREATEs say.
    pub fn new(guilds: u64) -> Self {
        let updates = vec![0; (guilds * MEMBERS) as usize];
        Self {
            guilds,
            made: 0,
            bytes: 0,
            blends: Blend::Everything,
            stamp: "",
            dice: 0x9E37_79B9_7F4A_7C15,
            messages: Vec::new(),
            updates,
        }
    }

    /// Makes these only, and messages whose text begins with `stamp`.
    #[must_use]
    pub fn of(mut self, blend: Blend, stamp: &'static str) -> Self {
        (self.blends, self.stamp) = (blend, stamp);
        self
    }

    /// The next events, as gateway messages.
    pub fn batch(&mut self, events: u64) -> Vec<String> {
        (0..events).map(|_| self.text()).collect()
    }

    /// Events made so far.
    pub fn made(&self) -> u64 {
        self.made
    }

    /// Mean length of what [`batch`](Self::batch) gave.
    pub fn mean_bytes(&self) -> u64 {
        self.bytes / self.made.max(1)
    }

    /// splitmix64.
    fn roll(&mut self, sides: u64) -> u64 {
        self.dice = self.dice.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.dice ^ (self.dice >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn text(&mut self) -> String {
        let (name, _, data) = self.event();
        let text = json!({"op": 0, "s": self.made + 10, "t": name, "d": data}).to_string();
        self.bytes += text.len() as u64;
        text
    }

    /// The next event.
    pub fn event(&mut self) -> Made {
        self.made += 1;
        let (guild, user) = (self.roll(self.guilds), self.roll(MEMBERS));
        let channel = self.roll(CHANNELS / 5) * 5;
        let dice = match self.blends {
            Blend::Everything => self.roll(10),
            Blend::Messages => 3,
        };
        let (name, data) = match dice {
            0..3 => ("PRESENCE_UPDATE", self.presence(guild, user)),
            3..6 => {
                let new = (guild, channel, MESSAGE + self.made, user);
                if (self.messages.len() as u64) < EDITED {
                    self.messages.push(new);
                } else {
                    let place = (self.made % EDITED) as usize;
                    self.messages[place] = new;
                }
                ("MESSAGE_CREATE", self.message(new, &Value::Null))
            }
            6 => ("TYPING_START", self.typing(guild, channel, user)),
            7 if !self.messages.is_empty() => {
                let place = self.roll(self.messages.len() as u64) as usize;
                let held = self.messages[place];
                let minute = self.made / 60 % 60;
                let second = self.made % 60;
                let edited = format!("2026-11-19T10:{minute:02}:{second:02}.412000+00:00");
                return ("MESSAGE_UPDATE", held.0, self.message(held, &json!(edited)));
            }
            7 | 8 => ("GUILD_MEMBER_UPDATE", self.member_update(guild, user)),
            _ => ("VOICE_STATE_UPDATE", self.voice(guild, user)),
        };
        (name, guild, data)
    }

    fn presence(&mut self, guild: u64, user: u64) -> Value {
        let since = 1_795_080_861_412 + self.made;
        let status = ["online", "idle", "dnd"][self.roll(3) as usize];
        json!({
            "user": {"id": id(guild, USER + user)}, "guild_id": id(guild, 0), "status": status,
            "client_status": {"desktop": status},
            "activities": [{
                "id": "ec0b28a579ecb4bd", "type": 0, "name": "Analytical Engine", "created_at": since,
                "timestamps": {"start": since}, "application_id": "613425648685547600",
                "details": "Bernoulli numbers", "state": "Note G"
            }]
        })
    }

    /// The member as it is now, without its user.
    fn member(&self, guild: u64, user: u64) -> Value {
        let updates = u64::from(self.updates[(guild * MEMBERS + user) as usize]);
        if updates == 0 {
            return guild::member(guild, "nobody");
        }
        let mut member = guild::member(guild, &format!("nick {updates}"));
        member["roles"] = json!([
            id(guild, ROLE + 1),
            id(guild, ROLE + 2),
            id(guild, ROLE + 3 + (user + updates) % 40),
            id(guild, ROLE + 44)
        ]);
        member
    }

    fn whole_member(&self, guild: u64, user: u64) -> Value {
        let mut member = self.member(guild, user);
        member["user"] = guild::user(guild, user, "Calculator");
        member
    }

    fn member_update(&mut self, guild: u64, user: u64) -> Value {
        self.updates[(guild * MEMBERS + user) as usize] += 1;
        let mut member = self.whole_member(guild, user);
        member["guild_id"] = json!(id(guild, 0));
        member
    }

    fn voice(&mut self, guild: u64, user: u64) -> Value {
        let member = self.whole_member(guild, user);
        // One in five leaves.
        let channel = match self.roll(CHANNELS / 5 * 5 / 4) {
            n if n < CHANNELS / 5 => json!(id(guild, CHANNEL + n * 5 + 4)),
            _ => Value::Null,
        };
        json!({
            "guild_id": id(guild, 0), "user_id": id(guild, USER + user), "channel_id": channel,
            "session_id": format!("{:032x}", self.made), "deaf": false, "mute": false,
            "self_deaf": self.roll(2) == 0, "self_mute": self.roll(2) == 0, "self_video": false,
            "suppress": false, "request_to_speak_timestamp": null, "member": member
        })
    }

    fn typing(&self, guild: u64, channel: u64, user: u64) -> Value {
        json!({
            "channel_id": id(guild, CHANNEL + channel), "guild_id": id(guild, 0),
            "user_id": id(guild, USER + user), "timestamp": 1_795_080_861, "member": self.whole_member(guild, user)
        })
    }

    fn message(
        &self,
        (guild, channel, message, user): (u64, u64, u64, u64),
        edited: &Value,
    ) -> Value {
        let (stamp, edit) = (self.stamp, edited.as_str().unwrap_or_default());
        // Every other one has a picture.
        let picture = json!({
            "id": id(guild, message), "filename": "table-3.png", "size": 84_213, "width": 1280,
            "height": 720, "content_type": "image/png", "placeholder_version": 1,
            "url": format!("https://cdn.example.org/attachments/{channel}/{message}/table-3.png"),
            "proxy_url": format!("https://media.example.org/attachments/{channel}/{message}/table-3.png")
        });
        let attachments = if message % 2 == 0 { json!([picture]) } else { json!([]) };
        json!({
            "id": id(guild, message), "channel_id": id(guild, CHANNEL + channel), "guild_id": id(guild, 0),
            "type": 0, "tts": false, "timestamp": "2026-11-19T09:14:21.412000+00:00",
            "edited_timestamp": edited, "pinned": false, "nonce": id(guild, message), "flags": 0,
            "content": format!("{stamp}The engine weaves algebraic patterns just as the loom weaves flowers and \
                                leaves: see the notes below, and tell me if table 3 is right. {edit}"),
            "mention_everyone": false, "mention_roles": [],
            "mentions": [{
                "id": id(guild, USER + 7), "username": "calculator.7", "global_name": "Calculator",
                "avatar": "a_9f8e7d6c5b4a39281706f5e4d3c2b1a0", "discriminator": "0", "public_flags": 64,
                "avatar_decoration_data": null, "bot": false,
                "member": self.member(guild, 7)
            }],
            "attachments": attachments, "components": [],
            "embeds": [{"type": "rich", "title": "Note G", "color": 5_814_783,
                        "description": "Diagram for the computation of Bernoulli numbers",
                        "fields": [{"name": "Operations", "value": "25", "inline": true}]}],
            "author": guild::user(guild, user, "Calculator"),
            "member": self.member(guild, user)
        })
    }
}
