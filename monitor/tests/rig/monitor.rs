//! The monitor of an instance made by hand, and what its metrics say.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use mixcord::Stop;
use mixcord_monitor::{Limits, Settings, serve};

use super::Rig;

/// A monitor of an instance, which ends with the test.
pub(crate) struct Monitor {
    address: SocketAddr,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Monitor {
    pub(crate) fn start(rig: &Rig, limits: Limits) -> Self {
        let settings = Settings {
            instance: rig.instance.clone(),
            listen: ([127, 0, 0, 1], 0).into(),
            show_events: true,
            limits,
        };
        let (stop, (told, ready)) = (Stop::new(), std::sync::mpsc::channel());
        let its_stop = stop.clone();
        let thread = std::thread::spawn(move || {
            serve(&settings, &its_stop, |address| told.send(address).expect("awaited"))
                .expect("served");
        });
        Self { address: ready.recv().expect("an address"), stop, thread: Some(thread) }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).expect("connected")
    }

    /// Head and body of the answer to these bytes, once the connection is closed.
    pub(crate) fn raw(&self, request: &str) -> (String, String) {
        let mut stream = self.connect();
        // It may answer, and close, before all was sent.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        (head.to_owned(), body.to_owned())
    }

    pub(crate) fn get(&self, path: &str, more: &str) -> (String, String) {
        self.raw(&format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n"
        ))
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.stop.stop();
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || ended.is_some_and(|ended| ended.is_ok()));
    }
}

/// The value of the one sample that begins so.
pub(crate) fn value(metrics: &str, sample: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    let text = line.unwrap_or_else(|| panic!("no {sample} in\n{metrics}"));
    text.parse().expect("a number")
}

/// As Prometheus' own tool sees it, where that is installed.
pub(crate) fn lint(metrics: &str) {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped());
    let started = promtool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = started else {
        return eprintln!(
            "skipped: promtool is not installed (Debian's package prometheus has it)"
        );
    };
    child.stdin.take().expect("piped").write_all(metrics.as_bytes()).expect("read");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
