//! The command socket: `SOCK_SEQPACKET`, 0600, one request and one reply a packet.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mixcord_event::command::{PACKET_MAX, Refusal, Reply, Request};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket,
};
use nix::sys::stat::{Mode, fchmod};
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::desk::Desk;

/// Consumers connected at once; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 256;

/// A consumer that asks nothing, or takes no answer, for this long gives its place to others.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// A listening command socket; removed when dropped.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
}

impl Server {
    /// Listens at `path`. What stands there is of a process that died: whoever calls this holds the
    /// lock of the shards the name stands for.
    ///
    /// It lies in /dev/shm, beside the rings, though everybody may make files there: a consumer then finds it by the
    /// instance's name alone, in whatever container, session or unit it runs, and who shares the rings shares it. A
    /// runtime folder (`XDG_RUNTIME_DIR`) is another for each of these, and goes with the last login. All that another
    /// user can do is to take the name first: the start is refused then, and told whose it is. Nothing is said to him
    /// (P9): whoever connects looks at the owner before and at the peer after.
    ///
    /// # Errors
    /// What the system says.
    pub fn bind(path: PathBuf) -> io::Result<Self> {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // The types of the standard library and of tokio only accept, read and write: they serve
        // packets as well as streams.
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let listener = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
        // Before the name exists, so that it never exists with another mode.
        fchmod(&listener, Mode::S_IRUSR | Mode::S_IWUSR)?;
        bind(listener.as_raw_fd(), &UnixAddr::new(&path)?)?;
        listen(&listener, Backlog::new(64)?)?;
        Ok(Self { listener: UnixListener::from_std(listener.into())?, path })
    }

    /// Serves for ever.
    pub async fn serve(self, desk: Arc<Desk>) {
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            // The semaphore is never closed.
            let Ok(place) = room.clone().acquire_owned().await else { return };
            match self.accept().await {
                Ok(connection) => {
                    let desk = desk.clone();
                    connections.spawn(async move {
                        let _place = place;
                        if let Err(error) = talk(connection, &desk, IDLE_MAX).await {
                            tracing::debug!(%error, "a command connection ended");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the command socket cannot accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
    }

    async fn accept(&self) -> io::Result<UnixStream> {
        loop {
            let (connection, _) = self.listener.accept().await?;
            let uid = connection.peer_cred()?.uid();
            if uid == nix::unistd::geteuid().as_raw() {
                return Ok(connection);
            }
            tracing::warn!(uid, "a stranger was turned away from the command socket");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Answers one consumer until it goes, or asks nothing or takes no answer for as long as `idle`.
async fn talk(mut connection: UnixStream, desk: &Desk, idle: Duration) -> io::Result<()> {
    // One byte more than allowed, to see what is too long.
    let mut packet = vec![0; PACKET_MAX + 1];
    loop {
        let read = tokio::time::timeout(idle, receive(&connection, &mut packet)).await;
        let length = read.unwrap_or(Ok(0))?;
        if length == 0 {
            return Ok(());
        }
        let reply = match Request::decode(&packet[..length]) {
            Some(request) => desk.handle(request).await,
            None => Reply::Refused(Refusal::Malformed),
        };
        let Some(bytes) = reply.encode() else { return Ok(()) };
        let written = tokio::time::timeout(idle, connection.write_all(&bytes)).await;
        written.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    }
}

/// The next packet. Not by `AsyncRead`: that takes a read which does not fill the buffer for the end of what is
/// there, as it is of a stream, and would leave a packet that came with another one until a third comes.
async fn receive(connection: &UnixStream, packet: &mut [u8]) -> io::Result<usize> {
    loop {
        connection.readable().await?;
        match connection.try_read(packet) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read,
        }
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::socket::socketpair;
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::config::ShardSet;

    /// A connection: the server's end, and a consumer's.
    fn pair() -> (UnixStream, UnixStream) {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).expect("a pair");
        let stream =
            |fd| UnixStream::from_std(std::os::unix::net::UnixStream::from(fd)).expect("a stream");
        (stream(ours), stream(theirs))
    }

    #[tokio::test]
    async fn a_consumer_that_asks_nothing_keeps_no_place() {
        let (ours, mut theirs) = pair();
        let desk = Desk::new(ShardSet { first: 0, last: 0, count: 1 });
        talk(ours, &desk, Duration::from_millis(20)).await.expect("ends well");
        assert_eq!(theirs.read(&mut [0]).await.expect("closed"), 0);
    }

    #[tokio::test]
    async fn a_consumer_that_takes_no_answer_keeps_no_place() {
        let (ours, mut theirs) = pair();
        // Room for an answer or two.
        nix::sys::socket::setsockopt(&ours, nix::sys::socket::sockopt::SndBuf, &1)
            .expect("a small buffer");
        let asking = tokio::spawn(async move {
            // No request of ours: each is answered with a refusal, which nobody reads.
            while theirs.write_all(b"?").await.is_ok() {}
        });
        let desk = Desk::new(ShardSet { first: 0, last: 0, count: 1 });
        let ended = talk(ours, &desk, Duration::from_millis(200)).await;
        assert_eq!(ended.expect_err("given up").kind(), io::ErrorKind::TimedOut);
        asking.await.expect("hears that it is over");
    }

    #[tokio::test]
    async fn requests_that_come_together_are_all_answered() {
        let (ours, mut theirs) = pair();
        for _ in 0..3 {
            theirs.write_all(b"?").await.expect("there is room");
        }
        let answering = tokio::spawn(async move {
            let desk = Desk::new(ShardSet { first: 0, last: 0, count: 1 });
            talk(ours, &desk, Duration::MAX).await
        });
        for _ in 0..3 {
            let read = receive(&theirs, &mut [0; 64]).await.expect("an answer");
            assert_ne!(read, 0);
        }
        drop(theirs);
        answering.await.expect("no panic").expect("ends well");
    }

    /// P9: whoever gets past the file's mode is still not let in. Needs another user, so it runs as root
    /// alone; only this test's own thread becomes that user, and only to connect.
    #[tokio::test]
    async fn p9_another_user_is_turned_away() {
        use std::os::unix::fs::PermissionsExt;

        use rustix::process::Uid;
        use rustix::thread::set_thread_res_uid;

        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: only root can be somebody else");
            return;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let server = Server::bind(path.clone()).expect("listens");
        for (path, mode) in [(folder.path(), 0o755), (&path, 0o666)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
        }
        let connect = |uid: Option<u32>| {
            let path = path.clone();
            // The thread ends with this call, and its user with it.
            let connecting = std::thread::spawn(move || {
                let kind = SockType::SeqPacket;
                let client = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None)
                    .expect("a socket");
                if let Some(uid) = uid {
                    set_thread_res_uid(None, Uid::from_raw(uid), None).expect("root may");
                }
                let address = UnixAddr::new(&path).expect("an address");
                nix::sys::socket::connect(client.as_raw_fd(), &address).expect("connects");
                client
            });
            connecting.join().expect("connected")
        };
        let _stranger = connect(Some(65_534));
        let _own = connect(None);
        let accepted = server.accept().await.expect("somebody");
        let uid = accepted.peer_cred().expect("a user").uid();
        assert_eq!(uid, nix::unistd::geteuid().as_raw(), "the stranger came first");
    }
}
