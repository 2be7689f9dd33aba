//! What was recorded and is replayed gives the same output ring, byte for byte but for ring ids; and no token is in the file.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mixcord::event::topology;
use mixcord_e2e::{Fake, FakeOptions, Program, Stack, TOKEN, until};
use mixcord_ring::{Limits, Namespace, Observed, Ring};

const DEADLINE: Duration = Duration::from_secs(120);
const SHARDS: u16 = 2;
/// Old values, derived events, guilds that come and go, and kinds that nobody knows.
const MIX: &str = "presence=100,message=200,voice=40,message-update=60,member-update=60,message-delete=20,\
    member-add=20,member-remove=20,user-rename=20,channel-update=20,role-update=10,role-delete=5,\
    reaction-add=20,thread-create=10,unknown=20,guild-outage=10,guild-come-and-go=10";
/// Larger than all that comes: nothing of it is overwritten before it is compared.
const RINGS: &[&str] = &["--output-bytes", "64MiB"];

/// The ring id of the origin in a record of the output ring, which every instance has its own of.
const ORIGIN_RING: std::ops::Range<usize> = 40..48;

fn record(stack: &Stack, file: &Path, options: &[&str]) -> Result<Program> {
    let mut command = stack.mixcord();
    command.args(["record", "--instance", stack.instance(), "--out"]).arg(file).args(options);
    Program::start("record", stack.folder(), &mut command)
}

fn replay(stack: &Stack, file: &Path, speed: &str) -> Result<String> {
    let mut command = stack.mixcord();
    command.arg("replay").arg(file).args(["--instance", stack.instance(), "--speed", speed]);
    let exit = Program::start("replay", stack.folder(), &mut command)?.wait(DEADLINE)?;
    ensure!(exit.code == Some(0), "{}", exit.stderr);
    Ok(exit.stdout)
}

fn ring(stack: &Stack, name: &str) -> Result<Ring> {
    Ok(Ring::attach(&Namespace::new(&topology::namespace(stack.instance()))?, name)?)
}

/// Until the cache has read everything that the shards' rings have.
fn until_read(stack: &Stack) -> Result<()> {
    until("the cache to have read all", DEADLINE, || {
        (0..SHARDS).all(|shard| {
            ring(stack, &topology::shard_ring(shard, SHARDS)).is_ok_and(|ring| ring.is_drained())
        })
    })
}

/// The output ring, shard by shard: how shards lie in each other is nobody's promise.
fn output(stack: &Stack) -> Result<Vec<Vec<Vec<u8>>>> {
    let ring = ring(stack, topology::OUTPUT_RING)?;
    ensure!(ring.earliest() == 0, "the ring is too small for this test");
    let mut shards = vec![Vec::new(); SHARDS.into()];
    let (mut seen, mut from) = (Observed::default(), 0);
    while ring.glance(from, Limits { records: 4096, bytes: 8 << 20 }, &mut seen)? {
        for entry in seen.entries() {
            from = entry.position + 1;
            let record = mixcord_event::Record::parse(entry.payload)?;
            let mut bytes = entry.payload.to_vec();
            bytes.get_mut(ORIGIN_RING).context("a header")?.fill(0);
            shards[usize::from(record.header().shard.id)].push(bytes);
        }
    }
    Ok(shards)
}

#[test]
fn a_recorded_run_replayed_gives_the_same_output_ring() -> Result<()> {
    let stack = Stack::new()?;
    let file = stack.folder().join("run.mixrec");
    let more = vec!["--mix".to_owned(), MIX.to_owned()];
    let options = FakeOptions {
        shards: SHARDS,
        guilds: 6,
        members: 20,
        events: 2_000,
        rate: 0,
        more,
        ..FakeOptions::default()
    };
    let fake = Fake::start(stack.folder(), &options)?;
    let recorder = record(&stack, &file, &[])?;
    let cache = stack.cache(RINGS)?;
    let gateway = stack.gateway(&fake, &SHARDS.to_string(), &[])?;
    fake.until_finished(DEADLINE)?;
    until_read(&stack)?;
    gateway.terminate(DEADLINE)?;
    until_read(&stack)?;
    cache.terminate(DEADLINE)?;
    let exit = recorder.terminate(DEADLINE)?;
    ensure!(
        exit.code == Some(0) && exit.stdout.contains("; 0 lost"),
        "{}{}",
        exit.stdout,
        exit.stderr
    );

    let again = Stack::new()?;
    let cache = again.cache(RINGS)?;
    let said = replay(&again, &file, "max")?;
    ensure!(said.contains("all of it"), "{said}");
    until_read(&again)?;
    let (first, second) = (output(&stack)?, output(&again)?);
    ensure!(first.iter().all(|shard| shard.len() > 1_000), "too little to prove anything");
    for (shard, (first, second)) in first.iter().zip(&second).enumerate() {
        let differ = first.iter().zip(second).position(|(first, second)| first != second);
        ensure!(differ.is_none(), "shard {shard}: record {differ:?} differs");
        ensure!(first.len() == second.len(), "shard {shard}: {} and {}", first.len(), second.len());
    }
    // `ls` says what the rings are, as for a gateway.
    let ls = again.ls()?;
    ensure!(ls["rings"][0]["shard"]["state"] == "stopped", "{}", ls["rings"][0]);
    cache.terminate(DEADLINE)?;

    // P9: neither in the file, nor in what is packed in it.
    let bytes = fs::read(&file)?;
    let mut reader = mixcord_recording::Reader::open(&bytes[..])?;
    let secret = TOKEN.rsplit('.').next().context("a secret")?.as_bytes();
    let has = |bytes: &[u8]| memchr::memmem::find(bytes, secret).is_some();
    ensure!(!has(&bytes));
    while let Some(item) = reader.next_item()? {
        if let mixcord_recording::Item::Record { payload, .. } = item {
            ensure!(!has(payload), "the token is in a record");
        }
    }
    Ok(())
}

#[test]
fn wrong_files_and_instances_are_refused_in_a_line() -> Result<()> {
    let stack = Stack::new()?;
    let file = stack.folder().join("a file");
    fs::write(&file, "not a recording")?;
    let refused = |arguments: &[&str]| -> Result<String> {
        let output = stack.mixcord().args(arguments).output()?;
        ensure!(!output.status.success(), "{arguments:?} succeeded");
        let said = String::from_utf8(output.stderr)?;
        ensure!(said.lines().count() == 1, "{said}");
        Ok(said)
    };
    let name = file.to_string_lossy();
    ensure!(refused(&["replay", &name])?.contains("no recording"));
    ensure!(refused(&["replay", "/nonexistent"])?.contains("opening /nonexistent"));
    ensure!(refused(&["replay", &name, "--speed", "0"])?.contains("neither max nor a number"));
    ensure!(refused(&["record", "--out", &name])?.contains("exists"));
    ensure!(refused(&["record"])?.contains("--out"));
    ensure!(fs::read(&file)? == b"not a recording", "it was not touched");
    // Nothing runs: it ends when it is told, with an empty recording that can be replayed.
    let empty = stack.folder().join("empty");
    let recorder = record(&stack, &empty, &["--seconds", "1.2"])?.wait(DEADLINE)?;
    ensure!(
        recorder.code == Some(0) && recorder.stderr.contains("waiting for its mixcord-gateway")
    );
    ensure!(replay(&Stack::new()?, &empty, "1")?.contains("0 records replayed"));
    Ok(())
}
