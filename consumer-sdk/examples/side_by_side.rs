//! How many handlers of 100 ms a second one process gets through, for 2,000 guilds: `concurrency` over 0.1 s, if
//! nothing stands in the way. `cargo run --release --example side_by_side`.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mixcord::event::{Document, Header, record, topology};
use mixcord::{Consumer, Kind};
use mixcord_ring::{Geometry, Meta, Namespace, Producer, StageError};

const GUILDS: u64 = 2_000;
const HANDLER: Duration = Duration::from_millis(100);
const MEASURED: Duration = Duration::from_secs(4);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    for concurrency in [16, 64, 250, 1_000] {
        let instance = format!("t{}-side-{concurrency}", std::process::id());
        let namespace = Namespace::new(&topology::namespace(&instance))?;
        let rate = measure(&instance, &namespace, concurrency).await;
        namespace.remove_all()?;
        let ideal = concurrency as f64 / HANDLER.as_secs_f64();
        let rate = rate?;
        println!(
            "concurrency {concurrency}: {rate:.0}/s, {:.1} % of {ideal:.0}",
            rate / ideal * 100.0
        );
    }
    Ok(())
}

async fn measure(
    instance: &str,
    namespace: &Namespace,
    concurrency: usize,
) -> Result<f64, Box<dyn std::error::Error>> {
    let bell = namespace.bell()?;
    let geometry = Geometry::new(1 << 16, 32 << 20, 64, 8, 16)?;
    let mut producer = Producer::create(namespace, topology::OUTPUT_RING, geometry, &[], &bell)?;
    let builder = Consumer::builder().instance(instance).group("bot").concurrency(concurrency);
    let consumer = builder.connect().await?;
    let (stop, meter) = (consumer.stop_handle(), consumer.meter());
    let data = Document::from_json(r#"{"id":"1","content":"hello"}"#)?;
    let events = AtomicU64::new(0);
    let mut fill = || -> Result<(), StageError> {
        for _ in 0..GUILDS {
            let number = events.fetch_add(1, Ordering::Relaxed);
            let key = number * 7919 % GUILDS + 1;
            let header = Header { kind: Kind::MESSAGE_CREATE, key, ..Header::default() };
            let mut bytes = Vec::new();
            record::encode(&header, None, data.as_bytes(), None, &mut bytes);
            let tag = Kind::MESSAGE_CREATE.number().into();
            producer.stage(&Meta { key, tag, ..Meta::default() }, &[&bytes])?;
        }
        producer.publish();
        Ok(())
    };
    fill()?;
    fill()?;
    let running = tokio::spawn(consumer.run(|_event| tokio::time::sleep(HANDLER)));
    let meter = Arc::new(meter);
    let handled = |meter: &mixcord::Meter| meter.read().handled;
    while handled(&meter) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (begun, before) = (Instant::now(), handled(&meter));
    while begun.elapsed() < MEASURED {
        tokio::time::sleep(Duration::from_millis(10)).await;
        if meter.read().lag.is_some_and(|lag| lag < 3 * GUILDS) {
            fill()?;
        }
    }
    let rate = (handled(&meter) - before) as f64 / begun.elapsed().as_secs_f64();
    stop.stop();
    running.await??;
    Ok(rate)
}
