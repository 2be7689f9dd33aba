//! Two sessions of one shard side by side: the old one is read until the guilds have come on the new one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use mixcord_event::command::{Command, Reply, Target};
use mixcord_event::send::PresenceUpdate;
use mixcord_event::status::ShardStatus;
use mixcord_event::topology::{CACHE_GROUP, shard_ring};
use mixcord_ring::Ring;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Message;

use crate::commands::Client;
use crate::harness::{DEADLINE, Gateway, Got, Instance, Reader, until};
use crate::hostile::{Hostile, Peer};

const OLD: usize = 0;
const NEW: usize = 1;
/// So seldom that no acknowledgement is late on a busy machine.
const HEARTBEAT_MS: u64 = 40_000;

/// What a connection says next.
enum Say {
    /// Discord's next number is put to it.
    Event(&'static str, Value),
    /// As it is.
    Text(String),
}

/// A gateway with two connections that say what a test wants, each from its READY on.
struct Rig {
    _gateway: Gateway,
    reader: Reader,
    says: Vec<mpsc::UnboundedSender<Say>>,
    /// Which connection was sent what: opcode and data.
    heard: Arc<Mutex<Vec<(usize, u64, Value)>>>,
    /// How many events each has sent.
    sent: Arc<Mutex<[u64; 2]>>,
    ended: Receiver<(usize, Option<u16>)>,
    instance: Instance,
    _server: Hostile,
}

impl Rig {
    /// The old session is there.
    fn start(options: &[&str]) -> Self {
        Self::beating(HEARTBEAT_MS, options)
    }

    /// The same with connections that beat so often.
    fn beating(heartbeat_ms: u64, options: &[&str]) -> Self {
        let (heard, sent) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new([0; 2])));
        let (ends, ended) = channel();
        let (says, said): (Vec<_>, Vec<_>) =
            [mpsc::unbounded_channel(), mpsc::unbounded_channel()].into_iter().unzip();
        let said = Mutex::new(said.into_iter().map(Some).collect::<Vec<_>>());
        let (noted, counted) = (heard.clone(), sent.clone());
        let server = Hostile::start(move |mut peer: Peer| {
            let mut said = said.lock().expect("whole")[peer.number].take().expect("no third one");
            let (noted, counted, ends) = (noted.clone(), counted.clone(), ends.clone());
            Box::pin(async move {
                let number = peer.number;
                let hello = json!({"op": 10, "d": {"heartbeat_interval": heartbeat_ms}});
                peer.say(&hello).await;
                let code = loop {
                    tokio::select! {
                        Some(say) = said.recv() => match say {
                            Say::Event(name, data) => {
                                let seq = counted.lock().expect("whole")[number] + 1;
                                peer.dispatch(seq, name, data).await;
                                counted.lock().expect("whole")[number] = seq;
                            }
                            Say::Text(text) => peer.send(Message::text(text)).await,
                        },
                        message = peer.next() => {
                            if let Some(code) = peer.hears(message, &noted).await {
                                break code;
                            }
                        }
                    }
                };
                let _ = ends.send((number, code));
            })
        });
        let instance = Instance::new();
        let mut all = vec!["--encoding", "json", "--compression", "none", "--shards", "1"];
        all.extend(options);
        let gateway = instance.start(&server.api_url(), &all);
        let reader = Reader::new(&instance);
        let mut rig =
            Self { _gateway: gateway, reader, says, heard, sent, ended, instance, _server: server };
        rig.ready(OLD);
        rig.reader.until("a session", |got| got.iter().any(|got| got.kind == "READY"));
        rig
    }

    /// The connection's READY, once it has identified. It names the guilds 1 and 2.
    fn ready(&self, of: usize) {
        until("IDENTIFY", || !self.heard(of, 2).is_empty());
        let guilds = json!([{"id": "1", "unavailable": true}, {"id": "2", "unavailable": true}]);
        let id = format!("session {of}");
        let ready = json!({"v": 10, "session_id": id, "guilds": guilds});
        self.says[of].send(Say::Event("READY", ready)).expect("it listens");
    }

    /// The state is lost, and the new connection has identified.
    fn lose(&self) {
        self.ring().ask_anew(CACHE_GROUP, self.ring().tail()).expect("asked");
        // Whatever wakes the shard has it look at its ring.
        self.say(OLD, "TYPING_START", 3, 1_000);
        until("the other IDENTIFY", || !self.heard(NEW, 2).is_empty());
    }

    fn ring(&self) -> Ring {
        Ring::attach(&self.instance.namespace(), &shard_ring(0, 1)).expect("a ring")
    }

    fn status(&self) -> ShardStatus {
        let checkpoint = self.ring().checkpoint().expect("one");
        ShardStatus::decode(&checkpoint).expect("a shard's")
    }

    fn say(&self, from: usize, kind: &'static str, guild: u64, index: usize) {
        let guild = guild.to_string();
        let data = json!({"guild_id": guild, "id": guild, "index": index});
        self.says[from].send(Say::Event(kind, data)).expect("it listens");
    }

    fn text(&self, from: usize, text: &str) {
        self.says[from].send(Say::Text(text.to_owned())).expect("it listens");
    }

    /// What a connection was sent of one opcode.
    fn heard(&self, on: usize, op: u64) -> Vec<Value> {
        let heard = self.heard.lock().expect("whole");
        let of = heard.iter().filter(|heard| (heard.0, heard.1) == (on, op));
        of.map(|heard| heard.2.clone()).collect()
    }

    fn until_new(&mut self) {
        let is_new = |got: &Got| got.kind == "READY" && got.session == 2;
        self.reader.until("the new session", |got| got.iter().any(is_new));
    }

    fn until_told(&mut self, index: usize) {
        let is_told = |got: &Got| got.data["index"] == index;
        self.reader.until("what was said", |got| got.iter().any(is_told));
    }

    /// Indexes below `limit` as they were told, with their sessions.
    fn told(&self, limit: u64) -> Vec<(u64, u32)> {
        let index = |got: &Got| Some((got.data["index"].as_u64()?, got.session));
        self.reader.got.iter().filter_map(index).filter(|(index, _)| *index < limit).collect()
    }
}

