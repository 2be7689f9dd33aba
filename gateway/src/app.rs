//! The process: from options to running shards, and to an exit code.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mixcord_event::command::PACKET_MAX;
use mixcord_event::send::Identify;
use mixcord_event::{Outgoing, Shard, topology};
use mixcord_process::packets::PacketServer;
use mixcord_process::service::{self, Service};
use mixcord_ring::Namespace;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::backoff::Backoff;
use crate::checkpoint::Settings;
use crate::commands::Desk;
use crate::config::{Options, Permits, ShardSet, Token};
use crate::discovery::{Discovered, DiscoveryError, StartLimit};
use crate::failure::{Failure, foreign, foreign_owner};
use crate::files;
use crate::gateway::Gateway;
use crate::identify::{BookFile, Gate, Shared};
use crate::random::Random;
use crate::recommendation::{self, advise};
use crate::rhythm::Rhythm;
use crate::rings::Rings;
use crate::session::Ended;
use crate::shard::{self, Attendance, Context, supervise};
use crate::survey::Survey;
use crate::takeover;
use crate::tenure::Tenure;
use crate::wire::{Proxy, Tls};

/// How often Discord is asked for the budget and its recommendation while all is well.
const REFRESH: Duration = Duration::from_secs(1_800);
/// So long another count that starts at the same moment may take to give way.
const GIVES_WAY: Duration = Duration::from_secs(3);

/// Runs until `stop` says so. The runtime's threads are to [rest](Rhythm::rest) in this rhythm.
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
    let survey = survey(&namespace, &options, &token)?;
    let proxy = Proxy::choose(options.proxy.as_deref(), |name| std::env::var(name).ok())
        .map_err(Failure::configuration)?;
    if let Some(proxy) = &proxy {
        tracing::info!(%proxy, "connections go through a proxy");
    }
    let gateway = Gateway::new(&options.api_url, &token, &tls, proxy);
    let backoff = Backoff::of(&options);
    let (shards, said) = tokio::select! {
        chosen = recommendation::choose(&options.shards, &survey, &gateway, backoff) => chosen?,
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
    };
    refuse_beside(&survey, &shards, &options)?;
    files::raise(&shards)?;
    if options.take_over
        && !takeover::wait(&namespace, &options.instance, &shards, &service, stop.clone()).await?
    {
        return Ok(());
    }
    let mut rings = Rings::open(&namespace, &options, &shards)?;
    let result = async {
        let survey = look_again(&namespace, &options, &token, &shards).await?;
        let (gate, needed) = open_gate(&options, &token, said.as_ref(), &survey, &rings).await?;
        let desk = Arc::new(Desk::new(shards.clone()));
        let replaces = survey.has_ended_count(shards.count);
        let attendance = Attendance::new(service, shards.ids().count());
        let tenure = || Tenure::new(&options.instance, &shards);
        let tenure = options.take_over.then(tenure);
        let context = Context::new(&options, gateway, gate, desk, attendance, rhythm, replaces);
        let context = Context { tenure, ..context };
        serve(&options, context, said, needed, &mut rings, stop).await
    }
    .await;
    if result.is_err() {
        rings.remove_unused();
    }
    result
}

/// What there is of the instance.
fn survey(namespace: &Namespace, options: &Options, token: &Token) -> Result<Survey, Failure> {
    let settings = Settings::new(options, token);
    Survey::of(namespace, |shard, count| settings.of_shard(shard, count)).map_err(Failure::trouble)
}

/// Whoever started at the same time has seen as little as we had, and has his rings now. Of two counts the
/// smaller goes on: the other sees that, too, and lets go.
async fn look_again(
    namespace: &Namespace,
    options: &Options,
    token: &Token,
    shards: &ShardSet,
) -> Result<Survey, Failure> {
    let began = Instant::now();
    loop {
        let survey = survey(namespace, options, token)?;
        let larger =
            survey.runs_beside(shards.count).is_some_and(|(count, _)| count > shards.count);
        // One that began earlier, and runs, does not go.
        if !larger || began.elapsed() >= GIVES_WAY {
            refuse_beside(&survey, shards, options)?;
            return Ok(survey);
        }
        tokio::time::sleep(GIVES_WAY / 100).await;
    }
}

