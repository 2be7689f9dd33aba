//! A client that keeps its session through whatever goes wrong, as the contract says.

use std::time::Duration;

use fake_discord::Server;
use serde_json::Value;

use crate::client::{ALL, Client, Next, get, identify, resume};

const QUERY: &str = "v=10&encoding=json&compress=zstd-stream";

/// How far a client has come.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    session: Option<String>,
    seq: u64,
}

impl Follower {
    /// Takes everything the server has to give, over as many connections and sessions as it needs.
    /// `on` is given every dispatch with its seq; what comes twice it is given twice.
    pub(crate) async fn follow(&mut self, server: &Server, mut on: impl FnMut(u64, &Value)) {
        while !self.has_all(server).await {
            let Some(mut client) = Client::try_connect(server, QUERY).await else { continue };
            match client.next().await {
                Next::Message(hello) => assert_eq!(hello["op"], 10),
                Next::Closed(_) => continue,
            }
            match &self.session {
                Some(id) => client.send(&resume(id, self.seq)).await,
                None => client.send(&identify([0, 1], ALL)).await,
            }
            let resumable = tokio::select! {
                resumable = self.read_on(&mut client, &mut on) => resumable,
                () = drained(server) => true,
            };
            if !resumable {
                *self = Self::default();
            }
        }
    }

    /// Whether the world stands still and its last event has come.
    pub(crate) async fn has_all(&self, server: &Server) -> bool {
        let status = get(server, "/fake/status").await;
        let last = status["sessions"].as_array().and_then(|all| all.last());
        status["finished"] == true
            && last.is_some_and(|it| it["over"] == false && it["last_seq"] == self.seq)
    }

    /// Reads on one connection until it ends. True: the session may be resumed.
    async fn read_on(&mut self, client: &mut Client, on: &mut impl FnMut(u64, &Value)) -> bool {
        loop {
            let message = match client.next().await {
                Next::Message(message) => message,
                Next::Closed(code) => {
                    return !matches!(code, Some(4001 | 4003 | 4005 | 4007 | 4009));
                }
            };
            match message["op"].as_u64() {
                Some(0) => {
                    if message["t"] == "READY" {
                        let id = message["d"]["session_id"].as_str().expect("an id");
                        *self = Self { session: Some(id.to_owned()), seq: client.seq - 1 };
                    }
                    if client.seq > self.seq + 1 {
                        // A hole (G-24): what is missing cannot be had any more.
                        return false;
                    }
                    on(client.seq, &message);
                    self.seq = self.seq.max(client.seq);
                }
                Some(7) => return true,
                Some(9) => return message["d"] == true,
                _ => {}
            }
        }
    }
}

/// Once everything was made and sent.
async fn drained(server: &Server) {
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if get(server, "/fake/status").await["drained"] == true {
            return;
        }
    }
}
