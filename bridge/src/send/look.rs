//! What the log ends with, read before anything is sent.

use mixcord_bridge::floors::End;
use mixcord_bridge::names::Lane;
use mixcord_bridge::pack::Head;
use mixcord_bridge::sender::Found;

use super::stream::StreamTask;
use crate::broker::{self, Log, Problem, Wanted};

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
        let mut found = Vec::new();
        for known in &mut self.lanes {
            known.subject = log.subject(known.lane);
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
            known.fault = fault;
        }
        Ok(())
    }
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
