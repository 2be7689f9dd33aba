//! A copy that is made, in a file without a name.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mixcord_copy::Progress;
use mixcord_event::topology;
use mixcord_ring::{Namespace, Ring};
use mixcord_state::State;

/// How long the cache may take for what was there when a copy was asked for.
const CATCH_UP: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// How a copy is.
#[derive(Debug)]
pub(super) enum Made {
    /// It is written.
    Making(Progress),
    /// It is whole.
    Whole { file: File, bytes: u64 },
    /// None can be had.
    Failed(String),
}

/// A copy, for whoever makes it and whoever gives it.
#[derive(Debug)]
pub(super) struct Making {
    made: Mutex<Made>,
    given_up: AtomicBool,
}

impl Making {
    pub(super) const fn new() -> Self {
        let progress = Progress { values: 0, expected: 0, bytes: 0 };
        Self { made: Mutex::new(Made::Making(progress)), given_up: AtomicBool::new(false) }
    }

    pub(super) fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody wants it any more.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// Makes it of the state of an instance, in a file in `dir`, once the state has all that is in the rings now.
    pub(super) fn make(&self, instance: &str, namespace: &Namespace, dir: &Path) {
        let made = self.try_make(instance, namespace, dir);
        *self.made() = match made {
            Ok((file, bytes)) => Made::Whole { file, bytes },
            Err(why) => Made::Failed(why),
        };
    }

    fn try_make(
        &self,
        instance: &str,
        namespace: &Namespace,
        dir: &Path,
    ) -> Result<(File, u64), String> {
        let state = mixcord_state::directory(instance);
        self.catch_up(&state, namespace)?;
        // Without a name that anybody could take before, and gone when it is closed, by whatever death.
        let file = tempfile::tempfile_in(dir)
            .map_err(|error| format!("--copy-dir {}: {error}", dir.display()))?;
        let sink = Sink { sink: BufWriter::new(file), given_up: &self.given_up };
        let mut show = |progress| *self.made() = Made::Making(progress);
        let (sink, copied) =
            mixcord_copy::write(&state, sink, &mut show).map_err(|error| error.to_string())?;
        let file = sink.sink.into_inner().map_err(|error| error.to_string())?;
        Ok((file, copied.bytes))
    }

    /// Until the state has what is in the rings now: what stood in the log before that may be gone already.
    fn catch_up(&self, state: &Path, namespace: &Namespace) -> Result<(), String> {
        let names = namespace.rings().map_err(|error| error.to_string())?;
        let shards =
            names.iter().filter_map(|name| topology::parse_shard_ring(name).zip(Some(name)));
        let attached = shards.filter_map(|((shard, count), name)| {
            Some(((count, shard), Ring::attach(namespace, name).ok()?))
        });
        let mut behind: Vec<_> =
            attached.map(|(shard, ring)| (shard, ring.id().0, ring.tail())).collect();
        let began = Instant::now();
        loop {
            let inputs = State::open(state).map_err(|error| error.to_string())?.inputs();
            let inputs = inputs.map_err(|error| error.to_string())?;
            // A ring that the cache does not read is no matter of the state.
            behind.retain(|(shard, id, tail)| {
                inputs.get(shard).is_some_and(|input| input.is_of(*id) && input.position < *tail)
            });
            if behind.is_empty() {
                return Ok(());
            }
            if self.given_up.load(Ordering::Relaxed) || began.elapsed() >= CATCH_UP {
                return Err("its cache is behind its rings".to_owned());
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// Takes no more once nobody wants it.
struct Sink<'a> {
    sink: BufWriter<File>,
    given_up: &'a AtomicBool,
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(io::Error::other("nobody asks for it any more"));
        }
        self.sink.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}
