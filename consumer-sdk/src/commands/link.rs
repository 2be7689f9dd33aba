//! One question to one gateway process, over its `SOCK_SEQPACKET` socket.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use mixcord_event::command::{PACKET_MAX, Reply};
use nix::errno::Errno;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Error;

/// How soon to knock again at a process with a full queue.
const KNOCK_AGAIN: Duration = Duration::from_millis(5);

/// A connection to a gateway process.
pub(super) struct Link;

/// What came of a knock.
enum Knock {
    Open(OwnedFd),
    /// Nobody is there.
    Gone,
    /// Its queue is full.
    Busy,
}

impl Link {
    /// Sends `packet` and gives the reply; `None` when nobody listens at `path`. Nothing was sent to a
    /// [`Error::Stranger`].
    pub(super) async fn ask(
        path: &Path,
        packet: &[u8],
        timeout: Duration,
    ) -> Result<Option<Reply>, Error> {
        let talk = async {
            let socket = loop {
                match knock(path)? {
                    Knock::Open(socket) => break socket,
                    Knock::Gone => return Ok(None),
                    Knock::Busy => tokio::time::sleep(KNOCK_AGAIN).await,
                }
            };
            // The types of the standard library and of tokio only read and write: they serve
            // packets as well as streams.
            let failed = |error| failed(path, timeout, error);
            let mut stream =
                tokio::net::UnixStream::from_std(UnixStream::from(socket)).map_err(failed)?;
            stream.write_all(packet).await.map_err(failed)?;
            let mut reply = vec![0; PACKET_MAX];
            let length = stream.read(&mut reply).await.map_err(failed)?;
            read_reply(&reply[..length]).map(Some)
        };
        let late = || Err(Error::Timeout { waited: timeout });
        tokio::time::timeout(timeout, talk).await.unwrap_or_else(|_| late())
    }

    /// [`Self::ask`] for a thread.
    pub(super) fn ask_blocking(
        path: &Path,
        packet: &[u8],
        timeout: Duration,
    ) -> Result<Option<Reply>, Error> {
        let end = Instant::now() + timeout;
        let late = || Error::Timeout { waited: timeout };
        let socket = loop {
            match knock(path)? {
                Knock::Open(socket) => break socket,
                Knock::Gone => return Ok(None),
                Knock::Busy if Instant::now() >= end => return Err(late()),
                Knock::Busy => std::thread::sleep(KNOCK_AGAIN),
            }
        };
        let failed = |error| failed(path, timeout, error);
        let mut stream = UnixStream::from(socket);
        stream.set_nonblocking(false).map_err(failed)?;
        let left = || end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        stream.set_write_timeout(Some(left())).map_err(failed)?;
        stream.write_all(packet).map_err(failed)?;
        let mut reply = vec![0; PACKET_MAX];
        loop {
            stream.set_read_timeout(Some(left())).map_err(failed)?;
            match stream.read(&mut reply) {
                // A read with a limit is never begun again by the system, not even after SIGCONT.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                length => return read_reply(&reply[..length.map_err(failed)?]).map(Some),
            }
        }
    }
}

fn knock(path: &Path) -> Result<Knock, Error> {
    let failed = |errno: Errno| Error::Io {
        doing: format!("connecting to {}", path.display()),
        source: errno.into(),
    };
    let stranger = |uid| Error::Stranger { path: path.display().to_string(), uid };
    let ours = nix::unistd::geteuid().as_raw();
    // Before anything waits for it: a stranger's need not answer.
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.uid() != ours => return Err(stranger(found.uid())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Knock::Gone),
        _ => {}
    }
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).map_err(failed)?;
    let address = UnixAddr::new(path).map_err(failed)?;
    match connect(socket.as_raw_fd(), &address) {
        Ok(()) => {}
        Err(Errno::ECONNREFUSED | Errno::ENOENT) => return Ok(Knock::Gone),
        Err(Errno::EAGAIN) => return Ok(Knock::Busy),
        Err(errno) => return Err(failed(errno)),
    }
    // P9: a command is for a process of this user only.
    let uid = getsockopt(&socket, PeerCredentials).map_err(failed)?.uid();
    if uid != ours {
        return Err(stranger(uid));
    }
    Ok(Knock::Open(socket))
}

fn read_reply(packet: &[u8]) -> Result<Reply, Error> {
    if packet.is_empty() {
        return Err(Error::Ended);
    }
    Reply::decode(packet).ok_or(Error::Version)
}

fn failed(path: &Path, timeout: Duration, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::Timeout { waited: timeout },
        io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted => Error::Ended,
        _ => Error::Io { doing: format!("talking over {}", path.display()), source: error },
    }
}
