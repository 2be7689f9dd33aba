//! Reports: a table for people, one JSON object for programs.

use std::io::Write as _;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::terminal::Style;

/// Options of every command that reports.
#[derive(Debug, Args)]
pub(crate) struct ReportOptions {
    #[command(flatten)]
    pub(crate) instance: crate::Instance,
    /// Print one JSON object instead of a table.
    #[arg(long, env = "MIXCORD_JSON")]
    json: bool,
}

impl ReportOptions {
    /// Prints the report as it was asked for.
    pub(crate) fn print<T: Serialize>(
        &self,
        report: &T,
        table: impl Fn(&T, Style) -> String,
    ) -> Result<()> {
        let text = if self.json {
            serde_json::to_string(report)? + "\n"
        } else {
            table(report, Style::detect())
        };
        Ok(std::io::stdout().write_all(text.as_bytes())?)
    }
}
