//! The example that newcomers copy.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use mixcord::Kind;

use crate::rig::{Rig, until};

const SOURCE: &str = include_str!("../../examples/greeter.rs");

#[test]
fn it_is_short_enough_to_copy() {
    assert!(SOURCE.lines().count() <= 30);
}

#[test]
fn it_greets_and_ends_with_0_on_sigterm() {
    let mut rig = Rig::new();
    let mut greeter = Command::new(program())
        .env("MIXCORD_INSTANCE", &rig.instance)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the greeter runs");
    let ready = || !rig.operator().rings().expect("rings")[0].groups.is_empty();
    until("the greeter to join its group", ready);

    let user = r#""id":"5","username":"ada""#;
    let member = |nick| format!(r#"{{"guild_id":"9","nick":{nick},"user":{{{user}}}}}"#);
    rig.publish(Kind::GUILD_MEMBER_ADD, 9, 1, &member("null"), None);
    let hello = format!(r#"{{"id":"7","guild_id":"9","content":"hello","author":{{{user}}}}}"#);
    rig.publish(Kind::MESSAGE_CREATE, 9, 2, &hello, None);
    rig.message(9, 3);
    rig.publish(Kind::GUILD_MEMBER_UPDATE, 9, 4, &member("null"), Some(&member("null")));
    rig.publish(Kind::GUILD_MEMBER_UPDATE, 9, 5, &member(r#""countess""#), Some(&member("null")));

    let output = BufReader::new(greeter.stdout.take().expect("its output"));
    let lines: Vec<_> = output.lines().take(3).map(|line| line.expect("text")).collect();
    let wanted = ["welcome, ada!", "hello, ada!", r#"ada: None -> Some("countess")"#];
    assert_eq!(lines, wanted);
    until("all to be acknowledged", || rig.group("greeter").lag == 0);

    let pid = nix::unistd::Pid::from_raw(greeter.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("alive");
    assert_eq!(greeter.wait().expect("it ends").code(), Some(0));
}

/// Examples are built beside the tests: target/<profile>/examples.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("this test");
    let profile = test.ancestors().nth(2).expect("target/<profile>/deps");
    profile.join("examples/greeter")
}
