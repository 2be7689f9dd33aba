//! What is passed on arrives as it was sent, and while it is sent.

use std::sync::Arc;
use std::time::Duration;

use mixcord::operator::Instance;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::pass::Pass;
use crate::door::Door;
use crate::options::Settings;
use crate::session::Folder;
use crate::site::Site;

const STUCK: Duration = Duration::from_secs(60);
const MIB: usize = 1 << 20;

/// A proxy between a client and a server that stands for Discord, both played by the test, byte by byte.
struct Between {
    server: TcpListener,
    proxy: std::net::SocketAddr,
    /// What it listens on is served as long as this is there.
    _serving: tokio::task::JoinSet<()>,
    _folder: tempfile::TempDir,
}

impl Between {
    async fn new() -> Self {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let rest = format!("http://{}", server.local_addr().expect("an address"));
        let folder = tempfile::tempdir().expect("a folder");
        let site = site(&folder, &rest);
        let pass = site.settings.rest_url.clone().map(|url| Arc::new(Pass::new(url)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let proxy = listener.local_addr().expect("an address");
        let mut serving = tokio::task::JoinSet::new();
        serving.spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(super::connection(stream, Arc::clone(&site), pass.clone()));
            }
        });
        Self { server, proxy, _serving: serving, _folder: folder }
    }

    async fn client(&self) -> TcpStream {
        TcpStream::connect(self.proxy).await.expect("the proxy")
    }

    async fn accept(&self) -> TcpStream {
        self.server.accept().await.expect("the proxy").0
    }

    fn host(&self) -> String {
        self.server.local_addr().expect("an address").to_string()
    }
}

/// Of an instance that is not there: nothing of it is asked here.
fn site(folder: &tempfile::TempDir, rest: &str) -> Arc<Site> {
    let instance = format!("t{}-pass", std::process::id());
    let settings = Settings {
        instance: instance.clone(),
        shards: 1,
        public_url: None,
        rest_url: Some(rest.parse().expect("an address")),
        stall: Duration::from_secs(30),
        with_old: false,
        is_local: true,
    };
    let instance = Instance::open(&instance).expect("a name");
    let door = Door::new(instance.clone(), None, None, None, true).expect("a door");
    let folder = Folder::at(folder.path().join("sessions")).expect("ours");
    Arc::new(Site::new(settings, door, folder, instance).expect("a name"))
}

/// Runs it, and says if it hangs.
fn run(work: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async { timeout(STUCK, work).await }).expect("it goes on");
}

/// The head of a message: its first line, and its headers with names in small letters, in order.
async fn head(stream: &mut TcpStream) -> (String, Vec<(String, String)>) {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.expect("a head"));
    }
    let text = String::from_utf8(bytes).expect("text");
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let first = lines.next().expect("a first line").to_owned();
    let header = |line: &str| {
        let (name, value) = line.split_once(':').expect("a header");
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    (first, lines.map(header).collect())
}

fn headers(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// In an order that says nothing between names, and everything within one.
fn sorted(mut headers: Vec<(String, String)>) -> Vec<(String, String)> {
    headers.sort_by(|one, other| one.0.cmp(&other.0));
    headers
}

fn text(first: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let lines: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{first}\r\n{lines}\r\n").into_bytes()
}

/// Bytes of a body, other ones in each part.
fn part(number: usize) -> Vec<u8> {
    [[number as u8; 8], *b"a part, "].concat().repeat(MIB / 16)
}

/// Memory of this process that is its own.
fn private_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("a system with /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a figure");
    line.split_whitespace().next().and_then(|kib| kib.parse::<usize>().ok()).expect("a number")
        << 10
}

/// Whether this test is alone in its process, so that all memory is its own; else it is run in one of its own.
fn is_alone(test: &str) -> bool {
    const ALONE: &str = "MIXCORD_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let run = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", test, "--nocapture"])
        .env(ALONE, "1")
        .output()
        .expect("a process");
    let [out, err] = [&run.stdout, &run.stderr].map(|said| String::from_utf8_lossy(said));
    let passed = run.status.success() && out.contains("1 passed");
    assert!(passed, "in a process of its own: {out}{err}");
    false
}

