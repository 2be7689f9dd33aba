//! What all connections share: the lanes, the sessions, the identify budget, the log.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::budget::Budget;
use super::connection::Command;
use super::dispatch::dispatch;
use super::session::{Limits, Session};
use super::sets::Sets;
use crate::config::Config;
use crate::http::trouble::Troubles;
use crate::journal::{JournalFile, Log, What, WorldJournal};
use crate::value::Val;
use crate::world::lane::{Lane, Plan};
use crate::world::user::Bot;

/// Sessions whose journals are kept after their end.
const SESSIONS_KEPT: usize = 4096;

/// One lane of the world with those who listen to it.
#[derive(Debug)]
pub(crate) struct Feed {
    lane: Mutex<Lane>,
    sessions: Mutex<Vec<Arc<Session>>>,
    /// Rung when there may be room again, or a first session.
    pub(crate) wake: Notify,
    pub(crate) made: AtomicU64,
    pub(crate) quota: u64,
    pub(crate) finished: AtomicBool,
    /// The moment a first session became ready: the lane stands still before.
    started: OnceLock<Instant>,
}

/// Whose connections: of one shard, of those of one number of shards, of both; without either of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Whom {
    pub(crate) shards: Option<u64>,
    pub(crate) shard: Option<u64>,
}

impl Whom {
    /// Those of a session's shard.
    pub(crate) fn of(session: &Session) -> Self {
        Self { shards: Some(session.shards), shard: Some(session.shard) }
    }

    /// Whether a guild is of them (G-39). Without a number of shards it is that of the world's parts.
    pub(crate) fn has(self, guild: u64, lanes: u64) -> bool {
        let shards = self.shards.unwrap_or(lanes).max(1);
        self.shard.is_none_or(|shard| (guild >> 22) % shards == shard)
    }

    pub(crate) fn is(self, session: &Session) -> bool {
        self.shard.is_none_or(|shard| shard == session.shard)
            && self.shards.is_none_or(|shards| shards == session.shards)
    }
}

/// The shared state of a server.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) config: Config,
    pub(crate) port: u16,
    pub(crate) feeds: Vec<Feed>,
    pub(crate) log: Log,
    pub(crate) world_journal: WorldJournal,
    /// How the sessions of each number of shards are served.
    pub(crate) sets: Sets,
    /// Rung when a session is told something later.
    pub(crate) lagged: Notify,
    pub(crate) journal_file: Option<Arc<JournalFile>>,
    pub(crate) paused: AtomicBool,
    /// New connections are refused: the server is being restarted.
    pub(crate) down: AtomicBool,
    /// How long the next handshake is kept waiting.
    pub(crate) slow_accept_ms: AtomicU64,
    pub(crate) budget: Budget,
    pub(crate) troubles: Troubles,
    /// When all members of a guild were last asked for.
    pub(crate) asked_all: Mutex<HashMap<u64, Instant>>,
    bot: Arc<Mutex<Bot>>,
    sessions: Mutex<Sessions>,
    links: AtomicU64,
}

#[derive(Debug, Default)]
struct Sessions {
    by_id: HashMap<String, Arc<Session>>,
    /// All of them, oldest first.
    all: VecDeque<Arc<Session>>,
    made: u64,
}

