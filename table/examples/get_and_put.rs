//! What a get and a put cost: `get_and_put [VALUES] [BYTES] [OPERATIONS] [PART]`, nanoseconds of this
//! thread's CPU each. PART is get, both, ahead or one.

use std::hint::black_box;
use std::time::Duration;

use bumpalo::Bump;
use mixcord_table::{FileWriter, Key, Limits, TableId};
use nix::time::{ClockId, clock_gettime};

const BATCH: usize = 8192;

/// How far a bucket's line, and how far the value's, is sent for ahead.
const AHEAD: [usize; 2] = [16, 8];

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

struct Cost {
    writer: FileWriter,
    table: TableId,
    value: Vec<u8>,
    values: u64,
    /// Whole batches.
    operations: usize,
    random: u64,
}

fn main() -> Result {
    let mut arguments = std::env::args().skip(1);
    let values: u64 = arguments.next().map_or(Ok(200_000), |text| text.parse())?;
    let bytes: usize = arguments.next().map_or(Ok(300), |text| text.parse())?;
    let operations: usize = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let folder = tempfile::Builder::new().prefix("mixcord-table-").tempdir_in("/dev/shm")?;
    let limits = Limits { bytes_max: 4 << 30, step_bytes: 32 << 20 };
    let writer = FileWriter::create(&folder.path().join("table"), 1, limits)?;
    let table = TableId::of_pairs(1).ok_or("a number of a table")?;
    let operations = operations / BATCH * BATCH;
    let mut cost = Cost { writer, table, value: vec![7; bytes], values, operations, random: 1 };
    let begin = cpu()?;
    for first in (0..values).step_by(BATCH) {
        for id in first..values.min(first + BATCH as u64) {
            cost.put(id)?;
        }
        cost.writer.commit([0; 2])?;
    }
    report("load", begin, values as usize)?;
    let part = arguments.next();
    let wanted = |name| part.as_deref().is_none_or(|part| part == name);
    if wanted("get") {
        cost.gets()?;
    }
    if wanted("both") {
        cost.gets_and_puts(false, "get and put")?;
    }
    if wanted("ahead") {
        cost.gets_and_puts(true, "get and put, looked up ahead")?;
    }
    if wanted("one") {
        cost.puts()?;
    }
    println!("{:?}", cost.writer.usage());
    Ok(())
}

impl Cost {
    fn key(id: u64) -> Key {
        Key::new(id / 200, id % 200)
    }

    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.random >> 33) % self.values
    }

    fn put(&mut self, id: u64) -> Result {
        Ok(self.writer.put(self.table, Self::key(id), &[&self.value])?)
    }

    fn gets(&mut self) -> Result {
        let mut arena = Bump::new();
        let begin = cpu()?;
        for _ in 0..self.operations {
            let key = Self::key(self.next());
            arena.reset();
            let found = self.writer.get_in(self.table, key, &arena)?.ok_or("a value")?;
            black_box(found[0]);
        }
        report("get", begin, self.operations)
    }

    fn gets_and_puts(&mut self, ahead: bool, what: &str) -> Result {
        let mut arena = Bump::new();
        let begin = cpu()?;
        for _ in 0..self.operations / BATCH {
            let ids: Vec<u64> = std::iter::repeat_with(|| self.next()).take(BATCH).collect();
            for (at, id) in ids.iter().enumerate() {
                if ahead {
                    if let Some(later) = ids.get(at + AHEAD[0]) {
                        self.writer.expect(self.table, Self::key(*later));
                    }
                    if let Some(later) = ids.get(at + AHEAD[1]) {
                        self.writer.expect_value(self.table, Self::key(*later));
                    }
                }
                arena.reset();
                let key = Self::key(*id);
                let found = self.writer.get_in(self.table, key, &arena)?.ok_or("a value")?;
                let (first, rest) = found.split_first().ok_or("a byte")?;
                self.writer.put(self.table, key, &[&[first.wrapping_add(1)], rest])?;
                self.writer.mark();
            }
            self.writer.commit([0; 2])?;
        }
        report(what, begin, self.operations)
    }

    fn puts(&mut self) -> Result {
        let begin = cpu()?;
        for _ in 0..self.operations / 8 {
            let id = self.next();
            self.put(id)?;
            self.writer.commit([0; 2])?;
        }
        report("put and commit", begin, self.operations / 8)
    }
}

fn report(what: &str, begin: Duration, count: usize) -> Result {
    let each = (cpu()? - begin).as_nanos() / count as u128;
    println!("{what}: {each} ns");
    Ok(())
}

fn cpu() -> nix::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}