#[test]
fn bodies_go_through_while_they_come_and_are_nowhere_whole() {
    const PARTS: usize = 64;
    const NAME: &str = "http::pass_tests::bodies_go_through_while_they_come_and_are_nowhere_whole";
    if !is_alone(NAME) {
        return;
    }
    run(async {
        let between = Between::new().await;
        let (mut client, length) = (between.client().await, (PARTS * MIB).to_string());
        let up = [("Host", "localhost"), ("Content-Length", &*length)];
        let first = "POST /api/v10/channels/1/messages HTTP/1.1";
        client.write_all(&text(first, &up)).await.expect("the proxy");
        let mut server = between.accept().await;
        let (_, told) = head(&mut server).await;
        assert!(told.contains(&("content-length".into(), length.clone())), "{told:?}");
        assert!(told.iter().all(|(name, _)| name != "transfer-encoding"), "{told:?}");
        let before = private_bytes();
        let mut most = 0;
        let mut buffer = vec![0; MIB];
        for number in 0..PARTS {
            // The next part comes only when this one is there.
            let sent = part(number);
            let (written, read) =
                tokio::join!(client.write_all(&sent), server.read_exact(&mut buffer));
            assert!(
                written.is_ok() && read.is_ok() && buffer == sent,
                "part {number} of the upload"
            );
            most = most.max(private_bytes());
        }
        // The way back, of a length that nobody knows beforehand.
        let down = [("Transfer-Encoding", "chunked"), ("Content-Type", "image/png")];
        server.write_all(&text("HTTP/1.1 200 OK", &down)).await.expect("the proxy");
        let (status, told) = head(&mut client).await;
        assert_eq!(status, "HTTP/1.1 200 OK");
        assert!(told.contains(&("transfer-encoding".into(), "chunked".into())), "{told:?}");
        for number in 0..PARTS {
            let sent = part(number);
            let (written, read) = tokio::join!(chunk(&mut server, &sent), chunks(&mut client, MIB));
            written.expect("the proxy");
            assert!(read == sent, "part {number} of the download");
            most = most.max(private_bytes());
        }
        server.write_all(b"0\r\n\r\n").await.expect("the proxy");
        let mut end = [0; 5];
        client.read_exact(&mut end).await.expect("the end");
        assert_eq!(&end, b"0\r\n\r\n");
        let grown = most.saturating_sub(before);
        assert!(grown < 16 * MIB, "{} MiB of {PARTS} were held", grown / MIB);
    });
}

async fn chunk(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(format!("{:x}\r\n", bytes.len()).as_bytes()).await?;
    stream.write_all(bytes).await?;
    stream.write_all(b"\r\n").await
}

/// What chunks hold, until it is as long as this.
async fn chunks(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while out.len() < length {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(stream.read_u8().await.expect("a chunk"));
        }
        let line = std::str::from_utf8(&line).expect("text").trim();
        let start = out.len();
        out.resize(start + usize::from_str_radix(line, 16).expect("a length"), 0);
        stream.read_exact(&mut out[start..]).await.expect("a chunk");
        let mut end = [0; 2];
        stream.read_exact(&mut end).await.expect("its end");
    }
    out
}

#[test]
fn an_upload_waits_for_whoever_takes_it() {
    const PARTS: usize = 64;
    run(async {
        let between = Between::new().await;
        let (mut client, length) = (between.client().await, (PARTS * MIB).to_string());
        let up = [("Host", "localhost"), ("Content-Length", &*length)];
        client.write_all(&text("PUT /api/v10/x HTTP/1.1", &up)).await.expect("the proxy");
        let mut server = between.accept().await;
        head(&mut server).await;
        let upload = async {
            for number in 0..PARTS {
                client.write_all(&part(number)).await.expect("the proxy");
            }
        };
        tokio::pin!(upload);
        // Nobody reads: what is taken is what the system has room for.
        let taken = timeout(Duration::from_millis(500), &mut upload).await;
        assert!(taken.is_err(), "{PARTS} MiB were taken that nobody wanted");
        let read = async {
            let mut buffer = vec![0; MIB];
            for number in 0..PARTS {
                server.read_exact(&mut buffer).await.expect("the proxy");
                assert!(buffer == part(number), "part {number}");
            }
        };
        tokio::join!(upload, read);
    });
}

