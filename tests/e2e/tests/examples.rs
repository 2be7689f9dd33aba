//! The SDK's examples against fake-discord, each as its reader starts it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mixcord::operator::Instance;
use mixcord::{Consumer, Next, Value, atoms};
use mixcord_e2e::{Exit, Fake, FakeOptions, Program, Stack, until};

const PATIENCE: Duration = Duration::from_secs(60);

/// A small world in which little happens beside what the test does.
struct Scene {
    stack: Stack,
    fake: Fake,
    _gateway: Program,
    _cache: Program,
    guild: u64,
    channel: u64,
}

impl Scene {
    fn new(mix: &str, rate: u64, intents: &[&str]) -> Result<Self> {
        let stack = Stack::new()?;
        let more = vec!["--mix".to_owned(), mix.to_owned()];
        let options = FakeOptions {
            shards: 1,
            guilds: 2,
            members: 10,
            events: 1_000_000,
            rate,
            more,
            ..FakeOptions::default()
        };
        let fake = Fake::start(stack.folder(), &options)?;
        let cache = stack.cache(&[])?;
        let gateway = stack.gateway(&fake, "1", intents)?;
        let world = fake.world()?;
        let (guild, of_guild) =
            world["guilds"].as_object().and_then(|all| all.iter().next()).context("a guild")?;
        let channels = of_guild["channels"].as_object().context("channels")?;
        let text =
            channels.values().find(|channel| channel["type"] == 0).context("a text channel")?;
        let channel = text["id"].as_str().context("an id")?.parse()?;
        let scene =
            Self { guild: guild.parse()?, channel, stack, fake, _gateway: gateway, _cache: cache };
        // Messages are told to those who are there: first there must be a session.
        let state = mixcord::State::attach(scene.stack.instance())?;
        until("the guild to be cached", PATIENCE, || {
            state.channel(channel).is_ok_and(|channel| channel.is_some())
        })?;
        Ok(scene)
    }

    fn start(&self, example: &str, arguments: &[&str]) -> Result<Program> {
        self.start_behind("out", example, arguments)
    }

    /// Starts an example that reads what this source publishes.
    fn start_behind(&self, source: &str, example: &str, arguments: &[&str]) -> Result<Program> {
        let mut command = std::process::Command::new(Program::path(&format!("examples/{example}")));
        command.args(arguments).env("MIXCORD_INSTANCE", self.stack.instance());
        command.env("MIXCORD_SOURCE", source).env("DISCORD_TOKEN", mixcord_e2e::TOKEN);
        Program::start(example, self.stack.folder(), &mut command)
    }

    /// Starts an example, and waits until its group is there.
    fn join(&self, example: &str, group: &str) -> Result<Program> {
        let program = self.start(example, &[])?;
        until("the example to join its group", PATIENCE, || self.stack.lag(group).is_ok())?;
        Ok(program)
    }

    fn says(&self, program: &Program, line: &str) -> Result<()> {
        let said = until(&format!("{line:?} to be printed"), PATIENCE, || {
            program.stdout().lines().any(|printed| printed.contains(line))
        });
        said.with_context(|| format!("it printed:\n{}\n{}", program.stdout(), program.stderr()))
    }

    fn post(&self, content: &str) -> Result<()> {
        self.fake.say(self.channel, content)
    }
}

/// Ends it as an operator does; it must have nothing to complain about.
fn end(program: Program) -> Result<()> {
    let Exit { code, stderr, .. } = program.terminate(Duration::from_secs(10))?;
    ensure!(code == Some(0), "it ended with {code:?}:\n{stderr}");
    ensure!(!stderr.contains("ERROR") && !stderr.contains("panicked"), "{stderr}");
    Ok(())
}

const ALL_INTENTS: &[&str] = &[];
const QUIET: &str = "typing=1";

/// what the README starts prints something, with the intents that it names.
#[test]
fn what_the_readme_starts_prints_with_the_intents_it_names() -> Result<()> {
    let readme = include_str!("../../../README.md");
    let line = readme.lines().find(|line| line.starts_with("scripts/run.sh")).context("run.sh")?;
    let mut words = line.split_whitespace().skip_while(|word| *word != "--intents").skip(1);
    let intents = words.next().context("the README names intents")?;
    let scene = Scene::new(QUIET, 1, &["--intents", intents])?;
    let greeter = scene.join("greeter", "greeter")?;
    scene.post("hello")?;
    scene.says(&greeter, "hello, ")?;
    end(greeter)
}

