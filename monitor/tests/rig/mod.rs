//! An instance made by hand, as gateway and cache would leave it.

pub(crate) mod monitor;

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mixcord::operator::{Instance, Overview};
use mixcord_event::bridge::{BridgeFigures, GatewayFigures, LeaseFigures, StreamFigures};
use mixcord_event::figures::ShardFigures;
use mixcord_event::proxy::ProxyFigures;
use mixcord_event::reshard::ReshardFigures;
use mixcord_event::status::ShardStatus;
use mixcord_event::{Document, Header, Kind, Shard, record, sections, topology};
use mixcord_ring::{Bell, Geometry, GroupSpec, Meta, Namespace, Producer, Ring, Start};
use nix::fcntl::{Flock, FlockArg};

/// Gone with the test, however that ends.
pub(crate) struct Rig {
    pub(crate) instance: String,
    pub(crate) namespace: Namespace,
    pub(crate) bell: Bell,
    // Behind the bell: what is in use is not removed.
    _removed: Removed,
}

struct Removed(Namespace, String);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(topology::proxy_dir(&self.1));
        let _ = fs::remove_dir_all(topology::bridge_dir(&self.1));
        let _ = fs::remove_file(topology::reshard_board(&self.1));
        let removed = self.0.remove_all();
        assert!(std::thread::panicking() || removed.is_ok(), "{removed:?}");
    }
}

pub(crate) fn connected() -> ShardStatus {
    ShardStatus {
        state: "connected".into(),
        session: 1,
        seq: Some(7),
        latencies_us: vec![41_000],
        ..ShardStatus::default()
    }
}

pub(crate) fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(now.as_micros()).expect("not so late")
}

impl Rig {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let instance = format!("t{}-mon-{number}", std::process::id());
        let namespace = Namespace::new(&topology::namespace(&instance)).expect("a name");
        let bell = namespace.bell().expect("a bell");
        let _removed = Removed(namespace.clone(), instance.clone());
        Self { instance, namespace, bell, _removed }
    }

    /// The ring of a shard that says this of itself, with an event of now.
    pub(crate) fn shard(
        &self,
        id: u16,
        count: u16,
        status: &ShardStatus,
        figures: &ShardFigures,
    ) -> Producer {
        self.shard_since(id, count, status, figures, now_us())
    }

    pub(crate) fn shard_since(
        &self,
        id: u16,
        count: u16,
        status: &ShardStatus,
        figures: &ShardFigures,
        received_us: u64,
    ) -> Producer {
        let geometry = Geometry::new(64, 64 << 10, 4, 1, 4).expect("a geometry");
        let group = GroupSpec::durable(topology::CACHE_GROUP).from(Start::Latest);
        let name = topology::shard_ring(id, count);
        let made = Producer::create(&self.namespace, &name, geometry, &[], &self.bell);
        let mut producer = made.expect("a ring");
        let mut checkpoint = status.encode();
        checkpoint.extend(figures.encode());
        sections::put(&mut checkpoint, sections::WRITER, 1, b"mixcord-gateway 0.1.0");
        producer.set_checkpoint(&checkpoint).expect("short enough");
        publish(&mut producer, received_us);
        producer.ring().declare_group(&group).expect("a group");
        producer
    }

    /// Two shards that are well, and their figures.
    pub(crate) fn shards(&self) -> Vec<Producer> {
        let figures = ShardFigures::default();
        (0..2).map(|id| self.shard(id, 2, &connected(), &figures)).collect()
    }

    /// The output ring: 64 slots.
    pub(crate) fn output(&self) -> Producer {
        let geometry = Geometry::new(64, 64 << 10, 8, 4, 8).expect("a geometry");
        let made =
            Producer::create(&self.namespace, topology::OUTPUT_RING, geometry, &[], &self.bell);
        made.expect("a ring")
    }

    /// The ring of a stage that did this.
    pub(crate) fn stage(&self, name: &str, checkpoint: &[u8]) -> Producer {
        let geometry = Geometry::new(64, 64 << 10, 8, 4, 8).expect("a geometry");
        let name = topology::stage_ring(name);
        let made = Producer::create(&self.namespace, &name, geometry, &[], &self.bell);
        let mut producer = made.expect("a ring");
        producer.set_checkpoint(checkpoint).expect("short enough");
        producer.publish();
        producer
    }

    /// What a proxy says of itself, which lives as long as the file is locked; and a client's session.
    pub(crate) fn proxy(&self, figures: &ProxyFigures) -> Flock<File> {
        let folder = PathBuf::from(topology::proxy_dir(&self.instance));
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("0".repeat(32)), [0]).expect("written");
        let path = folder.join(format!("{}1", topology::PROXY_BOARD));
        fs::write(&path, figures.encode("mixcord-proxy 0.0.9")).expect("written");
        let file = File::open(path).expect("a file");
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno).expect("locked")
    }

    /// How far a change of the shard count is.
    pub(crate) fn reshard(&self, figures: &ReshardFigures) {
        let board = topology::reshard_board(&self.instance);
        fs::write(board, figures.encode("mixcord-cache 0.0.9")).expect("written");
    }

    /// What a bridge says of itself, which lives as long as the file is locked.
    pub(crate) fn bridge(&self, figures: &BridgeFigures) -> Flock<File> {
        let folder = PathBuf::from(topology::bridge_dir(&self.instance));
        fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join(&figures.end);
        fs::write(&path, figures.encode("mixcord-bridge 0.0.9")).expect("written");
        let file = File::open(path).expect("a file");
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno).expect("locked")
    }

    pub(crate) fn out(&self) -> Ring {
        Ring::attach(&self.namespace, topology::OUTPUT_RING).expect("the output ring")
    }

    pub(crate) fn overview(&self) -> Overview {
        Instance::open(&self.instance).expect("a name").overview().expect("a list")
    }
}

