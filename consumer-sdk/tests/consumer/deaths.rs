//! P2 when a member dies: what it held goes to the others, and to nobody before.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::rig::{Rig, Running, next, numbers, until};

const INSTANCE: &str = "TEST_INSTANCE_TO_DIE_IN";
const JOURNAL: &str = "TEST_JOURNAL_TO_WRITE";

/// Not a test of its own: the process that takes two events, acknowledges one, and is killed.
#[test]
fn child_that_dies() {
    let Ok(instance) = std::env::var(INSTANCE) else { return };
    let consumer = mixcord::Consumer::builder().instance(instance).group("bot");
    let mut consumer = consumer.connect_blocking().expect("connected");
    next(&mut consumer).ack();
    let held = next(&mut consumer);
    assert_eq!(numbers(&held), (1, 2));
    std::process::abort();
}

#[test]
fn a_dead_process_holds_nothing_and_repeats_nothing_it_acknowledged() {
    let mut rig = Rig::new();
    let mut survivor = rig.consumer().group("bot").connect_blocking().expect("connected");
    (1..=3).for_each(|number| rig.message(1, number));
    let child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "deaths::child_that_dies"])
        .env(INSTANCE, &rig.instance)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(!child.expect("a child").success());
    // Counted by the one that died, for whoever comes next.
    for (number, attempt) in [(2, 2), (3, 1)] {
        let event = next(&mut survivor);
        assert_eq!((numbers(&event), event.attempt()), ((1, number), attempt));
        event.ack();
    }
    assert_eq!(rig.group("bot").lag, 0);
}

#[test]
fn a_member_that_leaves_gives_back_what_it_did_not_acknowledge() {
    let mut rig = Rig::new();
    let mut first = rig.consumer().group("bot").connect_blocking().expect("connected");
    (1..=3).for_each(|number| rig.message(1, number));
    next(&mut first).ack();
    let held = next(&mut first);
    drop(first);
    let mut second = rig.consumer().group("bot").connect_blocking().expect("connected");
    let again = next(&mut second);
    assert_eq!((again.seq(), again.identity()), (2, held.identity()));
    // Too late: it belongs to the other member now.
    held.ack();
    assert_eq!(rig.group("bot").lag, 2);
}

#[test]
fn a_group_goes_on_where_its_last_member_was() {
    let mut rig = Rig::new();
    let connect = |rig: &Rig| rig.consumer().group("bot").connect_blocking().expect("connected");
    let mut consumer = connect(&rig);
    (1..=4).for_each(|number| rig.message(number, number));
    let mut seen = vec![next(&mut consumer), next(&mut consumer)];
    seen.iter().for_each(mixcord::Event::ack);
    drop(consumer);
    (5..=8).for_each(|number| rig.message(number, number));
    let mut consumer = connect(&rig);
    seen.extend((0..6).map(|_| {
        let event = next(&mut consumer);
        event.ack();
        event
    }));
    let mut seen: Vec<_> = seen.iter().map(mixcord::Event::seq).collect();
    seen.sort_unstable();
    assert_eq!(seen, (1..=8).collect::<Vec<_>>());
}

/// Not a test of its own: a member that writes down what it handles, until it is killed.
#[test]
fn child_that_works() {
    let (Ok(instance), Ok(journal)) = (std::env::var(INSTANCE), std::env::var(JOURNAL)) else {
        return;
    };
    let consumer = mixcord::Consumer::builder().instance(instance).group("bot").from_earliest();
    let mut consumer = consumer.connect_blocking().expect("connected");
    let mut journal = OpenOptions::new().append(true).open(journal).expect("the journal");
    loop {
        let event = next(&mut consumer);
        let (guild, number) = numbers(&event);
        // One write, so that it is there whole or not at all.
        journal.write_all(format!("{guild} {number}\n").as_bytes()).expect("written");
        event.ack();
    }
}

fn worker(rig: &Rig, journal: &Path) -> Running {
    let worker = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "deaths::child_that_works"])
        .env(INSTANCE, &rig.instance)
        .env(JOURNAL, journal)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Running(worker.expect("a worker"))
}

#[test]
fn members_killed_again_and_again_lose_nothing_and_repeat_one_event_a_death() {
    const EVENTS: u64 = 3_000;
    const GUILDS: u64 = 16;
    let mut rig = Rig::new();
    // Before any event, or the first ones would be overwritten while the workers start.
    assert!(rig.operator().create_group("bot", true, false, None).expect("created"));
    let folder = tempfile::tempdir().expect("a folder");
    let journal = folder.path().join("journal");
    File::create(&journal).expect("the journal");
    let mut workers: Vec<_> = (0..3).map(|_| worker(&rig, &journal)).collect();
    let mut deaths = 0;
    for number in 0..EVENTS {
        rig.message(number % GUILDS, number);
        if number % 250 == 249 {
            let victim = deaths % workers.len();
            workers[victim].end();
            workers[victim] = worker(&rig, &journal);
            deaths += 1;
        }
    }
    let lines = || std::fs::read_to_string(&journal).expect("the journal");
    // What was set aside, as a killed worker had it while the ring was full, is no lag any more.
    let are_all_there = || {
        let journal = lines();
        let numbers: HashSet<_> = journal.lines().collect();
        numbers.len() as u64 == EVENTS
    };
    until("everything to be handled", || rig.group("bot").lag == 0 && are_all_there());
    workers.iter_mut().for_each(Running::end);

    let mut seen = 0;
    let mut guilds: HashMap<u64, Vec<u64>> = HashMap::new();
    for line in lines().lines() {
        let (guild, number) = line.split_once(' ').expect("two numbers");
        let handled = guilds.entry(guild.parse().expect("a guild")).or_default();
        let number: u64 = number.parse().expect("a number");
        // A repetition is of the guild's last event: order holds over deaths too.
        if handled.last() != Some(&number) {
            handled.push(number);
        }
        seen += 1;
    }
    for guild in 0..GUILDS {
        let wanted: Vec<_> = (0..EVENTS).filter(|number| number % GUILDS == guild).collect();
        assert_eq!(guilds[&guild], wanted, "guild {guild}");
    }
    let repeated = seen - EVENTS;
    assert!(repeated <= deaths as u64, "{repeated} repetitions after {deaths} deaths");
}
