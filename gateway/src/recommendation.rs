//! How many shards: what the operator said, what runs, and what Discord recommends (G-4, G-15).

use std::time::Duration;

use crate::backoff::Backoff;
use crate::config::{Options, ShardSet, Shards};
use crate::discovery::{Discovered, DiscoveryError};
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::random::Random;
use crate::survey::Survey;

/// Discord recommends a shard for this many guilds…
const GUILDS_RECOMMENDED: u64 = 1_000;
/// …and refuses to identify one that has more than this many.
const GUILDS_MAX: u64 = 2_500;
/// So long Discord is given to say that the present number of shards will not do. Sessions that wait
/// meanwhile live for minutes.
const PATIENCE: Duration = Duration::from_secs(3);

/// The shards of this process, and what Discord said if it had to be asked.
pub(crate) type Chosen = (ShardSet, Option<Discovered>);

/// Decides. Discord is waited for only where it has to be: when its word decides, or when there is no
/// session that could be resumed without it.
///
/// # Errors
/// When Discord refuses the token, or is none.
pub(crate) async fn choose(
    shards: &Shards,
    survey: &Survey,
    gateway: &Gateway,
    backoff: Backoff,
) -> Result<Chosen, Failure> {
    if let Some(shards) = shards.fixed() {
        return fixed(shards, survey, gateway, backoff).await;
    }
    let Some(kept) = survey.kept() else {
        let said = ask(gateway, backoff).await?;
        return Ok((recommended(&said)?, Some(said)));
    };
    let said = if !survey.resumable(&ShardSet::whole(kept)).is_empty() {
        tokio::time::timeout(PATIENCE, gateway.ask()).await.ok().and_then(Result::ok)
    } else {
        Some(ask(gateway, backoff).await?)
    };
    match said.as_ref().and_then(|said| Some((said, refusal(kept, said)?))) {
        Some((said, why)) => {
            tracing::warn!(
                "the sessions of {kept} shards end: {why}; {} begin as Discord recommends",
                said.shards
            );
            Ok((recommended(said)?, Some(said.clone())))
        }
        None => Ok((ShardSet::whole(kept), said)),
    }
}

/// These shards, whatever Discord says.
///
/// # Errors
/// When Discord refuses the token, or is none.
pub(crate) async fn fixed(
    shards: ShardSet,
    survey: &Survey,
    gateway: &Gateway,
    backoff: Backoff,
) -> Result<Chosen, Failure> {
    let said = match survey.resumable(&shards).is_empty() {
        true => Some(ask(gateway, backoff).await?),
        false => None,
    };
    Ok((shards, said))
}

/// What the operator should know of Discord's recommendation.
pub(crate) fn advise(options: &Options, count: u16, said: &Discovered) {
    if let Some(advice) = advice(&options.shards, &options.instance, count, said) {
        tracing::warn!("{advice}");
    }
}

/// The count to change to by itself: the one that Discord recommends, when the fullest shard has this part of the guilds
/// that it may have. Where no state says how many those are, Discord's recommendation does, as if all shards had as many.
pub(crate) fn is_time(
    fraction: f64,
    shards: &ShardSet,
    fullest: Option<u64>,
    said: &Discovered,
) -> Option<u16> {
    let average =
        || said.shards.saturating_mul(GUILDS_RECOMMENDED) as f64 / f64::from(shards.count.max(1));
    let guilds = fullest.map_or_else(average, |guilds| guilds as f64);
    let is_full = guilds > fraction * GUILDS_MAX as f64;
    let to = u16::try_from(said.shards).ok()?;
    (is_full && to > shards.count && *shards == ShardSet::whole(shards.count)).then_some(to)
}

fn advice(shards: &Shards, instance: &str, count: u16, said: &Discovered) -> Option<String> {
    let recommended = said.shards;
    let guilds = recommended.saturating_mul(GUILDS_RECOMMENDED);
    let near = |part: u64| guilds > u64::from(count) * part;
    let asks_for_more = match shards {
        Shards::Auto => recommended != u64::from(count),
        // Whoever chose a number hears of it when a shard has four fifths of what it may have.
        Shards::All(_) | Shards::Range(..) => near(GUILDS_MAX / 5 * 4),
    };
    asks_for_more.then(|| {
        format!(
            "Discord recommends {recommended} shards and the sessions of {count} go on: \
             `mixcord reshard --to {recommended} --instance {instance}` changes it without a pause"
        )
    })
}

