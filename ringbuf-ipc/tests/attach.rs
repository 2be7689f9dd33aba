//! Making, attaching, refusing and removing.

mod common;

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::time::Duration;

use common::{Instance, drain, one_partition, put, small};
use mixcord_ring::{
    AttachError, CreateError, Geometry, GroupError, GroupSpec, HeaderError, JoinError, Limits,
    Namespace, Producer, RemoveError, Ring, Shortage, Start, TakeError,
};

fn group() -> GroupSpec {
    GroupSpec::durable("g").from(Start::Earliest)
}

#[test]
fn a_second_producer_is_refused_until_the_first_is_gone() {
    let instance = Instance::new("locked");
    let bell = instance.namespace.bell().unwrap();
    let first = Producer::create(&instance.namespace, "r", small(), &[], &bell).unwrap();
    assert!(first.ring().producer_alive());
    let again = Producer::attach(&instance.namespace, "r", &bell);
    assert!(matches!(again, Err(AttachError::Locked { .. })), "{again:?}");
    let again = Producer::create_or_attach(&instance.namespace, "r", small(), &[], &bell);
    assert!(matches!(again, Err(CreateError::Attach(AttachError::Locked { .. }))));
    let again = Producer::create(&instance.namespace, "r", small(), &[], &bell);
    assert!(matches!(again, Err(CreateError::Exists { .. })));
    let id = first.id();
    drop(first);
    assert!(!Ring::attach(&instance.namespace, "r").unwrap().producer_alive());
    let other = Geometry::new(128, 1 << 20, 1, 1, 1).unwrap();
    let next = Producer::create_or_attach(&instance.namespace, "r", other, &[group()], &bell);
    let next = next.unwrap();
    assert_eq!((next.id(), next.geometry()), (id, small()));
    assert_eq!(next.ring().groups()[0].name, "g");
}

/// A namespace may begin with another one and a dot.
#[test]
fn a_namespace_is_removed_and_no_other_with_it() {
    let instance = Instance::new("inner");
    let outer = Namespace::new(instance.namespace.prefix()).unwrap();
    let inner = Namespace::new(&format!("{}.eu", outer.prefix())).unwrap();
    let bell = inner.bell().unwrap();
    let mut producer = Producer::create(&inner, "r", small(), &[group()], &bell).unwrap();
    producer.stage(&Default::default(), &[&[1; 9000]]).unwrap();
    producer.publish();
    // What is left of a creator that was killed, and what is none of ours.
    let draft = instance.path("eu.r.tmp-0123456789abcdef");
    fs::write(&draft, []).unwrap();
    let ours =
        ["r.tmp-0123456789abcdef", "bells.tmp-0123456789abcdef", "s.blob-0123456789abcdef-7"];
    let others =
        ["r.tmp-12", "s.blob-0123456789abcdef-x", "a.b.tmp-0123456789abcdef", "note.blob-"];
    for name in ours.iter().chain(&others) {
        fs::write(instance.path(name), []).unwrap();
    }
    fs::create_dir(instance.path("t.blob-0123456789abcdef-1")).unwrap();
    outer.remove_all().unwrap();
    let files = instance.files();
    assert!(ours.iter().all(|name| !files.iter().any(|file| file == name)), "{files:?}");
    assert!(others.iter().all(|name| files.iter().any(|file| file == name)), "{files:?}");
    assert!(draft.exists());
    fs::remove_dir(instance.path("t.blob-0123456789abcdef-1")).unwrap();
    let mut member = producer.ring().join(&group(), &bell).unwrap();
    assert_eq!(
        member.take(Limits::default()).unwrap().unwrap().first().unwrap().payload.len(),
        9000
    );
    for name in ["tmp-0123456789abcdef", "blob-1"] {
        assert!(Producer::create(&outer, name, small(), &[], &bell).is_err(), "{name}");
    }
}

