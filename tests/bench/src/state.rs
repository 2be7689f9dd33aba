//! The table that the state is to lie in, alone: against LMDB with the same keys, values and batches, and
//! against a hash map in the process itself, which no other process can read and no kill leaves anything
//! of. Values of 300 bytes under keys by chance; a batch is 8,192 operations.

mod contenders;
mod readers;

use anyhow::Result;

use self::contenders::{Lmdb, Map, Ours, Store};
use crate::clock::{Sample, measure_thread};
use crate::report::{Goal, Report};
use crate::round::{Contender, Effort, interleave};

pub(crate) use self::readers::{CHILD, child};

/// About what a member or a presence takes.
const VALUE_BYTES: usize = 300;
/// Operations of a transaction.
const BATCH: u64 = 8192;

/// What is measured.
#[derive(Clone, Copy, Debug)]
enum Work {
    Get,
    Put,
    GetAndPut,
}

pub(crate) fn run(effort: Effort, report: &mut Report) -> Result<()> {
    let values = if effort == Effort::Quick { vec![50_000] } else { vec![200_000, 2_000_000] };
    for values in values {
        let ours = Ours::new(values, 0)?;
        let ahead = Ours::new(values, 8)?;
        let (lmdb, map) = (Lmdb::new(values)?, Map::new(values));
        let mut stores: [Box<dyn Store>; 4] =
            [Box::new(ours), Box::new(ahead), Box::new(lmdb), Box::new(map)];
        for work in [Work::Get, Work::Put, Work::GetAndPut] {
            let contenders = stores.iter_mut().map(|store| {
                let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
                Contender::rounds(store.name(), move || {
                    round(&mut **store, work, effort, values, &mut dice)
                })
            });
            let samples = interleave(effort, contenders.collect());
            let case = match work {
                Work::Get => format!("{values} values, get"),
                Work::Put => format!("{values} values, put"),
                Work::GetAndPut => format!("{values} values, get and put"),
            };
            report.rates("state", &case, "operations", &samples, &[Goal::Times(1.0, "LMDB")]);
        }
    }
    readers::run(effort, report)
}

fn round(
    store: &mut dyn Store,
    work: Work,
    effort: Effort,
    values: u64,
    dice: &mut Dice,
) -> Sample {
    let batches = if effort == Effort::Quick { 4 } else { 12 };
    measure_thread(|| {
        for _ in 0..batches {
            let numbers: Vec<u64> = (0..BATCH).map(|_| dice.roll(values)).collect();
            store.batch(work, &numbers).expect("a store that works");
        }
        batches * BATCH
    })
}

/// Numbers by chance, the same for all.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        (self.0 >> 33) % below
    }
}

/// Owner and id of a value: 200 to an owner, as members of a guild.
const fn key(number: u64) -> (u64, u64) {
    ((number / 200) << 22, number % 200)
}