impl Peer {
    /// Notes a payload, and answers heartbeats; gives the close code once the client has gone.
    async fn hears(
        &mut self,
        message: Option<Message>,
        noted: &Mutex<Vec<(usize, u64, Value)>>,
    ) -> Option<Option<u16>> {
        let text = match message {
            Some(Message::Text(text)) => text,
            Some(Message::Close(frame)) => return Some(frame.map(|frame| frame.code.into())),
            Some(_) => return None,
            None => return Some(None),
        };
        let value: Value = serde_json::from_str(&text).expect("the gateway sends JSON");
        let op = value["op"].as_u64().expect("an opcode");
        noted.lock().expect("whole").push((self.number, op, value["d"].clone()));
        if op == 1 {
            self.say(&json!({"op": 11, "d": null})).await;
        }
        None
    }
}

/// A guild's events are the old session's until its GUILD_CREATE comes in the new one, then the new one's.
#[test]
fn a_guild_changes_from_the_old_session_to_the_new_one_at_its_create() {
    // Who says what of which guild, and whether it is to be read.
    let words = [
        (OLD, "MESSAGE_CREATE", 1, true),
        (NEW, "MESSAGE_CREATE", 1, false),
        (NEW, "GUILD_CREATE", 1, true),
        (NEW, "MESSAGE_CREATE", 1, true),
        (OLD, "MESSAGE_CREATE", 1, false),
        (OLD, "MESSAGE_CREATE", 2, true),
        (OLD, "GUILD_CREATE", 2, false),
        (NEW, "TYPING_START", 3, true),
        (OLD, "TYPING_START", 3, false),
        (NEW, "GUILD_MEMBERS_CHUNK", 2, true),
        (NEW, "MESSAGE_CREATE", 2, false),
        (NEW, "GUILD_DELETE", 2, true),
        (NEW, "MESSAGE_CREATE", 2, true),
    ];
    let mut rig = Rig::start(&[]);
    rig.lose();
    rig.ready(NEW);
    rig.until_new();
    for (index, &(from, kind, guild, _)) in words.iter().enumerate() {
        rig.say(from, kind, guild, index);
        // What either always brings says that the word was heard.
        let heard = if from == OLD { "GUILD_MEMBERS_CHUNK" } else { "TYPING_START" };
        if index + 1 < words.len() {
            rig.say(from, heard, 9, 100 + index);
            rig.until_told(100 + index);
        } else {
            rig.until_told(index);
        }
    }
    let wanted = words.iter().enumerate().filter(|(_, word)| word.3);
    let wanted = wanted.map(|(index, word)| (index as u64, word.0 as u32 + 1));
    assert_eq!(rig.told(100), wanted.collect::<Vec<_>>());
    let ended = rig.ended.recv_timeout(DEADLINE).expect("the old connection ends");
    assert_eq!(ended, (OLD, Some(1000)));
}