#[test]
fn heads_are_untouched_in_both_directions_and_a_429_is_passed_on() {
    run(async {
        let between = Between::new().await;
        let mut client = between.client().await;
        let path = "/api/v10/channels/1/messages/2/reactions/%F0%9F%91%8D%3a1/@me?a=%2Fb&c=&&d=+";
        let asked = [
            ("authorization", "Bot MTE3.x.y"),
            ("user-agent", "DiscordBot (https://example.org, 1.0) a/1"),
            ("x-audit-log-reason", "Aufger%C3%A4umt, \"ja\""),
            ("x-many", "one"),
            ("x-many", "two, three"),
            ("accept-encoding", "gzip, br"),
            ("content-type", "multipart/form-data; boundary=a-b"),
            ("content-length", "4"),
        ];
        // What is of this connection alone goes no further.
        let hops = [
            ("Host", "localhost:80"),
            ("Connection", "keep-alive, X-Hop"),
            ("X-Hop", "1"),
            ("Keep-Alive", "timeout=5"),
        ];
        let mut sent = text(&format!("PUT {path} HTTP/1.1"), &[&hops[..], &asked[..]].concat());
        sent.extend_from_slice(&[0, 13, 10, 255]);
        client.write_all(&sent).await.expect("the proxy");
        let mut server = between.accept().await;
        let (first, got) = head(&mut server).await;
        assert_eq!(first, format!("PUT {path} HTTP/1.1"));
        let mut wanted = headers(&asked);
        wanted.push(("host".into(), between.host()));
        assert_eq!(sorted(got), sorted(wanted));
        let mut body = [0; 4];
        server.read_exact(&mut body).await.expect("a body");
        assert_eq!(body, [0, 13, 10, 255]);

        let said = [
            ("date", "Mon, 02 Nov 2026 10:00:00 GMT"),
            ("content-type", "application/json"),
            ("content-encoding", "br"),
            ("content-length", "5"),
            ("retry-after", "65"),
            ("x-ratelimit-bucket", "abcd1234"),
            ("x-ratelimit-limit", "10"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1470173023.123"),
            ("x-ratelimit-reset-after", "64.57"),
            ("x-ratelimit-scope", "shared"),
            ("set-cookie", "__cfruid=1; path=/; secure"),
            ("set-cookie", "__dcfduid=2; path=/"),
            ("via", "1.1 google"),
            ("server", "cloudflare"),
        ];
        // It is compressed, or so it says: nobody on the way looks into it.
        let mut answer = text("HTTP/1.1 429 Too Many Requests", &said);
        answer.extend_from_slice(b"\x8b\x02\0\xff\n");
        server.write_all(&answer).await.expect("the proxy");
        let (first, got) = head(&mut client).await;
        assert_eq!(first, "HTTP/1.1 429 Too Many Requests");
        assert_eq!(sorted(got), sorted(headers(&said)));
        let mut body = [0; 5];
        client.read_exact(&mut body).await.expect("a body");
        assert_eq!(&body, b"\x8b\x02\0\xff\n");

        // Both connections go on.
        let get = text("GET /api/v10/users/@me HTTP/1.1", &[("Host", "localhost")]);
        client.write_all(&get).await.expect("the proxy");
        let (first, _) = head(&mut server).await;
        assert_eq!(first, "GET /api/v10/users/@me HTTP/1.1");
        server.write_all(&text("HTTP/1.1 204 No Content", &[])).await.expect("the proxy");
        let (first, _) = head(&mut client).await;
        assert_eq!(first, "HTTP/1.1 204 No Content");
    });
}
