//! What a client may ask for once it has a session: op 3, 4, 8, 31 and 43.

use serde_json::Value;

use super::close::Close;
use super::hub::Hub;
use super::session::Session;

impl Hub {
    /// Answers a request. What it brings is dispatched; an error closes the connection.
    pub(crate) fn request(&self, _session: &Session, _op: u64, _data: &Value) -> Result<(), Close> {
        Ok(())
    }
}
