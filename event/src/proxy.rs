//! What a proxy says of itself: a board in its folder.

use serde::{Deserialize, Serialize};

use crate::board;

/// No file is longer.
pub const BOARD_BYTES_MAX: usize = 4096;
/// Bytes of memory that its figures take, read.
const MEMORY_MAX: usize = 8 << 10;
/// Bytes of an address.
const LISTEN_MAX: usize = 64;

/// What a proxy is and counted since it started. A new field goes to the end; 0 (or nothing) says that nothing is
/// known.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct ProxyFigures {
    /// The process, in its own pid namespace.
    pub pid: u32,
    /// When it started, in microseconds since the Unix epoch.
    pub started_us: u64,
    /// The address it listens on.
    pub listen: String,
    /// Clients that have a session and are connected.
    pub clients: u64,
    /// Events sent to clients, each counted for each.
    pub events: u64,
    /// Clients cut because they took nothing for too long.
    pub stalled: u64,
}

impl ProxyFigures {
    /// The file, as this program writes it.
    pub fn encode(&self, writer: &str) -> Vec<u8> {
        board::encode(writer, &board::content(self))
    }

    /// Reads it, and which program wrote it; `None` of anything else, and of what is half written.
    pub fn decode(bytes: &[u8]) -> Option<(Self, Option<&str>)> {
        let (mut read, writer) = board::decode::<Self, MEMORY_MAX>(bytes)?;
        // It is printed.
        board::make_plain(&mut read.listen, LISTEN_MAX);
        Some((read, writer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_whole_is_read_and_nothing_else() {
        let figures = ProxyFigures {
            pid: 7,
            started_us: 8,
            listen: "127.0.0.1:9465".to_owned(),
            clients: 3,
            events: 1 << 40,
            stalled: 1,
        };
        let bytes = figures.encode("mixcord-proxy 0.1.0");
        assert!(bytes.len() < BOARD_BYTES_MAX / 4);
        assert_eq!(ProxyFigures::decode(&bytes), Some((figures, Some("mixcord-proxy 0.1.0"))));
        assert!((0..bytes.len()).all(|end| ProxyFigures::decode(&bytes[..end]).is_none()));
        for at in 0..bytes.len() {
            let mut torn = bytes.clone();
            torn[at] ^= 0x40;
            assert_eq!(ProxyFigures::decode(&torn), None, "byte {at}");
        }
    }

    #[test]
    fn p8_nobodys_text_is_printed_as_it_is() {
        let listen = "\u{1b}[2J".repeat(100);
        let bytes = ProxyFigures { listen, ..ProxyFigures::default() }.encode("x");
        let (read, _) = ProxyFigures::decode(&bytes).expect("whole");
        assert_eq!(read.listen.len(), 64);
        assert!(read.listen.chars().all(|char| char.is_ascii_graphic()));
    }
}
