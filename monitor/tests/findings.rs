//! Each finding is found, says what is so in one line and what to type in another.

#[allow(dead_code, reason = "shared by the tests")]
mod rig;

use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::time::Duration;

use mixcord_event::bridge::{BridgeFigures, GatewayFigures, LeaseFigures, StreamFigures};
use mixcord_event::figures::{Budget, ShardFigures};
use mixcord_event::proxy::ProxyFigures;
use mixcord_event::reshard::{ReshardFigures, Stage};
use mixcord_event::status::ShardStatus;
use mixcord_event::topology;
use mixcord_monitor::findings::{
    self, Finding, Machine, Other, Segment, Severity, Shm, look_around, of_instance,
};
use mixcord_ring::{GroupSpec, Order, Settle, Start, WorkerOptions};
use rig::{Rig, ago, connected, now_us, publish};

/// The one finding of that name.
fn find(found: &[Finding], name: &str) -> Finding {
    let mut named = found.iter().filter(|finding| finding.name == name);
    let finding = named.next().unwrap_or_else(|| panic!("no {name} in {found:#?}"));
    assert_eq!(
        (finding.text.lines().count(), finding.command.lines().count()),
        (1, 1),
        "{finding:?}"
    );
    finding.clone()
}

fn of(rig: &Rig, name: &str) -> Finding {
    find(&of_instance(&rig.overview()), name)
}

fn names(rig: &Rig) -> Vec<&'static str> {
    of_instance(&rig.overview()).iter().map(|finding| finding.name).collect()
}

#[test]
fn what_is_well_has_no_finding() {
    let rig = Rig::new();
    let (_shards, mut out) = (rig.shards(), rig.output());
    let spec = GroupSpec::durable("bot").any_order(Order::Key);
    let mut worker = rig.out().work(&spec, &rig.bell, WorkerOptions::new()).expect("a member");
    publish(&mut out, now_us());
    worker.take().expect("no error").expect("an event").settle(Settle::Ack).expect("settled");
    assert_eq!(of_instance(&rig.overview()), []);
}

#[test]
fn nothing_there() {
    let rig = Rig::new();
    let finding = of(&rig, "nothing-there");
    assert_eq!(finding.severity, Severity::Broken);
    assert_eq!(finding.command, format!("mixcord-gateway --instance {}", rig.instance));
}

#[test]
fn processes_that_are_gone() {
    let rig = Rig::new();
    let (mut shards, out) = (rig.shards(), rig.output());
    shards.pop();
    let finding = of(&rig, "gateway-gone");
    assert!(finding.text.contains("1 of the 2 shards' rings, shard-1-2"), "{}", finding.text);
    shards.pop();
    assert!(of(&rig, "gateway-gone").text.contains("rings of the 2 shards"));
    assert!(!names(&rig).contains(&"cache-gone"));
    drop(out);
    let finding = of(&rig, "cache-gone");
    assert_eq!(finding.command, format!("mixcord-cache --instance {}", rig.instance));
}

#[test]
fn a_bridge_that_is_cut_off_or_killed_and_a_stream_that_fills() {
    let rig = Rig::new();
    let (_shards, _out) = (rig.shards(), rig.output());
    let stream = |bytes| StreamFigures {
        name: "MIXCORD_b_LOG_main_0-2".into(),
        bytes,
        bytes_max: 100,
        ..StreamFigures::default()
    };
    let figures = |connected, bytes| BridgeFigures {
        end: "receive".into(),
        bot: "b".into(),
        connected,
        behind: 7,
        streams: vec![stream(bytes)],
        ..BridgeFigures::default()
    };
    let about = ["bridge-killed", "broker-gone", "stream-full"];
    let found = |rig: &Rig| -> Vec<&'static str> {
        names(rig).into_iter().filter(|name| about.contains(name)).collect()
    };
    let bridge = rig.bridge(&figures(true, 10));
    assert_eq!(found(&rig), [""; 0]);
    drop(bridge);
    assert_eq!(found(&rig), ["bridge-killed"]);
    let command = format!("mixcord-bridge --instance {} receive", rig.instance);
    assert_eq!(of(&rig, "bridge-killed").command, command);
    let bridge = rig.bridge(&figures(false, 10));
    assert_eq!(found(&rig), ["broker-gone"]);
    drop(bridge);
    let _bridge = rig.bridge(&figures(true, 81));
    assert_eq!(found(&rig), ["stream-full"]);
    assert!(of(&rig, "stream-full").text.contains("81 %"));
    let bridges = rig.overview().bridges;
    assert_eq!((bridges.len(), bridges[0].behind, bridges[0].alive), (1, 7, true));
}

