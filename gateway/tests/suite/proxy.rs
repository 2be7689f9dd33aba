//! The way out through a proxy.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::harness::{Fake, Instance, Reader, until};
use crate::hostile::{Hostile, Peer};
use crate::tls::authority;

/// me:p@ss
const CREDENTIALS: &str = "Proxy-Authorization: Basic bWU6cEBzcw==";

/// A proxy that tunnels for whoever has the credentials, and notes where to.
struct Tunnels {
    port: u16,
    to: Arc<Mutex<Vec<String>>>,
}

impl Tunnels {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let to = Arc::new(Mutex::new(Vec::new()));
        let seen = to.clone();
        // Ends with the process, as its connections do.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let seen = seen.clone();
                std::thread::spawn(move || serve(client, &seen));
            }
        });
        Self { port, to }
    }

    fn url(&self) -> String {
        format!("http://me:p%40ss@127.0.0.1:{}", self.port)
    }

    fn to(&self) -> Vec<String> {
        self.to.lock().expect("whole").clone()
    }
}

fn serve(mut client: TcpStream, seen: &Mutex<Vec<String>>) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    if !head.contains(CREDENTIALS) {
        client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").ok()?;
        return None;
    }
    let target = head.strip_prefix("CONNECT ")?.split(' ').next()?;
    seen.lock().expect("whole").push(target.to_owned());
    let server = TcpStream::connect(target).ok()?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\nX-More: 1\r\n\r\n").ok()?;
    let (mut up, mut down) = (client.try_clone().ok()?, server.try_clone().ok()?);
    let (mut client, mut server) = (client, server);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut up, &mut server);
        let _ = server.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut down, &mut client);
    let _ = client.shutdown(Shutdown::Write);
    Some(())
}

/// Authority of a URL.
fn authority_of(url: &str) -> &str {
    url.split('/').nth(2).expect("an authority")
}

#[test]
fn api_and_websockets_go_through_the_proxy_that_is_given() {
    let fake = Fake::start(|_| {});
    let proxy = Tunnels::start();
    let instance = Instance::new();
    let mut reader = Reader::new(&instance);
    let gateway = instance.start(&fake.api_url(), &["--proxy", &proxy.url()]);
    reader.until_all(&fake);
    assert!(reader.gaps().is_empty());
    // One question, and two shards.
    let api = fake.api_url();
    assert_eq!(proxy.to(), vec![authority_of(&api); 3], "{}", gateway.log());
    assert!(!gateway.log().contains("p@ss") && !gateway.log().contains("p%40ss"));
    drop(gateway);
}

/// A proxy that wants to know who asks is told of, with what to do about it, and without what it was told.
#[test]
fn p9_a_proxy_that_refuses_is_named_without_its_password() {
    let fake = Fake::start(|_| {});
    let proxy = Tunnels::start();
    let instance = Instance::new();
    let mut command = instance.command();
    command
        .args(["--api-url", &fake.api_url(), "--shards", "2", "--reconnect-max-ms", "50"])
        .env("MIXCORD_PROXY", format!("http://me:wrong-secret@127.0.0.1:{}", proxy.port));
    let gateway = instance.spawn(command);
    until("a complaint", || gateway.log().contains("cannot be asked yet"));
    assert!(gateway.log().contains("407"), "{}", gateway.log());
    assert!(!gateway.log().contains("wrong-secret"), "{}", gateway.log());
    assert!(fake.logged("connect").is_empty() && proxy.to().is_empty());
    drop(gateway);
}

/// What stands in the environment of every machine behind such a proxy; TLS is spoken through it, to the server.
#[test]
fn the_proxy_of_the_environment_carries_what_is_encrypted() {
    let (pem, acceptor) = authority();
    let server = Hostile::start_with(Some(acceptor), |mut peer: Peer| {
        Box::pin(async move {
            peer.ready("s", "wss://127.0.0.1:9").await;
            peer.dispatch(2, "TYPING_START", json!({})).await;
            peer.stay().await;
        })
    });
    let instance = Instance::new();
    let file = instance.folder().join("ca.pem");
    std::fs::write(&file, pem).expect("written");
    let proxy = Tunnels::start();
    let mut command = instance.command();
    command
        .args(["--api-url", &server.api_url(), "--encoding", "json", "--compression", "none"])
        .args(["--ca-file", file.to_str().expect("text")])
        .env("HTTPS_PROXY", proxy.url());
    let gateway = instance.spawn(command);
    let mut reader = Reader::new(&instance);
    reader.until("an event", |got| got.iter().any(|got| got.kind == "TYPING_START"));
    let to = proxy.to();
    let api = server.api_url();
    assert!(to.len() >= 2 && to.iter().all(|to| to == authority_of(&api)), "{to:?}");
    drop(gateway);
}

/// Going without would be another way than the one that was asked for.
#[test]
fn a_proxy_that_cannot_be_used_is_refused() {
    let instance = Instance::new();
    let mut command = instance.command();
    command
        .args(["--api-url", "https://127.0.0.1:9/api"])
        .env("https_proxy", "socks5://u:secret@h:1");
    let mut gateway = instance.spawn(command);
    assert_eq!(gateway.wait().code(), Some(78));
    let log = gateway.log();
    assert!(log.contains("https_proxy: only proxies") && !log.contains("secret"), "{log}");
}