/// Why Discord would let no shard of this count identify.
fn refusal(count: u16, said: &Discovered) -> Option<String> {
    let count = u64::from(count);
    let guilds = said.shards.saturating_mul(GUILDS_RECOMMENDED);
    if guilds > count * GUILDS_MAX {
        return Some(format!("about {guilds} guilds are more than {GUILDS_MAX} a shard"));
    }
    let multiple = u64::from(said.session_start_limit.max_concurrency);
    let large = multiple > 1 && count > multiple && said.shards.is_multiple_of(multiple);
    (large && !count.is_multiple_of(multiple))
        .then(|| format!("Discord takes multiples of {multiple} from this bot"))
}

fn recommended(said: &Discovered) -> Result<ShardSet, Failure> {
    let count = u16::try_from(said.shards).ok().filter(|count| *count > 0);
    count
        .map(ShardSet::whole)
        .ok_or_else(|| Failure::trouble(format!("Discord recommends {} shards", said.shards)))
}

/// Asks until there is an answer.
async fn ask(gateway: &Gateway, backoff: Backoff) -> Result<Discovered, Failure> {
    let mut random = Random::unseeded();
    let mut attempt = 0;
    loop {
        match gateway.ask().await {
            Ok(said) => return Ok(said),
            Err(DiscoveryError::Later { url, why, after }) => {
                attempt += 1;
                let delay = backoff.delay(attempt, &mut random).max(after.unwrap_or_default());
                tracing::warn!(
                    url,
                    why,
                    delay_ms = delay.as_millis(),
                    "Discord cannot be asked yet"
                );
                tokio::time::sleep(delay).await;
            }
            Err(error) => return Err(Failure::configuration(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::StartLimit;

    fn said(shards: u64, max_concurrency: u32) -> Discovered {
        let session_start_limit = StartLimit { max_concurrency, ..StartLimit::default() };
        Discovered { url: "wss://x".into(), shards, session_start_limit }
    }

    #[test]
    fn g4_a_count_is_kept_until_discord_would_refuse_it() {
        for (count, recommended, max_concurrency, refused) in [
            (2, 3, 1, false),
            (2, 3, 16, false),
            (2, 5, 1, false),
            (2, 6, 1, true),
            (16, 32, 16, false),
            (17, 32, 16, true),
            (17, 33, 16, false),
            (48, 32, 16, false),
            (u16::MAX, u64::MAX, 1, true),
        ] {
            let refusal = refusal(count, &said(recommended, max_concurrency));
            assert_eq!(refusal.is_some(), refused, "{count} of {recommended}: {refusal:?}");
        }
    }

    #[test]
    fn the_operator_hears_of_another_number_in_one_line() {
        let advice = |shards: &str, count, recommended| {
            advice(&shards.parse().expect("shards"), "bot", count, &said(recommended, 1))
        };
        assert_eq!(advice("auto", 3, 3), None);
        let text = advice("auto", 16, 17).expect("one");
        assert!(text.contains("`mixcord reshard --to 17 --instance bot`"), "{text}");
        assert!(!text.contains('\n'), "{text}");
        assert_eq!(advice("16", 16, 17), None);
        assert_eq!(advice("16", 16, 32), None);
        assert!(advice("16", 16, 33).is_some());
        assert!(advice("0..7/16", 16, 33).is_some());
        assert!(advice("16", 16, u64::MAX).is_some());
    }

    #[test]
    fn a_change_by_itself_waits_until_shards_are_that_full_and_never_goes_down() {
        let time = |fraction, count, recommended| {
            is_time(fraction, &ShardSet::whole(count), None, &said(recommended, 1))
        };
        assert_eq!(time(0.8, 16, 32), None, "2,000 guilds a shard are four fifths, and no more");
        assert_eq!(time(0.8, 16, 33), Some(33));
        assert_eq!(time(0.4, 16, 17), Some(17));
        assert_eq!(time(0.1, 16, 16), None);
        assert_eq!(time(0.1, 16, 15), None);
        assert_eq!(time(0.1, 16, u64::MAX), None);
        let counted = |fullest| is_time(0.8, &ShardSet::whole(16), Some(fullest), &said(20, 1));
        assert_eq!((counted(2_000), counted(2_001)), (None, Some(20)), "what is known is counted");
        let some = ShardSet { first: 0, last: 7, count: 16 };
        assert_eq!(is_time(0.8, &some, None, &said(33, 1)), None, "nor with some of the shards");
    }
}
