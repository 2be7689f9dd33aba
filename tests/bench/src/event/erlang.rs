//! Erlang's own `binary_to_term`, where `erl` is installed (Debian: erlang-base).

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::clock::Sample;
use crate::payload::Payload;
use crate::round::{Contender, Effort};

/// Decodes the file's bytes again and again, and prints how often, the CPU time and the wall time,
/// both in microseconds. `-eval` is interpreted, so the loop is a library function, which is
/// compiled. The VM's start is not counted.
const PROGRAM: &str = r#"
    [File, Micros] = init:get_plain_arguments(),
    {ok, Bytes} = file:read_file(File),
    Batch = lists:duplicate(max(10, 4000000 div byte_size(Bytes)), Bytes),
    Cpu = fun() -> element(1, erlang:statistics(runtime)) * 1000 end,
    Now = fun() -> erlang:monotonic_time(microsecond) end,
    Decode = fun() -> lists:foreach(fun erlang:binary_to_term/1, Batch) end,
    Decode(),
    Cpu0 = Cpu(),
    Start = Now(),
    Until = Start + list_to_integer(Micros),
    Run = fun Run(Count) ->
        Decode(),
        case Now() >= Until of
            true -> Count + length(Batch);
            false -> Run(Count + length(Batch))
        end
    end,
    Count = Run(0),
    io:format("~b ~b ~b~n", [Count, Cpu() - Cpu0, Now() - Start]),
    halt().
"#;

/// A contender, or nothing where there is no `erl`.
pub(super) fn contender<'a>(effort: Effort, payload: &Payload) -> Result<Option<Contender<'a>>> {
    if Command::new("erl").arg("-version").output().is_err() {
        eprintln!("bench: no erl (Debian: erlang-base): without binary_to_term");
        return Ok(None);
    }
    let file = Temporary::new(&payload.etf)?;
    let micros = effort.round_time().as_micros().to_string();
    Ok(Some(Contender::rounds("Erlang binary_to_term", move || {
        let output = Command::new("erl")
            .args(["-noshell", "+S", "1:1", "+SDcpu", "1:1", "-eval", PROGRAM, "-extra"])
            .arg(&file.0)
            .arg(&micros)
            .output()
            .expect("erl ran before");
        parse(&String::from_utf8_lossy(&output.stdout))
            .unwrap_or_else(|| panic!("erl: {}", String::from_utf8_lossy(&output.stderr)))
    })))
}

fn parse(line: &str) -> Option<Sample> {
    let mut numbers = line.split_whitespace().map(str::parse::<u64>);
    let mut next = || numbers.next()?.ok();
    let (units, cpu, wall) = (next()?, next()?, next()?);
    // The VM counts CPU time in milliseconds.
    let cpu = Duration::from_micros(cpu.max(1000));
    Some(Sample { units, cpu, wall: Duration::from_micros(wall) })
}

/// A file that goes with its owner.
struct Temporary(PathBuf);

impl Temporary {
    fn new(bytes: &[u8]) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("mixcord-bench-{}.etf", std::process::id()));
        fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
