//! `mixcord-bridge status`: streams, lanes and receivers, as the broker knows them.

use std::io::Write as _;

use mixcord_bridge::floors::Report;
use mixcord_bridge::lease::Claim;
use mixcord_bridge::names;
use mixcord_bridge::pack::Head;
use serde::Serialize;
use tokio::sync::watch;

use crate::broker::{self, Broker, Problem};
use crate::failure::Failure;
use crate::options::{BrokerOptions, StatusOptions};

/// All of it.
#[derive(Debug, Serialize)]
struct Status {
    bot: String,
    streams: Vec<Stream>,
    receivers: Vec<Receiver>,
}

#[derive(Debug, Serialize)]
struct Stream {
    name: String,
    bytes: u64,
    bytes_max: i64,
    messages: u64,
    first: u64,
    last: u64,
    replicas: usize,
    leader: Option<String>,
    /// Who writes it, by the last claim.
    writer: Option<Writer>,
    lanes: Vec<LaneStatus>,
}

#[derive(Debug, Serialize)]
struct Writer {
    place: String,
    /// When the claim was renewed last, in seconds since 1970.
    renewed_s: i64,
    /// It stopped in order.
    ended: bool,
}

#[derive(Debug, Serialize)]
struct LaneStatus {
    lane: String,
    /// The id of the ring that is sent.
    log: String,
    generation: u64,
    /// Sequence number of its last message.
    last: u64,
    /// The next position.
    position: u64,
}

#[derive(Debug, Serialize)]
struct Receiver {
    id: String,
    place: String,
    /// When it told something last, in seconds since 1970.
    told_s: i64,
    lanes: Vec<Lag>,
}

#[derive(Debug, Serialize)]
struct Lag {
    stream: String,
    lane: String,
    /// The last message that it read to its end.
    at: u64,
    /// Whether there are messages behind that.
    behind: bool,
}

pub(crate) async fn run(
    bot: &str,
    broker: &BrokerOptions,
    options: StatusOptions,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let read = async {
        let broker = broker::connect("mixcord-bridge status", broker).await?;
        Ok::<_, Failure>(read(&broker, bot).await?)
    };
    let status = tokio::select! {
        status = read => status?,
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
    };
    let text = if options.json {
        serde_json::to_string_pretty(&status)
            .map_err(|error| Failure::Trouble(error.to_string()))?
    } else {
        shown(&status)
    };
    // Whoever reads no further has seen enough.
    let _ = writeln!(std::io::stdout(), "{text}");
    Ok(())
}

async fn read(broker: &Broker, bot: &str) -> Result<Status, Problem> {
    let leases = broker::bucket(broker, names::leases(bot)).await?;
    let mut streams = Vec::new();
    for name in broker::streams(broker, bot).await? {
        let Some(log) = broker::find(broker, &name).await? else { continue };
        let info = log.info().await?;
        let mut lanes = Vec::new();
        for lane in log.lanes().await? {
            let Some((last, message)) = log.last(lane).await? else { continue };
            let Ok((head, _)) = Head::read(&message) else { continue };
            lanes.push(LaneStatus {
                lane: lane.to_string(),
                log: format!("{:016x}", head.log),
                generation: head.generation,
                last,
                position: head.end(),
            });
        }
        lanes.sort_by(|a, b| a.lane.len().cmp(&b.lane.len()).then_with(|| a.lane.cmp(&b.lane)));
        let writer = match &leases {
            Some(leases) => leases.get(&name).await?,
            None => None,
        };
        let writer = writer.and_then(|held| {
            let Claim { place, ended, .. } = serde_json::from_slice(&held.value).ok()?;
            Some(Writer { place, renewed_s: held.put_s, ended })
        });
        streams.push(Stream {
            name,
            bytes: info.state.bytes,
            bytes_max: info.config.max_bytes,
            messages: info.state.messages,
            first: info.state.first_sequence,
            last: info.state.last_sequence,
            replicas: info.config.num_replicas,
            leader: info.cluster.and_then(|cluster| cluster.leader),
            writer,
            lanes,
        });
    }
    let receivers = receivers(broker, bot, &streams).await?;
    Ok(Status { bot: bot.to_owned(), streams, receivers })
}

async fn receivers(
    broker: &Broker,
    bot: &str,
    streams: &[Stream],
) -> Result<Vec<Receiver>, Problem> {
    let Some(bucket) = broker::bucket(broker, names::floors(bot)).await? else {
        return Ok(Vec::new());
    };
    let mut receivers = Vec::new();
    for held in bucket.all().await? {
        let Ok(report) = serde_json::from_slice::<Report>(&held.value) else { continue };
        let last_of = |stream: &str, lane: &str| {
            let stream = streams.iter().find(|known| known.name == stream)?;
            stream.lanes.iter().find(|known| known.lane == lane).map(|known| known.last)
        };
        let mut lanes = Vec::new();
        for (stream, told) in &report.streams {
            for (lane, at) in &told.lanes {
                let behind = last_of(stream, lane).is_some_and(|last| *at < last);
                lanes.push(Lag { stream: stream.clone(), lane: lane.clone(), at: *at, behind });
            }
        }
        let (id, told_s) = (held.key, held.put_s);
        receivers.push(Receiver { id, place: report.place, told_s, lanes });
    }
    Ok(receivers)
}

/// For people.
fn shown(status: &Status) -> String {
    let mut lines = Vec::new();
    if status.streams.is_empty() {
        lines.push(format!(
            "{}: no stream yet: mixcord-bridge send makes them where the gateway runs",
            status.bot
        ));
    }
    for stream in &status.streams {
        let full = stream.bytes as f64 * 100.0 / stream.bytes_max.max(1) as f64;
        let leader = stream.leader.as_deref().map(|leader| format!(", leader {leader}"));
        let writer = stream.writer.as_ref().map(|writer| match writer.ended {
            true => format!(", {} stopped sending", writer.place),
            false => format!(", sent by {}", writer.place),
        });
        lines.push(format!(
            "{}: {} messages, {full:.1} % full, {} replicas{}{}",
            stream.name,
            stream.messages,
            stream.replicas,
            leader.unwrap_or_default(),
            writer.unwrap_or_default()
        ));
        for lane in &stream.lanes {
            lines.push(format!(
                "  shard {}: record {}, message {}, generation {}",
                lane.lane, lane.position, lane.last, lane.generation
            ));
        }
    }
    for receiver in &status.receivers {
        let behind = receiver.lanes.iter().filter(|lag| lag.behind).count();
        lines.push(format!(
            "receiver {} ({}): {} shards, {behind} with something to read",
            receiver.id,
            receiver.place,
            receiver.lanes.len()
        ));
    }
    lines.join("\n")
}
