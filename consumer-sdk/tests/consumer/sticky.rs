//! A sticky group: a guild is one member's as long as that lives, and each change is told where it counts.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use mixcord::{Builder, Error, Order, Rebalance};

use crate::rig::{Rig, Running, next, numbers, until};

const INSTANCE: &str = "TEST_INSTANCE_TO_STICK_TO";
const JOURNAL: &str = "TEST_STICKY_JOURNAL";
const PARTITIONS: usize = 8;
const GUILDS: u64 = 40;

/// What a member was told.
#[derive(Debug, Default)]
struct Told {
    has: HashSet<u16>,
    lost: usize,
}

fn sticky(rig: &Rig, told: &Arc<Mutex<Told>>) -> Builder {
    let told = Arc::clone(told);
    rig.consumer().group("bot").sticky().from_earliest().concurrency(100).on_rebalance(
        move |change: &Rebalance| {
            let mut told = told.lock().expect("no panic");
            for partition in change.gained() {
                assert!(told.has.insert(*partition), "gained twice");
            }
            for partition in change.lost() {
                assert!(told.has.remove(partition), "lost, and never gained");
            }
            told.lost += change.lost().len();
        },
    )
}

#[test]
fn the_share_of_a_newcomer_moves_once_its_events_are_settled_and_comes_back() {
    let mut rig = Rig::new();
    let (first_told, second_told) = (Arc::default(), Arc::default());
    let mut first = sticky(&rig, &first_told).connect_blocking().expect("connected");
    (0..GUILDS).for_each(|guild| rig.message(guild, 1));
    let held: Vec<_> = (0..GUILDS).map(|_| next(&mut first)).collect();
    assert_eq!(first_told.lock().expect("no panic").has.len(), PARTITIONS);
    let mut second = sticky(&rig, &second_told).connect_blocking().expect("connected");
    let share = |told: &Arc<Mutex<Told>>| told.lock().expect("no panic").has.clone();
    (0..GUILDS).for_each(|guild| rig.message(guild, 2));
    // Nothing is given up of which something is out, and so nothing is given to the other.
    let nothing = second.next_timeout(std::time::Duration::from_millis(50)).expect("no error");
    assert!(nothing.event().is_none());
    assert!(share(&second_told).is_empty());
    held.iter().for_each(mixcord::Event::ack);
    drop(held);
    let (mut seen, mut by_second) = (0, 0);
    while seen < GUILDS {
        let soon = std::time::Duration::from_millis(20);
        for (consumer, told, is_second) in
            [(&mut first, &first_told, false), (&mut second, &second_told, true)]
        {
            if let Some(event) = consumer.next_timeout(soon).expect("no error").event() {
                let (guild, number) = numbers(&event);
                assert_eq!(number, 2, "nothing acknowledged comes again");
                let partition = event_partition(&rig, guild);
                assert!(share(told).contains(&partition), "{guild} is given before it is told");
                event.ack();
                seen += 1;
                by_second += u64::from(is_second);
            }
        }
    }
    assert!(by_second > 0);
    assert_eq!((share(&first_told).len(), share(&second_told).len()), (4, 4));
    assert!(share(&first_told).is_disjoint(&share(&second_told)));
    assert_eq!(first.meter().read().partitions, Some(4));
    let living = rig.operator().group("bot").expect("the group").living;
    assert_eq!(living.iter().map(|member| member.partitions).collect::<Vec<_>>(), [Some(4); 2]);
    drop(second);
    assert!(share(&second_told).is_empty(), "who ends has lost all");
    // Also of a member that asks for nothing meanwhile.
    until("the share to come back", || share(&first_told).len() == PARTITIONS);
    assert_eq!(first_told.lock().expect("no panic").lost, 4, "no more than the newcomer's moved");
}

fn event_partition(rig: &Rig, guild: u64) -> u16 {
    rig.producer.as_ref().expect("a producer").ring().partition_of(guild)
}

#[test]
fn what_makes_no_sense_with_it_is_refused() {
    let rig = Rig::new();
    let refused = |builder: Builder| match builder.connect_blocking() {
        Err(error) => error.to_string(),
        Ok(_) => panic!("connected"),
    };
    let group = || rig.consumer().group("bot");
    assert!(refused(group().sticky().in_ring_order()).contains("one event at a time"));
    assert!(refused(rig.consumer().observer().sticky()).contains("an observer gets all"));
    assert!(refused(group().on_rebalance(|_| {})).contains("add `.sticky()`"));
    let _first = group().sticky().order(Order::None).connect_blocking().expect("connected");
    // Whoever would take what others keep to themselves is refused, and told what the group is.
    for other in [group(), group().order(Order::None)] {
        let Err(error) = other.connect_blocking() else { panic!("connected") };
        assert!(matches!(error, Error::Join { .. }));
        assert!(error.to_string().contains("bot"), "{error}");
    }
    group().sticky().connect_blocking().expect("it has the group's order");
}

