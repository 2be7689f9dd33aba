//! `mixcord send` to a gateway process that is made by hand here.

#[path = "../../consumer-sdk/tests/consumer/rig.rs"]
#[allow(dead_code, reason = "shared with the SDK's tests")]
mod rig;

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};

use mixcord::event::command::{PACKET_MAX, Reply, Request};
use mixcord::event::topology;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket,
};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rig::Rig;

/// A shell that stops a job and goes on with it must not fail its command: the kernel ends a read with a
/// limit then, and never begins it again.
#[test]
fn send_outlives_being_stopped_while_it_waits() {
    let rig = Rig::without_ring();
    let path = topology::command_socket(&rig.instance, 0, 1);
    let listener = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)
        .expect("a socket");
    bind(listener.as_raw_fd(), &UnixAddr::new(path.as_str()).expect("an address")).expect("bound");
    listen(&listener, Backlog::new(8).expect("small")).expect("listens");
    let listener = UnixListener::from(listener);
    let mut child = Started(
        Command::new(env!("CARGO_BIN_EXE_mixcord"))
            .args(["send", "--instance", &rig.instance, "presence", "idle"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts"),
    );
    let child = &mut child.0;
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    let (mut stream, _) = listener.accept().expect("it knocks");
    let mut packet = vec![0; PACKET_MAX];
    let length = stream.read(&mut packet).expect("it asks");
    assert!(Request::decode(&packet[..length]).is_some());
    while !is_asleep(pid) {
        std::thread::yield_now();
    }
    kill(pid, Signal::SIGSTOP).expect("it lives");
    let stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).expect("waits");
    assert_eq!(stopped, WaitStatus::Stopped(pid, Signal::SIGSTOP));
    kill(pid, Signal::SIGCONT).expect("it lives");
    while !is_asleep(pid) && child.try_wait().expect("waits").is_none() {
        std::thread::yield_now();
    }
    let _ = stream.write_all(&Reply::Accepted.encode().expect("small"));
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    assert_eq!(child.wait().expect("waits").code(), Some(0), "{said}");
}

/// Ended with the test.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// It waits in the kernel.
fn is_asleep(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'))
}