impl Hub {
    pub(crate) fn new(
        config: Config,
        plan: &Plan,
        sets: Sets,
        port: u16,
        journal_file: Option<Arc<JournalFile>>,
    ) -> Self {
        let lanes = plan.lanes as u64;
        let bot = Arc::new(Mutex::new(Bot::new(plan.seed)));
        let feeds = (0..plan.lanes)
            .map(|index| Feed {
                lane: Mutex::new(Lane::new(plan, index, &bot)),
                sessions: Mutex::default(),
                wake: Notify::new(),
                made: AtomicU64::new(0),
                quota: config.events.map_or(u64::MAX, |events| {
                    events / lanes + u64::from((index as u64) < events % lanes)
                }),
                finished: AtomicBool::new(false),
                started: OnceLock::new(),
            })
            .collect();
        Self {
            budget: Budget::new(&config),
            troubles: Troubles::default(),
            asked_all: Mutex::default(),
            world_journal: WorldJournal::new(config.journal_max),
            sets,
            lagged: Notify::new(),
            config,
            port,
            feeds,
            log: Log::new(),
            journal_file,
            paused: AtomicBool::new(false),
            down: AtomicBool::new(false),
            slow_accept_ms: AtomicU64::new(0),
            bot,
            sessions: Mutex::default(),
            links: AtomicU64::new(1),
        }
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hashed(&self) -> bool {
        self.config.journal_max > 0 || self.journal_file.is_some()
    }

    /// A number for a connection, never given twice.
    pub(crate) fn link(&self) -> u64 {
        self.links.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn token_is_right(&self, token: &str) -> bool {
        let token = token.strip_prefix("Bot ").unwrap_or(token);
        self.config.token.as_deref().map_or(!token.is_empty(), |right| right == token)
    }

    pub(crate) fn limits(&self, guilds: usize) -> Limits {
        let hold = self.config.hold_while_away.unwrap_or(self.config.rate == 0.0);
        // G-23.
        let usual = if hold { 65_536 } else { (guilds * 75).clamp(100, 3500) };
        Limits {
            replay: self.config.replay.unwrap_or(usual),
            hold,
            ttl: Duration::try_from_secs_f64(self.config.session_seconds).unwrap_or(Duration::MAX),
            forget_acked: self.config.forget_acked,
            first_seq: self.config.first_seq,
            journal_max: self.config.journal_max,
            ahead: self.config.ahead,
        }
    }

    /// The bot as it sees itself.
    pub(crate) fn own_user(&self) -> Val {
        self.bot.lock().unwrap_or_else(PoisonError::into_inner).own_object().into()
    }

    /// The application's id, which is the bot's.
    pub(crate) fn application_id(&self) -> u64 {
        self.bot.lock().unwrap_or_else(PoisonError::into_inner).id
    }

    /// The ordinal of the next session.
    pub(crate) fn next_ordinal(&self) -> u64 {
        let mut sessions = self.sessions();
        sessions.made += 1;
        sessions.made
    }

    /// Makes a session known. Those of the same shard that are away no longer hold it.
    pub(crate) fn add_session(&self, session: &Arc<Session>) {
        let mut sessions = self.sessions();
        for older in sessions.by_id.values() {
            if older.shard == session.shard && older.shards == session.shards {
                older.supersede();
            }
        }
        if sessions.all.len() >= SESSIONS_KEPT {
            sessions.all.pop_front();
        }
        sessions.all.push_back(Arc::clone(session));
        sessions.by_id.insert(session.id.clone(), Arc::clone(session));
    }

    pub(crate) fn find_session(&self, id: &str) -> Option<Arc<Session>> {
        self.sessions().by_id.get(id).cloned()
    }

    /// Every session there has been, oldest first.
    pub(crate) fn all_sessions(&self) -> Vec<Arc<Session>> {
        self.sessions().all.iter().cloned().collect()
    }

    /// Sessions that may still be resumed or are connected.
    pub(crate) fn live_sessions(&self) -> Vec<Arc<Session>> {
        self.sessions().by_id.values().cloned().collect()
    }

    pub(crate) fn end_session(&self, session: &Arc<Session>) {
        session.end();
        self.sessions().by_id.remove(&session.id);
        for feed in &self.feeds {
            feed.listeners().retain(|other| !Arc::ptr_eq(other, session));
            feed.wake.notify_one();
        }
        for feed in self.feeds_of(session.shard, session.shards) {
            feed.act(self, |lane| lane.end_voice(&session.id));
        }
    }

    /// Hands the journal's file what was written so far.
    pub(crate) fn flush(&self) {
        if let Some(file) = &self.journal_file {
            file.flush();
        }
    }

    /// Sends a command to somebody's connections. Returns how many there are.
    pub(crate) fn tell(&self, whom: Whom, command: Command) -> usize {
        let sessions = self.live_sessions();
        let chosen = sessions.iter().filter(|session| whom.is(session));
        chosen.filter(|session| session.command(command)).count()
    }

    /// Tells sessions what is due of that which they are told later. False: nothing is left.
    pub(crate) fn catch_up(&self) -> bool {
        let now = Instant::now();
        let late = |session: &Arc<Session>| session.catch_up(now);
        self.live_sessions().iter().map(late).fold(false, |any, late| any | late)
    }

    /// Ends the sessions whose clients stayed away too long.
    pub(crate) fn expire_sessions(&self) {
        let now = Instant::now();
        for session in self.live_sessions() {
            if session.expired(now) {
                self.log.add(Some(session.shard), Some(session.ordinal), What::Expired);
                self.end_session(&session);
            }
        }
    }

    /// The lanes a shard of `shards` sees.
    pub(crate) fn feeds_of(&self, shard: u64, shards: u64) -> Vec<&Feed> {
        if shards == self.feeds.len() as u64 {
            self.feeds.get(shard as usize).into_iter().collect()
        } else {
            self.feeds.iter().collect()
        }
    }
}

impl Feed {
    pub(crate) fn lane(&self) -> MutexGuard<'_, Lane> {
        self.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn listeners(&self) -> MutexGuard<'_, Vec<Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many events may be made now.
    fn room(&self) -> usize {
        self.listeners().iter().map(|session| session.room()).min().unwrap_or(usize::MAX)
    }

    /// Starts the lane, if it still stood still.
    pub(crate) fn start(&self) {
        self.started.get_or_init(Instant::now);
        self.wake.notify_one();
    }

    fn finish(&self) {
        self.finished.store(true, Ordering::Release);
        for session in self.listeners().iter() {
            session.release();
        }
    }

    /// Does something to the lane that is not of its own course, such as a bot's message, and
    /// sends what it brings.
    pub(crate) fn act<T>(&self, hub: &Hub, act: impl FnOnce(&mut Lane) -> T) -> T {
        let mut lane = self.lane();
        let answer = act(&mut lane);
        let events = lane.take_events();
        let sessions = self.listeners().clone();
        dispatch(hub, &lane, &events, &sessions);
        drop(lane);
        wake(&sessions);
        answer
    }
}

fn wake(sessions: &[Arc<Session>]) {
    sessions.iter().for_each(|session| session.wake());
}

/// Drives one lane for as long as the server lives.
pub(crate) async fn drive(hub: Arc<Hub>, index: usize) {
    let feed = &hub.feeds[index];
    let pace = (hub.config.rate > 0.0).then(|| hub.config.rate / hub.feeds.len() as f64);
    let mut events = Vec::new();
    // Events due by the clock; what was missed while there was no room is not made up for.
    let mut paced_from = (Instant::now(), 0_u64);
    loop {
        let Some(started) = feed.started.get().copied() else {
            feed.wake.notified().await;
            paced_from = (Instant::now(), 0);
            continue;
        };
        let made = feed.made.load(Ordering::Relaxed);
        let out_of_time =
            hub.config.seconds.is_some_and(|limit| started.elapsed().as_secs_f64() >= limit);
        if made >= feed.quota || out_of_time {
            return feed.finish();
        }
        let due = pace.map_or(u64::MAX, |pace| {
            let due = (paced_from.0.elapsed().as_secs_f64() * pace) as u64;
            due.saturating_sub(paced_from.1)
        });
        // Nobody is asked for room before something is due: of two sets each lane has all sessions of one.
        let room = if due == 0 { usize::MAX } else { feed.room() };
        // Without a pace only somebody who takes the events, or keeps them, sets one.
        let nobody = room == usize::MAX && pace.is_none();
        let blocked = room == 0 || nobody || hub.paused.load(Ordering::Relaxed);
        if blocked || due == 0 {
            if blocked {
                paced_from = (Instant::now(), 0);
            }
            let nap = Duration::from_millis(if blocked { 50 } else { 4 });
            // A timeout is the ordinary case here: it is the pace.
            let _ = tokio::time::timeout(nap, feed.wake.notified()).await;
            continue;
        }
        let batch = due.min(128).min(room as u64).min(feed.quota - made);
        let mut count = 0;
        // Nothing can happen: no guilds, or none of the mix; or only until an outage is over.
        let mut still = None;
        {
            let mut lane = feed.lane();
            // Read under the lane's lock: a session's first GUILD_CREATEs and its place among the
            // listeners are one step.
            let sessions = feed.listeners().clone();
            while count < batch {
                events.clear();
                lane.step(&mut events);
                if events.is_empty() {
                    let passing = lane.guilds.iter().any(|guild| guild.unavailable);
                    still = Some(passing);
                    break;
                }
                count += events.len() as u64;
                dispatch(&hub, &lane, &events, &sessions);
            }
            drop(lane);
            wake(&sessions);
        }
        feed.made.store(made + count, Ordering::Relaxed);
        paced_from.1 += count;
        match still {
            None => tokio::task::yield_now().await,
            Some(true) => tokio::time::sleep(Duration::from_millis(50)).await,
            Some(false) => return feed.finish(),
        }
    }
}