/// As in any session: it is counted, and the others go on.
#[test]
fn what_cannot_be_decoded_of_the_old_session_costs_itself_alone() {
    let mut rig = Rig::start(&[]);
    rig.lose();
    rig.ready(NEW);
    rig.until_new();
    rig.text(OLD, r#"{"op":0,"s":3,"t":"MESSAGE_CREATE","d":{"guild_id":"1",,}}"#);
    rig.say(OLD, "MESSAGE_CREATE", 1, 1);
    rig.until_told(1);
    assert_eq!(rig.told(100), [(1, 1)]);
    assert_eq!(rig.status().undecodable, 1);
    assert!(rig.ended.try_recv().is_err());
}

/// What the old connection has brought when the new session is ready comes before it, though the ring is full then.
#[test]
fn all_that_the_old_session_had_brought_is_written_first() {
    const EVENTS: u64 = 1_500;
    let mut rig = Rig::start(&["--ring-bytes", "256KiB", "--buffer-bytes", "64KiB"]);
    rig.lose();
    // Of no guild that READY names, so that nothing but its place says whose they are; more than one burst.
    let filler = "x".repeat(1_000);
    for index in 0..EVENTS {
        let data = json!({"guild_id": "9", "index": index, "filler": filler});
        rig.says[OLD].send(Say::Event("MESSAGE_CREATE", data)).expect("it listens");
    }
    // READY, and what wakes the shard.
    let all = EVENTS + 2;
    until("all of it to be sent", || rig.sent.lock().expect("whole")[OLD] == all);
    until("the ring to be full", || rig.status().stalled_since_us.is_some());
    rig.ready(NEW);
    until("READY to be sent", || rig.sent.lock().expect("whole")[NEW] == 1);
    rig.until_new();
    let got = &rig.reader.got;
    let events = got.iter().filter(|got| got.session == 1 && !got.is_own());
    assert!(events.map(|got| got.seq).eq(1..=all), "whole, and in order");
    let gap = rig.reader.gaps()[0];
    assert_eq!((&gap.data["reason"], &gap.data["from_seq"]), (&"refill".into(), &(all + 1).into()));
}

/// While its guilds are awaited on the new one, the old connection is one that Discord keeps.
#[test]
fn g8_the_old_connection_beats_on_while_it_is_read() {
    let mut rig = Rig::beating(2_000, &[]);
    rig.lose();
    rig.ready(NEW);
    rig.until_new();
    rig.say(OLD, "MESSAGE_CREATE", 1, 1);
    rig.until_told(1);
    let beats = rig.heard(OLD, 1).len();
    until("heartbeats", || rig.heard(OLD, 1).len() > beats + 1);
    // READY, what woke the shard, and the message.
    assert_eq!(rig.heard(OLD, 1).last(), Some(&json!(3)));
    // One that is asked for comes at once (G-9).
    rig.text(OLD, r#"{"op":1,"d":null}"#);
    let beats = rig.heard(OLD, 1).len();
    until("the answer", || rig.heard(OLD, 1).len() > beats);
    rig.say(NEW, "GUILD_CREATE", 1, 2);
    rig.say(NEW, "GUILD_CREATE", 2, 3);
    assert_eq!(rig.ended.recv_timeout(DEADLINE).expect("it ends"), (OLD, Some(1000)));
}

/// One that a command set while the new session was begun is not lost with the old one.
#[test]
fn a_presence_that_is_set_meanwhile_is_shown_by_the_new_session() {
    let mut rig = Rig::start(&[]);
    rig.lose();
    let presence =
        PresenceUpdate { since: None, activities: Vec::new(), status: "dnd".into(), afk: false };
    let mut client = Client::connect(&rig.instance, 1);
    let said = client.ask(Target::All, Command::Presence(presence));
    assert_eq!(said, Reply::Accepted);
    rig.ready(NEW);
    rig.until_new();
    until("the presence", || !rig.heard(NEW, 3).is_empty());
    assert_eq!(rig.heard(NEW, 3)[0]["status"], "dnd");
    assert!(rig.heard(NEW, 2)[0]["presence"].is_null(), "IDENTIFY was before it");
}

/// Who has no session goes first: a new one beside an old one has the queue only while it can identify.
#[test]
fn g13_a_new_session_without_hello_keeps_no_shard_from_identifying() {
    const WAKE: u8 = 1;
    const END: u8 = 2;
    let (tell, told) = watch::channel(0);
    let (identified, gone) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (noted, left) = (identified.clone(), gone.clone());
    let server = Hostile::start(move |mut peer: Peer| {
        let (mut told, noted, left) = (told.clone(), noted.clone(), left.clone());
        Box::pin(async move {
            // The new session of shard 0.
            if peer.number == 2 {
                while peer.next().await.is_some() {}
                left.store(true, Ordering::Relaxed);
                return;
            }
            peer.hello().await;
            let Some(identify) = peer.expect(2).await else { return };
            noted.fetch_or(peer.number > 2, Ordering::Relaxed);
            let ready = json!({"v": 10, "session_id": peer.number.to_string(), "guilds": []});
            peer.dispatch(1, "READY", ready).await;
            if peer.number < 2 {
                let (when, what) = match identify["shard"][0].as_u64() {
                    Some(0) => (WAKE, json!({"op": 1, "d": null})),
                    _ => (END, json!({"op": 9, "d": false})),
                };
                let _ = told.wait_for(|told| *told >= when).await;
                peer.say(&what).await;
            }
            peer.stay().await;
        })
    });
    let instance = Instance::new();
    let options = ["--encoding", "json", "--compression", "none", "--shards", "2"];
    let gateway = instance.start(&server.api_url(), &options);
    let mut reader = Reader::new(&instance);
    reader.until("both", |got| got.iter().filter(|got| got.kind == "READY").count() == 2);
    let ring = Ring::attach(&instance.namespace(), &shard_ring(0, 2)).expect("a ring");
    ring.ask_anew(CACHE_GROUP, ring.tail()).expect("asked");
    tell.send_replace(WAKE);
    until("the new connection", || server.connections() == 3);
    tell.send_replace(END);
    until("IDENTIFY of shard 1", || identified.load(Ordering::Relaxed));
    assert!(!gone.load(Ordering::Relaxed), "before the other gives up");
    drop(gateway);
}
