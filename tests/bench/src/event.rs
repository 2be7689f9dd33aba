//! Decoding, in one thread: a gateway message into a record, and a record read again.

mod erlang;
mod peers;
mod skip;

use std::hint::black_box;

use anyhow::{Context, Result};
use mixcord_event::{Decoder, Limits, Record, RecordMeta, Value, atoms};

use crate::payload::{self, Payload};
use crate::report::{Goal, Report};
use crate::round::{Contender, Effort, Samples, interleave};

pub(crate) fn run(effort: Effort, report: &mut Report) -> Result<()> {
    let message = payload::message_create();
    let payloads =
        [&message, &payload::presence_update(), &payload::typing_start(), &payload::guild_create()];
    for payload in payloads {
        peers::check(payload)?;
        etf(effort, report, payload)?;
        json(effort, report, payload);
        size(report, payload)?;
    }
    reading(effort, report, &message)
}

fn etf(effort: Effort, report: &mut Report, payload: &Payload) -> Result<()> {
    let mut decoder = Decoder::new(Limits::default());
    let mut contenders = vec![
        Contender::unit("mixcord", effort, || {
            let mut frame = decoder.etf(black_box(&payload.etf)).expect("our own payload decodes");
            black_box(frame.record(&RecordMeta::default()));
        }),
        Contender::unit("limit", effort, || {
            black_box(skip::message(black_box(&payload.etf)));
        }),
        Contender::unit("eetf", effort, || {
            black_box(eetf::Term::decode(black_box(&payload.etf[..])).expect("it decodes"));
        }),
    ];
    contenders.extend(erlang::contender(effort, payload)?);
    let case = format!("ETF → record: {} ({} B)", payload.name, payload.etf.len());
    let mut goals = vec![Goal::OfLimit(0.6)];
    if payload.name == "MESSAGE_CREATE" {
        goals.push(Goal::Times(15.0, "eetf"));
    }
    report.rates("event", &case, "events", &interleave(effort, contenders), &goals);
    Ok(())
}

fn json(effort: Effort, report: &mut Report, payload: &Payload) {
    let mut decoder = Decoder::new(Limits::default());
    let text = payload.json.as_bytes();
    // simd-json writes into its input, so each decoding needs a copy: it is part of the price.
    let mut scratch = Vec::with_capacity(text.len());
    let contenders = vec![
        Contender::unit("mixcord", effort, || {
            let mut frame = decoder.json(black_box(text)).expect("our own payload decodes");
            black_box(frame.record(&RecordMeta::default()));
        }),
        Contender::unit("serde_json::Value", effort, || {
            black_box(peers::serde_value(black_box(text)));
        }),
        Contender::unit("simd-json borrowed", effort, || {
            scratch.clear();
            scratch.extend_from_slice(black_box(text));
            black_box(simd_json::to_borrowed_value(&mut scratch).expect("it decodes"));
        }),
        Contender::unit("sonic-rs Value", effort, || {
            black_box(
                sonic_rs::from_slice::<sonic_rs::Value>(black_box(text)).expect("it decodes"),
            );
        }),
        Contender::unit("twilight-model", effort, || {
            black_box(peers::twilight(black_box(&payload.json)));
        }),
    ];
    let case = format!("JSON → record: {} ({} B)", payload.name, text.len());
    let goals: &[Goal] = match payload.name {
        "MESSAGE_CREATE" => &[Goal::Times(3.0, "serde_json::Value")],
        _ => &[],
    };
    report.rates("event", &case, "events", &interleave(effort, contenders), goals);
}

/// The record beside the texts it was made from.
fn size(report: &mut Report, payload: &Payload) -> Result<()> {
    let mut decoder = Decoder::new(Limits::default());
    let mut frame = decoder.etf(&payload.etf)?;
    let figures = [
        ("mixcord", frame.record(&RecordMeta::default()).len() as f64),
        ("JSON text", payload.json.len() as f64),
        ("ETF", payload.etf.len() as f64),
    ];
    let goals = [Goal::AtMostTimes(0.6, "JSON text")];
    let case = format!("record of {}", payload.name);
    report.exact("event", &case, "size", "bytes", &figures, &goals);
    Ok(())
}

fn reading(effort: Effort, report: &mut Report, payload: &Payload) -> Result<()> {
    let mut decoder = Decoder::new(Limits::default());
    let bytes = decoder.etf(&payload.etf)?.record(&RecordMeta::default()).to_vec();
    let record = Record::parse(&bytes)?;
    let data = record.data();
    five_fields(data).context("the payload has the five fields")?;
    let tree = peers::serde_value(payload.json.as_bytes());
    let contenders = vec![
        Contender::unit("mixcord", effort, || {
            black_box(five_fields(black_box(data)));
        }),
        Contender::unit("serde_json::Value", effort, || {
            black_box(peers::five_fields(black_box(&tree["d"])));
        }),
    ];
    let samples = interleave(effort, contenders);
    let nanoseconds = in_nanoseconds(&samples);
    let case = format!("five fields of {}", payload.name);
    report.row("event", &case, "time", "CPU-ns", &nanoseconds, &[Goal::AtMost(200.0)]);

    let contenders = vec![Contender::unit("mixcord", effort, || {
        black_box(Record::parse(black_box(&bytes)).expect("it is a record"));
    })];
    let case = format!("check a record of {}", payload.name);
    report.rates("event", &case, "records", &interleave(effort, contenders), &[]);

    let contenders = vec![
        Contender::unit("mixcord", effort, || {
            black_box(peers::twilight_message(black_box(data)));
        }),
        Contender::unit("twilight-model from JSON", effort, || {
            black_box(peers::twilight(black_box(&payload.json)));
        }),
    ];
    let case = format!("record → twilight-model: {}", payload.name);
    report.rates("event", &case, "events", &interleave(effort, contenders), &[]);
    Ok(())
}

/// Early, late, long and nested ones.
fn five_fields(data: Value<'_>) -> Option<(u64, u64, &str, u64, u64)> {
    Some((
        data.get(atoms::ID)?.as_id()?,
        data.get(atoms::CHANNEL_ID)?.as_id()?,
        data.get(atoms::CONTENT)?.as_str()?,
        data.get(atoms::AUTHOR)?.get(atoms::ID)?.as_id()?,
        data.get(atoms::TYPE)?.as_u64()?,
    ))
}

fn in_nanoseconds(samples: &[Samples]) -> Vec<(&'static str, crate::round::Spread)> {
    samples.iter().map(|s| (s.name, s.spread(|sample| 1e9 / sample.per_cpu_second()))).collect()
}