/// Two counts at once give every event twice, in rings that do not know of each other.
fn refuse_beside(survey: &Survey, shards: &ShardSet, options: &Options) -> Result<(), Failure> {
    let Some((count, ring)) = survey.runs_beside(shards.count) else { return Ok(()) };
    Err(Failure::configuration(format!(
        "a mixcord-gateway runs instance {} with {count} shards (it writes {ring}): stop it before you \
         start one of {} shards, or give --shards {count}, or another --instance",
        options.instance, shards.count
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

/// The identify queue, and how many shards have to go through it.
async fn open_gate(
    options: &Options,
    token: &Token,
    said: Option<&Discovered>,
    survey: &Survey,
    rings: &Rings,
) -> Result<(Gate, u64), Failure> {
    let resumable = survey.resumable(rings.shards());
    let to_identify: Vec<u16> = rings.ready().filter(|id| !resumable.contains(id)).collect();
    let needed = to_identify.len() as u64;
    if let Some(shortage) = said.and_then(|said| shortage(&said.session_start_limit, needed)) {
        // G-16. Who resumes spends nothing, and its session ends if it waits with the others.
        if resumable.is_empty() {
            return Err(Failure::trouble(shortage));
        }
        tracing::warn!("{shortage}; they wait for that, and {} resume", resumable.len());
    }
    let folder = options.identify_dir.clone().unwrap_or_else(BookFile::default_folder);
    let unusable = |error: std::io::Error| unusable_book(&folder, &error);
    let book = BookFile::new(&folder, token.fingerprint_at(&options.api_url)).map_err(unusable)?;
    let spacing = Duration::from_millis(options.identify_spacing_ms.into());
    let shared = || Shared::new(&options.instance, token.fingerprint_at(&options.api_url));
    let shared = (options.permits == Permits::Bridge).then(shared);
    let gate = Gate::new(book, spacing, to_identify).shared(shared);
    if let Some(said) = said {
        gate.tell(&said.session_start_limit).await.map_err(unusable)?;
    }
    Ok((gate, needed))
}

async fn serve(
    options: &Options,
    context: Context,
    said: Option<Discovered>,
    needed: u64,
    rings: &mut Rings,
    stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let (context, count) = (Arc::new(context), rings.shards().count);
    let socket = topology::command_socket(&options.instance, rings.shards().first, count);
    let server = PacketServer::bind(socket.clone().into(), PACKET_MAX)
        .map_err(|error| socket_failure(&socket, &error))?;
    let desk = context.desk.clone();
    let answer = move |packet: Vec<u8>| {
        let desk = desk.clone();
        async move { desk.answer(&packet).await }
    };
    tracing::info!(
        instance = options.instance,
        shards = format!("{}..{}/{count}", rings.shards().first, rings.shards().last),
        "mixcord-gateway runs"
    );
    context.attendance.begin();
    let (all_stop, shards_stop) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for id in rings.shards().ids() {
        let shard = Shard { id, count };
        let (context, backoff) = (context.clone(), context.backoff);
        let (stop, mut ring) = (shards_stop.clone(), rings.take(id));
        tasks.spawn(supervise(id, backoff, stop.clone(), move |failures| {
            let (context, stop, ring) = (context.clone(), stop.clone(), ring.open());
            async move {
                let (producer, bell) = ring?;
                shard::run(context, shard::Start { shard, producer, bell, stop, failures }).await
            }
        }));
    }
    let (halt, halted) = watch::channel(false);
    let runs = run_until(wait(tasks, all_stop, halted), halt, &context, stop);
    tokio::select! {
        result = runs => result,
        never = keep_tenure(&context) => match never {},
        () = server.serve(answer) => Err(Failure::trouble("the command socket ended")),
        never = keep_asking(options, &context, count, said, needed) => match never {},
        never = keep_alive(context.attendance.service()) => match never {},
    }
}

/// Has the shards halt when it is time to stop, or when another machine has them.
async fn run_until(
    shards: impl Future<Output = Result<(), Failure>>,
    halt: watch::Sender<bool>,
    context: &Context,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    tokio::pin!(shards);
    let over = async {
        match &context.tenure {
            Some(tenure) => tenure.over().await,
            None => std::future::pending().await,
        }
    };
    let over = tokio::select! {
        result = &mut shards => return result,
        _ = stop.wait_for(|stop| *stop) => None,
        why = over => Some(why),
    };
    halt.send_replace(true);
    let result = shards.await;
    match over {
        Some(why) => Err(Failure::configuration(why)),
        None => result,
    }
}

async fn keep_tenure(context: &Context) -> Infallible {
    match &context.tenure {
        Some(tenure) => tenure.keep().await,
        None => std::future::pending().await,
    }
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

/// Asks Discord until it answers, where that was not waited for, and again from time to time: others
/// use the same budget, and the bot grows.
async fn keep_asking(
    options: &Options,
    context: &Context,
    count: u16,
    said: Option<Discovered>,
    needed: u64,
) -> Infallible {
    let mut random = Random::unseeded();
    let mut needed = said.is_none().then_some(needed);
    let mut advised = said.as_ref().map(|said| said.shards);
    let mut pause = Duration::ZERO;
    if let Some(said) = said {
        advise(&options.shards, count, &said);
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
                if advised.replace(said.shards) != Some(said.shards) {
                    advise(&options.shards, count, &said);
                }
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

/// Waits for the shards; one that can never connect ends them all.
async fn wait(
    mut tasks: JoinSet<Ended>,
    all_stop: watch::Sender<bool>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let mut result = Ok(());
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop), if !*all_stop.borrow() => {
                all_stop.send_replace(true);
            }
            ended = tasks.join_next() => match ended {
                None => return result,
                Some(Ok(Ended::Stopped)) => {}
                Some(Ok(Ended::Fatal(fatal))) => {
                    result = Err(Failure::configuration(fatal));
                    all_stop.send_replace(true);
                }
                Some(Err(error)) => {
                    result = Err(Failure::trouble(format!("a supervisor failed: {error}")));
                    all_stop.send_replace(true);
                }
            },
        }
    }
}

fn socket_failure(socket: &str, error: &std::io::Error) -> Failure {
    match foreign_owner(Path::new(socket)) {
        Some(owner) => Failure::configuration(foreign(socket, owner)),
        None => Failure::trouble(format!("command socket {socket}: {error}")),
    }
}

fn unusable_book(folder: &Path, error: &std::io::Error) -> Failure {
    if let Some(owner) = foreign_owner(folder) {
        let advice = foreign(&folder.display().to_string(), owner);
        return Failure::configuration(format!(
            "{advice}, or name another folder with --identify-dir"
        ));
    }
    Failure::configuration(format!(
        "the identify queue in {} cannot be used ({error}): name another folder with --identify-dir",
        folder.display()
    ))
}

/// Whether fewer identifies are left than are needed (G-16).
fn shortage(limit: &StartLimit, needed: u64) -> Option<String> {
    let minutes = limit.reset_after.div_ceil(60_000);
    (limit.remaining < needed).then(|| {
        format!(
            "{needed} shards have to identify and only {} of {} identifies are left; the budget is full again in {minutes} minutes",
            limit.remaining, limit.total
        )
    })
}
