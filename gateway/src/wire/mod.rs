//! What goes over the wire, below the level of messages.

mod connect;
mod inflate;
mod tls;
mod url;

pub use connect::{ConnectError, Socket, connect};
pub use inflate::{Compression, InflateError, Inflater};
pub use tls::{CaError, Tls};
pub use url::{API_VERSION, gateway_url};
