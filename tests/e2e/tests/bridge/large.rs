//! Records that are longer than a message of the broker may be.

use std::time::Instant;

use mixcord_event::record;
use mixcord_event::{Header, Kind, Writer};
use mixcord_ring::{Entry, Geometry, GroupSpec, Meta, Producer, Start};

use super::*;

/// Far above the server's own default of 1 MiB, and above what a receiver has waiting.
const LONG: usize = 5 << 20;
const RECORDS: u64 = 12;

/// A record of about so many bytes that nobody can make much shorter.
fn long_record(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed * 2 + 1;
    let noise: String = (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b' ' + (state >> 57) as u8 % 95)
        })
        .collect();
    let mut data = Vec::new();
    let mut map = Writer::new(&mut data).map();
    map.named("noise", mixcord_event::Value::Str(&noise));
    map.end();
    let mut bytes = Vec::new();
    record::encode(
        &Header { kind: Kind::GUILD_CREATE, ..Header::default() },
        None,
        &data,
        None,
        &mut bytes,
    );
    bytes
}

/// Sends rings with long records over a server of these limits, while sender and receiver are killed again and again.
fn travels(config: &str, len: usize) -> Result<()> {
    let near = Stack::new()?;
    let file = near.folder().join("nats.conf");
    fs::write(&file, config)?;
    let options = ["-c", &*file.to_string_lossy()];
    let Some(broker) = Broker::start(near.folder(), &options)? else { return Ok(()) };
    let far = Stack::new()?;
    let namespace = Namespace::new(&topology::namespace(near.instance()))?;
    let bell = namespace.bell()?;
    let geometry = Geometry::new(64, 16 << 20, 4, 1, 8)?;
    let group = GroupSpec::durable(topology::BRIDGE_GROUP).follow().from(Start::Earliest);
    let ring = topology::shard_ring(0, 1);
    let mut producer = Producer::create(&namespace, &ring, geometry, &[group], &bell)?;
    let receive = || {
        let options = ["--bot", near.instance(), "--ring-bytes", "16MiB", "--feeds", "journal"];
        far.bridge("receive", &broker, &options)
    };
    let (mut sender, mut receiver) = (near.bridge("send", &broker, &[])?, receive()?);
    let mut produced = Vec::new();
    let mut read = Vec::new();
    let mut reader = Reader::new(&far);
    let begun = Instant::now();
    while (read.len() as u64) < RECORDS {
        ensure!(begun.elapsed() < DEADLINE, "{} of {RECORDS} arrived", read.len());
        if (produced.len() as u64) < RECORDS {
            let record =
                long_record(produced.len() as u64, if produced.len() % 3 == 0 { 100 } else { len });
            if producer.stage(&Meta::default(), &[&record]).is_ok() {
                producer.publish();
                produced.push(record);
                // Wherever they are with the record before.
                if produced.len() % 5 == 2 {
                    sender.kill()?;
                    sender = near.bridge("send", &broker, &[])?;
                } else if produced.len() % 5 == 4 {
                    receiver.kill()?;
                    receiver = receive()?;
                }
            }
        }
        producer.wait_space(len + 1_000, Duration::from_millis(20));
        reader.read(&mut read)?;
    }
    for (position, (sent, found)) in produced.iter_mut().zip(&read).enumerate() {
        let origin = mixcord_event::Origin { ring: producer.id().0, position: position as u64 };
        record::set_origin(sent, origin);
        ensure!(sent == found, "record {position} is another one");
    }
    drop((sender, receiver));
    Ok(())
}

/// What arrives.
struct Reader<'a> {
    far: &'a Stack,
    member: Option<mixcord_ring::Member>,
}

impl<'a> Reader<'a> {
    const fn new(far: &'a Stack) -> Self {
        Self { far, member: None }
    }

    fn read(&mut self, into: &mut Vec<Vec<u8>>) -> Result<()> {
        if self.member.is_none() {
            let namespace = Namespace::new(&topology::namespace(self.far.instance()))?;
            let Ok(ring) = Ring::attach(&namespace, &topology::shard_ring(0, 1)) else {
                return Ok(());
            };
            let group = GroupSpec::durable("journal").from(Start::Earliest);
            self.member = Some(ring.join(&group, &namespace.bell()?)?);
        }
        let Some(member) = &mut self.member else { return Ok(()) };
        while let Some(batch) = member.take(Limits::default())? {
            into.extend(batch.records().map(|entry: Entry<'_>| entry.payload.to_vec()));
            batch.ack();
        }
        Ok(())
    }
}

#[test]
fn records_longer_than_a_message_travel_in_parts_whoever_is_killed_between_them() -> Result<()> {
    travels("max_payload: 1MB", LONG)
}

#[test]
fn a_server_that_takes_messages_longer_than_a_receiver_has_waiting_holds_nobody_up() -> Result<()> {
    travels("max_payload: 16MB\nmax_pending: 64MB", LONG)
}

#[test]
fn a_server_with_short_messages_gets_short_ones() -> Result<()> {
    travels("max_payload: 16KB", 200 << 10)
}

#[test]
fn a_server_with_the_shortest_messages_is_taken_and_a_shorter_one_refused() -> Result<()> {
    travels("max_payload: 5KB", 40 << 10)?;
    let stack = Stack::new()?;
    let file = stack.folder().join("nats.conf");
    fs::write(&file, "max_payload: 5119")?;
    let server = ["-c", &*file.to_string_lossy()];
    let Some(broker) = Broker::start(stack.folder(), &server)? else { return Ok(()) };
    for end in ["send", "receive"] {
        let exit = stack.bridge(end, &broker, &[])?.wait(Duration::from_secs(20))?;
        ensure!(exit.code == Some(78) && told(&exit).count() == 1, "{exit:?}");
        ensure!(exit.stderr.contains("set max_payload"), "{exit:?}");
    }
    Ok(())
}

/// It was refused at once, again and again, and nobody was told.
#[test]
fn a_server_that_comes_back_with_too_short_messages_is_told_of_and_asked_from_time_to_time()
-> Result<()> {
    let stack = Stack::new()?;
    let file = stack.folder().join("nats.conf");
    fs::write(&file, "max_payload: 64KB")?;
    let server = ["-c", &*file.to_string_lossy()];
    let Some(mut broker) = Broker::start(stack.folder(), &server)? else { return Ok(()) };
    let namespace = Namespace::new(&topology::namespace(stack.instance()))?;
    let (bell, geometry) = (namespace.bell()?, Geometry::new(64, 1 << 20, 4, 1, 8)?);
    let group = GroupSpec::durable(topology::BRIDGE_GROUP).follow().from(Start::Earliest);
    let ring = topology::shard_ring(0, 1);
    let mut producer = Producer::create(&namespace, &ring, geometry, &[group], &bell)?;
    let send = stack.bridge("send", &broker, &[])?;
    let mut produce = |seed| -> Result<()> {
        producer.stage(&Meta::default(), &[&long_record(seed, 100 << 10)])?;
        producer.publish();
        Ok(())
    };
    let ring = Ring::attach(&namespace, &ring)?;
    let sent = || ring.groups().iter().map(|group| group.lag).max() == Some(0);
    produce(0)?;
    until("the record to be sent", DEADLINE, sent)?;
    broker.kill()?;
    fs::write(&file, "max_payload: 3KB")?;
    broker.restart()?;
    produce(1)?;
    let said = || send.stderr().contains("it takes no message of this length");
    until("that to be told", DEADLINE, said)?;
    broker.kill()?;
    fs::write(&file, "max_payload: 64KB")?;
    broker.restart()?;
    until("the record to be sent", DEADLINE, sent)
}
