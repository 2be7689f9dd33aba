//! What a bridge says of itself, for people: a small file in its folder, written anew now and then, as a
//! [proxy](crate::proxy) does. Its process lives as long as the file is locked.

use serde::{Deserialize, Serialize};

use crate::board;

/// No file is longer.
pub const BOARD_BYTES_MAX: usize = 9 << 10;
/// No figures are longer: of streams with long names fewer are told.
const FIGURES_MAX: usize = 8 << 10;
/// Bytes of memory that they take, read.
const MEMORY_MAX: usize = 32 << 10;
/// Streams that are told: those of 1,024 shards.
pub const STREAMS_MAX: usize = 64;
/// Gateways that are told.
pub const GATEWAYS_MAX: usize = 8;
/// Bytes of a text.
const TEXT_MAX: usize = 100;
/// Bytes of what a gateway waits for.
const WHY_MAX: usize = 200;

/// What a bridge is and counted since it started. A new field goes to the end; 0 (or nothing) says that nothing is
/// known.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct BridgeFigures {
    /// The process, in its own pid namespace.
    pub pid: u32,
    /// When it started, in microseconds since the Unix epoch.
    pub started_us: u64,
    /// `send` or `receive`.
    pub end: String,
    /// The name under which machines of one bot meet.
    pub bot: String,
    /// Whether there is a connection to the broker.
    pub connected: bool,
    /// Shards that it carries.
    pub shards: u32,
    /// What the broker does not have yet (records), or this machine does not have of it (messages).
    pub behind: u64,
    /// For how long the oldest of that has waited, in milliseconds.
    pub behind_ms: u64,
    /// Messages under way, and how many may be in each stream.
    pub under_way: u32,
    /// See there.
    pub window: u32,
    /// How often what was under way was sent again, or reading began again.
    pub again: u64,
    /// The streams that it sends, or finds, the first [`STREAMS_MAX`] of them.
    pub streams: Vec<StreamFigures>,
    /// The lease of each of these, in their order.
    pub leases: Vec<LeaseFigures>,
    /// The gateways of this machine with `--take-over`, as they ask this process: the first [`GATEWAYS_MAX`] of them.
    pub gateways: Vec<GatewayFigures>,
}

/// Who may write a stream.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct LeaseFigures {
    /// `held`, `ended` (its holder stopped in order) or `lapsed` (its holder did not renew it in time); empty while that is
    /// not known.
    pub state: String,
    /// The process that says so has it, or had it last.
    pub own: bool,
    /// The highest generation in which its holder sends a shard; 0 where it sends none yet.
    pub generation: u64,
    /// For how long this process has not seen it renewed, in milliseconds.
    pub still_ms: u64,
}

/// A gateway that another machine may take the shards of, or that waits to take them over.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct GatewayFigures {
    /// Its first shard.
    pub first: u16,
    /// Its last one, included.
    pub last: u16,
    /// Of how many.
    pub count: u16,
    /// `standby` (it waits until the machine that runs the shards died), `holder` (it runs them, and may begin sessions),
    /// `waits` (it begins and resumes none for now) or `over` (another machine runs them since).
    pub state: String,
    /// What it waits for.
    pub why: String,
}

/// A stream at the broker.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct StreamFigures {
    /// Its name.
    pub name: String,
    /// Where the process runs that has its lease; empty while that is not known.
    pub writer: String,
    /// Bytes in it.
    pub bytes: u64,
    /// Bytes that it may have.
    pub bytes_max: u64,
}

impl BridgeFigures {
    /// The file, as this program writes it.
    pub fn encode(&self, writer: &str) -> Vec<u8> {
        let mut told = self.clone();
        told.streams.truncate(STREAMS_MAX);
        told.gateways.truncate(GATEWAYS_MAX);
        for gateway in &mut told.gateways {
            board::make_plain(&mut gateway.why, WHY_MAX);
        }
        let content = loop {
            told.leases.truncate(told.streams.len());
            let content = board::content(&told);
            if content.len() <= FIGURES_MAX || told.streams.pop().is_none() {
                break content;
            }
        };
        board::encode(writer, &content)
    }