#[test]
fn a_standby_that_waits_while_nobody_has_the_lease() {
    let rig = Rig::new();
    let (_shards, _out) = (rig.shards(), rig.output());
    // Streams by their first shard, each with its lease, and for how long that was not renewed.
    let found = |leases: &[(&str, &str, u64)], gateway: &str, connected: bool| {
        let (streams, leases) = leases
            .iter()
            .map(|&(first, state, seconds)| {
                let name = format!("MIXCORD_b_LOG_main_{first}");
                let stream = StreamFigures { name, writer: "a".into(), ..StreamFigures::default() };
                let (state, still_ms) = (state.to_owned(), seconds * 1_000);
                (stream, LeaseFigures { state, still_ms, ..LeaseFigures::default() })
            })
            .unzip();
        let gateway = GatewayFigures {
            first: 8,
            last: 15,
            count: 16,
            state: gateway.into(),
            why: "the ring is full".into(),
        };
        let _bridge = rig.bridge(&BridgeFigures {
            end: "receive".into(),
            bot: "b".into(),
            started_us: ago(Duration::from_secs(60)),
            connected,
            streams,
            leases,
            gateways: vec![gateway],
            ..BridgeFigures::default()
        });
        let found = of_instance(&rig.overview());
        found.into_iter().find(|finding| finding.name == "lease-free")
    };
    let free = [("0-16", "held", 1), ("8-16", "lapsed", 40)];
    let finding = found(&free, "standby", true).expect("shards 8 to 15 run nowhere");
    assert_eq!(finding.severity, Severity::Broken);
    for words in ["shards 8..15/16", "for 40 s", "It waits: the ring is full"] {
        assert!(finding.text.contains(words), "{words}: {}", finding.text);
    }
    assert_eq!(finding.command, "mixcord-bridge --bot b status");
    assert!(found(&[("8-16", "ended", 40)], "standby", true).is_some());
    assert!(found(&[], "standby", true).is_some(), "nobody ever sent them");
    // Of a block that another machine names.
    assert!(found(&[("0-16", "lapsed", 40)], "standby", true).is_some());
    for (leases, gateway, connected) in [
        (&free[..], "holder", true),
        (&free[..], "standby", false),
        (&[("0-16", "lapsed", 40), ("8-16", "held", 1)][..], "standby", true),
        (&[("8-16", "lapsed", 29)][..], "standby", true),
        (&[("8-16", "", 0)][..], "standby", true),
    ] {
        assert_eq!(found(leases, gateway, connected), None, "{leases:?} {gateway} {connected}");
    }
}

#[test]
fn a_proxy_that_was_killed_or_is_of_another_release() {
    let rig = Rig::new();
    let (_shards, _out) = (rig.shards(), rig.output());
    let listen = "127.0.0.1:9465".to_owned();
    let proxy = rig.proxy(&ProxyFigures { listen, ..ProxyFigures::default() });
    let finding = of(&rig, "version-differs");
    assert!(finding.text.starts_with("mixcord-proxy is of release 0.0.9"), "{}", finding.text);
    assert!(!names(&rig).contains(&"proxy-gone"));
    drop(proxy);
    let finding = of(&rig, "proxy-gone");
    assert!(finding.text.contains("and 1 sessions wait"), "{}", finding.text);
    let command = format!("mixcord-proxy --instance {} --listen 127.0.0.1:9465", rig.instance);
    assert_eq!(finding.command, command);
    assert!(!names(&rig).contains(&"version-differs"));
}

