//! What travels on the socket: websocket frames, JSON and ETF messages, compression.

pub(crate) mod compress;
pub(crate) mod etf;
pub(crate) mod etf_read;
pub(crate) mod message;
pub(crate) mod websocket;
