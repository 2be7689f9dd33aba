//! Questions and answers between processes of one user: `SOCK_SEQPACKET`, 0600, one of each a packet.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket,
};
use nix::sys::stat::{Mode, fchmod};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Who is connected at once; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 256;
/// Who asks nothing, or takes no answer, for this long gives its place to others.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// How soon to knock again at a process with a full queue.
const KNOCK_AGAIN: Duration = Duration::from_millis(5);

/// A listening socket; removed when dropped.
#[derive(Debug)]
pub struct PacketServer {
    listener: UnixListener,
    path: PathBuf,
    /// The file, by device and number: another process may have put its own in its place.
    file: (u64, u64),
    packet_max: usize,
}

impl PacketServer {
    /// Listens at `path` for packets of so many bytes. What stands there is of a process that died: whoever calls this
    /// knows that nobody else may listen there.
    ///
    /// In /dev/shm, beside the rings, though everybody may make files there: who asks then finds it by the instance's
    /// name alone, in whatever container, session or unit it runs, and who shares the rings shares it. A runtime folder
    /// (`XDG_RUNTIME_DIR`) is another for each of these, and goes with the last login. All that another user can do is
    /// to take the name first: the start is refused then, and told whose it is. Nothing is said to him (P9): whoever
    /// connects looks at the owner before and at the peer after.
    ///
    /// # Errors
    /// What the system says.
    pub fn bind(path: PathBuf, packet_max: usize) -> io::Result<Self> {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // The types of the standard library and of tokio only accept, read and write: they serve packets as well as
        // streams.
        let listener = seqpacket()?;
        // Before the name exists, so that it never exists with another mode.
        fchmod(&listener, Mode::S_IRUSR | Mode::S_IWUSR)?;
        bind(listener.as_raw_fd(), &UnixAddr::new(&path)?)?;
        listen(&listener, Backlog::new(64)?)?;
        let made = std::fs::symlink_metadata(&path)?;
        let file = (made.dev(), made.ino());
        Ok(Self { listener: UnixListener::from_std(listener.into())?, path, file, packet_max })
    }