#[test]
fn a_bridge_that_does_not_run() {
    let rig = Rig::new();
    let (mut shards, _out) = (rig.shards(), rig.output());
    assert!(!names(&rig).contains(&"bridge-gone"));
    let spec = GroupSpec::durable("bridge").from(Start::Earliest);
    for shard in &shards {
        shard.ring().declare_group(&spec).expect("a group");
    }
    publish(&mut shards[0], now_us());
    let finding = of(&rig, "bridge-gone");
    assert!(finding.text.contains("3 records of 2 shards wait"), "{}", finding.text);
    assert_eq!(finding.command, format!("mixcord-bridge --instance {} send", rig.instance));
    let members: Vec<_> =
        shards.iter().map(|shard| shard.ring().join(&spec, &rig.bell).expect("a member")).collect();
    assert!(!names(&rig).contains(&"bridge-gone"));
    drop(members);
}

#[test]
fn rings_of_an_old_count_and_rings_that_cannot_be_read() {
    let rig = Rig::new();
    let (_shards, _out) = (rig.shards(), rig.output());
    drop(rig.shard(0, 1, &connected(), &ShardFigures::default()));
    let finding = of(&rig, "old-ring");
    assert!(finding.text.contains("2 are run now"), "{}", finding.text);
    assert!(finding.command.contains("rm --ring shard-0-1"), "{}", finding.command);
    assert!(!names(&rig).contains(&"gateway-gone"));
    // While the count changes two sets are run.
    let change = |stage| ReshardFigures { from: 1, to: 2, stage, ..ReshardFigures::default() };
    rig.reshard(&change(Stage::Cutting));
    assert!(!names(&rig).contains(&"old-ring"));
    rig.reshard(&change(Stage::Done));
    assert!(names(&rig).contains(&"old-ring"));
    let path = format!("/dev/shm/mixcord.{}.shard-0-1", rig.instance);
    let segment = OpenOptions::new().write(true).open(path).expect("the segment");
    segment.write_all_at(&[0xff; 64], 0).expect("written");
    let finding = of(&rig, "ring-unreadable");
    assert!(finding.text.starts_with("shard-0-1 cannot be read: "), "{}", finding.text);
}

#[test]
fn shards_that_do_not_do_what_they_should() {
    let rig = Rig::new();
    let figures = ShardFigures::default();
    let _out = rig.output();
    let away = ShardStatus { state: "identifying".into(), ..connected() };
    let long_ago = now_us() - 40_000_000;
    let unread = ShardStatus { stalled_since_us: Some(long_ago), ..connected() };
    let shards = [
        rig.shard(0, 5, &connected(), &figures),
        rig.shard(1, 5, &away, &figures),
        rig.shard(2, 5, &unread, &figures),
        rig.shard_since(3, 5, &connected(), &figures, ago(Duration::from_secs(7_200))),
        rig.shard_since(4, 5, &connected(), &figures, now_us() + 600_000_000),
    ];
    let ring = shards[3].ring();
    ring.ask_anew(topology::CACHE_GROUP, ring.tail()).expect("asked");
    let finding = of(&rig, "state-lost");
    assert!(finding.text.starts_with("the state of 1 of 5 shards was lost"), "{}", finding.text);
    assert!(finding.text.contains("sessions: 3."), "{}", finding.text);
    assert_eq!(of(&rig, "shard-not-connected").text, "1 of 5 shards identifying: 1");
    let finding = of(&rig, "shard-not-read");
    assert!(finding.text.starts_with("shard 2 is not read for 4"), "{}", finding.text);
    assert_eq!(finding.severity, Severity::Broken);
    let finding = of(&rig, "shard-silent");
    assert!(finding.text.contains("shard 3") && finding.text.ends_with("2 h"), "{}", finding.text);
    assert!(finding.command.contains("shard reconnect 3"), "{}", finding.command);
    assert!(of(&rig, "clock").text.contains("shard 4"));
}

