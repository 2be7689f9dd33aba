//! shaq: fixed cells, one producer, one consumer. Its ends are unsafe to make: nothing checks that there
//! is one of each, or that both mean the same cell.
#![allow(unsafe_code)]

use std::fs::OpenOptions;

use anyhow::{Result, bail};
use shaq::spsc::{Consumer, Producer, minimum_file_size};

use super::link::{Place, Receiver, Sender, touch};

/// A cell with its payload on cache lines.
#[repr(C, align(64))]
struct Cell<const N: usize>([u8; N]);

const BYTES: usize = 2 << 20;

struct CellSender<const N: usize>(Producer<Cell<N>>);
struct CellReceiver<const N: usize>(Consumer<Cell<N>>);

impl<const N: usize> Sender for CellSender<N> {
    fn send(&mut self, payload: &[u8]) {
        loop {
            // SAFETY: the cell is filled before it is committed.
            if let Some(cell) = unsafe { self.0.reserve() } {
                let to = cell.as_ptr().cast::<u8>();
                // SAFETY: a cell has N bytes, which is what every payload here has; it is ours.
                unsafe { std::ptr::copy_nonoverlapping(payload.as_ptr(), to, N) };
                self.0.commit();
                return;
            }
            self.0.sync();
            std::hint::spin_loop();
        }
    }
}

impl<const N: usize> Receiver for CellReceiver<N> {
    fn receive(&mut self, sum: &mut u64) -> u64 {
        self.0.sync();
        let mut count = 0;
        while let Some(cell) = self.0.try_read() {
            touch(&cell.0, sum);
            count += 1;
        }
        if count == 0 {
            std::hint::spin_loop();
        } else {
            self.0.finalize();
        }
        count
    }
}

fn make<const N: usize>(place: &Place, name: &str) -> Result<Box<dyn Receiver>> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(place.path(name))?;
    // SAFETY: a new file of this run; this process makes it, and is its one consumer.
    let consumer = unsafe { Consumer::create(&file, minimum_file_size::<Cell<N>>(BYTES / N)) };
    let consumer = consumer.map_err(|error| anyhow::anyhow!("shaq: {error:?}"))?;
    Ok(Box::new(CellReceiver::<N>(consumer)))
}

fn join<const N: usize>(place: &Place, name: &str) -> Result<Box<dyn Sender>> {
    let file = OpenOptions::new().read(true).write(true).open(place.path(name))?;
    // SAFETY: made by `make` with the same N; this process is its one producer.
    let producer = unsafe { Producer::join(&file) };
    let producer = producer.map_err(|error| anyhow::anyhow!("shaq: {error:?}"))?;
    Ok(Box::new(CellSender::<N>(producer)))
}

pub(crate) fn receiver(place: &Place, name: &str, size: usize) -> Result<Box<dyn Receiver>> {
    match size {
        64 => make::<64>(place, name),
        512 => make::<512>(place, name),
        4096 => make::<4096>(place, name),
        262_144 => make::<262_144>(place, name),
        other => bail!("no cells of {other}"),
    }
}

pub(crate) fn sender(place: &Place, name: &str, size: usize) -> Result<Box<dyn Sender>> {
    match size {
        64 => join::<64>(place, name),
        512 => join::<512>(place, name),
        4096 => join::<4096>(place, name),
        262_144 => join::<262_144>(place, name),
        other => bail!("no cells of {other}"),
    }
}
