//! Commands over the socket, as a consumer sends them.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use mixcord_event::command::{Command, Refusal, Reply, Request, Target};
use mixcord_event::send::{
    Activity, PresenceUpdate, RequestChannelInfo, RequestMembers, RequestSounds, VoiceState,
};
use mixcord_event::topology;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use crate::harness::{Fake, Instance, Reader, SIGTERM, until};

pub(crate) struct Client(UnixStream);

impl Client {
    pub(crate) fn connect(instance: &Instance, shards: u16) -> Self {
        let path = topology::command_socket(&instance.name, 0, shards);
        let mode = std::fs::metadata(&path).expect("a socket").mode() & 0o777;
        assert_eq!(mode, 0o600);
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)
            .expect("a socket");
        let address = UnixAddr::new(path.as_str()).expect("an address");
        connect(socket.as_raw_fd(), &address).expect("connects");
        let stream = UnixStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        Self(stream)
    }

    fn send(&mut self, packet: &[u8]) -> Reply {
        self.0.write_all(packet).expect("sent");
        let mut answer = [0; 4096];
        let length = self.0.read(&mut answer).expect("answered");
        Reply::decode(&answer[..length]).expect("a reply")
    }

    pub(crate) fn ask(&mut self, target: Target, command: Command) -> Reply {
        self.send(&Request { target, command }.encode().expect("small enough"))
    }
}

fn presence(text: &str) -> Command {
    presences(1, text)
}

fn presences(activities: usize, text: &str) -> Command {
    let activity = Activity { name: text.into(), kind: 4, state: Some(text.into()), url: None };
    Command::Presence(PresenceUpdate {
        since: None,
        activities: vec![activity; activities],
        status: "online".into(),
        afk: false,
    })
}

/// §15 lines 14 to 16: what is allowed is sent and answered, what is not never leaves.
fn commands(encoding: &str) {
    let fake = Fake::start(|config| {
        config.events = Some(50);
        config.shards = 2;
    });
    let instance = Instance::new();
    let mut gateway =
        instance.start(&fake.api_url(), &["--encoding", encoding, "--intents", "ALL"]);
    let mut reader = Reader::new(&instance);
    reader.until_all(&fake);
    let guild = reader
        .got
        .iter()
        .find(|got| got.kind == "GUILD_CREATE")
        .and_then(|got| got.data["id"].as_str()?.parse::<u64>().ok())
        .expect("a guild");
    let mut client = Client::connect(&instance, 2);

    // G-29: five presences in twenty seconds, for every shard.
    for _ in 0..5 {
        assert_eq!(client.ask(Target::All, presence("hello")), Reply::Accepted);
    }
    let limited = client.ask(Target::Shard(0), presence("hello"));
    let Reply::Refused(Refusal::RateLimited { retry_after_ms }) = limited else {
        panic!("{limited:?}")
    };
    assert!((1..=20_001).contains(&retry_after_ms));

    // G-31, G-32: members come as chunks.
    let members =
        RequestMembers { guild_id: guild, nonce: Some("n1".into()), ..Default::default() };
    assert_eq!(
        client.ask(Target::Guild, Command::RequestMembers(members.clone())),
        Reply::Accepted
    );
    reader.until("the chunk", |got| {
        got.iter().any(|got| got.kind == "GUILD_MEMBERS_CHUNK" && got.data["nonce"] == "n1")
    });
    assert_eq!(
        client.ask(Target::Guild, Command::RequestMembers(members.clone())),
        Reply::Accepted
    );
    reader.until("RATE_LIMITED", |got| got.iter().any(|got| got.kind == "RATE_LIMITED"));

    let sounds = Command::RequestSounds(RequestSounds { guild_ids: vec![guild] });
    assert_eq!(client.ask(Target::Guild, sounds), Reply::Accepted);
    reader.until("sounds", |got| got.iter().any(|got| got.kind == "SOUNDBOARD_SOUNDS"));
    let fields = vec!["status".to_owned()];
    let info = Command::RequestChannelInfo(RequestChannelInfo { guild_id: guild, fields });
    assert_eq!(client.ask(Target::Guild, info), Reply::Accepted);
    let leave =
        VoiceState { guild_id: guild, channel_id: None, self_mute: false, self_deaf: false };
    assert_eq!(client.ask(Target::Guild, Command::VoiceState(leave)), Reply::Accepted);

    // G-30, G-31: never sent.
    let invalid = |reply: &Reply| matches!(reply, Reply::Refused(Refusal::Invalid(_)));
    let too_long = client.ask(Target::Shard(1), presences(20, &"x".repeat(128)));
    assert!(invalid(&too_long), "{too_long:?}");
    let too_many = RequestMembers { user_ids: vec![1; 101], ..members.clone() };
    assert!(invalid(&client.ask(Target::Guild, Command::RequestMembers(too_many))));
    // A consumer's mistake is its own: nothing of it leaves, and no shard is closed (4002).
    let mistaken =
        PresenceUpdate { since: None, activities: vec![], status: "away".into(), afk: false };
    let mistaken = client.ask(Target::All, Command::Presence(mistaken));
    assert!(matches!(mistaken, Reply::Refused(Refusal::Invalid(_))), "{mistaken:?}");
    let nonce = RequestMembers { nonce: Some("n".repeat(33)), ..members };
    assert!(invalid(&client.ask(Target::Guild, Command::RequestMembers(nonce))));
    assert_eq!(
        client.ask(Target::Shard(9), presence("x")),
        Reply::Refused(Refusal::WrongShard { shard: 9 })
    );

    // P8: rubbish is answered, and the connection goes on.
    assert_eq!(client.send(b"rubbish"), Reply::Refused(Refusal::Malformed));
    assert_eq!(client.send(&[0xff; 17 << 10]), Reply::Refused(Refusal::Malformed));

    // G-28: however much is asked, the connection is never closed with 4008.
    let mut accepted = 0;
    loop {
        let info = RequestChannelInfo { guild_id: guild, fields: vec!["status".into()] };
        match client.ask(Target::Guild, Command::RequestChannelInfo(info)) {
            Reply::Accepted => accepted += 1,
            Reply::Refused(Refusal::RateLimited { .. }) => break,
            other => panic!("{other:?}"),
        }
        assert!(accepted <= 120);
    }
    assert!(accepted > 90, "{accepted}");
    assert_eq!(fake.logged("connect").len(), 2);

    gateway.signal(SIGTERM);
    assert_eq!(gateway.wait().code(), Some(0));
    until("the socket to go", || {
        !std::path::Path::new(&topology::command_socket(&instance.name, 0, 2)).exists()
    });
}

#[test]
fn g28_to_g32_commands_in_json() {
    commands("json");
}

#[test]
fn g28_to_g32_commands_in_etf() {
    commands("etf");
}