    /// Answers every packet with what `answer` makes of it, for ever; a connection whose packet it has no answer to
    /// ends. Of a packet that is too long it gets one byte more than there may be.
    pub async fn serve<A, F>(self, answer: A)
    where
        A: Fn(Vec<u8>) -> F + Send + Sync + 'static,
        F: Future<Output = Option<Vec<u8>>> + Send,
    {
        let answer = Arc::new(answer);
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            // The semaphore is never closed.
            let Ok(place) = room.clone().acquire_owned().await else { return };
            match self.accept().await {
                Ok(connection) => {
                    let (answer, packet_max) = (Arc::clone(&answer), self.packet_max);
                    connections.spawn(async move {
                        let _place = place;
                        if let Err(error) = talk(connection, packet_max, IDLE_MAX, &*answer).await {
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

impl Drop for PacketServer {
    fn drop(&mut self) {
        let found = std::fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == self.file) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Answers one connection until it goes, or asks nothing or takes no answer for as long as `idle`.
async fn talk<A, F>(
    mut connection: UnixStream,
    packet_max: usize,
    idle: Duration,
    answer: &A,
) -> io::Result<()>
where
    A: Fn(Vec<u8>) -> F,
    F: Future<Output = Option<Vec<u8>>>,
{
    // One byte more than allowed, to see what is too long.
    let mut packet = vec![0; packet_max + 1];
    loop {
        let read = tokio::time::timeout(idle, receive(&connection, &mut packet)).await;
        let length = read.unwrap_or(Ok(0))?;
        if length == 0 {
            return Ok(());
        }
        let Some(bytes) = answer(packet[..length].to_vec()).await else { return Ok(()) };
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

/// What came of a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asked {
    /// The answer.
    Answered(Vec<u8>),
    /// Nobody listens there, or another user does: nothing was asked.
    Nobody,
    /// It was asked, and no answer came: what became of it is not known.
    Unknown,
}

/// Asks the process of this user that listens at `path`; the answer has at most `answer_max` bytes: a longer one is
/// [`Unknown`](Asked::Unknown), since the rest of it is gone.
pub async fn ask(path: &Path, packet: &[u8], answer_max: usize, patience: Duration) -> Asked {
    let asked = AtomicBool::new(false);
    let talk = async {
        let socket = loop {
            match knock(path) {
                Knock::Open(socket) => break socket,
                Knock::Nobody => return None,
                Knock::Busy => tokio::time::sleep(KNOCK_AGAIN).await,
            }
        };
        let mut stream = UnixStream::from_std(socket.into()).ok()?;
        if stream.peer_cred().ok()?.uid() != nix::unistd::geteuid().as_raw() {
            return None;
        }
        asked.store(true, Ordering::Relaxed);
        stream.write_all(packet).await.ok()?;
        // One byte more than allowed, to see what is too long.
        let mut answer = vec![0; answer_max + 1];
        let length = stream.read(&mut answer).await.ok()?;
        answer.truncate(length);
        (1..=answer_max).contains(&length).then_some(answer)
    };
    match tokio::time::timeout(patience, talk).await {
        Ok(Some(answer)) => Asked::Answered(answer),
        _ if asked.load(Ordering::Relaxed) => Asked::Unknown,
        _ => Asked::Nobody,
    }
}

/// Whether a process of this user listens at `path`.
#[must_use]
pub fn listens(path: &Path) -> bool {
    !matches!(knock(path), Knock::Nobody)
}

/// What came of a knock.
enum Knock {
    Open(OwnedFd),
    Nobody,
    /// Its queue is full.
    Busy,
}

fn knock(path: &Path) -> Knock {
    // Before anything waits for it: a stranger's need not answer.
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.uid() == nix::unistd::geteuid().as_raw() => {}
        _ => return Knock::Nobody,
    }
    let (Ok(socket), Ok(address)) = (seqpacket(), UnixAddr::new(path)) else {
        return Knock::Nobody;
    };
    match connect(socket.as_raw_fd(), &address) {
        Ok(()) => Knock::Open(socket),
        Err(Errno::EAGAIN) => Knock::Busy,
        Err(_) => Knock::Nobody,
    }
}

fn seqpacket() -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)
}

#[cfg(test)]
mod tests {
    use nix::sys::socket::socketpair;

    use super::*;

    /// A connection: the server's end, and who asks.
    fn pair() -> (UnixStream, UnixStream) {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).expect("a pair");
        let stream =
            |fd| UnixStream::from_std(std::os::unix::net::UnixStream::from(fd)).expect("a stream");
        (stream(ours), stream(theirs))
    }

    async fn echo(packet: Vec<u8>) -> Option<Vec<u8>> {
        (packet != b"end").then_some(packet)
    }

    #[tokio::test]
    async fn who_asks_nothing_or_takes_no_answer_keeps_no_place() {
        let (ours, mut theirs) = pair();
        talk(ours, 16, Duration::from_millis(20), &echo).await.expect("ends well");
        assert_eq!(theirs.read(&mut [0]).await.expect("closed"), 0);
        let (ours, mut theirs) = pair();
        // Room for an answer or two.
        nix::sys::socket::setsockopt(&ours, nix::sys::socket::sockopt::SndBuf, &1)
            .expect("a small buffer");
        let asking = tokio::spawn(async move { while theirs.write_all(b"?").await.is_ok() {} });
        let ended = talk(ours, 16, Duration::from_millis(200), &echo).await;
        assert_eq!(ended.expect_err("given up").kind(), io::ErrorKind::TimedOut);
        asking.await.expect("hears that it is over");
    }

    #[tokio::test]
    async fn each_question_has_its_answer_or_none_is_known() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let patience = Duration::from_secs(10);
        assert_eq!(ask(&path, b"a", 16, patience).await, Asked::Nobody);
        let server = PacketServer::bind(path.clone(), 16).expect("listens");
        assert!(listens(&path));
        let serving = tokio::spawn(server.serve(echo));
        assert_eq!(ask(&path, b"a", 16, patience).await, Asked::Answered(b"a".to_vec()));
        assert_eq!(ask(&path, b"abc", 3, patience).await, Asked::Answered(b"abc".to_vec()));
        assert_eq!(ask(&path, b"abc", 2, patience).await, Asked::Unknown, "cut is no answer");
        assert_eq!(ask(&path, b"end", 16, patience).await, Asked::Unknown);
        serving.abort();
        assert!(serving.await.expect_err("ended").is_cancelled());
        assert_eq!(ask(&path, b"a", 16, patience).await, Asked::Nobody);
        assert!(!listens(&path) && !path.exists());
    }

    #[tokio::test]
    async fn who_goes_does_not_take_the_socket_of_its_successor_along() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let first = PacketServer::bind(path.clone(), 16).expect("listens");
        let second = PacketServer::bind(path.clone(), 16).expect("takes its place");
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn requests_that_come_together_are_all_answered() {
        let (ours, mut theirs) = pair();
        for _ in 0..3 {
            theirs.write_all(b"?").await.expect("there is room");
        }
        let answering = tokio::spawn(async move { talk(ours, 16, Duration::MAX, &echo).await });
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
        let server = PacketServer::bind(path.clone(), 16).expect("listens");
        for (path, mode) in [(folder.path(), 0o755), (&path, 0o666)] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
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
