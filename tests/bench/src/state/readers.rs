//! Many processes that read while one writes.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use mixcord_table::{Key, Reader};

use super::contenders::{Lmdb, Ours, Store, lmdb_at, lmdb_key, table};
use super::{BATCH, Dice, VALUE_BYTES, Work, key};
use crate::clock::{Sample, measure_thread};
use crate::report::Report;
use crate::round::{Contender, Effort, interleave};

/// The first argument of a reading process.
pub(crate) const CHILD: &str = "__state-child";

const VALUES: u64 = 200_000;

pub(super) fn run(effort: Effort, report: &mut Report) -> Result<()> {
    let values = if effort == Effort::Quick { 50_000 } else { VALUES };
    let (ours, lmdb) = (Ours::new(values, 8)?, Lmdb::new(values)?);
    let (path, lmdb_path) = (ours.folder.path().join("table"), lmdb.path().to_owned());
    let mut stores: [(Box<dyn Store>, _); 2] =
        [(Box::new(ours), path), (Box::new(lmdb), lmdb_path)];
    let gets = if effort == Effort::Quick { 20_000 } else { 200_000 };
    for processes in [1, 4, 16] {
        let contenders = stores.iter_mut().map(|(store, path)| {
            let name = if store.name() == "LMDB" { "LMDB" } else { "mixcord" };
            Contender::rounds(name, move || {
                beside(&mut **store, name, path, processes, gets / processes, values)
                    .expect("readers that end")
            })
        });
        let samples = interleave(effort, contenders.collect());
        let case = format!("{processes} reading processes beside the writer, get");
        report.rates("state", &case, "gets", &samples, &[]);
    }
    Ok(())
}

/// The writer commits batch after batch until the readers have ended; only they are measured.
fn beside(
    store: &mut dyn Store,
    name: &str,
    path: &Path,
    processes: u64,
    gets: u64,
    values: u64,
) -> Result<Sample> {
    let mut children = Vec::new();
    for seed in 0..processes {
        let child = Command::new(std::env::current_exe()?)
            .args([CHILD, name, &path.display().to_string()])
            .args([gets, values, seed].map(|number| number.to_string()))
            .stdout(Stdio::piped())
            .spawn()?;
        children.push(child);
    }
    let mut dice = Dice(7);
    let mut all = Sample { units: 0, cpu: Duration::ZERO, wall: Duration::ZERO };
    while let Some(mut child) = children.pop() {
        while child.try_wait()?.is_none() {
            let numbers: Vec<u64> = (0..BATCH / 8).map(|_| dice.roll(values)).collect();
            store.batch(Work::GetAndPut, &numbers)?;
        }
        let output = child.wait_with_output()?;
        let text = String::from_utf8(output.stdout)?;
        let mut words = text.split_whitespace().map(str::parse::<u64>);
        let (Some(Ok(cpu)), Some(Ok(wall))) = (words.next(), words.next()) else {
            bail!("a reader failed: {text}")
        };
        all.units += gets;
        all.cpu += Duration::from_nanos(cpu);
        all.wall = all.wall.max(Duration::from_nanos(wall));
    }
    Ok(all)
}

/// A reading process: prints the nanoseconds it took, of CPU and of the clock.
pub(crate) fn child(arguments: &[String]) -> Result<()> {
    let [name, path, numbers @ ..] = arguments else { bail!("arguments are missing") };
    let numbers: Vec<u64> = numbers.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    let [gets, values, seed] = numbers[..] else { bail!("arguments are missing") };
    let mut dice = Dice(seed);
    let mut get = getter(name, Path::new(path))?;
    let mut failed = Ok(());
    let sample = measure_thread(|| {
        for _ in 0..gets {
            let done = get(dice.roll(values));
            failed = std::mem::replace(&mut failed, Ok(())).and(done);
        }
        gets
    });
    failed?;
    println!("{} {}", sample.cpu.as_nanos(), sample.wall.as_nanos());
    Ok(())
}

type Getter = Box<dyn FnMut(u64) -> Result<()>>;

fn getter(name: &str, path: &Path) -> Result<Getter> {
    if name == "LMDB" {
        let (env, values) = lmdb_at(path)?;
        return Ok(Box::new(move |number| {
            // A transaction for each, as one who asks now and then has it.
            let txn = env.read_txn()?;
            let value = values.get(&txn, &lmdb_key(number))?.context("a value")?;
            let copy: [u8; VALUE_BYTES] = value.try_into()?;
            std::hint::black_box(copy[VALUE_BYTES - 1]);
            Ok(())
        }));
    }
    let reader = Reader::open(path, 1)?;
    let mut value = Vec::new();
    Ok(Box::new(move |number| {
        let (owner, id) = key(number);
        value.clear();
        anyhow::ensure!(reader.get(table(), Key::new(owner, id), &mut value)?, "a value");
        std::hint::black_box(value[VALUE_BYTES - 1]);
        Ok(())
    }))
}
