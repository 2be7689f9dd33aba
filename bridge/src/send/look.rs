//! What the log ends with, read before anything is sent.

use mixcord_bridge::floors::End;
use mixcord_bridge::names::{self, Lane};
use mixcord_bridge::pack::Head;
use mixcord_bridge::sender::Found;
use mixcord_bridge::takeover::Ended;

use super::standing::over;
use super::stream::StreamTask;
use crate::broker::{self, Bucket, Log, Problem, Wanted};

impl StreamTask {
    /// Reads what the log ends with.
    pub(super) async fn look(&mut self) -> Result<(), Problem> {
        let setting = &self.setting;
        if self.log.is_none() {
            let name = (&*setting.bot, &*setting.options.stream, self.first);
            let wanted =
                Wanted { bytes: setting.options.stream_bytes, replicas: setting.options.replicas };
            let log = broker::create(&setting.broker, name, wanted).await?;
            self.trimmed = 0;
            self.log = Some(log);
        }
        let Some(log) = &self.log else { return Ok(()) };
        let info = match log.info().await {
            Err(Problem::Gone) => {
                tracing::warn!(stream = log.name, "the stream is gone: it is made anew");
                self.log = None;
                return Ok(());
            }
            info => info?,
        };
        let ends = broker::bucket(&setting.broker, names::ends(&setting.bot)).await?;
        let mut found = Vec::new();
        for known in &mut self.lanes {
            known.subject = log.subject(known.lane);
            if let (Some(ends), Some(feed)) = (&ends, &known.feed) {
                let by = taken_by(ends, feed.id()).await?;
                if let Some(by) = by.as_deref().filter(|_| known.ended != by) {
                    let Lane { shard, count } = known.lane;
                    let why = over(known.lane, by);
                    tracing::error!(shard, count, "the shard is not sent any more: {why}");
                }
                known.ended = by;
            }
            let last = last(log, known.lane).await?;
            let tail = known.feed.as_ref().map_or(u64::MAX, |feed| feed.ring.tail());
            found.push(Found { last, tail });
        }
        self.others.clear();
        for lane in log.lanes().await? {
            if self.lanes.iter().all(|known| known.lane != lane)
                && let Some((last, _)) = log.last(lane).await?
            {
                self.others.push(End { lane, last, sends: false });
            }
        }
        self.sender.looked(info.state.last_sequence, &found);
        for (index, known) in self.lanes.iter_mut().enumerate() {
            let fault = self.sender.fault(index);
            if let Some(fault) = fault.filter(|fault| known.fault != Some(*fault)) {
                let Lane { shard, count } = known.lane;
                tracing::error!(shard, count, "the shard is not sent: {fault}");
            }
            (known.fault, known.is_looked_at) = (fault, true);
            if let Some(feed) = &mut known.feed {
                feed.say_again();
            }
        }
        self.stand();
        Ok(())
    }
}

/// Which machine took a log over, if one did.
async fn taken_by(ends: &Bucket, log: u64) -> Result<Option<String>, Problem> {
    let Some(held) = ends.get(&names::log_key(log)).await? else { return Ok(None) };
    let ended: Result<Ended, _> = serde_json::from_slice(&held.value);
    Ok(Some(ended.map_or_else(|_| "another machine".to_owned(), |ended| ended.place)))
}

/// The last message of a lane.
async fn last(log: &Log, lane: Lane) -> Result<Option<(u64, Option<Head>)>, Problem> {
    let Some((sequence, message)) = log.last(lane).await? else { return Ok(None) };
    match Head::read(&message) {
        Ok((head, _)) => Ok(Some((sequence, Some(head)))),
        Err(error) if error.is_of_another_release() => {
            Err(Problem::Later(format!("{}: {error}", log.name)))
        }
        Err(error) => {
            let Lane { shard, count } = lane;
            tracing::warn!(
                stream = log.name,
                shard,
                count,
                sequence,
                "the last message of the shard is no bridge's, and is passed over: {error}"
            );
            Ok(Some((sequence, None)))
        }
    }
}
