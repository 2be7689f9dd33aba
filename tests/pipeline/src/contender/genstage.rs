//! Producer and consumer on the Erlang VM: `genstage.exs`.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::Result;

use super::{Place, Running, is_on_path};
use crate::process::Process;
use crate::source::Load;

const SCRIPT: &str = include_str!("genstage.exs");

pub(super) fn start(place: &Place, port: u16, load: &Load) -> Result<Running> {
    let mut command = elixir(place)?;
    command.args([port.to_string(), load.shards.to_string()]);
    let process = Process::start_talking("elixir", &place.folder, &mut command)?;
    let all = 0..1;
    Ok(Running { processes: vec![process], groups: vec![all], instance: None })
}

/// Looked for once: where its packages are not at hand they are fetched.
pub(super) fn missing(place: &Place) -> Option<String> {
    static MISSING: OnceLock<Option<String>> = OnceLock::new();
    MISSING.get_or_init(|| look(place)).clone()
}

fn look(place: &Place) -> Option<String> {
    if !is_on_path("erl") || !is_on_path("elixir") {
        return Some("elixir is not installed (Debian: apt-get install elixir)".to_owned());
    }
    let checked = elixir(place).ok().and_then(|mut command| {
        let command = command.arg("check").stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().ok()
    });
    let is_there = checked.is_some_and(|status| status.success());
    (!is_there).then(|| {
        "gen_stage cannot be fetched (its checkout may be named by MIXCORD_BENCH_GEN_STAGE)"
            .to_owned()
    })
}

fn elixir(place: &Place) -> Result<Command> {
    let script = place.folder.join("genstage.exs");
    fs::write(&script, SCRIPT)?;
    let mut command = Command::new("elixir");
    // Schedulers that have nothing to do sleep at once: what they would burn is no work.
    command.env("ELIXIR_ERL_OPTIONS", "+sbwt none +sbwtdcpu none +sbwtdio none");
    command.arg(script);
    Ok(command)
}
