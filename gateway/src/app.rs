//! The process: from options to running shards, and to an exit code.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mixcord_event::reshard::Sets;
use mixcord_event::send::Identify;
use mixcord_event::{Outgoing, Shard, topology};
use mixcord_process::service::{self, Service};
use mixcord_ring::Namespace;
use tokio::sync::watch;

use crate::backoff::Backoff;
use crate::change::{self, Change, Start};
use crate::config::{Options, ShardSet, Token};
use crate::discovery::Discovered;
use crate::failure::Failure;
use crate::files;
use crate::gateway::Gateway;
use crate::household::Household;
use crate::recommendation::{self, Chosen};
use crate::rhythm::Rhythm;
use crate::rings::Rings;
use crate::set::{Beginning, Common, Set, shown};
use crate::shard::{Attendance, Standing};
use crate::survey::Survey;
use crate::takeover;
use crate::wire::{Proxy, Tls};

/// So long another count that starts at the same moment may take to give way.
const GIVES_WAY: Duration = Duration::from_secs(3);

/// Runs until `stop` says so, or nothing is left to run. The runtime's threads are to [rest](Rhythm::rest) in this
/// rhythm.
///
/// # Errors
/// When it cannot start, or Discord refuses it for good.
pub async fn run(
    options: Options,
    token: Token,
    service: Service,
    rhythm: Arc<Rhythm>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let tls = Tls::new(options.ca_file.as_deref()).map_err(Failure::configuration)?;
    check_identify(&options, &token)?;
    let namespace =
        Namespace::new(&topology::namespace(&options.instance)).map_err(Failure::configuration)?;
    let found = Survey::of_instance(&namespace, &options, &token)?;
    let change = Change::read(&options.instance);
    let began = |count| found.began(count);
    let told = match change::start(
        &options.shards,
        options.beside,
        change.as_ref(),
        found.kept(),
        began,
    ) {
        Start::AsTold => None,
        Start::With(shards) => Some(shards),
        Start::Nothing(why) => {
            tracing::info!("nothing is left to run: {why}");
            return Ok(());
        }
        Start::Refused(why) => return Err(Failure::configuration(why)),
    };
    if told.is_some() {
        tell_other_count(&options, change.as_ref());
    }
    let proxy = Proxy::choose(options.proxy.as_deref(), |name| std::env::var(name).ok())
        .map_err(Failure::configuration)?;
    if let Some(proxy) = &proxy {
        tracing::info!(%proxy, "connections go through a proxy");
    }
    let common = Arc::new(Common {
        gateway: Arc::new(Gateway::new(&options.api_url, &token, &tls, proxy)),
        backoff: Backoff::of(&options),
        attendance: Attendance::new(service, 0),
        options,
        token,
        namespace,
        rhythm,
    });
    let (shards, said) = tokio::select! {
        chosen = choose(&common, told, &found) => chosen?,
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
    };
    let change = change.filter(|change| [change.from, change.to].contains(&shards.count));
    refuse_beside(&found, &shards, &common.options, change.as_ref())?;
    files::raise(shards.len().into())?;
    if common.options.take_over && !takeover::wait(&common, &shards, stop.clone()).await? {
        return Ok(());
    }
    let mut rings = Rings::open(&common.namespace, &common.options, &shards)?;
    let result = async {
        let household = begin(&common, &mut rings, said, change, stop).await?;
        common.attendance.begin();
        tokio::select! {
            result = household.run() => result,
            never = keep_alive(common.attendance.service()) => match never {},
        }
    }
    .await;
    if result.is_err() {
        rings.remove_unused();
    }
    result
}

