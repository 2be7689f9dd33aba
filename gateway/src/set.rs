//! A set of sessions: the shards of a process of one shard count, with their rings and tasks.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mixcord_event::{Shard, presence::SetPresence, topology};
use mixcord_ring::{Namespace, Ring};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::asking::{keep_asking, shortage};
use crate::backoff::Backoff;
use crate::commands::Desk;
use crate::config::{Options, Permits, ShardSet, Token};
use crate::discovery::Discovered;
use crate::failure::{Failure, foreign, foreign_owner};
use crate::gateway::Gateway;
use crate::identify::{BookFile, Gate, Shared};
use crate::rhythm::Rhythm;
use crate::rings::Rings;
use crate::session::Ended;
use crate::shard::{self, Attendance, Context, Standing, supervise};
use crate::survey::Survey;
use crate::tenure::Tenure;

/// What all sets of a process have in common.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) options: Options,
    pub(crate) token: Token,
    pub(crate) namespace: Namespace,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) backoff: Backoff,
    pub(crate) rhythm: Arc<Rhythm>,
    pub(crate) attendance: Attendance,
}

/// What one set begins with.
pub(crate) struct Beginning<'a> {
    /// What Discord said, if it was asked.
    pub(crate) said: Option<Discovered>,
    /// What there is of the instance.
    pub(crate) survey: &'a Survey,
    /// Whether it runs beside another set.
    pub(crate) standing: Standing,
    /// Whether sessions of another count ended before.
    pub(crate) replaces: bool,
    /// What a command told the bot to show on the other set.
    pub(crate) inherited: Option<SetPresence>,
}

/// A set that runs.
#[derive(Debug)]
pub(crate) struct Set {
    shards: ShardSet,
    context: Arc<Context>,
    tasks: JoinSet<Ended>,
    stop: watch::Sender<bool>,
    result: Result<(), Failure>,
    /// Ends with the set.
    _asking: JoinSet<Infallible>,
}

impl Set {
    /// Has the shards of these rings begin.
    ///
    /// # Errors
    /// Too few identifies are left for shards of which none has a session, or the identify queue cannot be used.
    pub(crate) async fn begin(
        common: &Arc<Common>,
        rings: &mut Rings,
        beginning: Beginning<'_>,
    ) -> Result<Self, Failure> {
        let Beginning { said, survey, standing, replaces, inherited } = beginning;
        let (gate, needed) = open_gate(common, said.as_ref(), survey, rings).await?;
        let shards = rings.shards().clone();
        let desk = Arc::new(Desk::new(shards.clone()));
        let (gateway, rhythm) = (common.gateway.clone(), common.rhythm.clone());
        let attendance = common.attendance.clone();
        attendance.expect(shards.len().into());
        let options = &common.options;
        let context = Context::new(options, gateway, gate, desk, attendance, rhythm, replaces);
        let tenure = options.take_over.then(|| Tenure::new(&options.instance, &shards));
        let context = Arc::new(Context { standing, inherited, tenure, ..context });
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for id in shards.ids() {
            let shard = Shard { id, count: shards.count };
            let (context, backoff) = (context.clone(), context.backoff);
            let (stop, mut ring) = (stopped.clone(), rings.take(id));
            tasks.spawn(supervise(id, backoff, stop.clone(), move |failures| {
                let (context, stop, ring) = (context.clone(), stop.clone(), ring.open());
                async move {
                    let (producer, bell) = ring?;
                    shard::run(context, shard::Start { shard, producer, bell, stop, failures })
                        .await
                }
            }));
        }
        let mut asking = JoinSet::new();
        asking.spawn(keep_asking(common.clone(), context.clone(), shards.clone(), said, needed));
        asking.spawn(keep_tenure(context.clone()));
        Ok(Self { shards, context, tasks, stop, result: Ok(()), _asking: asking })
    }

    /// Its shards.
    pub(crate) fn shards(&self) -> &ShardSet {
        &self.shards
    }

    /// Where commands meet them.
    pub(crate) fn desk(&self) -> Arc<Desk> {
        self.context.desk.clone()
    }

    /// What it is to the bot.
    pub(crate) fn standing(&self) -> &Standing {
        &self.context.standing
    }

    /// Has its sessions end so that the next process can resume them.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Has its sessions end for good.
    pub(crate) fn retire(&self) {
        self.context.standing.retire();
        self.stop();
    }

    /// Waits until another machine runs its shards for good, and says which.
    pub(crate) fn over(&self) -> impl Future<Output = String> + use<> {
        let context = self.context.clone();
        async move {
            match &context.tenure {
                Some(tenure) => tenure.over().await,
                None => std::future::pending().await,
            }
        }
    }

    /// Waits until all its shards have ended; one that can never connect ends them all. May be begun again.
    pub(crate) async fn ended(&mut self) -> Result<(), Failure> {
        while let Some(ended) = self.tasks.join_next().await {
            match ended {
                Ok(Ended::Stopped) => {}
                Ok(Ended::Fatal(fatal)) => self.fail(Failure::configuration(fatal)),
                Err(error) => {
                    self.fail(Failure::trouble(format!("a supervisor failed: {error}")));
                }
            }
        }
        std::mem::replace(&mut self.result, Ok(()))
    }

    fn fail(&mut self, failure: Failure) {
        self.result = Err(failure);
        self.stop();
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        self.context.attendance.dismiss(self.shards.len().into());
    }
}

async fn keep_tenure(context: Arc<Context>) -> Infallible {
    match &context.tenure {
        Some(tenure) => tenure.keep().await,
        None => std::future::pending().await,
    }
}

/// What a command told the bot to show, as a ring of this count says.
pub(crate) fn shown(namespace: &Namespace, shards: &ShardSet) -> Option<SetPresence> {
    shards.ids().find_map(|shard| {
        let ring = Ring::attach(namespace, &topology::shard_ring(shard, shards.count)).ok()?;
        SetPresence::decode(&ring.checkpoint()?)
    })
}

/// The identify queue, and how many shards have to go through it.
async fn open_gate(
    common: &Common,
    said: Option<&Discovered>,
    survey: &Survey,
    rings: &Rings,
) -> Result<(Gate, u64), Failure> {
    let Common { options, token, .. } = common;
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