    /// Reads it, and which program wrote it; `None` of anything else, and of what is half written.
    pub fn decode(bytes: &[u8]) -> Option<(Self, Option<&str>)> {
        let (mut read, writer) = board::decode::<Self, MEMORY_MAX>(bytes)?;
        read.streams.truncate(STREAMS_MAX);
        read.leases.truncate(STREAMS_MAX);
        read.gateways.truncate(GATEWAYS_MAX);
        // All of it is printed.
        let texts = read.streams.iter_mut().flat_map(|it| [&mut it.name, &mut it.writer]);
        let states = read.leases.iter_mut().map(|it| &mut it.state);
        let states = states.chain(read.gateways.iter_mut().map(|it| &mut it.state));
        for text in texts.chain(states).chain([&mut read.end, &mut read.bot]) {
            board::make_plain(text, TEXT_MAX);
        }
        for gateway in &mut read.gateways {
            board::make_plain(&mut gateway.why, WHY_MAX);
        }
        Some((read, writer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(text: &str, streams: usize) -> BridgeFigures {
        let stream = StreamFigures {
            name: text.to_owned(),
            writer: text.to_owned(),
            bytes: u64::MAX,
            bytes_max: 1 << 30,
        };
        let lease = LeaseFigures {
            state: "lapsed".to_owned(),
            own: true,
            generation: u64::MAX,
            still_ms: u64::MAX,
        };
        let gateway = GatewayFigures {
            first: 0,
            last: 1,
            count: 2,
            state: text.to_owned(),
            why: text.to_owned(),
        };
        BridgeFigures {
            pid: 7,
            started_us: 8,
            end: "send".into(),
            bot: "prod".into(),
            connected: true,
            shards: 3,
            behind: 1 << 40,
            behind_ms: 9,
            under_way: 4,
            window: 32,
            again: 1,
            streams: vec![stream; streams],
            leases: vec![lease; streams],
            gateways: vec![gateway],
        }
    }

    #[test]
    fn what_is_whole_is_read_and_nothing_else() {
        let figures = figures("MIXCORD_prod_LOG_main_0-16", 3);
        let bytes = figures.encode("mixcord-bridge 0.1.0");
        assert_eq!(BridgeFigures::decode(&bytes), Some((figures, Some("mixcord-bridge 0.1.0"))));
        assert!((0..bytes.len()).all(|end| BridgeFigures::decode(&bytes[..end]).is_none()));
        for at in 0..bytes.len() {
            let mut torn = bytes.clone();
            torn[at] ^= 0x40;
            assert_eq!(BridgeFigures::decode(&torn), None, "byte {at}");
        }
        // Of a thousand shards.
        let text = "x".repeat(TEXT_MAX);
        let many = self::figures(&text, STREAMS_MAX).encode("x");
        assert!(many.len() <= BOARD_BYTES_MAX);
        let told = BridgeFigures::decode(&many).map(|(read, _)| read.streams.len());
        assert!(told.is_some_and(|told| told >= STREAMS_MAX / 2), "{told:?}");
        let (read, _) = BridgeFigures::decode(&many).expect("whole");
        assert_eq!(read.leases.len(), read.streams.len(), "each has its own");
    }

    /// P11: what a bridge of the release before says has neither.
    #[test]
    fn what_was_not_said_yet_is_not_known() {
        let figures = figures("x", 2);
        let before = BridgeFigures { leases: vec![], gateways: vec![], ..figures };
        let mut content = board::content(&before);
        content.truncate(content.len() - 2);
        let bytes = board::encode("mixcord-bridge 0.1.0", &content);
        assert_eq!(BridgeFigures::decode(&bytes).map(|(read, _)| read), Some(before));
    }

    #[test]
    fn p8_nobodys_text_is_printed_as_it_is() {
        let bytes = figures(&"\u{1b}[2J".repeat(100), 1).encode("x");
        let (read, _) = BridgeFigures::decode(&bytes).expect("whole");
        let gateway = &read.gateways[0];
        let texts = [&read.streams[0].name, &read.streams[0].writer, &gateway.state];
        assert!(texts.iter().all(|text| text.len() == TEXT_MAX && !text.contains('\u{1b}')));
        assert!(gateway.why.len() == WHY_MAX && !gateway.why.contains('\u{1b}'));
    }
}
