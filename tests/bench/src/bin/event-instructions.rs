//! Does one thing of the event part COUNT times: event-instructions CASE EVENT COUNT.
//!
//! `instructions.sh` runs it under callgrind with two counts; the difference is free of start-up.

#![recursion_limit = "256"] // json! of a whole guild

#[allow(dead_code, reason = "shared with the benchmark")]
#[path = "../payload.rs"]
mod payload;
#[allow(dead_code, reason = "shared with the benchmark")]
#[path = "../event/skip.rs"]
mod skip;

use std::hint::black_box;

use anyhow::{Context, Result, bail};
use mixcord_event::{Decoder, Limits, Record, RecordMeta, Seal, atoms};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [case, event, count] = &arguments[..] else {
        bail!("usage: event-instructions etf|json|skip|check|seal|sealed|fields EVENT COUNT");
    };
    let payload = match event.as_str() {
        "MESSAGE_CREATE" => payload::message_create(),
        "PRESENCE_UPDATE" => payload::presence_update(),
        "TYPING_START" => payload::typing_start(),
        "GUILD_CREATE" => payload::guild_create(),
        other => bail!("no such event: {other}"),
    };
    let count: usize = count.parse()?;
    let mut decoder = Decoder::new(Limits::default());
    let meta = RecordMeta::default();
    let bytes = decoder.etf(&payload.etf)?.record(&meta).to_vec();
    let record = Record::parse(&bytes)?;
    let seal = Seal::of(&bytes);
    for _ in 0..count {
        match case.as_str() {
            "etf" => {
                black_box(decoder.etf(black_box(&payload.etf))?.record(&meta));
            }
            "json" => {
                black_box(decoder.json(black_box(payload.json.as_bytes()))?.record(&meta));
            }
            "skip" => {
                black_box(skip::message(black_box(&payload.etf)).context("our own payload")?);
            }
            "check" => {
                black_box(Record::parse(black_box(&bytes))?);
            }
            "seal" => {
                black_box(Seal::of(black_box(&bytes)));
            }
            "sealed" => {
                black_box(Record::parse_sealed(black_box(&bytes), seal)?);
            }
            "fields" => {
                let data = black_box(record.data());
                for key in [atoms::ID, atoms::CHANNEL_ID, atoms::CONTENT, atoms::TYPE] {
                    black_box(data.get(key));
                }
                black_box(data.get(atoms::AUTHOR).and_then(|author| author.get(atoms::ID)));
            }
            other => bail!("no such case: {other}"),
        }
    }
    Ok(())
}
