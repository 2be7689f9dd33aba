//! Members whose handlers do whatever handlers do, killed at random: per guild the order holds, nothing
//! acknowledged comes again, every event ends handled or dead, and no count of deliveries is too low.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use mixcord::Event;

use crate::rig::{PATIENCE, Rig, numbers, until_within};

const INSTANCE: &str = "TEST_INSTANCE_TO_SOAK_IN";
const JOURNAL: &str = "TEST_JOURNAL_OF_SOAK";
const EVENTS: u64 = 2_500;
const GUILDS: u64 = 24;
const ATTEMPTS: u8 = 3;
const MEMBERS: usize = 3;

/// What a handler does with an event, decided by the event and the attempt alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Succeed,
    Fail,
    Panic,
    Hang,
    Abort,
    AckFirst,
    GiveUp,
    Retry,
}

fn mix(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB) >> 33
}

fn deed(number: u64, attempt: u32) -> Deed {
    // Some fail for ever, some die for ever, some at first only.
    match (mix(number) % 200, mix(number * 7 + u64::from(attempt)) % 100) {
        (0, _) => Deed::Fail,
        (1, _) => Deed::Panic,
        (2, _) => Deed::Hang,
        (3, _) if number.is_multiple_of(5) => Deed::Abort,
        (4, _) => Deed::GiveUp,
        (_, 0..=2) => Deed::Fail,
        (_, 3) => Deed::Panic,
        (_, 4) if attempt == 1 => Deed::Hang,
        (_, 5) => Deed::Retry,
        (_, 6..=20) => Deed::AckFirst,
        _ => Deed::Succeed,
    }
}

/// One line in one write: there whole or not at all.
fn note(journal: &File, what: &str, event: &Event) {
    let (guild, number) = numbers(event);
    let line = format!("{what} {guild} {number} {}\n", event.attempt());
    let mut journal = journal;
    journal.write_all(line.as_bytes()).expect("written");
}

/// Not a test of its own: a member.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_does_what_handlers_do() {
    let (Ok(instance), Ok(path)) = (std::env::var(INSTANCE), std::env::var(JOURNAL)) else {
        return;
    };
    let open = || OpenOptions::new().append(true).open(&path).expect("the journal");
    let (journal, letters) = (std::sync::Arc::new(open()), open());
    let consumer = mixcord::Consumer::builder()
        .instance(instance)
        .group("bot")
        .concurrency(8)
        .attempts(ATTEMPTS)
        .retry(Duration::from_millis(1), Duration::from_millis(4))
        .handler_timeout(Duration::from_millis(50))
        .on_dead(move |letter| note(&letters, "dead", letter.event.as_ref().expect("an event")))
        .connect()
        .await
        .expect("connected");
    let run = consumer.run(move |event: Event| {
        let journal = std::sync::Arc::clone(&journal);
        async move {
            let deed = deed(event.seq(), event.attempt());
            note(&journal, "given", &event);
            tokio::task::yield_now().await;
            match deed {
                Deed::Fail => return Err("the database is away"),
                Deed::Panic => panic!("a fault of the handler, on purpose"),
                Deed::Hang => std::future::pending().await,
                Deed::Abort => std::process::abort(),
                Deed::GiveUp => event.term("no such channel"),
                Deed::Retry => event.nak(Duration::from_millis(2), "not yet"),
                Deed::AckFirst => {
                    event.ack();
                    note(&journal, "acked", &event);
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
                Deed::Succeed => {
                    event.ack();
                    note(&journal, "acked", &event);
                }
            }
            Ok(())
        }
    });
    run.await.expect("no error");
}

fn member(instance: &str, journal: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "soak::child_that_does_what_handlers_do"])
        .env(INSTANCE, instance)
        .env(JOURNAL, journal)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a member")
}

