//! The sets of a process: one, and while the shard count changes the next one beside it ([`crate::change`]).

use std::sync::Arc;
use std::time::{Duration, Instant};

use mixcord_event::reshard::Sets;
use mixcord_event::topology::{self, ReshardOrder};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::change::{self, Change, Complaint, Outlook};
use crate::closing;
use crate::commands::{Front, door};
use crate::config::ShardSet;
use crate::failure::Failure;
use crate::files;
use crate::rings::Rings;
use crate::set::{Beginning, Common, Set, shown};
use crate::shard::Standing;
use crate::survey::Survey;
use crate::voice::Voices;

/// How often the board is read.
const LOOK: Duration = Duration::from_millis(500);
/// How soon Discord is asked again that did not answer.
const SOON: Duration = Duration::from_secs(5);
/// How soon a set is begun again that could not be.
const AGAIN: Duration = Duration::from_secs(60);
/// So long a process whose set is not wanted waits until the cache has read its rings and removed them.
const RINGS_GO: Duration = Duration::from_secs(10);

/// The sets of a process.
pub(crate) struct Household {
    common: Arc<Common>,
    /// The set that takes commands.
    main: Set,
    /// One that is to take its place.
    beside: Option<Set>,
    /// Those that lost it, until their sessions are closed.
    retired: JoinSet<()>,
    front: Arc<Front>,
    /// The command socket.
    doors: JoinSet<()>,
    /// Says when the process is to stop.
    stop: watch::Receiver<bool>,
    /// The count that could not be begun, and when it is tried again.
    failed: Option<(u16, Instant)>,
    complaint: Complaint,
    /// The change that is under way, or was: one that was over before concerns nobody here.
    seen: Option<(u16, u16)>,
}

/// Why another set does not run here.
enum NotBegun {
    /// Another process runs it.
    Elsewhere,
    /// It cannot: why.
    Refused(Failure),
    /// Discord does not answer yet.
    Later,
}

/// Whether the process goes on.
#[derive(PartialEq, Eq)]
enum Then {
    GoOn,
    End,
}

impl Household {
    /// Of a set that was begun, while this change is under way.
    ///
    /// # Errors
    /// The command socket cannot be made.
    pub(crate) fn new(
        common: Arc<Common>,
        main: Set,
        change: Option<Change>,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, Failure> {
        let front = Arc::new(Front::new(main.desk()));
        let mut doors = JoinSet::new();
        // Until it has taken the other one's place, commands go to that one.
        if !main.standing().is_beside() {
            doors.spawn(door::open(&common.options.instance, main.shards(), &front)?);
        }
        let seen = change.map(|change| (change.from, change.to));
        let retired = JoinSet::new();
        let complaint = Complaint::default();
        let mut household = Self {
            common,
            main,
            beside: None,
            retired,
            front,
            doors,
            stop,
            failed: None,
            complaint,
            seen,
        };
        let shards = household.main.shards().count;
        match change {
            Some(change) if change.sets == Sets::New => household.carry_voices(change),
            // The process before did not come to it.
            Some(change) if change.sets == Sets::Old && shards == change.from => {
                closing::close(&household.common.namespace, &ShardSet::whole(change.to));
            }
            _ => {}
        }
        Ok(household)
    }

    /// Runs until `stop` says so, or nothing is left to run.
    ///
    /// # Errors
    /// A shard can never connect, or the command socket ended.
    pub(crate) async fn run(mut self) -> Result<(), Failure> {
        let mut stop = self.stop.clone();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let over = self.main.over();
            tokio::select! {
                () = told(&mut stop) => return self.stop().await,
                why = over => {
                    self.stop().await?;
                    return Err(Failure::configuration(why));
                }
                ended = self.main.ended() => {
                    return match ended {
                        Ok(()) => self.end().await,
                        Err(failure) => self.stop().await.and(Err(failure)),
                    };
                }
                ended = ended(&mut self.beside) => self.beside_ended(ended),
                Some(_) = self.retired.join_next() => {}
                Some(_) = self.doors.join_next() => {
                    return Err(Failure::trouble("the command socket ended"));
                }
                _ = look.tick() => {}
            }
            let Some(change) = Change::read(&self.common.options.instance) else { continue };
            // What it waits for is Discord's answer, and rings to be made.
            let then = tokio::select! {
                then = self.follow(change) => then?,
                () = told(&mut stop) => return self.stop().await,
            };
            if then == Then::End {
                return self.end().await;
            }
        }
    }

