//! Decoding: one gateway message into a record, in one thread.

use std::hint::black_box;

use anyhow::Result;
use mixcord_event::{Decoder, Limits};

use crate::payload::{self, Payload};
use crate::report::Report;
use crate::round::{Contender, Effort, interleave};

pub(crate) fn run(effort: Effort, report: &mut Report) -> Result<()> {
    etf(effort, report, &payload::message_create());
    Ok(())
}

fn etf(effort: Effort, report: &mut Report, payload: &Payload) {
    let mut decoder = Decoder::new(Limits::default());
    let contenders = vec![
        Contender::unit("mixcord", effort, || {
            black_box(decoder.etf(black_box(&payload.etf)).expect("our own payload decodes"));
        }),
        Contender::unit("eetf", effort, || {
            black_box(eetf::Term::decode(black_box(&payload.etf[..])).expect("it decodes"));
        }),
    ];
    let case = format!("ETF {} ({} B)", payload.name, payload.etf.len());
    report.rates("event", &case, "events", &interleave(effort, contenders), &[]);
}
