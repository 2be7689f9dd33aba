//! The server's side of Discord's gateway wire, for whoever speaks to clients of it: the proxy, and the
//! server that tests run against. It knows nothing of either, nor of the events that travel.
//!
//! * [`compress`]: `zlib-stream`, `zstd-stream` and `compress: true` (G-34 to G-37).
//! * [`term`]: Erlang's external term format, written piece by piece.
//! * [`read_term`]: what a client sends as ETF, bounded whatever the bytes are.
//! * [`Close`]: why a server closes a connection, and what becomes of the session.

mod close;
pub mod compress;
mod read;
pub mod term;

pub use close::Close;
pub use read::{TermError, read_term};
