//! A worker machine from nothing: the state copied, read through for where its shards go on, and loaded, as
//! `mixcord-bridge` and `mixcord-cache` do.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek as _};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use mixcord_copy::{LoadError, inputs, load, write};
use mixcord_state::Writer;

use super::ours::{Ours, STATE_BYTES_MAX};
use super::{GUILDS, GUILDS_LARGE, LARGE_BYTES, stage};
use crate::report::Report;
use crate::round::Effort;

pub(crate) fn run(_: Effort, report: &mut Report) -> Result<()> {
    for guilds in [GUILDS, GUILDS_LARGE] {
        let free = stage::available_bytes();
        if guilds == GUILDS_LARGE && free < LARGE_BYTES {
            eprintln!(
                "bench: {guilds} guilds are left out: {LARGE_BYTES} bytes are needed, {free} free"
            );
            break;
        }
        of(guilds, report)?;
    }
    Ok(())
}

/// The store of the machine that begins; gone with it.
struct Store(tempfile::TempDir);

impl Store {
    fn begin(&self) -> Result<Writer, LoadError> {
        let dir: &Path = self.0.path();
        Ok(Writer::create(dir, STATE_BYTES_MAX)?)
    }
}

fn of(guilds: u64, report: &mut Report) -> Result<()> {
    let mut ours = Ours::new()?;
    ours.load(guilds)?;
    let dir = ours.state_dir();
    let mut file = tempfile::tempfile_in("/dev/shm")?;
    let timed = |began: Instant| began.elapsed().as_secs_f64();

    let began = Instant::now();
    let (sink, copied) = write(&dir, BufWriter::new(file), &mut |_| {})?;
    file = sink.into_inner().context("a whole copy")?;
    let copying = timed(began);

    let mut read = || -> Result<BufReader<File>> {
        file.rewind()?;
        Ok(BufReader::new(file.try_clone()?))
    };
    let began = Instant::now();
    ensure!(inputs(read()?)?.len() == 1, "of one shard");
    let checking = timed(began);

    let store = Store(tempfile::tempdir_in("/dev/shm")?);
    let began = Instant::now();
    let (_writer, loaded) = load(read()?, || store.begin(), &mut |_| {})?;
    let loading = timed(began);
    ensure!(loaded.values == copied.values, "all of it");

    let case = format!("the state of {guilds} guilds × 200 members");
    let state = ours.state_bytes()? as f64;
    let bytes = [("copy", copied.bytes as f64), ("state", state)];
    report.exact("copy", &case, "size", "bytes", &bytes, &[]);
    let seconds = [("copied", copying), ("read through", checking), ("loaded", loading)];
    report.exact("copy", &case, "time", "s", &seconds, &[]);
    Ok(())
}