#[test]
fn groups_in_trouble() {
    let rig = Rig::new();
    let (_shards, mut out) = (rig.shards(), rig.output());
    let ring = rig.out();
    let spec = |name| GroupSpec::durable(name).from(Start::Earliest).any_order(Order::Key);
    for name in ["empty", "gone", "broken"] {
        ring.declare_group(&spec(name)).expect("a group");
    }
    let options = || WorkerOptions::new().attempts(1);
    let mut late = ring.work(&spec("late"), &rig.bell, options()).expect("a member");
    let mut failing = ring.work(&spec("failing"), &rig.bell, options()).expect("a member");
    publish(&mut out, ago(Duration::from_secs(300)));
    let _held = late.take().expect("no error").expect("an event");
    let event = failing.take().expect("no error").expect("an event");
    event.settle(Settle::Dead { reason: "no such channel" }).expect("settled");
    ring.evict_group("gone").expect("evicted");

    assert!(of(&rig, "group-empty").text.contains("\"empty\" has no members and keeps 1 records"));
    assert!(of(&rig, "group-late").text.contains("\"late\" is 5 min behind"));
    assert!(of(&rig, "group-evicted").text.contains("\"gone\""));
    let finding = of(&rig, "dead-letters");
    assert!(finding.text.contains("\"failing\" gave up 1"), "{}", finding.text);
    assert!(finding.command.contains("groups dead failing"), "{}", finding.command);

    damage(&rig, "broken");
    assert!(of(&rig, "group-damaged").text.contains("\"broken\""));
    for _ in 0..55 {
        publish(&mut out, now_us());
    }
    let finding = of(&rig, "group-holds-ring");
    assert!(finding.text.contains("% full: group \""), "{}", finding.text);
    assert!(finding.command.starts_with("mixcord groups rm "), "{}", finding.command);
}

/// Puts a floor beyond the tail into the entry of this group.
fn damage(rig: &Rig, name: &str) {
    let path = format!("/dev/shm/mixcord.{}.out", rig.instance);
    let bytes = std::fs::read(&path).expect("the ring");
    let place = bytes.windows(name.len()).position(|window| window == name.as_bytes());
    let segment = OpenOptions::new().write(true).open(path).expect("the ring");
    let entry = place.expect("its name") - NAME;
    segment.write_all_at(&(1_u64 << 40).to_le_bytes(), (entry + FLOOR) as u64).expect("written");
}

/// Where a group's name and its floor stand in its entry.
const NAME: usize = 64;
const FLOOR: usize = 128;

#[test]
fn a_budget_that_does_not_reach_and_programs_of_other_releases() {
    let rig = Rig::new();
    let _out = rig.output();
    let whole_us = now_us() + 3_600_000_000;
    let budget = Some(Budget { at_us: now_us(), left: 1, total: 1_000, whole_us });
    let figures = ShardFigures { budget, ..ShardFigures::default() };
    let mut first = rig.shard(0, 2, &connected(), &figures);
    let _second = rig.shard(1, 2, &connected(), &figures);
    let finding = of(&rig, "budget-low");
    assert!(
        finding.text.starts_with("1 of 1000 identifies are left for 2 shards"),
        "{}",
        finding.text
    );
    assert!(!names(&rig).contains(&"version-differs"));
    let mut checkpoint = connected().encode();
    let writer = mixcord_event::sections::WRITER;
    mixcord_event::sections::put(&mut checkpoint, writer, 1, b"mixcord-gateway 9.9.9");
    first.set_checkpoint(&checkpoint).expect("short enough");
    publish(&mut first, now_us());
    let finding = of(&rig, "version-differs");
    assert!(finding.text.contains("mixcord-gateway is of release 9.9.9"), "{}", finding.text);
}

fn machine() -> Machine {
    Machine {
        shm: Some(Shm { is_tmpfs: true, bytes: 2 << 30, free_bytes: 1 << 30 }),
        files_max: 65_536,
        file_bytes_max: u64::MAX,
        membarrier: true,
        page_bytes: 4096,
        uid: 1_000,
        loses_segments_at_logout: false,
        segments: vec![Segment {
            name: "mixcord.x.out".into(),
            uid: 1_000,
            mode: 0o600,
            bytes: 70 << 20,
        }],
        others: vec![Other { name: "test".into(), bytes: 3 << 20, in_use: true }],
    }
}

