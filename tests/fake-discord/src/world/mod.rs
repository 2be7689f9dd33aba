//! The simulated Discord: deterministic, seeded, every event following from the state before it.

pub(crate) mod channel;
pub(crate) mod clock;
pub(crate) mod dice;
pub(crate) mod dump;
pub(crate) mod event;
pub(crate) mod expression;
pub(crate) mod guild;
pub(crate) mod guilds;
pub(crate) mod intents;
pub(crate) mod kind;
pub(crate) mod lane;
pub(crate) mod member;
pub(crate) mod message;
pub(crate) mod mix;
pub(crate) mod moderation;
pub(crate) mod people;
pub(crate) mod role;
pub(crate) mod schedule;
pub(crate) mod stage;
pub(crate) mod text;
pub(crate) mod thread;
pub(crate) mod user;
pub(crate) mod voice;
