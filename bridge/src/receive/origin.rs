//! Which generation a log has that a copied state came from.

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use futures_util::StreamExt as _;
use mixcord_bridge::lease;
use mixcord_bridge::names::{self, Lane};
use mixcord_bridge::pack::Head;

use super::Setting;
use crate::broker::{self, Log, PATIENCE, Problem};

/// By any message of it in the lane, else by who claims to send it; `None` where neither says so. Mostly the last message
/// is of it: the others are read only where its ring was followed by another meanwhile.
pub(super) async fn generation(
    setting: &Setting,
    logs: &[Log],
    lane: Lane,
    of: u64,
) -> Result<Option<u64>, Problem> {
    let mut ends = Vec::new();
    for log in logs {
        let Some((last, message)) = log.last(lane).await? else { continue };
        match Head::read(&message) {
            Ok((head, _)) if head.log == of => return Ok(Some(head.generation)),
            _ => ends.push((log, last)),
        }
    }
    for (log, last) in ends {
        let found = look_through(log, lane, of, last).await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    // All of it is trimmed, and nothing new came: yet what was sent before it, elsewhere, is not to follow it.
    let Some(bucket) = broker::bucket(&setting.broker, names::leases(&setting.bot)).await? else {
        return Ok(None);
    };
    Ok(lease::since(&broker::claims(&bucket).await?, lane, of))
}

async fn look_through(log: &Log, lane: Lane, of: u64, last: u64) -> Result<Option<u64>, Problem> {
    let config = pull::OrderedConfig {
        filter_subject: log.subject(lane),
        deliver_policy: DeliverPolicy::All,
        ..pull::OrderedConfig::default()
    };
    let consumer = log.stream.create_consumer(config).await.map_err(Problem::broker)?;
    let mut messages = consumer.messages().await.map_err(Problem::broker)?;
    loop {
        let message = tokio::time::timeout(PATIENCE, messages.next()).await;
        let message = message.map_err(Problem::broker)?.ok_or(Problem::Gone)?;
        let message = message.map_err(Problem::broker)?;
        match Head::read(&message.payload) {
            Ok((head, _)) if head.log == of => return Ok(Some(head.generation)),
            _ => {}
        }
        let info = message.info().map_err(|error| Problem::Broker(error.to_string()))?;
        if info.stream_sequence >= last {
            return Ok(None);
        }
    }
}