/// Not a test of its own: a member that keeps in memory which number of each guild came last, until it is killed.
#[test]
fn child_that_sticks() {
    let (Ok(instance), Ok(journal)) = (std::env::var(INSTANCE), std::env::var(JOURNAL)) else {
        return;
    };
    let last: Arc<Mutex<HashMap<u64, u64>>> = Arc::default();
    let known = Arc::clone(&last);
    let consumer = mixcord::Consumer::builder()
        .instance(instance)
        .group("bot")
        .sticky()
        .from_earliest()
        .concurrency(4)
        .on_rebalance(move |change| {
            known.lock().expect("no panic").retain(|guild, _| !change.loses(*guild));
        });
    let mut consumer = consumer.connect_blocking().expect("connected");
    let mut journal = OpenOptions::new().append(true).open(journal).expect("the journal");
    let mut write = |word: &str, guild: u64, number: u64| {
        // One write, so that it is there whole or not at all.
        let line = format!("{word} {} {guild} {number}\n", std::process::id());
        journal.write_all(line.as_bytes()).expect("written");
    };
    loop {
        let event = next(&mut consumer);
        let (guild, number) = numbers(&event);
        let before = last.lock().expect("no panic").insert(guild, number);
        write("begin", guild, number);
        // As long as this process has the guild, it saw the event before this one.
        if before.is_some_and(|before| before + 1 != number) {
            write("missed", guild, number);
        }
        write("end", guild, number);
        event.ack();
    }
}

fn member(rig: &Rig, journal: &Path) -> Running {
    let member = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "sticky::child_that_sticks"])
        .env(INSTANCE, &rig.instance)
        .env(JOURNAL, journal)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Running(member.expect("a member"))
}

/// Members killed and started anew: no guild is ever two members' at once, what a member knows of its guilds is
/// whole, all is handled, and in order.
#[test]
fn members_killed_again_and_again_never_share_a_guild() {
    const EVENTS: u64 = 4_000;
    let mut rig = Rig::new();
    drop(sticky(&rig, &Arc::default()).connect_blocking().expect("connected"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal");
    let mut journal = File::create(&path).expect("the journal");
    let mut members: Vec<_> = (0..3).map(|_| member(&rig, &path)).collect();
    let note = |word: &str, member: &Running| {
        let line = format!("{word} {} 0 0\n", member.0.id());
        OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut journal| journal.write_all(line.as_bytes()))
            .expect("written");
    };
    // Another member may have its guilds before it is noted that it is gone.
    let kill = |member: &mut Running| {
        note("killing", member);
        member.end();
        note("killed", member);
    };
    journal.flush().expect("written");
    for event in 0..EVENTS {
        rig.message(event % GUILDS, event / GUILDS);
        if event % 400 == 399 {
            let victim = (event / 400) as usize % members.len();
            kill(&mut members[victim]);
            members[victim] = member(&rig, &path);
        }
    }
    let lines = || std::fs::read_to_string(&path).expect("the journal");
    until("everything to be handled", || {
        rig.group("bot").lag == 0
            && lines().lines().filter(|line| line.starts_with("end")).count() as u64 >= EVENTS
    });
    members.iter_mut().for_each(kill);

    let mut open: HashMap<u64, &str> = HashMap::new();
    let mut handled: HashMap<u64, Vec<u64>> = HashMap::new();
    let (all, mut owners, mut dying) = (lines(), HashMap::new(), HashSet::new());
    for line in all.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let [word, pid, guild, number] = words[..] else { panic!("{line}") };
        let (guild, number) = (guild.parse().expect("a guild"), number.parse().expect("a number"));
        match word {
            "begin" => {
                let other = open.insert(guild, pid).filter(|other| !dying.contains(other));
                assert_eq!(other, None, "{guild} is at work in two members: {line}");
                owners.entry(guild).or_insert_with(HashSet::new).insert(pid);
            }
            "end" => {
                assert_eq!(open.remove(&guild), Some(pid), "{line}");
                let done = handled.entry(guild).or_default();
                // A repetition after a death is of the guild's last event.
                if done.last() != Some(&number) {
                    done.push(number);
                }
            }
            "killing" => drop(dying.insert(pid)),
            "killed" => open.retain(|_, owner| *owner != pid),
            _ => panic!("{line}"),
        }
    }
    for guild in 0..GUILDS {
        let wanted: Vec<_> = (0..EVENTS / GUILDS).collect();
        assert_eq!(handled[&guild], wanted, "guild {guild}");
    }
    assert!(owners.values().any(|owners| owners.len() > 1), "no guild ever moved");
}
