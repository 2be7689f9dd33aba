//! `mixcord monitor`: metrics, health and a live page over HTTP.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use mixcord::Stop;
use mixcord_monitor::{Limits, Settings, serve};
use mixcord_process::service::Service;

pub(crate) const HELP: &str = "\
Paths:\n  \
  /             the pipeline, live, as a page\n  \
  /metrics      for Prometheus; OpenMetrics for whoever asks for that\n  \
  /healthz      200 while this process lives\n  \
  /readyz       200 when nothing is broken, else 503 and why\n  \
  /api/status   what `mixcord ls --json` prints\n  \
  /api/events   server-sent events, what the page lives on\n\
\n\
There is no password: on another address than loopback whoever reaches it reads it. It only reads, holds nobody \
up, and shows no event unless --show-events says so.";

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    instance: crate::Instance,
    /// Where to listen; port 0 takes a free one, which is printed.
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        env = "MIXCORD_LISTEN",
        default_value = "127.0.0.1:9464"
    )]
    listen: SocketAddr,
    /// Show on the page what some events changed. They hold people's words.
    #[arg(long, env = "MIXCORD_SHOW_EVENTS")]
    show_events: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let stop = Stop::new();
    stop.on_signals()?;
    let settings = Settings {
        instance: options.instance.name.clone(),
        listen: options.listen,
        show_events: options.show_events,
        limits: Limits::default(),
    };
    let service = Service::start();
    serve(&settings, &stop, |address| {
        service.ready();
        // Nobody has to read it.
        let _ = std::io::stdout().write_all(format!("listening on http://{address}\n").as_bytes());
    })?;
    Ok(ExitCode::SUCCESS)
}
