//! A worker machine from nothing: the state copied, read through for where its shards go on, and loaded, as
//! `mixcord-bridge` and `mixcord-cache` do.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek as _};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use mixcord_copy::{LoadError, inputs, load, write};
use mixcord_pipeline::clustered::{Copied, state_from};
use mixcord_pipeline::contender::{Place, nats};
use mixcord_pipeline::process;
use mixcord_state::Writer;

use super::ours::{Ours, STATE_BYTES_MAX};
use super::{GUILDS, GUILDS_LARGE, LARGE_BYTES, stage};
use crate::report::Report;
use crate::round::Effort;

pub(crate) fn run(effort: Effort, report: &mut Report) -> Result<()> {
    for_sizes(|guilds| of(guilds, report))?;
    process::end_on_signals()?;
    // Its files are the broker's, and what it gives is written before it travels.
    let folder = tempfile::tempdir_in("/var/tmp")?;
    let place = Place::beside_this_program(folder.path())?;
    let Some(server) = nats::server(&place) else {
        eprintln!("bench: --state-from is left out: there is no nats-server 2.11 or newer");
        return Ok(());
    };
    match effort {
        Effort::Quick => from_another(&place, &server, GUILDS, report),
        Effort::Full => for_sizes(|guilds| from_another(&place, &server, guilds, report)),
    }
}

fn for_sizes(mut of: impl FnMut(u64) -> Result<()>) -> Result<()> {
    for guilds in [GUILDS, GUILDS_LARGE] {
        let free = stage::available_bytes();
        if guilds == GUILDS_LARGE && free < LARGE_BYTES {
            eprintln!(
                "bench: {guilds} guilds are left out: {LARGE_BYTES} bytes are needed, {free} free"
            );
            break;
        }
        of(guilds)?;
    }
    Ok(())
}

/// With all programs that have a part in it, and a broker between the machines.
fn from_another(place: &Place, server: &Path, guilds: u64, report: &mut Report) -> Result<()> {
    let Copied { fetched_s, loaded_s, bytes, state_bytes } = state_from(place, server, guilds)?;
    let case = format!("--state-from, {guilds} guilds × 200 members");
    let bytes = [("through the broker", bytes as f64), ("state", state_bytes as f64)];
    report.exact("copy", &case, "size", "bytes", &bytes, &[]);
    let seconds = [
        ("in all", fetched_s + loaded_s),
        ("until it has arrived", fetched_s),
        ("loaded", loaded_s),
    ];
    report.exact("copy", &case, "time", "s", &seconds, &[]);
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