/// Ends the members, also when the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn whatever_handlers_and_processes_do_every_event_ends_once_and_in_order() {
    // A file of dead letters that holds all there may be, also when most handlers run out of time.
    let mut rig = Rig::with_slots(256, 4 << 20);
    assert!(rig.operator().create_group("bot", true, false, None).expect("created"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal");
    File::create(&path).expect("the journal");
    let operator = rig.operator();
    let (is_over, kills) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let mut members: Vec<_> = (0..MEMBERS).map(|_| member(&rig.instance, &path)).collect();
        let (instance, path, is_over, kills) = (rig.instance.clone(), &path, &is_over, &kills);
        let (kill, to_kill) = mpsc::channel::<usize>();
        // Members that die are replaced, whatever the ring's producer waits for.
        scope.spawn(move || {
            while !is_over.load(Ordering::SeqCst) {
                if let Ok(at) = to_kill.recv_timeout(Duration::from_millis(2)) {
                    members[at].kill().expect("killed");
                    kills.fetch_add(1, Ordering::SeqCst);
                }
                for child in &mut members {
                    if child.try_wait().expect("a child").is_some() {
                        *child = member(&instance, path);
                    }
                }
            }
            for mut child in members {
                child.kill().expect("killed");
                child.wait().expect("gone");
            }
        });
        let _over = Over(is_over);
        for number in 0..EVENTS {
            rig.message(number % GUILDS, number);
            if number % 400 == 399 {
                kill.send(number as usize / 400 % MEMBERS).expect("it listens");
            }
        }
        // There is always something that succeeds: of processes that have acknowledged nothing yet a hundred may die
        // before one counts, and an event that kills would be given up too late for a test.
        let mut more = (EVENTS..).filter(|&number| {
            (1..=u32::from(ATTEMPTS)).all(|attempt| deed(number, attempt) == Deed::Succeed)
        });
        let mut looks = 0_u32;
        until_within(10 * PATIENCE, "every event to end", || {
            let is_over =
                rig.group("bot").lag == 0 && operator.peek("bot", 1).expect("a look").is_empty();
            looks += 1;
            // Not faster than they are handled on a machine with other work; yet some, behind one that holds the floor.
            if !is_over && (rig.group("bot").lag < GUILDS || looks.is_multiple_of(32)) {
                let number = more.next().expect("endless");
                rig.message(number % GUILDS, number);
            }
            is_over
        });
    });
    let kills = kills.into_inner();
    let status = rig.group("bot");
    assert_eq!(status.dead_dropped, 0, "of {}: the file was too small for the test", status.dead);
    let letters = operator.dead_letters("bot").expect("the letters");
    let dead: HashSet<u64> =
        letters.iter().map(|letter| letter.record().expect("whole").header().seq).collect();
    judge(&std::fs::read_to_string(&path).expect("the journal"), &dead);
    assert!(kills > 0 && dead.len() > 10, "{kills} kills, {} dead: it proves nothing", dead.len());
}

/// What the journal says of one event.
#[derive(Default)]
struct Story {
    attempts: Vec<u32>,
    is_acked: bool,
    is_dead: bool,
}

fn judge(journal: &str, dead: &HashSet<u64>) {
    // What is told when something is wrong.
    let of = |number: u64| {
        let is_of = |line: &&str| line.split(' ').nth(2) == Some(number.to_string().as_str());
        journal.lines().filter(is_of).collect::<Vec<_>>()
    };
    let mut stories: HashMap<u64, Story> = HashMap::new();
    let mut newest: HashMap<u64, u64> = HashMap::new();
    for line in journal.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let [what, guild, number, attempt] = words[..] else { panic!("{line}") };
        let parse = |word: &str| word.parse::<u64>().expect("a number");
        let (guild, number, attempt) = (parse(guild), parse(number), parse(attempt) as u32);
        let story = stories.entry(number).or_default();
        match what {
            "given" => {
                assert!(!story.is_acked, "acknowledged, it came again: {:?}", of(number));
                assert!(!story.is_dead, "dead, it came again: {:?}", of(number));
                let newest = newest.entry(guild).or_insert(number);
                assert!(number >= *newest, "{number} of guild {guild} came behind {newest}");
                *newest = number;
                let counted = story.attempts.last().copied().unwrap_or(0);
                assert!(attempt >= counted.max(1), "{number}: attempt {attempt} after {counted}");
                story.attempts.push(attempt);
            }
            "acked" => story.is_acked = true,
            _ => story.is_dead = true,
        }
    }
    for number in 0..EVENTS {
        let story = &stories[&number];
        let last = *story.attempts.last().expect("it was given");
        // It may have been killed between the acknowledgement and the line that says so.
        let is_handled = matches!(deed(number, last), Deed::Succeed | Deed::AckFirst);
        // One that would have succeeded may have run out of time.
        assert!(is_handled || dead.contains(&number), "{number}: {:?}", of(number));
        assert!(!(story.is_acked && dead.contains(&number)), "{number}: {:?}", of(number));
        assert!(dead.contains(&number) || !story.is_dead, "{number} is told dead and not kept");
        assert!(!story.is_acked || is_handled, "{number} was acknowledged by nobody");
    }
}
