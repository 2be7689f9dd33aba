//! One client: its websocket from HELLO to its end, and the session on it.

mod answering;
mod identify;
mod limits;
mod outbound;
mod packing;
mod pump;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::SplitStream;
use mixcord_wire::Close;
use mixcord_wire::compress::Transport;
use tokio::sync::{Notify, mpsc};
use tokio_tungstenite::tungstenite::{Message, error::CapacityError, error::Error as Broken};

use self::identify::{Identify, Resume};
use self::limits::Limit;
use self::outbound::Outbound;
pub(crate) use self::outbound::Socket;
use self::packing::Packing;
use crate::encode::{Control, Encoding};
use crate::members::Answers;
use crate::moved::Moved;
use crate::requests::Request;
use crate::seats::Seat;
use crate::session::Session;
use crate::site::Site;

/// What Discord tells clients, too.
const HEARTBEAT_MS: u64 = 41_250;
/// A client without a heartbeat for so long is gone.
const SILENCE: Duration = Duration::from_millis(HEARTBEAT_MS * 3 / 2);
/// Messages of a client that wait to be handled; its socket is not read meanwhile.
const INBOUND: usize = 16;
/// How long the client's answer to a close frame is waited for.
const CLOSE_WAIT: Duration = Duration::from_secs(2);
/// How often it is looked whether a client can begin that identified too early, or be given its next guild.
const LOOK: Duration = Duration::from_millis(100);

/// What the address of the websocket asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// 9 or 10; `None` of a version that nobody speaks.
    pub(crate) version: Option<u8>,
    pub(crate) encoding: Encoding,
    pub(crate) transport: Transport,
}

/// How a connection ends.
#[derive(Debug)]
pub(super) enum End {
    /// The client closed, with this code.
    Client(Option<u16>),
    /// We do.
    Server(Close),
    /// It took nothing for too long.
    Stalled,
    /// The connection is gone.
    Lost,
    /// The session goes on on another connection.
    Taken,
    /// The proxy ends: the client goes on at the next.
    Stopping,
}

/// What came from a client.
enum Inbound {
    Message(Vec<u8>),
    Ended(End),
}

/// Where a client stands.
enum Phase {
    /// Nothing but heartbeats.
    Unknown,
    /// It identified, and there is nothing yet to begin with.
    Early(Identify),
    /// It resumes, and it is not known yet what.
    Returning(Resume),
    Live(Box<Live>),
}

/// A session on its connection.
struct Live {
    session: Session,
    _seat: Seat,
    answers: Answers,
    /// RESUMED is sent when everything up to here is.
    resumed_at: Option<u64>,
}

struct Client {
    site: Arc<Site>,
    out: Outbound,
    wish: Wish,
    phase: Phase,
    /// What it asked for before its session began.
    held: Vec<Request>,
    messages: Limit,
    presences: Limit,
    last_beat: Instant,
    /// It has had no session since then.
    idle_since: Instant,
    /// Its session goes on elsewhere.
    kick: Arc<Notify>,
    /// Where clients of the same kind find this proxy.
    url: String,
}

/// Serves a connection whose handshake is done.
pub(crate) async fn serve(
    site: Arc<Site>,
    (socket, taken): (Socket, Moved),
    wish: Wish,
    url: String,
) {
    let (sink, stream) = socket.split();
    let Ok(packing) = Packing::new(wish.encoding, wish.transport) else { return };
    let out = Outbound::new(sink, packing, (site.settings.stall, taken));
    let (sender, mut inbound) = mpsc::channel(INBOUND);
    let reader = tokio::spawn(read(stream, sender));
    let mut client = Client {
        site,
        out,
        wish,
        phase: Phase::Unknown,
        held: Vec::new(),
        messages: Limit::of_messages(),
        presences: Limit::of_presences(),
        last_beat: Instant::now(),
        idle_since: Instant::now(),
        kick: Arc::new(Notify::new()),
        url,
    };
    let (kick, mut stopping) = (Arc::clone(&client.kick), client.site.stopping.subscribe());
    // Whatever it waits for, a write that nobody takes among them.
    let end = tokio::select! {
        end = client.run(&mut inbound) => match end {
            Err(end) => end,
            Ok(never) => match never {},
        },
        () = kick.notified() => End::Taken,
        _ = stopping.changed() => End::Stopping,
    };
    client.finish(end, &mut inbound).await;
    reader.abort();
}