#[test]
fn drafts_of_dead_creators_go_and_those_of_the_future_stay() {
    let instance = Instance::new("drafts");
    let day = Duration::from_secs(86_400);
    let now = std::time::SystemTime::now();
    for name in ["r", "bells"] {
        for (number, made) in [(1, now - day), (2, now), (3, now + day)] {
            let path = instance.path(&format!("{name}.tmp-000000000000000{number}"));
            let file = fs::File::create(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            file.set_modified(made).unwrap();
        }
    }
    let bell = instance.namespace.bell().unwrap();
    let _producer = Producer::create(&instance.namespace, "r", small(), &[], &bell).unwrap();
    let left: Vec<_> = instance.files().into_iter().filter(|name| name.contains("tmp-")).collect();
    let kept = |name| [2, 3].map(|number| format!("{name}.tmp-000000000000000{number}"));
    assert_eq!(left, [kept("bells"), kept("r")].concat());
}

/// Whoever attaches while the ring is removed has it, or has nothing: never a file without a name.
#[test]
fn a_ring_is_not_removed_under_a_producer_that_attaches() {
    let instance = Instance::new("race");
    let bell = instance.namespace.bell().unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = instance.namespace.remove_ring("r");
            }
        });
        let rounds = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..500 {
                let made = Producer::create(&instance.namespace, "r", one_partition(), &[], &bell);
                drop(made);
                let Ok(producer) = Producer::attach(&instance.namespace, "r", &bell) else {
                    continue;
                };
                let named = Ring::attach(&instance.namespace, "r").map(|ring| ring.id());
                assert_eq!(named.ok(), Some(producer.id()), "it writes what nobody can find");
            }
        }));
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        rounds.unwrap();
    });
}

#[test]
fn a_creation_that_fails_leaves_nothing() {
    let instance = Instance::new("nothing");
    let bell = instance.namespace.bell().unwrap();
    let huge = Geometry::new(1 << 20, 1 << 36, 64, 256, 64).unwrap();
    let failed = Producer::create(&instance.namespace, "r", huge, &[], &bell).unwrap_err();
    let CreateError::NoSpace { shortage, needed, free } = failed else { panic!("{failed}") };
    assert_eq!((shortage, needed), (Shortage::Directory, huge.segment_bytes()));
    assert!(free < needed);
    let groups: Vec<_> = (0..5).map(|i| GroupSpec::durable(&format!("g{i}"))).collect();
    let failed = Producer::create(&instance.namespace, "r", small(), &groups, &bell).unwrap_err();
    assert!(matches!(failed, CreateError::Group(GroupError::TableFull { limit: 4 })));
    let wrong = Geometry { slots: 3, ..small() };
    assert!(Producer::create(&instance.namespace, "r", wrong, &[], &bell).is_err());
    for name in ["", "a.b", "A", "bells", "../x", "ä"] {
        assert!(Producer::create(&instance.namespace, name, small(), &[], &bell).is_err());
    }
    assert_eq!(instance.files(), Vec::<String>::new());
    assert!(Namespace::new("../x").is_err());
}

#[test]
fn segments_are_private_and_others_are_refused() {
    let instance = Instance::new("refused");
    let bell = instance.namespace.bell().unwrap();
    let attach = || Ring::attach(&instance.namespace, "r").unwrap_err();
    assert!(matches!(attach(), AttachError::NotFound { .. }));
    drop(Producer::create(&instance.namespace, "r", small(), &[], &bell).unwrap());
    let path = instance.path("r");
    let mode = |bits| fs::set_permissions(&path, fs::Permissions::from_mode(bits)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(instance.path("bells")).unwrap().permissions().mode() & 0o777, 0o600);

    mode(0o640);
    assert!(matches!(attach(), AttachError::TooOpen { mode: 0o640, .. }));
    mode(0o600);
    std::os::unix::fs::symlink(&path, instance.path("link")).unwrap();
    let linked = Ring::attach(&instance.namespace, "link").unwrap_err();
    assert!(matches!(linked, AttachError::NotAFile { .. }), "{linked}");
    fs::create_dir(instance.path("dir")).unwrap();
    assert!(Ring::attach(&instance.namespace, "dir").is_err());
    fs::remove_dir(instance.path("dir")).unwrap();

    let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let damage = |offset: u64, wanted: &dyn Fn(&HeaderError) -> bool| {
        let mut old = [0; 8];
        file.read_exact_at(&mut old, offset).unwrap();
        let new = (u64::from_le_bytes(old) ^ 0x10).to_le_bytes();
        file.write_all_at(&new, offset).unwrap();
        let error = attach();
        file.write_all_at(&old, offset).unwrap();
        let AttachError::Header { why, .. } = &error else { panic!("{error}") };
        assert!(wanted(why), "{error}");
    };
    damage(0, &|why| matches!(why, HeaderError::Magic { .. }));
    damage(8, &|why| matches!(why, HeaderError::Version { found: 19, ours: 3 }));
    for offset in (16..256).step_by(8) {
        damage(offset, &|why| matches!(why, HeaderError::Checksum));
    }
    let length = file.metadata().unwrap().len();
    file.set_len(length + 4096).unwrap();
    let AttachError::Header { why, .. } = attach() else { panic!() };
    assert_eq!(why, HeaderError::Size { found: length + 4096, wanted: length });
    file.set_len(100).unwrap();
    assert!(matches!(attach(), AttachError::Header { why: HeaderError::Size { .. }, .. }));
    file.set_len(0).unwrap();
    assert!(matches!(attach(), AttachError::Header { why: HeaderError::Size { .. }, .. }));
}