    /// Does what the board says.
    async fn follow(&mut self, change: Change) -> Result<Then, Failure> {
        if change.is_under_way() {
            self.seen = Some((change.from, change.to));
        } else if self.seen != Some((change.from, change.to)) {
            return Ok(Then::GoOn);
        }
        for set in std::iter::once(&self.main).chain(&self.beside) {
            set.standing().tell(change.phase());
        }
        let count = self.main.shards().count;
        let beside = self.beside.as_ref().map(|set| set.shards().count);
        match change.sets {
            Sets::Both if count == change.from && beside.is_none() && self.is_whole() => {
                self.try_begin(change.to).await;
            }
            Sets::New if count == change.from => return self.leave(change).await,
            Sets::New if count == change.to && self.main.standing().is_beside() => {
                self.settle()?;
                self.carry_voices(change);
            }
            Sets::Old if beside == Some(change.to) => self.give_up("it was called off"),
            Sets::Old if count == change.to && self.main.standing().is_beside() => {
                tracing::info!(shards = count, "the change of the shard count was called off");
                self.main.retire();
                let _ = self.main.ended().await;
                return Ok(Then::End);
            }
            _ => {}
        }
        Ok(Then::GoOn)
    }

    /// Whether all shards of the count run here, so that all of another one may.
    fn is_whole(&self) -> bool {
        let shards = self.main.shards();
        !self.main.standing().is_beside() && *shards == ShardSet::whole(shards.count)
    }

    /// Begins the new set, or says why not: where it cannot be, the change is called off, before anything is identified.
    async fn try_begin(&mut self, to: u16) {
        if self.failed.is_some_and(|(of, until)| of == to && Instant::now() < until) {
            return;
        }
        match self.begin(to).await {
            Ok(set) => {
                tracing::info!(
                    from = self.main.shards().count,
                    to,
                    "the shard count changes: the new set begins beside the old one"
                );
                self.front.change(self.main.desk(), Some(set.desk()));
                self.beside = Some(set);
                self.failed = None;
            }
            Err(NotBegun::Later) => self.failed = Some((to, Instant::now() + SOON)),
            Err(NotBegun::Elsewhere) => {
                self.failed = Some((to, Instant::now() + AGAIN));
                tracing::info!(to, "another mixcord-gateway runs the new set");
            }
            Err(NotBegun::Refused(failure)) => {
                self.failed = Some((to, Instant::now() + AGAIN));
                self.cannot_run(to, &failure.to_string());
            }
        }
    }

    async fn begin(&self, to: u16) -> Result<Set, NotBegun> {
        let Common { options, token, namespace, gateway, .. } = &*self.common;
        if options.take_over {
            return Err(NotBegun::Refused(Failure::configuration(
                "a gateway with --take-over runs one shard count: start it without, change the count, and start it with \
                 --take-over again",
            )));
        }
        let shards = ShardSet::whole(to);
        let survey = Survey::of_instance(namespace, options, token).map_err(NotBegun::Refused)?;
        if survey.is_written(to) {
            return Err(NotBegun::Elsewhere);
        }
        Rings::fit(namespace, options, &shards).map_err(NotBegun::Refused)?;
        let all = u64::from(self.main.shards().len()) + u64::from(shards.len());
        files::raise(all).map_err(NotBegun::Refused)?;
        let is_first = survey.resumable(&shards).is_empty();
        let said = if is_first {
            Some(gateway.ask().await.map_err(|error| {
                tracing::warn!(%error, "Discord cannot be asked yet: the new set waits for that");
                NotBegun::Later
            })?)
        } else {
            // Sessions that can be resumed do not wait for it.
            None
        };
        let mut rings =
            Rings::open(namespace, options, &shards).map_err(|failure| match failure {
                Failure::Running(_) => NotBegun::Elsewhere,
                failure => NotBegun::Refused(failure),
            })?;
        let beginning = Beginning {
            said,
            survey: &survey,
            standing: Standing::beside(),
            // The sessions of the other count go on.
            replaces: false,
            inherited: shown(namespace, self.main.shards()),
        };
        match Set::begin(&self.common, &mut rings, beginning).await {
            Ok(set) => Ok(set),
            Err(failure) => {
                rings.remove_unused();
                Err(NotBegun::Refused(failure))
            }
        }
    }

    /// The new set delivers everything, and nothing counts on the old one any more.
    async fn leave(&mut self, change: Change) -> Result<Then, Failure> {
        if self.beside.is_none() && self.is_whole() {
            // The process before began it, and was killed.
            self.try_begin(change.to).await;
            let is_elsewhere = self.beside.is_none()
                && self.survey().is_ok_and(|survey| survey.is_written(change.to));
            if self.beside.is_none() && !is_elsewhere {
                return Ok(Then::GoOn);
            }
        }
        tracing::info!(
            from = change.from,
            to = change.to,
            "the new set of sessions delivers everything: those of the old one are closed for good"
        );
        let voices = self.voices(self.main.shards());
        let Some(new) = self.beside.take() else {
            // The process that runs the new set joins them.
            voices.moved(None).await;
            self.main.retire();
            let _ = self.main.ended().await;
            closing::close(&self.common.namespace, self.main.shards());
            return Ok(Then::End);
        };
        let old = std::mem::replace(&mut self.main, new);
        self.settle()?;
        let moved = voices.moved(Some(self.main.desk()));
        self.retire(old, moved);
        Ok(Then::GoOn)
    }

