//! ringfire: fixed slots, one producer, readers that copy out; lossless, so that nobody is lapped.

use std::path::PathBuf;

use anyhow::{Result, bail};
use ringfire::{FlowControl, RingConsumer, RingProducer, RingProducerBuilder};

use super::link::{BATCH, Place, Receiver, Sender, touch};

const BYTES: usize = 2 << 20;

type Cell<const N: usize> = [u8; N];

struct FireSender<const N: usize> {
    producer: RingProducer<Cell<N>>,
    met: bool,
}

impl<const N: usize> Sender for FireSender<N> {
    fn send(&mut self, payload: &[u8]) {
        // Without a reader nothing is kept.
        while !self.met {
            self.met = self.producer.registry().is_some_and(|all| all.min_cursor().is_some());
            std::hint::spin_loop();
        }
        if let Ok(cell) = payload.try_into() {
            self.producer.push(cell);
        }
    }
}

/// Attaches once its producer has made the ring.
struct FireReceiver<const N: usize> {
    path: PathBuf,
    consumer: Option<RingConsumer<Cell<N>>>,
    cells: Vec<Cell<N>>,
}

impl<const N: usize> Receiver for FireReceiver<N> {
    fn receive(&mut self, sum: &mut u64) -> u64 {
        let Some(consumer) = &mut self.consumer else {
            let attach = RingConsumer::builder().start_from_oldest().consumer_name("reader");
            self.consumer = attach.attach(&self.path).ok();
            return 0;
        };
        let count = consumer.recv_batch(&mut self.cells);
        self.cells[..count].iter().for_each(|cell| touch(cell, sum));
        count as u64
    }
}

fn make<const N: usize>(place: &Place, name: &str) -> Box<dyn Receiver> {
    let (path, consumer, cells) = (place.path(name), None, vec![[0; N]; BATCH.min(BYTES / N / 2)]);
    Box::new(FireReceiver::<N> { path, consumer, cells })
}

fn join<const N: usize>(place: &Place, name: &str) -> Result<Box<dyn Sender>> {
    let capacity = (BYTES / N) as u64;
    let builder =
        RingProducerBuilder::new(capacity).flow_control(FlowControl::LosslessBackpressure);
    let producer = builder.build(place.path(name));
    let producer = producer.map_err(|error| anyhow::anyhow!("ringfire: {error:?}"))?;
    Ok(Box::new(FireSender::<N> { producer, met: false }))
}

pub(crate) fn receiver(place: &Place, name: &str, size: usize) -> Result<Box<dyn Receiver>> {
    Ok(match size {
        64 => make::<64>(place, name),
        512 => make::<512>(place, name),
        4096 => make::<4096>(place, name),
        other => bail!("no cells of {other}"),
    })
}

pub(crate) fn sender(place: &Place, name: &str, size: usize) -> Result<Box<dyn Sender>> {
    match size {
        64 => join::<64>(place, name),
        512 => join::<512>(place, name),
        4096 => join::<4096>(place, name),
        other => bail!("no cells of {other}"),
    }
}
