//! A machine that begins with the state of another one.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use serde_json::json;

use super::*;

/// As short as can be, so that a copy takes many of them.
const MESSAGE: &str = "max_payload: 5KB";

/// Events before the copy, at least.
const BEFORE: usize = 1_500;

/// A broker with short messages.
fn broker(stack: &Stack) -> Result<Option<Broker>> {
    let file = stack.folder().join("nats.conf");
    fs::write(&file, MESSAGE)?;
    Broker::start(stack.folder(), &["-c", &file.to_string_lossy()])
}

/// The machine that begins.
struct New<'a> {
    stack: Stack,
    broker: &'a Broker,
    bot: &'a str,
    options: Vec<&'a str>,
}

impl New<'_> {
    fn receive(&self) -> Result<Program> {
        let options = [&["--bot", self.bot][..], &self.options].concat();
        self.stack.bridge("receive", self.broker, &options)
    }

    fn file(&self, name: &str) -> PathBuf {
        PathBuf::from(topology::copy_dir(self.stack.instance())).join(name)
    }

    fn ring(&self, shard: u16, count: u16) -> bool {
        let namespace = Namespace::new(&topology::namespace(self.stack.instance()));
        namespace.is_ok_and(|own| Ring::attach(&own, &topology::shard_ring(shard, count)).is_ok())
    }

    /// Bytes that have arrived, and all of them, once there are some.
    fn arrived(&self) -> Result<(u64, u64)> {
        let began = Instant::now();
        while began.elapsed() < DEADLINE {
            let folder = fs::read_dir(self.file("")).into_iter().flatten().flatten();
            let whole = |name: String| topology::parse_copy_file(&name).is_some();
            let mut files = folder.filter(|file| whole(file.file_name().to_string_lossy().into()));
            if let Some(Ok(whole)) = files.next().map(|file| file.metadata()) {
                return Ok((whole.len(), whole.len()));
            }
            // In this order: the note is written before any byte is.
            let part = fs::metadata(self.file("part")).map_or(0, |part| part.len());
            let note = fs::read(self.file("part.json")).unwrap_or_default();
            let note: Value = serde_json::from_slice(&note).unwrap_or_default();
            if part > 0 {
                return Ok((part, note["bytes"].as_u64().unwrap_or(0)));
            }
            std::thread::yield_now();
        }
        anyhow::bail!("nothing arrived: {:?}", fs::read_dir(self.file("")).map(Iterator::count))
    }
}

/// What both say of events of this shard from where the second one begins: the same, with what stood there before where
/// no other shard has a part in that.
fn same_from_there_on(
    (old, new): (&Stack, &Stack),
    tails: [&Program; 2],
    shard: u16,
    shards: u16,
) -> Result<usize> {
    let lines = |tail: &Program| -> Result<Vec<Value>> {
        let text = fs::read_to_string(tail.stdout_path())?;
        let lines: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        Ok(lines.into_iter().filter(|line| line["shard"] == shard).collect())
    };
    let said = |line: &Value| match shards {
        1 => line.clone(),
        _ => json!([line["kind"], line["session"], line["seq"], line["index"]]),
    };
    let (all, some) = (lines(tails[0])?, lines(tails[1])?);
    let first = some.first().map(said);
    let begin = all.iter().position(|line| Some(said(line)) == first);
    let begin = begin.with_context(|| format!("it begins with {first:?}"))?;
    ensure!(begin > 0, "it begins with the state");
    let same = all[begin..].iter().zip(&some).take_while(|(all, some)| said(all) == said(some));
    let (same, both) = (same.count(), some.len().min(all.len() - begin));
    ensure!(same == both, "{:?}\n{:?}", all.get(begin + same), some.get(same));
    ensure!(some.iter().all(|line| line["kind"] != "GAP"), "nothing was lost");
    let (all, some) = (origins(old)?, origins(new)?);
    ensure!(some.iter().all(|origin| all.contains(origin)), "an event is the same everywhere");
    Ok(both)
}

fn export(stack: &Stack, more: &[&str]) -> Result<Vec<String>> {
    let mut command = stack.mixcord();
    command.args(["cache", "export", "--instance", stack.instance()]).args(more);
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut lines: Vec<_> = String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect();
    lines.sort();
    Ok(lines)
}

