//! shaq: fixed cells, one producer, one consumer. Its ends are unsafe to make: nothing checks that there
//! is one of each, or that both mean the same cell.
#![allow(unsafe_code)]

use std::fs::OpenOptions;
use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::{Result, bail};
use shaq::spsc::{Consumer, Producer, minimum_file_size};

use super::link::{Place, Receiver, Sender, touch};

/// A cell with its payload on cache lines.
#[repr(C, align(64))]
pub(crate) struct Cell<const N: usize>([u8; N]);

const BYTES: usize = 2 << 20;

pub(crate) struct CellSender<const N: usize>(Producer<Cell<N>>);
pub(crate) struct CellReceiver<const N: usize>(Consumer<Cell<N>>);

impl<const N: usize> Sender for CellSender<N> {
    fn send(&mut self, payload: &[u8]) {
        loop {
            // A batch of one: what it has of writing in place.
            let mut batch = self.0.write_batch();
            // SAFETY: the cell is filled before the batch is dropped, which publishes it.
            if let Some(cell) = unsafe { batch.try_as_mut() } {
                let to = cell.as_mut_ptr().cast::<u8>();
                // SAFETY: a cell has N bytes, which is what every payload here has; it is ours.
                unsafe { std::ptr::copy_nonoverlapping(payload.as_ptr(), to, N) };
                return;
            }
            std::hint::spin_loop();
        }
    }
}

impl<const N: usize> Receiver for CellReceiver<N> {
    fn receive(&mut self, sum: &mut u64) -> u64 {
        let Some(batch) = self.0.try_reserve_read_batch(NonZeroUsize::MAX) else {
            std::hint::spin_loop();
            return 0;
        };
        let (first, second) = batch.as_slices();
        first.iter().chain(second).for_each(|cell| touch(&cell.0, sum));
        batch.len() as u64
    }
}

fn create<const N: usize>(place: &Place, name: &str) -> Result<CellReceiver<N>> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(place.path(name))?;
    // SAFETY: a new file of this run; this process makes it, and is its one consumer.
    let consumer = unsafe { Consumer::create(&file, minimum_file_size::<Cell<N>>(BYTES / N)) };
    let consumer = consumer.map_err(|error| anyhow::anyhow!("shaq: {error:?}"))?;
    Ok(CellReceiver::<N>(consumer))
}

fn attach<const N: usize>(place: &Place, name: &str) -> Result<CellSender<N>> {
    let file = OpenOptions::new().read(true).write(true).open(place.path(name))?;
    // SAFETY: made by `create` with the same N; this process is its one producer.
    let producer = unsafe { Producer::join(&file) };
    let producer = producer.map_err(|error| anyhow::anyhow!("shaq: {error:?}"))?;
    Ok(CellSender::<N>(producer))
}

fn make<const N: usize>(place: &Place, name: &str) -> Result<Box<dyn Receiver>> {
    Ok(Box::new(create::<N>(place, name)?))
}

fn join<const N: usize>(place: &Place, name: &str) -> Result<Box<dyn Sender>> {
    Ok(Box::new(attach::<N>(place, name)?))
}

/// Both ends of a queue of cells.
pub(crate) fn pair<const N: usize>(place: &Place) -> Result<(CellSender<N>, CellReceiver<N>)> {
    let receiver = create(place, "paced")?;
    Ok((attach(place, "paced")?, receiver))
}

impl<const N: usize> CellSender<N> {
    pub(crate) fn put(&mut self, payload: &[u8]) {
        self.send(payload);
    }
}

impl<const N: usize> CellReceiver<N> {
    /// Sleeps while there is nothing, then visits what there is.
    pub(crate) fn await_and_take(&mut self, longest: Duration, visit: &mut dyn FnMut(&[u8])) {
        if self.0.wait_readable_timeout(longest).is_ok()
            && let Some(batch) = self.0.try_reserve_read_batch(NonZeroUsize::MAX)
        {
            batch.iter().for_each(|cell| visit(&cell.0));
        }
    }
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