    /// Has the set join the voice channels of the one before, which another process runs, or ran.
    fn carry_voices(&mut self, change: Change) {
        if self.main.shards().count != change.to {
            return;
        }
        let left = ShardSet::whole(change.from);
        let moved = self.voices(&left).moved(Some(self.main.desk()));
        let (mut stop, common) = (self.stop.clone(), self.common.clone());
        self.retired.spawn(async move {
            tokio::select! {
                () = moved => closing::close(&common.namespace, &left),
                () = told(&mut stop) => {}
            }
        });
    }

    fn survey(&self) -> Result<Survey, Failure> {
        let Common { namespace, options, token, .. } = &*self.common;
        Survey::of_instance(namespace, options, token)
    }

    fn voices(&self, shards: &ShardSet) -> Voices {
        Voices::of(&self.common.namespace, &self.common.options.instance, shards)
    }

    /// The set has the other one's place: commands are for it.
    fn settle(&mut self) -> Result<(), Failure> {
        self.main.standing().settle();
        self.front.change(self.main.desk(), None);
        // The door before it stays until this one is there.
        let mut doors = JoinSet::new();
        doors.spawn(door::open(&self.common.options.instance, self.main.shards(), &self.front)?);
        self.doors = doors;
        Ok(())
    }

    /// Has the sessions of a set end for good, once `ready` is over.
    fn retire(&mut self, mut set: Set, ready: impl Future<Output = ()> + Send + 'static) {
        let (mut stop, common) = (self.stop.clone(), self.common.clone());
        self.retired.spawn(async move {
            let shards = set.shards().count;
            let is_ready = tokio::select! {
                () = ready => true,
                // Discord keeps their voice channels for a while: the next process goes on with those, and closes the rings.
                () = told(&mut stop) => false,
            };
            if is_ready {
                set.retire();
            } else {
                set.stop();
            }
            // Whatever became of it: it is of no use any more.
            let _ = set.ended().await;
            if !is_ready {
                return;
            }
            // A shard that waited to be started again has said nothing.
            closing::close(&common.namespace, set.shards());
            tracing::info!(shards, "the sessions of that shard count are closed");
        });
    }

    /// The new set is not wanted.
    fn give_up(&mut self, why: &str) {
        let Some(set) = self.beside.take() else { return };
        tracing::info!(shards = set.shards().count, "the new set of sessions ends: {why}");
        self.front.change(self.main.desk(), None);
        self.retire(set, std::future::ready(()));
    }

    fn beside_ended(&mut self, ended: Result<(), Failure>) {
        let Some(set) = self.beside.take() else { return };
        self.front.change(self.main.desk(), None);
        let count = set.shards().count;
        self.failed = Some((count, Instant::now() + AGAIN));
        if let Err(failure) = ended {
            self.cannot_run(count, &failure.to_string());
        }
    }

    /// The new set cannot run. Until guilds are cut the change is called off; then it is begun again until it runs.
    fn cannot_run(&mut self, count: u16, why: &str) {
        match Outlook::read(&self.common.options.instance) {
            Outlook::CallOff => {
                self.complaint = Complaint::default();
                self.call_off(why);
            }
            Outlook::GoOn if self.complaint.is_news(count, why) => tracing::error!(
                shards = count,
                "the new set of sessions cannot run, and there is no way back: it is begun again every {} seconds: {why}",
                AGAIN.as_secs()
            ),
            Outlook::GoOn => {}
        }
    }

    /// Asks the cache to call the change off.
    fn call_off(&self, why: &str) {
        let instance = &self.common.options.instance;
        tracing::error!("the new set of sessions cannot run, and the change is called off: {why}");
        if let Err(error) = change::ask(instance, &ReshardOrder::CallOff(why.to_owned())) {
            tracing::error!(%error, "the cache cannot be asked to call the change off");
        }
    }

    /// All sessions end so that the next process can resume them.
    async fn stop(&mut self) -> Result<(), Failure> {
        self.main.stop();
        if let Some(set) = &self.beside {
            set.stop();
        }
        let result = self.main.ended().await;
        if let Some(set) = &mut self.beside {
            let _ = set.ended().await;
        }
        while self.retired.join_next().await.is_some() {}
        result
    }

    /// Nothing is left to run here. Rings of a set that was called off go once the cache has read them.
    async fn end(mut self) -> Result<(), Failure> {
        if self.beside.is_some() || !self.main.standing().is_retired() {
            return self.stop().await;
        }
        let (shards, namespace) = (self.main.shards().clone(), self.common.namespace.clone());
        let is_called_off = self.main.standing().is_beside();
        drop(self);
        let names: Vec<_> = shards.ids().map(|id| topology::shard_ring(id, shards.count)).collect();
        let began = Instant::now();
        while is_called_off && began.elapsed() < RINGS_GO {
            let there = namespace.rings().unwrap_or_default();
            if !names.iter().any(|name| there.contains(name)) {
                break;
            }
            tokio::time::sleep(LOOK / 5).await;
        }
        tracing::info!(shards = shards.count, "the set of sessions of that shard count is over");
        Ok(())
    }
}

/// Waits until the process is to stop.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn ended(set: &mut Option<Set>) -> Result<(), Failure> {
    match set {
        Some(set) => set.ended().await,
        None => std::future::pending().await,
    }
}
