//! Shard rings between machines: their records travel as packs through a log that a broker keeps.
//!
//! The protocol knows no socket and no clock. [`sender::Sender`] and [`receiver::Receiver`] are machines that are
//! told what the log answered and say what comes next; [`pack`] is what a message holds; [`floors`] decides what
//! of the log nobody needs any more; [`lease`] who writes it; [`choice`] which of several is read;
//! [`commands`] goes the other way; [`takeover`] says from where another machine goes on with the shards of one
//! that died. A machine that begins from nothing asks another one for its state
//! ([`copies`]).
//!
//! # What the log must do
//! Keep messages in one order, with a sequence number each; refuse a message that expects another last
//! sequence number than there is; answer by the last message of a lane. Nothing else is believed: an
//! acknowledgement may be late or lost, a tail may be gone again, a stream may have been made anew.
//!
//! # What is promised
//! A receiver passes on each position of a log once, in order, or tells its loss with the range.

pub mod choice;
pub mod commands;
pub mod copies;
pub mod floors;
pub mod lease;
pub mod names;
pub mod pack;
pub mod permits;
pub mod place;
pub mod receiver;
pub mod sender;
pub mod takeover;
