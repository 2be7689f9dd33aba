//! `mixcord cache`: what the cache knows, and what that takes.

mod copy;
mod entity;
mod export;
mod get;
mod stats;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Copy the whole state, as of one moment, into a file or a stream.
    #[command(after_help = copy::HELP)]
    Copy(copy::Options),
    /// Print the cached entities, one JSON object a line.
    #[command(after_help = export::HELP)]
    Export(export::Options),
    /// Print one cached entity as a JSON object.
    #[command(after_help = get::HELP)]
    Get(get::Options),
    /// Show how many entities there are of each resource, the bytes they take, and how full the file is.
    Stats(crate::report::ReportOptions),
}

pub(crate) fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::Copy(options) => copy::run(options),
        Command::Export(options) => export::run(options),
        Command::Get(options) => get::run(options),
        Command::Stats(options) => stats::run(options),
    }
}
