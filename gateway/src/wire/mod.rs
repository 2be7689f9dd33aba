//! What goes over the wire, below the level of messages.

mod inflate;
mod url;

pub use inflate::{Compression, InflateError, Inflater};
pub use url::{API_VERSION, gateway_url};
