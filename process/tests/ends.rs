//! How a process ends whose parts are in trouble: this test's own program, run once more as it
//! would be by a supervisor.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mixcord_process::log::{self, Format, Levels};
use mixcord_process::signals;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Names what the program is to do when it runs once more.
const ROLE: &str = "SPECIMEN";

/// The bound of what would never end.
const NEVER: Duration = Duration::from_secs(60);

/// Lines of 1 kB: more than may wait.
const FLOOD: u32 = 8_192;

/// What [`specimen`] does.
fn play(role: &str) {
    signals::watch_from_main().expect("signals");
    let guard = log::start(Levels::default(), Format::Text);
    let (stop, stopped) = mpsc::channel();
    let _registration = match role {
        "starting" => None,
        // Told, but it does not stop.
        "hung" => Some(signals::on_stop(|| {})),
        "panics at the end" => Some(signals::on_stop(|| panic!("on purpose"))),
        _ => {
            let stop = stop.clone();
            Some(signals::on_stop(move || stop.send(()).expect("it is waited for")))
        }
    };
    match role {
        // Into a pipe of 64 KiB that nobody reads.
        "flood" => {
            for number in 0..FLOOD {
                tracing::info!(number, "{}", "x".repeat(1_000));
            }
        }
        "panics" => {
            let panicked = std::thread::spawn(|| panic!("two\nlines"));
            assert!(panicked.join().is_err());
        }
        _ => {}
    }
    println!("plays");
    stopped.recv().expect("`stop` lives");
    drop(stop);
    tracing::info!("the last line");
    drop(guard);
    std::process::exit(0);
}

#[test]
#[ignore = "run by the other tests"]
fn specimen() {
    if let Ok(role) = std::env::var(ROLE) {
        play(&role);
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < NEVER, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A specimen that has begun to play.
struct Specimen(Child);

impl Specimen {
    /// With the signals as a shell in a terminal leaves them: whoever runs the tests in the background ignores SIGINT,
    /// and what was ignored at the start stays ignored.
    fn start(role: &str, stderr: impl Into<Stdio>) -> Self {
        Self::start_with("exec env --default-signal=INT,TERM \"$@\"", role, stderr)
    }

    /// Started by a shell, which can ignore signals first.
    fn start_with(script: &str, role: &str, stderr: impl Into<Stdio>) -> Self {
        let output = tempfile::NamedTempFile::new().expect("a file");
        let child = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(std::env::current_exe().expect("this test"))
            .args(["--ignored", "--exact", "specimen", "--nocapture"])
            .env(ROLE, role)
            .env_remove("RUST_BACKTRACE")
            .stdout(output.reopen().expect("writable"))
            .stderr(stderr)
            .spawn()
            .expect("it starts");
        let specimen = Self(child);
        until("it to play", || {
            std::fs::read(output.path()).is_ok_and(|said| said.ends_with(b"plays\n"))
        });
        specimen
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().cast_signed()), signal).expect("it lives");
    }

    fn end(&mut self) -> ExitStatus {
        let mut ended = None;
        until("its end", || {
            ended = self.0.try_wait().expect("waits");
            ended.is_some()
        });
        ended.expect("it has ended")
    }
}

impl Drop for Specimen {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A file for standard error, and how to read it.
fn file() -> (File, impl FnOnce() -> String) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let writer = file.reopen().expect("writable");
    (writer, move || std::fs::read_to_string(file.path()).expect("text"))
}

#[test]
fn the_first_signal_stops_it_in_order_and_the_last_line_is_written() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (writer, said) = file();
        let mut specimen = Specimen::start("orderly", writer);
        specimen.signal(signal);
        assert_eq!(specimen.end().code(), Some(0));
        assert!(said().ends_with("INFO the last line\n"));
    }
}

#[test]
fn before_there_is_anything_to_put_in_order_a_signal_ends_it_with_0() {
    let mut specimen = Specimen::start("starting", Stdio::null());
    specimen.signal(Signal::SIGTERM);
    assert_eq!(specimen.end().code(), Some(0));
}

#[test]
fn a_reader_that_stalls_holds_up_neither_work_nor_end() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    // It plays, although nobody has read a line.
    let mut specimen = Specimen::start("flood", writer);
    specimen.signal(Signal::SIGTERM);
    assert_eq!(specimen.end().code(), Some(0));
    drop(reader);
}

#[test]
fn what_was_dropped_is_counted_and_nothing_else_is_missing() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let specimen = Specimen::start("flood", writer);
    // It has said all, and now somebody reads.
    let (mut came, mut dropped) = (0, None);
    for line in BufReader::new(reader).lines() {
        let line = line.expect("text");
        if line.contains("log lines were dropped here") {
            dropped = line.split_whitespace().nth(2).and_then(|count| count.parse::<u32>().ok());
            break;
        }
        assert!(line.ends_with(&format!(" number={came}")), "{came}: {line}");
        came += 1;
    }
    assert_eq!(came + dropped.expect("8 MiB do not fit into 1"), FLOOD);
    drop(specimen);
}

#[test]
fn what_does_not_stop_is_ended_with_its_own_code_and_a_line() {
    let (writer, said) = file();
    let mut specimen = Specimen::start("hung", writer);
    specimen.signal(Signal::SIGTERM);
    assert_eq!(specimen.end().code(), Some(signals::EXIT_LATE));
    let said = said();
    assert!(said.contains("stopping took") && said.ends_with("ended where it stood\n"), "{said}");
}

#[test]
fn what_panics_when_it_is_told_to_stop_is_ended_all_the_same() {
    let mut specimen = Specimen::start("panics at the end", Stdio::null());
    specimen.signal(Signal::SIGTERM);
    assert_eq!(specimen.end().code(), Some(signals::EXIT_LATE));
}

#[test]
fn a_second_signal_ends_it_at_once_and_says_which() {
    let (writer, said) = file();
    let mut specimen = Specimen::start("hung", writer);
    specimen.signal(Signal::SIGTERM);
    specimen.signal(Signal::SIGINT);
    assert_eq!(specimen.end().code(), Some(128 + Signal::SIGINT as i32));
    assert!(!said().contains("stopping took"));
}

#[test]
fn an_ignored_signal_stays_ignored() {
    let mut specimen = Specimen::start_with("trap '' INT; exec \"$@\"", "hung", Stdio::null());
    specimen.signal(Signal::SIGINT);
    specimen.signal(Signal::SIGTERM);
    // Had the first counted, the second would have ended it with its own number.
    assert_eq!(specimen.end().code(), Some(signals::EXIT_LATE));
}

#[test]
fn a_panic_is_a_line_of_the_log() {
    let (writer, said) = file();
    let mut specimen = Specimen::start("panics", writer);
    specimen.signal(Signal::SIGTERM);
    assert_eq!(specimen.end().code(), Some(0));
    let said = said();
    assert!(said.contains("ERROR thread (no name) panicked at process/tests/ends.rs"), "{said}");
    assert!(said.contains("two\nlines\n"), "{said}");
}