#[test]
fn those_that_answer_messages() -> Result<()> {
    let scene = Scene::new(QUIET, 1, ALL_INTENTS)?;
    let who = scene.join("who", "who")?;
    let worker = scene.join("worker", "worker")?;
    let twilight = scene.join("from_twilight", "from-twilight")?;
    let serenity = scene.join("from_serenity", "from-serenity")?;
    let paginator = scene.join("paginator", "paginator")?;
    scene.post("!who")?;
    scene.says(&who, "this is ")?;
    scene.says(&who, "you may: ")?;
    scene.post("!order tea")?;
    scene.says(&worker, "tea: done, at attempt 1")?;
    scene.post("!order busy")?;
    scene.says(&worker, "busy: done, at attempt 2")?;
    scene.post("!ping")?;
    scene.says(&twilight, "pong")?;
    scene.says(&serenity, "pong number 1 for ")?;
    scene.post("!list")?;
    scene.says(&paginator, "apples")?;
    scene.post("next")?;
    scene.says(&paginator, "pears")?;
    for program in [who, worker, twilight, serenity] {
        end(program)?;
    }
    // It waits for a minute of silence, and is not waited for that long.
    paginator.kill()?;
    Ok(())
}

#[test]
fn those_that_look_on_and_log() -> Result<()> {
    let scene = Scene::new("even", 100, ALL_INTENTS)?;
    let modlog = scene.join("modlog", "modlog")?;
    let observer = scene.start("observer", &[])?;
    scene.says(&modlog, " -> ")?;
    scene.says(&modlog, " deleted: ")?;
    scene.says(&observer, "; missed 0")?;
    let members = scene.start("members", &[&scene.guild.to_string()])?;
    scene.says(&members, " members so far")?;
    ensure!(members.wait(PATIENCE)?.code == Some(0), "it ends by itself");
    end(modlog)?;
    end(observer)
}

/// A stage, and a consumer that was not written for it: it asks the state as ever, and sees no spam.
#[test]
fn a_stage_and_an_unchanged_consumer_behind_it() -> Result<()> {
    let scene = Scene::new(QUIET, 1, ALL_INTENTS)?;
    let spam = scene.start("spam", &[])?;
    until("the stage to read", PATIENCE, || scene.stack.lag("stage-spam").is_ok())?;
    let who = scene.start_behind("spam", "who", &[])?;
    let mut observer = Consumer::builder()
        .instance(scene.stack.instance())
        .source("spam")
        .observer()
        .names(["MESSAGE_CREATE", "SPAM_BLOCKED"])
        .connect_blocking()?;
    let mut next = || match observer.next_timeout(PATIENCE)? {
        Next::Event(event) => {
            let score = event.data().get_str("spam_score").and_then(|value| value.as_f64());
            let content = event.data().get(atoms::CONTENT).and_then(Value::as_str);
            Ok((event.name().to_owned(), score, content.map(str::to_owned)))
        }
        other => anyhow::bail!("{other:?}; it said:\n{}", spam.stderr()),
    };
    let behind = Instance::open(scene.stack.instance())?.of_source("spam")?;
    until("the consumer to join behind the stage", PATIENCE, || behind.group("who").is_ok())?;
    scene.post("!who")?;
    ensure!(next()? == ("MESSAGE_CREATE".to_owned(), Some(0.0), Some("!who".to_owned())));
    scene.says(&who, "this is ")?;
    scene.post("free nitro giveaway http://spam.example")?;
    ensure!(next()? == ("SPAM_BLOCKED".to_owned(), Some(1.0), None));
    end(who)?;
    end(spam)
}

/// Slash commands, deferred answers, typing and replies, through twilight-http.
#[test]
fn commands_are_answered_through_twilight_http() -> Result<()> {
    let scene = Scene::new("interaction=1", 5, ALL_INTENTS)?;
    let mut observer = Consumer::builder()
        .instance(scene.stack.instance())
        .observer()
        .names(["MESSAGE_CREATE", "TYPING_START"])
        .connect_blocking()?;
    let base = scene.fake.api_url();
    let server = base.trim_end_matches("/api/v10");
    let commands = scene.start("commands", &[server])?;
    until("the example to join its group", PATIENCE, || scene.stack.lag("commands").is_ok())?;
    scene.post("!ping")?;
    let mut awaited = vec!["pong", "I do not know that command"];
    while !awaited.is_empty() {
        let Next::Event(event) = observer.next_timeout(PATIENCE)? else {
            anyhow::bail!("{awaited:?} did not come; it said:\n{}", commands.stderr())
        };
        let content = event.data().get(atoms::CONTENT).and_then(Value::as_str);
        awaited.retain(|awaited| Some(*awaited) != content);
    }
    end(commands)
}

/// a configuration error is 78, which run.sh does not start again.
#[test]
fn a_wrong_instance_name_ends_an_example_with_78() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = std::process::Command::new(Program::path("examples/greeter"));
    command.env("MIXCORD_INSTANCE", "No Name");
    let exit = Program::start("greeter", folder.path(), &mut command)?.wait(PATIENCE)?;
    ensure!(exit.code == Some(78), "{exit:?}");
    ensure!(exit.stderr.lines().count() == 1, "{}", exit.stderr);
    ensure!(exit.stderr.contains("is not an instance name"), "{}", exit.stderr);
    Ok(())
}