/// The first set of the process, and what meets it.
async fn begin(
    common: &Arc<Common>,
    rings: &mut Rings,
    said: Option<Discovered>,
    change: Option<Change>,
    stop: watch::Receiver<bool>,
) -> Result<Household, Failure> {
    let shards = rings.shards().clone();
    let survey = look_again(common, &shards, change.as_ref()).await?;
    let under_way = change.filter(|change| change.is_under_way());
    let is_beside = under_way.is_some_and(|it| it.sets == Sets::Both && it.to == shards.count);
    let beginning = Beginning {
        said,
        survey: &survey,
        standing: if is_beside { Standing::beside() } else { Standing::default() },
        // While a change is under way the sessions of the other count have not ended.
        replaces: under_way.is_none() && survey.has_ended_count(shards.count),
        inherited: under_way
            .filter(|_| is_beside)
            .and_then(|change| shown(&common.namespace, &ShardSet::whole(change.from))),
    };
    let set = Set::begin(common, rings, beginning).await?;
    tracing::info!(
        instance = common.options.instance,
        shards = format!("{}..{}/{}", shards.first, shards.last, shards.count),
        "mixcord-gateway runs"
    );
    Household::new(common.clone(), set, under_way, stop)
}

/// What runs is not what the operator wrote down.
fn tell_other_count(options: &Options, change: Option<&Change>) {
    let Some(change) = change.filter(|change| change.sets == Sets::New) else { return };
    let (from, to) = (change.from, change.to);
    if options.shards.fixed().is_some_and(|told| told.count == from) {
        tracing::warn!(
            "--shards {from} was changed to {to} by `mixcord reshard`, and {to} go on: give --shards {to} from now on, \
             or auto; `mixcord reshard --to {from}` changes it back"
        );
    }
}

async fn choose(
    common: &Common,
    told: Option<ShardSet>,
    survey: &Survey,
) -> Result<Chosen, Failure> {
    let Common { options, gateway, backoff, .. } = common;
    match told {
        Some(shards) => recommendation::fixed(shards, survey, gateway, *backoff).await,
        None => recommendation::choose(&options.shards, survey, gateway, *backoff).await,
    }
}

/// Whoever started at the same time has seen as little as we had, and has his rings now. Of two counts the
/// smaller goes on: the other sees that, too, and lets go.
async fn look_again(
    common: &Common,
    shards: &ShardSet,
    change: Option<&Change>,
) -> Result<Survey, Failure> {
    let began = Instant::now();
    loop {
        let survey = Survey::of_instance(&common.namespace, &common.options, &common.token)?;
        let may = |other| change.is_some_and(|change| change.allows(shards.count, other));
        let larger =
            survey.runs_beside(shards.count, may).is_some_and(|(count, _)| count > shards.count);
        // One that began earlier, and runs, does not go.
        if !larger || began.elapsed() >= GIVES_WAY {
            refuse_beside(&survey, shards, &common.options, change)?;
            return Ok(survey);
        }
        tokio::time::sleep(GIVES_WAY / 100).await;
    }
}

/// Two counts at once give every event twice, in rings that do not know of each other; unless the cache knows of both.
fn refuse_beside(
    survey: &Survey,
    shards: &ShardSet,
    options: &Options,
    change: Option<&Change>,
) -> Result<(), Failure> {
    let may = |other| change.is_some_and(|change| change.allows(shards.count, other));
    let Some((count, ring)) = survey.runs_beside(shards.count, may) else { return Ok(()) };
    Err(Failure::configuration(format!(
        "a mixcord-gateway runs instance {} with {count} shards (it writes {ring}): stop it before you \
         start one of {} shards, or give --shards {count}, or another --instance; `mixcord reshard --to {}` \
         changes the count while it runs",
        options.instance, shards.count, shards.count
    )))
}

/// Refuses what no connection could ever send (G-30).
fn check_identify(options: &Options, token: &Token) -> Result<(), Failure> {
    let largest = Outgoing::Identify(Identify {
        token: token.reveal().to_owned(),
        intents: options.intents.bits(),
        shard: Shard { id: u16::MAX, count: u16::MAX },
        large_threshold: options.large_threshold,
        presence: options.presence.clone(),
        capabilities: options.capabilities,
    });
    largest.encode(options.encoding, &mut Vec::new()).map_err(|error| {
        Failure::configuration(format!(
            "--presence, or the token, is too long to identify: {error}"
        ))
    })
}

/// Signs of life for the service manager: a runtime that gives no time to this gives none to heartbeats.
async fn keep_alive(service: &Service) -> Infallible {
    if !service.is_heard() {
        return std::future::pending().await;
    }
    let mut beat = tokio::time::interval(service::BEAT);
    loop {
        beat.tick().await;
        service.alive();
    }
}
