//! P10 when a handler takes its process with it: the event that does is found, given alone, and given up.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use mixcord::Event;

use crate::rig::{self, PATIENCE, Rig, Running, numbers, until, until_within};

const INSTANCE: &str = "TEST_INSTANCE_TO_ABORT_IN";
const JOURNAL: &str = "TEST_JOURNAL_OF_ABORTS";
const GUILDS: u64 = 8;
/// Guild and number of the event that kills.
const POISON: (u64, u64) = (3, 3);
const ATTEMPTS: u8 = 2;

/// Not a test of its own: a member whose handler aborts at one event.
#[tokio::test]
async fn child_that_aborts() {
    let (Ok(instance), Ok(path)) = (std::env::var(INSTANCE), std::env::var(JOURNAL)) else {
        return;
    };
    let journal = OpenOptions::new().append(true).open(&path).expect("the journal");
    let journal = Arc::new(journal);
    let note = move |word: &str, event: &Event| {
        let (guild, number) = numbers(event);
        let line = format!("{word} {} {guild} {number} {}\n", std::process::id(), event.attempt());
        // One write: there whole, or not at all.
        (&*journal).write_all(line.as_bytes()).expect("written");
    };
    let consumer = mixcord::Consumer::builder()
        .instance(instance)
        .group("bot")
        .concurrency(4)
        .attempts(ATTEMPTS);
    let note = Arc::new(note);
    let run = consumer.run(move |event: Event| {
        let note = Arc::clone(&note);
        async move {
            note("begin", &event);
            if numbers(&event) == POISON {
                // Others begin beside it, unless it is given alone.
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                std::process::abort();
            }
            tokio::task::yield_now().await;
            note("end", &event);
        }
    });
    run.await.expect("no error");
}

fn member(rig: &Rig, journal: &Path) -> Running {
    let member = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "aborting::child_that_aborts"])
        .env(INSTANCE, &rig.instance)
        .env(JOURNAL, journal)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Running(member.expect("a member"))
}

#[test]
fn an_event_that_aborts_its_process_is_given_alone_and_given_up_and_others_go_on() {
    let mut rig = Rig::new();
    assert!(rig.operator().create_group("bot", true, false, None).expect("created"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal");
    File::create(&path).expect("the journal");
    let mut members = [member(&rig, &path), member(&rig, &path)];
    let mut published = 0;
    // There is always something else to do, so that each process acknowledges something before it dies.
    until_within(4 * PATIENCE, "the event to be given up", || {
        for child in &mut members {
            if child.0.try_wait().expect("a child").is_some() {
                *child = member(&rig, &path);
            }
        }
        // Never more than fits, for whoever waits here for room starts no member that would make it; yet more than three
        // quarters, at which what holds the others up goes aside.
        if rig.group("bot").lag + 2 * GUILDS <= u64::from(rig::SLOTS) {
            for guild in 0..GUILDS {
                rig.message(guild, published);
            }
            published += 1;
        }
        !rig.operator().dead_letters("bot").expect("the letters").is_empty()
    });
    until("everything else to be handled", || rig.group("bot").lag == 0);
    members.iter_mut().for_each(Running::end);
    let letters = rig.operator().dead_letters("bot").expect("the letters");
    assert_eq!(letters.len(), 1, "that one alone");
    let letter = letters[0].record().expect("whole");
    assert_eq!((letter.header().key, letter.header().seq), POISON);

    let journal = std::fs::read_to_string(&path).expect("the journal");
    let mut open: HashMap<&str, HashSet<(u64, u64)>> = HashMap::new();
    let (mut done, mut deaths, mut counted) = (HashSet::new(), 0, 1);
    for line in journal.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let [word, pid, guild, number, attempt] = words[..] else { panic!("{line}") };
        let parse = |word: &str| word.parse::<u64>().expect("a number");
        let event = (parse(guild), parse(number));
        let open = open.entry(pid).or_default();
        if word == "end" {
            assert!(open.remove(&event) && done.insert(event), "{line}");
            continue;
        }
        assert!(!open.contains(&POISON) || event != POISON, "{line}");
        // From the third time on that counts it is suspect.
        let suspect_is_out = open.contains(&POISON) && counted > 2;
        assert!(!suspect_is_out, "beside the suspect: {line}");
        if event == POISON {
            deaths += 1;
            let attempt = parse(attempt);
            // The death of a process that had acknowledged nothing counts for nobody, at first.
            assert!((counted..=counted + 1).contains(&attempt) && attempt <= deaths, "{line}");
            counted = attempt;
            assert!(counted <= 2 || open.is_empty(), "{open:?} beside the suspect");
        }
        open.insert(event);
    }
    assert_eq!(
        counted,
        2 + u64::from(ATTEMPTS),
        "two before it was suspect, and then its attempts"
    );
    let all: HashSet<_> = (0..GUILDS)
        .flat_map(|guild| (0..published).map(move |number| (guild, number)))
        .filter(|event| *event != POISON)
        .collect();
    assert_eq!(done, all, "what waited behind it went on");
}
