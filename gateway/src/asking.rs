//! What Discord says while shards run: the identify budget, which others use too, and how many shards it recommends.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use mixcord_event::topology::ReshardOrder;

use crate::census;
use crate::change::{self, Change};
use crate::config::ShardSet;
use crate::discovery::{Discovered, DiscoveryError, StartLimit};
use crate::random::Random;
use crate::recommendation::{advise, is_time};
use crate::set::Common;
use crate::shard::Context;

/// How often Discord is asked for the budget and its recommendation while all is well.
const REFRESH: Duration = Duration::from_secs(1_800);

/// Asks Discord until it answers, where that was not waited for, and again from time to time: others
/// use the same budget, and the bot grows.
pub(crate) async fn keep_asking(
    common: Arc<Common>,
    context: Arc<Context>,
    shards: ShardSet,
    said: Option<Discovered>,
    needed: u64,
) -> Infallible {
    let mut random = Random::unseeded();
    let mut needed = said.is_none().then_some(needed);
    let mut advice = Advice { common, context: context.clone(), shards, heard: None, asked: None };
    let mut pause = Duration::ZERO;
    if let Some(said) = said {
        advice.hear(&said).await;
        pause = random.between(REFRESH / 2, REFRESH);
    }
    let mut failures = 0;
    loop {
        let doubt = async {
            context.gate.doubt().await;
            // However many shards wait for it, and whatever it says.
            tokio::time::sleep(context.backoff.max).await;
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = doubt => {}
        }
        match context.gateway.ask().await {
            Ok(said) => {
                failures = 0;
                pause = random.between(REFRESH / 2, REFRESH);
                let limit = &said.session_start_limit;
                if let Some(shortage) = needed.take().and_then(|needed| shortage(limit, needed)) {
                    tracing::warn!("{shortage}; they wait for that");
                }
                if let Err(error) = context.gate.tell(limit).await {
                    tracing::warn!(%error, "the common identify queue cannot be used");
                }
                advice.hear(&said).await;
            }
            Err(error) => {
                failures += 1;
                let after = match &error {
                    DiscoveryError::Later { after, .. } => after.unwrap_or_default(),
                    _ => Duration::ZERO,
                };
                pause = context.backoff.delay(failures, &mut random).max(after);
                tracing::warn!(
                    %error,
                    delay_ms = pause.as_millis(),
                    "Discord cannot be asked yet: sessions go on, identifies wait"
                );
            }
        }
    }
}

/// What is made of the number that Discord recommends.
struct Advice {
    common: Arc<Common>,
    context: Arc<Context>,
    shards: ShardSet,
    /// The last one that was told.
    heard: Option<u64>,
    /// The last one for which a change was asked for. One that was called off is not asked for again.
    asked: Option<u16>,
}

impl Advice {
    async fn hear(&mut self, said: &Discovered) {
        let options = &self.common.options;
        let standing = &self.context.standing;
        if standing.is_beside() || standing.is_retired() {
            return;
        }
        if self.heard.replace(said.shards) != Some(said.shards) {
            advise(options, self.shards.count, said);
        }
        let Some(fraction) = options.reshard_at else { return };
        let is_changing =
            Change::read(&options.instance).is_some_and(|change| change.is_under_way());
        let fullest = census::fullest(&options.instance, self.shards.count).await;
        let to = is_time(fraction, &self.shards, fullest, said);
        let Some(to) = to.filter(|_| !is_changing) else {
            return;
        };
        if self.asked.replace(to) == Some(to) {
            return;
        }
        tracing::info!(to, "a shard has so many guilds that --reshard-at changes the shard count");
        if let Err(error) = change::ask(&options.instance, &ReshardOrder::To(to)) {
            tracing::error!(%error, "the cache cannot be asked for another shard count");
        }
    }
}

/// Whether fewer identifies are left than are needed (G-16).
pub(crate) fn shortage(limit: &StartLimit, needed: u64) -> Option<String> {
    let minutes = limit.reset_after.div_ceil(60_000);
    (limit.remaining < needed).then(|| {
        format!(
            "{needed} shards have to identify and only {} of {} identifies are left; the budget is full again in {minutes} minutes",
            limit.remaining, limit.total
        )
    })
}