/// A bridge of two streams, of which somebody else has the first, and nobody the second: a gateway waits for that.
pub(crate) fn of_a_bridge(end: &str) -> BridgeFigures {
    let stream = |first: &str, bytes| StreamFigures {
        name: format!("MIXCORD_b_LOG_main_{first}-16"),
        writer: "a on host".to_owned(),
        bytes,
        bytes_max: 100,
    };
    let lease = |state: &str, still_ms| LeaseFigures {
        state: state.to_owned(),
        own: false,
        // Of a bucket that was made in the middle of 2026, and its 70,000th change.
        generation: (1_783_000_000 << 32) + 70_000,
        still_ms,
    };
    BridgeFigures {
        pid: 1,
        started_us: ago(Duration::from_secs(60)),
        end: end.to_owned(),
        bot: "b".to_owned(),
        connected: true,
        shards: 16,
        behind: 5,
        behind_ms: 1_500,
        under_way: 3,
        window: 32,
        again: 2,
        streams: vec![stream("0", 25), stream("8", 0)],
        leases: vec![lease("held", 1_000), lease("lapsed", 40_000)],
        gateways: vec![GatewayFigures {
            first: 8,
            last: 15,
            count: 16,
            state: "standby".to_owned(),
            why: "a lease".to_owned(),
        }],
    }
}

/// An event that the gateway received then.
pub(crate) fn publish(producer: &mut Producer, received_us: u64) {
    let data =
        Document::from_json(r#"{"id": "5", "guild_id": "5", "content": "hi"}"#).expect("JSON");
    let (kind, key) = (Kind::MESSAGE_CREATE, 5);
    let header =
        Header { kind, key, received_us, shard: Shard { id: 0, count: 2 }, ..Header::default() };
    let mut bytes = Vec::new();
    record::encode(&header, None, data.as_bytes(), None, &mut bytes);
    let meta = Meta { key, tag: kind.number().into(), source: 1, ..Meta::default() };
    producer.stage(&meta, &[&bytes]).expect("room");
    producer.publish();
}

pub(crate) fn ago(time: Duration) -> u64 {
    now_us() - u64::try_from(time.as_micros()).expect("short")
}
