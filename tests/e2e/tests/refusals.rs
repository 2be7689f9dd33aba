//! What cannot work is refused with one clear line, exit code 78, and nothing left behind; and the
//! token is nowhere to be seen (P9).

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::Result;
use mixcord_e2e::{Exit, Fake, FakeOptions, Follower, Program, Stack, TOKEN, until};

const DEADLINE: Duration = Duration::from_secs(20);
const CONFIGURATION: Option<i32> = Some(78);

fn fake(stack: &Stack, more: &[&str]) -> Result<Fake> {
    let more = more.iter().map(ToString::to_string).collect();
    Fake::start(stack.folder(), &FakeOptions { more, ..FakeOptions::default() })
}

/// One line that says `about`, code 78, no segment.
fn refused(stack: &Stack, exit: &Exit, about: &str) {
    assert_eq!(exit.code, CONFIGURATION, "it said: {}", exit.stderr);
    let lines: Vec<_> = exit.stderr.lines().filter(|l| !l.trim().is_empty()).collect();
    let last = lines.last().copied().unwrap_or_default();
    assert!(last.contains(about), "the reason should mention {about:?}: {}", exit.stderr);
    assert!(lines.len() <= 4, "one clear line, not {}: {}", lines.len(), exit.stderr);
    assert_eq!(stack.segments(), Vec::<std::path::PathBuf>::new(), "segments were left behind");
}

#[test]
fn wrong_token() -> Result<()> {
    let stack = Stack::new()?;
    let fake = fake(&stack, &["--token", "another-token"])?;
    let exit = stack.gateway(&fake, "auto", &[])?.wait(DEADLINE)?;
    refused(&stack, &exit, "token");
    Ok(())
}

#[test]
fn no_token() -> Result<()> {
    let stack = Stack::new()?;
    let fake = fake(&stack, &[])?;
    let mut command = stack.command("mixcord-gateway");
    command.args(["--api-url", &fake.api_url()]);
    let exit = Program::start("gateway", stack.folder(), &mut command)?.wait(DEADLINE)?;
    refused(&stack, &exit, "DISCORD_TOKEN");
    Ok(())
}

#[test]
fn bad_options() -> Result<()> {
    let stack = Stack::new()?;
    let fake = fake(&stack, &[])?;
    for (option, value) in [
        ("--shards", "7..3/4"),
        ("--shards", "0..4/4"),
        ("--encoding", "xml"),
        ("--compression", "gzip"),
        ("--intents", "GUILDS,NONSENSE"),
        ("--no-such-option", "1"),
    ] {
        let mut command = stack.command("mixcord-gateway");
        command.env("DISCORD_TOKEN", TOKEN).args(["--api-url", &fake.api_url(), option, value]);
        let exit = Program::start("gateway", stack.folder(), &mut command)?.wait(DEADLINE)?;
        assert_eq!(exit.code, CONFIGURATION, "{option} {value}: {}", exit.stderr);
        assert!(exit.stderr.contains(option), "{option} {value}: {}", exit.stderr);
    }
    for program in ["mixcord-cache", "mixcord-gateway"] {
        let mut command = std::process::Command::new(Program::path(program));
        command.env("DISCORD_TOKEN", TOKEN).args(["--instance", "Not/A Name"]);
        let exit = Program::start(program, stack.folder(), &mut command)?.wait(DEADLINE)?;
        assert_eq!(exit.code, CONFIGURATION, "{program}: {}", exit.stderr);
    }
    assert!(stack.segments().is_empty());
    Ok(())
}

#[test]
fn too_little_shared_memory() -> Result<()> {
    let stack = Stack::new()?;
    let fake = fake(&stack, &[])?;
    let exit = stack.gateway(&fake, "auto", &["--ring-bytes", "64TiB"])?.wait(DEADLINE)?;
    refused(&stack, &exit, "--ring-bytes");
    let exit = stack.cache(&["--output-bytes", "64TiB"])?.wait(DEADLINE)?;
    refused(&stack, &exit, "--output-bytes");
    Ok(())
}

#[test]
fn the_same_shards_twice() -> Result<()> {
    let stack = Stack::new()?;
    let fake = fake(&stack, &["--heartbeat-ms", "1000"])?;
    let mut first = stack.gateway(&fake, "0..1/4", &[])?;
    until("the first gateway to be connected", DEADLINE, || {
        fake.status().is_ok_and(|shards| shards.iter().filter(|s| s.connected).count() == 2)
    })?;
    let before = stack.segments();
    let exit = stack.gateway(&fake, "1..2/4", &[])?.wait(DEADLINE)?;
    assert_eq!(exit.code, CONFIGURATION, "it said: {}", exit.stderr);
    assert!(exit.stderr.contains("shard 1"), "{}", exit.stderr);
    assert_eq!(stack.segments(), before, "the refused start left something behind");
    assert!(first.is_running(), "the first gateway was disturbed");

    // Another range of the same instance is welcome.
    let _second = stack.gateway(&fake, "2..3/4", &[])?;
    until("all four shards to be connected", DEADLINE, || {
        fake.status().is_ok_and(|shards| shards.iter().filter(|s| s.connected).count() == 4)
    })
}

#[test]
fn a_second_cache_is_refused() -> Result<()> {
    let stack = Stack::new()?;
    let mut first = stack.cache(&[])?;
    until("the first cache to have its ring", DEADLINE, || {
        stack.segments().iter().any(|path| path.to_string_lossy().ends_with(".out"))
    })?;
    let exit = stack.cache(&[])?.wait(DEADLINE)?;
    assert_eq!(exit.code, CONFIGURATION, "it said: {}", exit.stderr);
    assert!(first.is_running());
    Ok(())
}

#[test]
fn the_token_is_nowhere() -> Result<()> {
    let stack = Stack::new()?;
    let fake = fake(&stack, &["--token", TOKEN])?;
    let tail = stack.tail(&["--group", "g", "--from", "earliest"])?;
    let mut follower = Follower::new(&tail, &[])?;
    let cache = stack.cache(&[])?;
    let mut command = stack.command("mixcord-gateway");
    command
        .env("DISCORD_TOKEN", TOKEN)
        .env("RUST_LOG", "trace")
        .args(["--api-url", &fake.api_url()]);
    let gateway = Program::start("gateway", stack.folder(), &mut command)?;
    follower.read_until(500, Duration::from_secs(60))?;
    for program in [&gateway, &cache, &tail] {
        let line = std::fs::read(format!("/proc/{}/cmdline", program.pid()))?;
        assert!(!holds(&line, TOKEN), "the token is in an argument list");
        assert!(!program.stdout().contains(TOKEN), "the token was printed");
        assert!(!program.stderr().contains(TOKEN), "the token is in a log");
    }
    let secret = TOKEN.rsplit('.').next().unwrap_or(TOKEN);
    for segment in stack.segments() {
        let files = if segment.is_dir() {
            std::fs::read_dir(&segment)?.flatten().map(|entry| entry.path()).collect()
        } else {
            vec![segment]
        };
        for file in files.iter().filter(|file| file.is_file()) {
            // A draft of the store gets its name, or is gone, between the list and the look.
            let bytes = match std::fs::read(file) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                bytes => bytes?,
            };
            assert!(!holds(&bytes, secret), "the token is in {}", file.display());
        }
    }
    Ok(())
}

fn holds(bytes: &[u8], needle: &str) -> bool {
    memchr::memmem::find(bytes, needle.as_bytes()).is_some()
}