/// What is found of a machine that differs from a good one in this.
fn of_machine(change: impl FnOnce(&mut Machine)) -> Vec<Finding> {
    let rig = Rig::new();
    let (_shards, _out) = (rig.shards(), rig.output());
    let mut machine = machine();
    change(&mut machine);
    findings::all(&rig.overview(), &machine)
}

#[test]
fn machines_that_will_not_do() {
    assert_eq!(of_machine(|_| {}), []);
    let found = |name: &str, change: fn(&mut Machine)| find(&of_machine(change), name);
    let shm = |shm: Shm| move |machine: &mut Machine| machine.shm = Some(shm);
    let full = Shm { is_tmpfs: true, bytes: 1 << 30, free_bytes: 50 << 20 };
    let finding = find(&of_machine(shm(full)), "shm-full");
    assert!(
        finding.text.contains("50 of 1024 MiB") && finding.text.contains("takes 70"),
        "{}",
        finding.text
    );
    assert_eq!(finding.command, "mount -o remount,size=2048M /dev/shm");
    let small = Shm { is_tmpfs: true, bytes: 64 << 20, free_bytes: 64 << 20 };
    assert!(find(&of_machine(shm(small)), "shm-small").text.contains("--shm-size"));
    let disk = Shm { is_tmpfs: false, bytes: 1 << 40, free_bytes: 1 << 40 };
    assert_eq!(find(&of_machine(shm(disk)), "shm-on-disk").severity, Severity::Broken);
    found("shm-missing", |machine| machine.shm = None);
    assert!(
        found("segment-open", |it| it.segments[0].mode = 0o644).command.starts_with("chmod go= ")
    );
    assert!(
        found("segment-anothers", |it| it.segments[0].uid = 0).text.contains("user 0, not to 1000")
    );
    assert_eq!(
        found("removed-at-logout", |it| it.loses_segments_at_logout = true).command,
        "loginctl enable-linger"
    );
    assert_eq!(found("files-limit", |it| it.files_max = 100).command, "ulimit -n 256");
    assert_eq!(
        found("file-size-limit", |it| it.file_bytes_max = 1 << 20).severity,
        Severity::Broken
    );
    let unused = found("instance-unused", |it| it.others[0].in_use = false);
    assert_eq!(unused.command, "mixcord rm --instance test");
    found("no-membarrier", |it| it.membarrier = false);
    found("large-pages", |it| it.page_bytes = 65_536);
}

#[test]
fn the_worst_comes_first() {
    let found = of_machine(|machine| {
        machine.membarrier = false;
        machine.shm = None;
    });
    assert!(found.is_sorted_by(|a, b| a.severity >= b.severity), "{found:#?}");
}

#[test]
fn facts_of_this_machine_are_gathered() {
    let rig = Rig::new();
    let _out = rig.output();
    let path = format!("/dev/shm/mixcord.{}.out", rig.instance);
    let instance = mixcord::operator::Instance::open(&rig.instance).expect("a name");
    let of_ring = |machine: Machine| {
        machine
            .segments
            .into_iter()
            .find(|segment| segment.name.ends_with(".out"))
            .expect("the ring")
    };
    let machine = look_around(&instance).expect("/dev/shm");
    assert!(machine.shm.as_ref().is_some_and(|shm| shm.bytes > shm.free_bytes), "{machine:?}");
    assert!(machine.files_max > 0 && machine.page_bytes >= 4096, "{machine:?}");
    let segment = of_ring(machine);
    assert_eq!((segment.mode, segment.uid), (0o600, nix_uid()));
    assert!(segment.bytes > 0);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).expect("ours");
    let open = look_around(&instance);
    // What is open to others is not removed, either.
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("ours");
    assert_eq!(of_ring(open.expect("/dev/shm")).mode, 0o640);
}

fn nix_uid() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").expect("ourselves").uid()
}