async fn read(mut stream: SplitStream<Socket>, sender: mpsc::Sender<Inbound>) {
    loop {
        let inbound = match stream.next().await {
            Some(Ok(Message::Text(text))) => Inbound::Message(text.as_bytes().to_vec()),
            Some(Ok(Message::Binary(bytes))) => Inbound::Message(bytes.to_vec()),
            Some(Ok(Message::Close(frame))) => {
                Inbound::Ended(End::Client(frame.map(|frame| frame.code.into())))
            }
            Some(Ok(_)) => continue,
            Some(Err(Broken::Capacity(CapacityError::MessageTooLong { .. }))) => {
                Inbound::Ended(End::Server(Close::DecodeError))
            }
            Some(Err(Broken::Utf8(_))) => Inbound::Ended(End::Server(Close::DecodeError)),
            Some(Err(Broken::Protocol(_))) => Inbound::Ended(End::Server(Close::Other(1002))),
            Some(Err(_)) | None => Inbound::Ended(End::Lost),
        };
        let over = matches!(inbound, Inbound::Ended(_));
        if sender.send(inbound).await.is_err() || over {
            return;
        }
    }
}

/// There is no end but an error.
enum Never {}

impl Client {
    async fn run(&mut self, inbound: &mut mpsc::Receiver<Inbound>) -> Result<Never, End> {
        if self.wish.version.is_none() {
            return Err(End::Server(Close::InvalidVersion));
        }
        self.out.control(10, Control::Hello { interval_ms: HEARTBEAT_MS }).await?;
        let mut news = self.site.feed.listen();
        loop {
            while let Ok(message) = inbound.try_recv() {
                self.on(message).await?;
            }
            let silent = self.silent_at();
            // Also while there is always more to send.
            if Instant::now() >= silent {
                return Err(End::Server(Close::SessionTimedOut));
            }
            // Who is told of more than it takes has to be able to say that it lives.
            if self.pump().await? {
                tokio::task::yield_now().await;
                continue;
            }
            self.out.flush().await?;
            let early = match &self.phase {
                Phase::Unknown => false,
                Phase::Early(_) | Phase::Returning(_) => true,
                // Its state cannot be read yet, or is ahead of the ring.
                Phase::Live(live) => live.session.next_guild().is_some(),
            };
            let silent = self.silent_at();
            tokio::select! {
                message = inbound.recv() => {
                    self.on(message.unwrap_or(Inbound::Ended(End::Lost))).await?;
                }
                _ = news.changed() => {}
                () = tokio::time::sleep(LOOK), if early => {}
                () = tokio::time::sleep_until(silent.into()) => {
                    return Err(End::Server(Close::SessionTimedOut));
                }
            }
        }
    }

    /// When the client is gone unless it says something: heartbeats keep a session, and nobody who has none.
    fn silent_at(&self) -> Instant {
        let since = match self.phase {
            Phase::Unknown => self.last_beat.min(self.idle_since),
            _ => self.last_beat,
        };
        since + SILENCE
    }

    /// Lets go of the session and closes.
    async fn finish(mut self, end: End, inbound: &mut mpsc::Receiver<Inbound>) {
        let over = match &end {
            // G-22.
            End::Client(code) => matches!(code, Some(1000 | 1001)),
            // It may have been us who were too slow for a heartbeat.
            End::Server(close) => close.ends_session() && *close != Close::SessionTimedOut,
            End::Stalled | End::Lost | End::Taken | End::Stopping => false,
        };
        if matches!(end, End::Stalled) {
            self.site.counts.stalled();
            tracing::warn!(
                stall_s = self.site.settings.stall.as_secs(),
                "a client took nothing for too long and was cut; it can resume"
            );
        }
        if let Phase::Live(live) = std::mem::replace(&mut self.phase, Phase::Unknown)
            && over
        {
            live.session.end();
        }
        let closed = match end {
            End::Server(close) => self.out.close(close).await,
            End::Taken => self.out.close(Close::Other(4000)).await,
            End::Stopping => match self.out.control(7, Control::Null).await {
                Ok(()) => self.out.close(Close::Other(4000)).await,
                failed => failed,
            },
            // The library below has answered.
            End::Client(_) => self.out.flush().await,
            End::Stalled | End::Lost => return,
        };
        if closed.is_ok() {
            let gone = async {
                while let Some(message) = inbound.recv().await {
                    if matches!(message, Inbound::Ended(_)) {
                        return;
                    }
                }
            };
            // A client that does not answer is left alone.
            let _ = tokio::time::timeout(CLOSE_WAIT, gone).await;
        }
    }
}
