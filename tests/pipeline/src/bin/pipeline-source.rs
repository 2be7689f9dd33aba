//! Sends events that were encoded before, as fast as they are taken or at a steady rate.

use std::io::Write;

use anyhow::Result;
use clap::Parser;
use mixcord_pipeline::source::{Compression, Encoding, Load, Server, Streams};
use mixcord_pipeline::workload::Blend;

/// A source of gateway events for benchmarks: encodes all of them, then says its port
#[derive(Debug, Parser)]
struct Options {
    /// Events over all shards
    #[arg(long)]
    events: u64,
    /// Guilds over all shards
    #[arg(long)]
    guilds: u64,
    /// Shards
    #[arg(long)]
    shards: u16,
    /// MESSAGE_CREATE alone instead of a mix
    #[arg(long)]
    messages: bool,
    /// How messages are written
    #[arg(long, value_enum)]
    encoding: Encoding,
    /// How the connection is compressed
    #[arg(long, value_enum)]
    compression: Compression,
}

fn main() -> Result<()> {
    let Options { events, guilds, shards, messages, encoding, compression } = Options::parse();
    let blend = if messages { Blend::Messages } else { Blend::Everything };
    let load = Load { blend, events, guilds, shards, encoding, compression };
    let server = Server::new(Streams::new(&load)?, load)?;
    println!("listening on {}", server.port());
    std::io::stdout().flush()?;
    // It belongs to the benchmark, and ends with it.
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    Ok(server.serve()?)
}
