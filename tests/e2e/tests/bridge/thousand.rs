//! A thousand shards on one server: how many streams and consumers that makes, and how often is told how far who is.

use mixcord_event::{Header, Kind, Writer, record};
use mixcord_ring::{Geometry, GroupSpec, Meta, Producer, Start};

use super::*;

const SHARDS: u16 = 1_000;
/// Of each shard.
const RECORDS: u64 = 20;
const WATCHED: Duration = Duration::from_secs(10);

/// What the server counts, by its own monitoring.
fn counted(port: u16) -> Result<(Value, Value)> {
    let get = |path: &str| -> Result<Value> {
        let mut answer = ureq::get(format!("http://127.0.0.1:{port}/{path}")).call()?;
        Ok(serde_json::from_str(&answer.body_mut().read_to_string()?)?)
    };
    Ok((get("jsz")?, get("varz")?))
}

#[test]
#[ignore = "two minutes, and a thousand rings: run it with --run-ignored all"]
fn a_thousand_shards_on_one_server() -> Result<()> {
    let near = Stack::new()?;
    let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let monitoring = ["-m", &port.to_string()];
    let Some(broker) = Broker::start(near.folder(), &monitoring)? else { return Ok(()) };
    let far = Stack::new()?;
    let namespace = Namespace::new(&topology::namespace(near.instance()))?;
    let bell = namespace.bell()?;
    let geometry = Geometry::new(64, 64 << 10, 4, 1, 8)?;
    let group = [GroupSpec::durable(topology::BRIDGE_GROUP).follow().from(Start::Earliest)];
    let mut producers = (0..SHARDS)
        .map(|shard| {
            let ring = topology::shard_ring(shard, SHARDS);
            Ok(Producer::create(&namespace, &ring, geometry, &group, &bell)?)
        })
        .collect::<Result<Vec<Producer>>>()?;
    let mut data = Vec::new();
    let mut map = Writer::new(&mut data).map();
    map.named("id", mixcord_event::Value::Id(7));
    map.end();
    let mut bytes = Vec::new();
    let header = Header { kind: Kind::MESSAGE_CREATE, ..Header::default() };
    record::encode(&header, None, &data, None, &mut bytes);
    let send = near.bridge("send", &broker, &["--stream-bytes", "16MiB", "--retain", "1MiB"])?;
    let options = ["--bot", near.instance(), "--ring-bytes", "64KiB", "--ring-slots", "64"];
    let receive =
        far.bridge("receive", &broker, &[&options[..], &["--feeds", "journal"]].concat())?;
    for _ in 0..RECORDS {
        for producer in &mut producers {
            producer.stage(&Meta::default(), &[&bytes])?;
            producer.publish();
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let there = Namespace::new(&topology::namespace(far.instance()))?;
    until("every shard to arrive", DEADLINE, || {
        (0..SHARDS).all(|shard| {
            let ring = Ring::attach(&there, &topology::shard_ring(shard, SHARDS));
            ring.is_ok_and(|ring| ring.tail() == RECORDS)
        })
    })?;
    let cpu = || [send.cpu(), receive.cpu(), broker.cpu()];
    let (before, (_, first)) = (cpu(), counted(port)?);
    std::thread::sleep(WATCHED);
    let (after, (jetstream, last)) = (cpu(), counted(port)?);
    let share = |at: usize| (after[at] - before[at]).as_secs_f64() * 100.0 / WATCHED.as_secs_f64();
    let per_s = |key: &str| {
        let count = |varz: &Value| varz[key].as_u64().unwrap_or(0) as f64;
        (count(&last) - count(&first)) / WATCHED.as_secs_f64()
    };
    println!(
        "{SHARDS} idle shards: {} streams with the two buckets, {} consumers, {:.0} messages a second into the server, \
         {:.0} out of it; CPU: send {:.1} %, receive {:.1} %, server {:.1} % of a core; server {} MiB resident",
        jetstream["streams"],
        jetstream["consumers"],
        per_s("in_msgs"),
        per_s("out_msgs"),
        share(0),
        share(1),
        share(2),
        last["mem"].as_u64().unwrap_or(0) >> 20,
    );
    ensure!(jetstream["streams"] == u64::from(SHARDS.div_ceil(16)) + 2, "{jetstream}");
    // One a shard, and those before it that the server has yet to forget.
    ensure!(jetstream["consumers"].as_u64() >= Some(SHARDS.into()), "{jetstream}");
    Ok(())
}
