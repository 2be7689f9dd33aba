//! What a get and a put cost: `cost [VALUES] [BYTES]`, nanoseconds of this thread's CPU each.

use std::time::Duration;

use mixcord_table::{Change, FileWriter, Key, Limits, TableId};
use nix::time::{ClockId, clock_gettime};

const BATCH: usize = 8192;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let values: u64 = arguments.next().map_or(Ok(200_000), |text| text.parse())?;
    let bytes: usize = arguments.next().map_or(Ok(300), |text| text.parse())?;
    let folder = tempfile::Builder::new().prefix("mixcord-table-").tempdir_in("/dev/shm")?;
    let limits = Limits { bytes_max: 4 << 30, step_bytes: 32 << 20 };
    let mut writer = FileWriter::create(&folder.path().join("table"), 1, limits)?;
    let table = TableId::of_pairs(1).ok_or("a number of a table")?;
    let key = |id: u64| Key::new(id % 1000, id / 1000);
    let value = vec![7; bytes];
    let commit = |writer: &mut FileWriter, ids: &mut Vec<u64>| {
        ids.sort_unstable_by_key(|id| key(*id));
        ids.dedup();
        let changes: Vec<Change<'_>> =
            ids.iter().map(|id| Change { table, key: key(*id), value: Some(&value) }).collect();
        writer.commit(&changes)
    };
    let begin = cpu()?;
    for first in (0..values).step_by(BATCH) {
        let mut ids: Vec<u64> = (first..values.min(first + BATCH as u64)).collect();
        commit(&mut writer, &mut ids)?;
    }
    report("load", begin, values)?;
    let rounds = (2_000_000 / BATCH) as u64;
    let mut random = 1u64;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % values
    };
    let (mut found, mut into) = (0u64, Vec::new());
    let begin = cpu()?;
    for _ in 0..rounds * BATCH as u64 {
        into.clear();
        found += u64::from(writer.get(table, key(next()), &mut into)?);
    }
    report("get", begin, rounds * BATCH as u64)?;
    let begin = cpu()?;
    let mut put = 0;
    for _ in 0..rounds {
        let mut ids: Vec<u64> = std::iter::repeat_with(&mut next).take(BATCH).collect();
        commit(&mut writer, &mut ids)?;
        put += ids.len() as u64;
    }
    report("put, 8,192 a batch", begin, put)?;
    let begin = cpu()?;
    for _ in 0..200_000 {
        commit(&mut writer, &mut vec![next()])?;
    }
    report("put, 1 a batch", begin, 200_000)?;
    println!("{:?}, {found} found", writer.usage());
    Ok(())
}

fn report(what: &str, begin: Duration, count: u64) -> nix::Result<()> {
    let each = (cpu()? - begin).as_nanos() as u64 / count;
    println!("{what}: {each} ns");
    Ok(())
}

fn cpu() -> nix::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}
