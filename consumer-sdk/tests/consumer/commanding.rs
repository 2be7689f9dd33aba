//! Commands to gateway processes, which are made by hand here.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use mixcord::commands::{Commands, Error, PresenceUpdate, RequestMembers, VoiceState};
use mixcord::event::command::{PACKET_MAX, Refusal, Reply, Request, Target};
use mixcord::event::topology;
use nix::sys::socket::{
    AddressFamily, Backlog, Shutdown, SockFlag, SockType, UnixAddr, bind, listen, shutdown, socket,
};

use crate::rig::Rig;

/// Answers each packet as `script` says, with the number of the packet; `None` hangs up.
struct Gateway {
    listener: Arc<UnixListener>,
    thread: Option<JoinHandle<()>>,
    requests: Arc<Mutex<Vec<Request>>>,
}

type Script = Box<dyn Fn(usize) -> Option<Vec<u8>> + Send>;

impl Gateway {
    fn start(rig: &Rig, first: u16, shards: u16, script: Script) -> Self {
        let path = topology::command_socket(&rig.instance, first, shards);
        let listener =
            socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)
                .expect("a socket");
        bind(listener.as_raw_fd(), &UnixAddr::new(path.as_str()).expect("an address"))
            .expect("bound");
        listen(&listener, Backlog::new(8).expect("small")).expect("listens");
        let listener = Arc::new(UnixListener::from(listener));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let thread = std::thread::spawn({
            let (listener, requests) = (listener.clone(), requests.clone());
            move || serve(&listener, &requests, &*script)
        });
        Self { listener, thread: Some(thread), requests }
    }

    fn accepting(rig: &Rig, first: u16, shards: u16) -> Self {
        Self::start(rig, first, shards, Box::new(|_| Reply::Accepted.encode()))
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("whole").clone()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // The name stays, as of a process that was killed; the rig removes it.
        let _ = shutdown(self.listener.as_raw_fd(), Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(
    listener: &UnixListener,
    requests: &Mutex<Vec<Request>>,
    script: &dyn Fn(usize) -> Option<Vec<u8>>,
) {
    let count = AtomicUsize::new(0);
    while let Ok((mut stream, _)) = listener.accept() {
        let mut packet = vec![0; PACKET_MAX];
        while let Ok(length @ 1..) = stream.read(&mut packet) {
            let request = Request::decode(&packet[..length]).expect("a request");
            requests.lock().expect("whole").push(request);
            let Some(answer) = script(count.fetch_add(1, Ordering::Relaxed)) else { break };
            if answer.is_empty() {
                // Says nothing, and keeps the line.
                let _ = stream.read(&mut packet);
                break;
            }
            stream.write_all(&answer).expect("sent");
        }
    }
}

fn members(guild: u64) -> RequestMembers {
    RequestMembers { guild_id: guild << 22, query: Some(String::new()), ..Default::default() }
}

fn presence() -> PresenceUpdate {
    PresenceUpdate { since: None, activities: vec![], status: "idle".into(), afk: false }
}

fn refused(refusal: Refusal) -> Option<Vec<u8>> {
    Reply::Refused(refusal).encode()
}

#[tokio::test]
async fn g39_a_command_goes_to_the_process_of_its_shard_blocking_or_not() {
    let rig = Rig::without_ring();
    let low = Gateway::accepting(&rig, 0, 4);
    let high = Gateway::accepting(&rig, 2, 4);
    let commands = Commands::open(&rig.instance).expect("a name");
    commands.send(members(1)).await.expect("accepted");
    let voice =
        VoiceState { guild_id: 3 << 22, channel_id: None, self_mute: true, self_deaf: false };
    commands.send(voice.clone()).await.expect("accepted");
    let blocking = commands.clone();
    std::thread::spawn(move || blocking.send_blocking(members(2)).expect("accepted"))
        .join()
        .expect("no panic");
    commands.send(presence()).await.expect("accepted by both");
    commands.send_to(3, presence()).await.expect("accepted by one");

    let request = |target, command| Request { target, command };
    assert_eq!(
        low.requests(),
        [request(Target::Guild, members(1).into()), request(Target::All, presence().into())]
    );
    assert_eq!(
        high.requests(),
        [
            request(Target::Guild, voice.into()),
            request(Target::Guild, members(2).into()),
            request(Target::All, presence().into()),
            request(Target::Shard(3), presence().into()),
        ]
    );
}

#[tokio::test]
async fn nobody_there_is_said_and_a_dead_process_is_nobody() {
    let rig = Rig::without_ring();
    let commands = Commands::open(&rig.instance).expect("a name");
    let nobody = |result: Result<(), Error>, whom| match result {
        Err(Error::NoGateway { shard, .. }) => assert_eq!(shard, whom),
        other => panic!("{other:?}"),
    };
    nobody(commands.send(members(1)).await, None);
    nobody(commands.send_blocking(presence()), None);
    drop(Gateway::accepting(&rig, 0, 2));
    nobody(commands.send(members(1)).await, Some(1));
    nobody(commands.send_blocking(presence()), None);
    assert!(matches!(Commands::open("Not a name"), Err(mixcord::Error::Instance { .. })));
}

#[tokio::test]
async fn every_refusal_is_an_error_of_its_own() {
    let rig = Rig::without_ring();
    let replies = [
        refused(Refusal::Invalid("because".into())),
        refused(Refusal::NotConnected { shard: 0 }),
        refused(Refusal::RateLimited { retry_after_ms: 1_500 }),
        refused(Refusal::Malformed),
        refused(Refusal::WrongShard { shard: 0 }),
        Some(b"what is that".to_vec()),
        Some(vec![0xff; 3 * PACKET_MAX]),
        refused(Refusal::Other { why: "not on Sundays".into(), retry_after_ms: Some(5) }),
        None,
    ];
    let _gateway = Gateway::start(&rig, 0, 1, Box::new(move |n| replies[n % 9].clone()));
    let commands = Commands::open(&rig.instance).expect("a name");
    for round in 0..2 {
        let ask = async || match round {
            0 => commands.send(members(1)).await,
            _ => commands.send_blocking(members(1)),
        };
        assert!(matches!(ask().await, Err(Error::Invalid(why)) if why == "because"));
        assert!(matches!(ask().await, Err(Error::NotConnected { shard: 0 })));
        let limited = ask().await.expect_err("limited");
        assert_eq!(limited.retry_after(), Some(Duration::from_millis(1_500)));
        let old = ask().await.expect_err("nobody knows such a command");
        assert!(matches!(old, Error::OldGateway { .. }) && old.is_configuration(), "{old}");
        assert!(old.to_string().contains("update it to"), "{old}");
        assert!(matches!(ask().await, Err(Error::NoGateway { shard: Some(0), .. })));
        assert!(matches!(ask().await, Err(Error::Version)));
        assert!(matches!(ask().await, Err(Error::Version)));
        let other = ask().await.expect_err("refused");
        assert_eq!(other.to_string(), "not on Sundays");
        assert_eq!(other.retry_after(), Some(Duration::from_millis(5)));
        let ended = ask().await.expect_err("it hung up");
        assert!(matches!(ended, Error::Ended), "{ended}");
        assert_eq!(ended.retry_after(), None, "it may have been sent");
    }
}

#[tokio::test]
async fn a_process_that_says_nothing_is_not_waited_for_for_ever() {
    let rig = Rig::without_ring();
    let _gateway = Gateway::start(&rig, 0, 1, Box::new(|_| Some(Vec::new())));
    let commands =
        Commands::open(&rig.instance).expect("a name").timeout(Duration::from_millis(50));
    for result in [commands.send(members(1)).await, commands.send_blocking(members(1))] {
        assert!(matches!(result, Err(Error::Timeout { .. })), "{result:?}");
    }
}

#[tokio::test]
async fn patience_waits_for_room_and_for_a_gateway() {
    let rig = Rig::without_ring();
    let commands = Commands::open(&rig.instance).expect("a name").patience(Duration::from_secs(30));
    let waiting = tokio::spawn({
        let commands = commands.clone();
        async move { commands.send(members(1)).await }
    });
    // Whenever it starts, it is found.
    let gateway = Gateway::start(
        &rig,
        0,
        1,
        Box::new(|n| match n % 3 {
            0 => refused(Refusal::RateLimited { retry_after_ms: 5 }),
            1 => refused(Refusal::NotConnected { shard: 0 }),
            _ => Reply::Accepted.encode(),
        }),
    );
    waiting.await.expect("no panic").expect("accepted in the end");
    assert_eq!(gateway.requests().len(), 3);
    commands.send_blocking(members(1)).expect("accepted in the end");
    assert_eq!(gateway.requests().len(), 6);
    // A limit that outlasts the patience is said at once.
    let impatient = commands.patience(Duration::from_millis(1));
    assert!(matches!(impatient.send(members(1)).await, Err(Error::RateLimited { .. })));
}

/// P9: a socket of another user in the folder is neither talked to nor in the way.
#[tokio::test]
async fn a_strangers_socket_stops_nobody() {
    let rig = Rig::without_ring();
    let ours = Gateway::accepting(&rig, 0, 4);
    // Says nothing, and is newer.
    let theirs = Gateway::start(&rig, 2, 4, Box::new(|_| Some(Vec::new())));
    let path = topology::command_socket(&rig.instance, 2, 4);
    if std::os::unix::fs::chown(&path, Some(65_534), None).is_err() {
        return; // Only root can give a file away.
    }
    let commands = Commands::open(&rig.instance).expect("a name");
    commands.send(presence()).await.expect("accepted by ours");
    let blocking = commands.clone();
    let voice =
        VoiceState { guild_id: 3 << 22, channel_id: None, self_mute: true, self_deaf: false };
    std::thread::spawn(move || blocking.send_blocking(voice).expect("accepted by ours"))
        .join()
        .expect("no panic");
    assert_eq!((ours.requests().len(), theirs.requests().len()), (2, 0));
    drop(ours);
    let error = commands.send(presence()).await.expect_err("nobody of ours");
    assert!(matches!(error, Error::Stranger { uid: 65_534, .. }), "{error}");
}

#[tokio::test]
async fn one_process_that_says_nothing_does_not_hide_what_another_sent() {
    let rig = Rig::without_ring();
    let silent = Gateway::start(&rig, 0, 4, Box::new(|_| Some(Vec::new())));
    let well = Gateway::accepting(&rig, 2, 4);
    let commands = Commands::open(&rig.instance).expect("a name");
    let commands = commands.timeout(Duration::from_secs(2)).patience(Duration::from_secs(30));
    for result in [commands.send(presence()).await, commands.send_blocking(presence())] {
        let Err(Error::Partly { sent: 1, failed }) = result else { panic!("{result:?}") };
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].shard, 0);
        assert!(matches!(failed[0].error, Error::Timeout { .. }));
    }
    // The patience is not for what may have been sent.
    assert_eq!((silent.requests().len(), well.requests().len()), (2, 2));
}
