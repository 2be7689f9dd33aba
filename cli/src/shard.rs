//! `mixcord shard`: what an operator does with one shard.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use mixcord::commands::Commands;

use crate::say;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Have a shard give its connection up and resume its session on a new one. Nothing is lost.
    Reconnect(Reconnect),
}

#[derive(Debug, Args)]
pub(crate) struct Reconnect {
    #[command(flatten)]
    instance: crate::Instance,
    /// The shard.
    #[arg(value_name = "N")]
    shard: u16,
}

pub(crate) fn run(command: Command) -> Result<ExitCode> {
    let Command::Reconnect(Reconnect { instance, shard }) = command;
    Commands::open(instance.name)?.reconnect_blocking(shard)?;
    say(&format!("shard {shard} makes a new connection"))
}