/// Nothing of it is a ring any more but its name: it is listed, attaching says which file and what to do,
/// and it can be removed.
#[test]
fn a_ring_without_its_magic_is_not_passed_over() {
    let instance = Instance::new("magicless");
    let bell = instance.namespace.bell().unwrap();
    for name in ["a", "b", "c"] {
        drop(
            Producer::create(&instance.namespace, name, one_partition(), &[group()], &bell)
                .unwrap(),
        );
    }
    let open = |name| std::fs::OpenOptions::new().write(true).open(instance.path(name)).unwrap();
    open("a").write_all_at(&[0; 8], 0).unwrap();
    open("b").set_len(0).unwrap();
    assert_eq!(instance.namespace.rings().unwrap(), ["a", "b", "c"]);
    for name in ["a", "b"] {
        let error = Ring::attach(&instance.namespace, name).unwrap_err();
        assert!(matches!(error, AttachError::Header { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(instance.path(name).to_str().unwrap()), "{text}");
        assert!(text.contains("remove the file"), "{text}");
        let error = Producer::attach(&instance.namespace, name, &bell).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
    instance.namespace.remove_ring("a").unwrap();
    // What is held is in use, whatever is in it.
    let producer = Producer::attach(&instance.namespace, "c", &bell).unwrap();
    open("c").write_all_at(&[0; 8], 0).unwrap();
    drop(bell);
    assert!(matches!(instance.namespace.remove_all(), Err(RemoveError::InUse { .. })));
    drop(producer);
    instance.namespace.remove_all().unwrap();
    assert_eq!(instance.files(), Vec::<String>::new());
}

#[test]
fn what_is_in_use_is_not_removed() {
    let instance = Instance::new("remove");
    let bell = instance.namespace.bell().unwrap();
    let mut producer =
        Producer::create(&instance.namespace, "r", one_partition(), &[group()], &bell).unwrap();
    producer.stage(&mixcord_ring::Meta::default(), &[&[1; 5000]]).unwrap();
    producer.publish();
    assert_eq!(instance.namespace.rings().unwrap(), ["r"]);
    let in_use = |removed| matches!(removed, Err(RemoveError::InUse { .. }));
    assert!(in_use(instance.namespace.remove_ring("r")));
    let ring = producer.ring();
    let member = ring.join(&group(), &bell).unwrap();
    drop(producer);
    assert!(in_use(instance.namespace.remove_ring("r")));
    assert!(in_use(instance.namespace.remove_all()));
    assert!(matches!(ring.remove_group("g"), Err(GroupError::InUse { members: 1, .. })));
    drop(member);
    let observer = ring.observe("o", Start::Latest, &bell).unwrap();
    assert!(in_use(instance.namespace.remove_ring("r")));
    drop((observer, bell));
    ring.remove_group("g").unwrap();
    assert!(matches!(ring.remove_group("g"), Err(GroupError::NotFound { .. })));
    instance.namespace.remove_all().unwrap();
    assert_eq!(instance.files(), Vec::<String>::new());
    assert!(!instance.path("bells").exists());
    assert!(matches!(instance.namespace.remove_ring("r"), Err(RemoveError::NotFound { .. })));
}

/// A ring goes when nobody uses it and nothing in it waits for a group.
#[test]
fn a_ring_that_is_not_drained_is_not_removed() {
    let instance = Instance::new("drained");
    let bell = instance.namespace.bell().unwrap();
    let other = GroupSpec::durable("other").from(Start::Earliest);
    let groups = [group(), other.clone()];
    let mut producer =
        Producer::create(&instance.namespace, "r", one_partition(), &groups, &bell).unwrap();
    producer.stage(&mixcord_ring::Meta::default(), &[&[1; 5000]]).unwrap();
    producer.publish();
    let ring = producer.ring();
    let remove = || instance.namespace.remove_drained_ring("r");
    assert!(matches!(remove(), Err(RemoveError::InUse { .. })), "its producer lives");
    drop(producer);
    for spec in [group(), other] {
        assert!(!remove().unwrap(), "a group has not read it");
        let mut member = ring.join(&spec, &bell).unwrap();
        assert!(matches!(remove(), Err(RemoveError::InUse { .. })), "a member lives");
        member.take(Limits { records: 1, bytes: 1 << 16 }).unwrap().unwrap().ack();
    }
    assert!(remove().unwrap());
    assert!(matches!(remove(), Err(RemoveError::NotFound { .. })));
    let left = instance.files();
    assert!(left.iter().all(|name| name.contains("bells")), "{left:?}");
}

#[test]
fn places_are_limited_and_given_back() {
    let instance = Instance::new("places");
    let bell = instance.namespace.bell().unwrap();
    let producer = Producer::create(&instance.namespace, "r", one_partition(), &[], &bell).unwrap();
    let ring = producer.ring();
    let mut members: Vec<_> = (0..4).map(|_| ring.join(&group(), &bell).unwrap()).collect();
    assert!(matches!(ring.join(&group(), &bell), Err(JoinError::Full { limit: 4 })));
    assert_eq!(ring.groups()[0].members, 4);
    members.pop();
    members.push(ring.join(&group(), &bell).unwrap());
    let observers: Vec<_> =
        (0..64).map(|_| ring.observe("o", Start::Latest, &bell).unwrap()).collect();
    assert!(ring.observe("o", Start::Latest, &bell).is_err());
    drop(observers);
    assert!(ring.observe("o", Start::Latest, &bell).is_ok());
    assert!(ring.declare_group(&GroupSpec::durable("No")).is_err());
    for name in ["h", "i", "j"] {
        assert!(ring.declare_group(&GroupSpec::durable(name)).unwrap());
        assert!(!ring.declare_group(&GroupSpec::durable(name)).unwrap());
    }
    assert!(ring.declare_group(&GroupSpec::durable("k")).is_err());
}

#[test]
fn a_removed_group_tells_nobody_the_records_of_its_successor() {
    let instance = Instance::new("successor");
    let bell = instance.namespace.bell().unwrap();
    let mut producer =
        Producer::create(&instance.namespace, "r", one_partition(), &[group()], &bell).unwrap();
    let ring = producer.ring();
    drop(ring.join(&group(), &bell).unwrap());
    ring.remove_group("g").unwrap();
    put(&mut producer, 1);
    producer.publish();
    let late = GroupSpec::durable("g");
    let mut member = ring.join(&late, &bell).unwrap();
    assert_eq!(drain(&mut member), []);
    put(&mut producer, 2);
    producer.publish();
    assert_eq!(drain(&mut member), [(1, 2)]);
}

#[test]
fn a_damaged_floor_is_put_aside_and_the_others_go_on() {
    let instance = Instance::new("quarantine");
    let bell = instance.namespace.bell().unwrap();
    let other = GroupSpec::durable("h").from(Start::Earliest);
    let groups = [group(), other.clone()];
    let mut producer =
        Producer::create(&instance.namespace, "r", one_partition(), &groups, &bell).unwrap();
    let ring = producer.ring();
    let mut a = ring.join(&group(), &bell).unwrap();
    let mut b = ring.join(&other, &bell).unwrap();
    for _ in 0..40 {
        put(&mut producer, 1);
        producer.publish();
        drain(&mut a);
        drain(&mut b);
    }
    // By the drawing of LAYOUT.md: the floor of the first group, and in the second round its cursor too.
    let file = fs::OpenOptions::new().write(true).open(instance.path("r")).unwrap();
    let floor = 65_536 + 896 + 128;
    file.write_all_at(&3u64.to_le_bytes(), floor).unwrap();
    assert_eq!(a.floor(), 3);
    for round in 0..40 {
        if round == 20 {
            assert!(!drain(&mut a).is_empty(), "a floor alone is made anew from the cursors");
            file.write_all_at(&3u64.to_le_bytes(), floor).unwrap();
            file.write_all_at(&3u64.to_le_bytes(), floor - 128 + 768 + 8).unwrap();
        }
        while !producer.has_space(105) {
            producer.wait_space(105, Duration::from_millis(50));
            if round < 20 {
                drain(&mut a);
            }
        }
        put(&mut producer, 1);
        producer.publish();
        assert_eq!(drain(&mut b).len(), 1);
    }
    assert!(matches!(a.take(Limits::default()), Err(TakeError::Removed)));
}
