//! A lane's take-over, step by step, between what is received: [`mixcord_bridge::takeover`].

use mixcord_bridge::names::Lane;
use mixcord_bridge::pack::{About, Head, MESSAGE_MIN, Packer, Predecessor, Sizes};
use mixcord_bridge::place::Place;
use mixcord_bridge::sender::Answer;
use mixcord_bridge::takeover::{Fence, Takeover};

use super::lane::LaneTask;
use super::taking;
use crate::broker::{Log, Problem};

/// A fence has no records.
const SIZES: Sizes = Sizes { records: 1, pack: MESSAGE_MIN, message: MESSAGE_MIN };

impl LaneTask {
    /// Does what can be done now towards the take-over of the lane, where a gateway here wants it. Gives where the log ended,
    /// and the generation of the fence, once nobody else can go on with it.
    pub(super) async fn take_over(
        &mut self,
        place: &Place,
        log: &Log,
        logs: &[Log],
    ) -> Result<Option<(Predecessor, u64)>, Problem> {
        let taker = &self.setting.taker;
        if !taker.wants(self.lane) {
            self.takeover = None;
            return Ok(None);
        }
        let Some(generation) = taker.hold(&log.name, self.lane) else { return Ok(None) };
        let begun = self.takeover.take().filter(|begun| begun.generation() == generation);
        let mut takeover = begun.unwrap_or_else(|| Takeover::new(generation));
        if takeover.must_look() {
            // In this order: what comes between the two has the fence refused.
            let sequence = log.info().await?.state.last_sequence;
            let last = last(log, self.lane).await?;
            if self.is_elsewhere(log, logs, last).await? {
                taker.waits(self.lane, "its shards moved to another stream, which is read first");
                return Ok(None);
            }
            let fence = match takeover.looked(sequence, last) {
                Ok(fence) => fence,
                Err(refused) => {
                    taker.waits(self.lane, &refused.to_string());
                    return Ok(None);
                }
            };
            takeover.answered(self.append(log, &fence).await);
        }
        let end = takeover.end(place);
        let Some(end) = end else {
            taker.waits(self.lane, "what the log has yet of its shards is read");
            self.takeover = Some(takeover);
            return Ok(None);
        };
        let ended = taker.ended(end.position, generation);
        taking::note(&self.setting, end.log, &ended).await?;
        // Whoever has the lease after this one finds the note.
        let is_ours = self.setting.taker.holds(&log.name, generation);
        self.takeover = Some(takeover);
        Ok(is_ours.then_some((end, generation)))
    }

    /// Whether another stream has something newer of the lane.
    async fn is_elsewhere(
        &self,
        log: &Log,
        logs: &[Log],
        last_here: Option<Head>,
    ) -> Result<bool, Problem> {
        let here = last_here.map_or(0, |head| head.generation);
        for other in logs.iter().filter(|other| *other != log) {
            let there = last(other, self.lane).await?;
            if there.is_some_and(|head| head.generation > here) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn append(&self, log: &Log, fence: &Fence) -> Answer {
        let packed = Packer::new(SIZES).pack(&fence.start, [], &About::default());
        let [message] = &*packed.messages else { return Answer::Missing };
        let subject = log.subject(self.lane);
        let broker = &self.setting.broker;
        let Some(answer) = broker.append(&subject, fence.expected, message.clone()).await else {
            return Answer::Missing;
        };
        answer.await.map_or(Answer::Missing, |ack| Answer::Stored(ack.sequence))
    }
}

async fn last(log: &Log, lane: Lane) -> Result<Option<Head>, Problem> {
    let last = log.last(lane).await?;
    Ok(last.and_then(|(_, message)| Some(Head::read(&message).ok()?.0)))
}