#[test]
fn a_worker_from_nothing_knows_what_the_other_knows_though_it_is_killed_meanwhile() -> Result<()> {
    let options = FakeOptions {
        shards: 1,
        guilds: 60,
        members: 1_000,
        events: 12_000,
        rate: 1_000,
        ..FakeOptions::default()
    };
    let (near, far) = (Stack::new()?, Stack::new()?);
    let Some(broker) = broker(&near)? else { return Ok(()) };
    let fake = Fake::start(near.folder(), &options)?;
    let (tail, mut there) = journal(&far)?;
    let _cache = far.cache(&[])?;
    let _receive = far.bridge("receive", &broker, &["--bot", near.instance()])?;
    let _gateway = near.gateway(&fake, "auto", &["--feeds", "bridge"])?;
    let _send = near.bridge("send", &broker, &[])?;
    // What is to come after the copy comes after it.
    pause(&fake, BEFORE)?;
    there.read_until(BEFORE, DEADLINE)?;

    let bot = near.instance();
    let options = vec!["--shards", "0..0/1", "--state-from", far.instance()];
    let new = New { stack: Stack::new()?, broker: &broker, bot, options };
    // The cache runs first, and waits for nothing.
    let cache = new.stack.cache(&[])?;
    let receive = new.receive()?;
    let (arrived, all) = new.arrived()?;
    receive.kill()?;
    let kept = fs::metadata(new.file("part")).map_or(0, |part| part.len());
    ensure!(arrived <= kept && kept < all, "{kept} of {all}: killed too late, it proves nothing");
    cache.kill()?;
    fake.post("/fake/resume")?;
    let (new_tail, mut here) = journal(&new.stack)?;
    let (_receive, _cache) = (new.receive()?, new.stack.cache(&[])?);

    let sent = there.read_all(&fake, DEADLINE)?;
    compare(&sent, &there.delivered, Order::Shard)?;
    let last = sent.last().map(|event| event.seq);
    until("the last event on the new machine", DEADLINE, || {
        let _ = here.read();
        here.delivered.iter().rev().find(|event| event.is_sent()).map(|event| event.seq)
            == Some(last)
    })?;
    let begun_twice = _receive.stderr().contains("has the state");
    ensure!(!begun_twice, "it went on with what had arrived: {}", _receive.stderr());
    let status = far.bridge("status", &broker, &["--bot", bot, "--json"])?.wait(DEADLINE)?;
    let status: Value = serde_json::from_str(&status.stdout)?;
    let receivers = status["receivers"].as_array().map(Vec::len);
    ensure!(receivers == Some(2), "it came back under another number: {status}");
    let events = same_from_there_on((&far, &new.stack), [&tail, &new_tail], 0, 1)?;
    ensure!(events > 100, "{events} events only");
    ensure!(export(&far, &[])? == export(&new.stack, &[])?, "both know the same");
    ensure!(!new.file("origins.json").exists() && !new.file("state-0-0-1").exists());
    Ok(())
}

#[test]
fn a_machine_that_sends_gives_the_shards_that_are_wanted_though_it_is_started_anew() -> Result<()> {
    let options = FakeOptions {
        shards: 2,
        guilds: 60,
        members: 1_000,
        events: 12_000,
        rate: 1_000,
        ..FakeOptions::default()
    };
    let near = Stack::new()?;
    let Some(broker) = broker(&near)? else { return Ok(()) };
    let fake = Fake::start(near.folder(), &options)?;
    let (tail, mut there) = journal(&near)?;
    let _cache = near.cache(&[])?;
    let _gateway = near.gateway(&fake, "auto", &["--feeds", "cache,bridge"])?;
    let send = near.bridge("send", &broker, &[])?;
    // What is to come after the copy comes after it.
    pause(&fake, BEFORE)?;
    there.read_until(BEFORE, DEADLINE)?;

    let bot = near.instance();
    let options = vec!["--shards", "1..1/2", "--state-from", bot];
    let new = New { stack: Stack::new()?, broker: &broker, bot, options };
    let (new_tail, mut here) = journal(&new.stack)?;
    let (_cache, _receive) = (new.stack.cache(&[])?, new.receive()?);
    new.arrived()?;
    send.kill()?;
    let _send = near.bridge("send", &broker, &[])?;
    until("the shard to be received", DEADLINE, || new.ring(1, 2))?;
    fake.post("/fake/resume")?;

    let sent = there.read_all(&fake, DEADLINE)?;
    let last = sent.iter().rev().find(|event| event.shard == 1).map(|event| event.seq);
    until("the last event on the new machine", DEADLINE, || {
        let _ = here.read();
        here.delivered.iter().rev().find(|event| event.is_sent()).map(|event| event.seq)
            == Some(last)
    })?;
    same_from_there_on((&near, &new.stack), [&tail, &new_tail], 1, 2)?;
    ensure!(here.delivered.iter().all(|event| event.shard == Some(1)), "its shard alone");
    // The guilds of the other shard are not known here.
    let guilds = |stack: &Stack| export(stack, &["--resource", "guilds"]);
    let (all, some) = (guilds(&near)?, guilds(&new.stack)?);
    let of_shard = |line: &&String| {
        let line: Value = serde_json::from_str(line).unwrap_or_default();
        line["id"]
            .as_str()
            .and_then(|id| id.parse::<u64>().ok())
            .is_some_and(|id| (id >> 22) % 2 == 1)
    };
    let wanted: Vec<_> = all.iter().filter(of_shard).cloned().collect();
    ensure!(!wanted.is_empty() && wanted == some, "{} of {}", some.len(), all.len());
    Ok(())
}

#[test]
fn a_machine_that_cannot_begin_says_why_and_is_seen() -> Result<()> {
    let stack = Stack::new()?;
    let Some(broker) = Broker::start(stack.folder(), &[])? else { return Ok(()) };
    let receive = stack.bridge("receive", &broker, &["--state-from", "another"])?;
    let seen = || -> Result<Value> {
        // Without rings it ends with an error, having said what there is.
        let ls = stack.mixcord().args(["ls", "--json", "--instance", stack.instance()]).output()?;
        Ok(serde_json::from_slice(&ls.stdout)?)
    };
    until("it to be seen", DEADLINE, || {
        seen().is_ok_and(|ls| ls["bridges"].as_array().is_some_and(|all| all.len() == 1))
    })?;
    until("it to say that there is no sender", DEADLINE, || {
        receive.stderr().contains("start mixcord-bridge send")
    })?;
    let _send = stack.bridge("send", &broker, &[])?;
    until("it to say that nobody has the state", DEADLINE, || {
        receive.stderr().contains("no state from instance another yet")
    })
}
