//! An output ring made by hand, in an instance of its own.

use std::env;
use std::os::unix::fs::FileExt;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mixcord::event::{Document, Header, Origin, Shard, record, topology};
use mixcord::operator::{GroupStatus, Instance};
use mixcord::{Builder, Consumer, Event, Kind};
use mixcord_ring::{Bell, Geometry, Meta, Namespace, Producer, StageError};

/// Longer than anything takes that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Records that the ring of [`Rig::new`] holds.
pub(crate) const SLOTS: u32 = 256;

/// A process of a test; ended with it, however that ends.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn end(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("gone");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a test in a process of its own, unless this is that: what counts for all of a process is another test's, too.
pub(crate) fn is_alone(test: &str) -> bool {
    const ALONE: &str = "MIXCORD_TEST_ALONE";
    if env::var_os(ALONE).is_some() {
        return true;
    }
    let run = Command::new(env::current_exe().expect("this test"))
        .args(["--exact", test, "--nocapture"])
        .env(ALONE, "1")
        .output()
        .expect("a process");
    let [out, err] = [&run.stdout, &run.stderr].map(|said| String::from_utf8_lossy(said));
    let passed = run.status.success() && out.contains("1 passed");
    assert!(passed, "in a process of its own: {out}{err}");
    false
}

/// An instance that has, or will have, an output ring; removed when the test ends, however it ends.
pub(crate) struct Rig {
    pub(crate) instance: String,
    pub(crate) namespace: Namespace,
    pub(crate) producer: Option<Producer>,
    bell: Option<Bell>,
    published: u64,
}

impl Rig {
    /// An instance with an output ring of [`SLOTS`] slots and 8 partitions.
    pub(crate) fn new() -> Self {
        let mut rig = Self::without_ring();
        rig.create_ring();
        rig
    }

    pub(crate) fn without_ring() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let instance = format!("t{}-sdk-{number}", std::process::id());
        let namespace = Namespace::new(&topology::namespace(&instance)).expect("a name");
        Self { instance, namespace, producer: None, bell: None, published: 0 }
    }

    /// One with so many slots and bytes.
    pub(crate) fn with_slots(slots: u32, bytes: u64) -> Self {
        let mut rig = Self::without_ring();
        rig.create_ring_of(slots, bytes);
        rig
    }

    pub(crate) fn create_ring(&mut self) {
        self.create_ring_of(SLOTS, 128 << 10);
    }

    fn create_ring_of(&mut self, slots: u32, bytes: u64) {
        let geometry = Geometry::new(slots, bytes, 8, 8, 16).expect("a geometry");
        let bell = self.namespace.bell().expect("a bell");
        let producer =
            Producer::create(&self.namespace, topology::OUTPUT_RING, geometry, &[], &bell);
        self.producer = Some(producer.expect("a ring"));
        self.bell = Some(bell);
    }

    /// As if the cache were gone.
    pub(crate) fn end_producer(&mut self) {
        self.producer = None;
        self.bell = None;
    }

    /// Ends the producer, takes the ring away and makes a new one in its place.
    pub(crate) fn replace_ring(&mut self) {
        self.end_producer();
        let path = Namespace::directory().join(format!(
            "{}.{}",
            self.namespace.prefix(),
            topology::OUTPUT_RING
        ));
        std::fs::remove_file(path).expect("the ring's segment");
        self.create_ring();
    }

    pub(crate) fn consumer(&self) -> Builder {
        Consumer::builder().instance(&self.instance).wait(PATIENCE)
    }

    pub(crate) fn operator(&self) -> Instance {
        Instance::open(&self.instance).expect("an instance")
    }

    /// The group as the ring knows it.
    pub(crate) fn group(&self, name: &str) -> GroupStatus {
        let rings = self.operator().rings().expect("rings");
        let ring = rings.into_iter().find(|ring| ring.name == "out").expect("the output ring");
        ring.groups.into_iter().find(|group| group.name == name).expect("the group")
    }

    /// The floor of the output ring's first group says what cannot be.
    pub(crate) fn damage_first_group(&self) {
        /// Where that word stands; `ringbuf-ipc/tests/layout.rs` fixes it.
        const FLOOR: u64 = 65_536 + 896 + 128;
        let name = format!("{}.{}", self.namespace.prefix(), topology::OUTPUT_RING);
        let path = Namespace::directory().join(name);
        let segment = std::fs::OpenOptions::new().write(true).open(path).expect("the segment");
        segment.write_all_at(&(1u64 << 40).to_le_bytes(), FLOOR).expect("written");
    }

    pub(crate) fn message(&mut self, guild: u64, number: u64) {
        let data = format!(r#"{{"id":"{number}","guild_id":"{guild}","content":"text {number}"}}"#);
        self.publish(Kind::MESSAGE_CREATE, guild, number, &data, None);
    }

    /// Publishes an event, waiting for space.
    pub(crate) fn publish(
        &mut self,
        kind: Kind,
        guild: u64,
        seq: u64,
        data: &str,
        old: Option<&str>,
    ) {
        let document = |json| Document::from_json(json).expect("JSON");
        let (data, old) = (document(data), old.map(document));
        let origin = Origin { ring: 77, position: self.published };
        let shard = Shard { id: 1, count: 4 };
        let header =
            Header { kind, shard, session: 3, seq, key: guild, origin, ..Header::default() };
        let mut bytes = Vec::new();
        let old = old.as_ref().map(Document::as_bytes);
        record::encode(&header, None, data.as_bytes(), old, &mut bytes);
        self.publish_bytes(kind, guild, &bytes);
    }

    /// An event without data that the gateway received then, in microseconds since 1970.
    pub(crate) fn publish_received(&mut self, kind: Kind, guild: u64, seq: u64, received_us: u64) {
        let data = Document::from_json("{}").expect("JSON");
        let header = Header { kind, seq, key: guild, received_us, ..Header::default() };
        let mut bytes = Vec::new();
        record::encode(&header, None, data.as_bytes(), None, &mut bytes);
        self.publish_bytes(kind, guild, &bytes);
    }

    pub(crate) fn publish_bytes(&mut self, kind: Kind, key: u64, bytes: &[u8]) {
        let producer = self.producer.as_mut().expect("a producer");
        let meta =
            Meta { key, tag: kind.number().into(), source: self.published, ..Meta::default() };
        let deadline = Instant::now() + PATIENCE;
        loop {
            match producer.stage(&meta, &[bytes]) {
                Ok(_) => break,
                Err(StageError::Full) => {
                    assert!(Instant::now() < deadline, "the ring stays full");
                    producer.wait_space(bytes.len(), Duration::from_millis(50));
                }
                Err(error) => panic!("{error}"),
            }
        }
        producer.publish();
        self.published += 1;
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let prefix = format!("{}.", self.namespace.prefix());
        let Ok(entries) = std::fs::read_dir(Namespace::directory()) else { return };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

/// The next event, which must come.
pub(crate) fn next(consumer: &mut Consumer) -> Event {
    consumer.next_timeout(PATIENCE).expect("no error").event().expect("in time")
}

/// Guild and number of a message.
pub(crate) fn numbers(event: &Event) -> (u64, u64) {
    (event.guild_id().expect("a guild"), event.seq())
}

/// Waits for something that must happen.
pub(crate) fn until(what: &str, happened: impl FnMut() -> bool) {
    until_within(PATIENCE, what, happened);
}

/// The same for what takes long on a busy machine.
pub(crate) fn until_within(longest: Duration, what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + longest;
    while !happened() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
