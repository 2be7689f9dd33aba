//! Which gateway processes to ask for what, in which order. No I/O but the look for their sockets.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mixcord_event::command::{Command, Refusal, Reply, Request, Target, shard_of};
use mixcord_event::send::RequestSounds;
use mixcord_event::topology;
use mixcord_ring::Namespace;

use super::{Error, Failed};

/// The socket of a gateway process, which may have died.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Socket {
    path: PathBuf,
    first: u16,
    count: u16,
    since: SystemTime,
}

/// What to send where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) socket: PathBuf,
    pub(super) packet: Vec<u8>,
}

/// A command on its way to one shard, or to all of one process.
#[derive(Debug)]
struct Job {
    request: Request,
    shard: Option<u16>,
    /// Processes that may run the shard, the likeliest first.
    sockets: VecDeque<Socket>,
}

/// A command on its way. Each [`Self::next`] is followed by [`Self::answered`].
#[derive(Debug)]
pub(super) struct Plan {
    instance: String,
    shard: Option<u16>,
    command: Command,
    /// Guilds that need not, or must not, be asked for again.
    settled: Vec<u64>,
    /// The same of processes, when it is for all shards.
    settled_processes: Vec<PathBuf>,
    /// Shards that refused what others of their process sent.
    left: Vec<(PathBuf, u16)>,
    /// Sockets by shard count, the newest first; `None` before the first look.
    counts: Option<VecDeque<Vec<Socket>>>,
    jobs: VecDeque<Job>,
    /// A process of the present shard count answered.
    alive: bool,
    /// How many sent it.
    sent: usize,
    /// Those that failed in a way that forbids another try.
    lost: Vec<Failed>,
    /// The others that failed in this try.
    refused: Vec<Failed>,
    /// A socket that is not ours, and whose it is.
    stranger: Option<(String, u32)>,
}

impl Plan {
    pub(super) fn new(instance: &str, shard: Option<u16>, command: Command) -> Result<Self, Error> {
        command.check().map_err(|refusal| Error::refused(instance, refusal))?;
        Ok(Self {
            instance: instance.to_owned(),
            shard,
            command,
            settled: Vec::new(),
            settled_processes: Vec::new(),
            left: Vec::new(),
            counts: None,
            jobs: VecDeque::new(),
            alive: false,
            sent: 0,
            lost: Vec::new(),
            refused: Vec::new(),
            stranger: None,
        })
    }

    pub(super) const fn command(&self) -> &Command {
        &self.command
    }

    /// The next process to ask; `None` when all were.
    pub(super) fn next(&mut self) -> Result<Option<Step>, Error> {
        if self.counts.is_none() {
            let found = look(&self.instance, Namespace::directory())?;
            self.plan(found);
        }
        loop {
            while let Some(job) = self.jobs.front() {
                if let Some(socket) = job.sockets.front() {
                    let packet = job.request.encode().ok_or_else(too_large)?;
                    return Ok(Some(Step { socket: socket.path.clone(), packet }));
                }
                // For all shards it is enough that somebody is there.
                if let Some(shard) = job.shard {
                    let error = self.nobody(Some(shard));
                    self.refused.push(Failed { shard, error });
                }
                self.jobs.pop_front();
            }
            // Sockets of a count that nobody runs any more: those of the count before it.
            if self.alive || !self.next_count() {
                return Ok(None);
            }
        }
    }

    /// What came of the last step: the answer, `None` when nobody was there.
    pub(super) fn answered(&mut self, answer: Result<Option<Reply>, Error>) {
        let Some(mut job) = self.jobs.pop_front() else { return };
        let Some(socket) = job.sockets.pop_front() else { return };
        let answer = match answer {
            Err(Error::Stranger { path, uid }) => {
                if self.stranger.is_none() {
                    tracing::warn!(path, uid, "a command socket of another user is passed over");
                }
                self.stranger = Some((path, uid));
                Ok(None)
            }
            answer => answer,
        };
        self.alive |= !matches!(answer, Ok(None));
        let result = match answer {
            // The next candidate, if there is one.
            Ok(None | Some(Reply::Refused(Refusal::WrongShard { .. }))) => {
                return self.jobs.push_front(job);
            }
            Ok(Some(Reply::Accepted)) => Ok(Vec::new()),
            Ok(Some(Reply::Partly { refused })) if job.shard.is_none() => Ok(refused),
            Ok(Some(Reply::Refused(refusal))) => Err(Error::refused(&self.instance, refusal)),
            Ok(Some(_)) => Err(Error::Version),
            Err(error) => Err(error),
        };
        match result {
            Ok(refused) => {
                // A shard that others of its process went before was counted with them.
                self.sent += usize::from(!self.is_left(&job, &socket));
                self.settle(&job, &socket);
                for (shard, refusal) in refused {
                    self.left.push((socket.path.clone(), shard));
                    let error = Error::refused(&self.instance, refusal);
                    self.fail(Failed { shard, error });
                }
            }
            Err(error) => {
                // Nothing that may have been sent is sent again.
                if error.retry_after().is_none() {
                    self.settle(&job, &socket);
                }
                self.fail(Failed { shard: job.shard.unwrap_or(socket.first), error });
            }
        }
    }

    /// When to begin again with what was not sent; `None` when that is no use.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let nobody = self.found_nobody().then(|| self.nobody(self.shard));
        let errors = self.refused.iter().map(|failed| &failed.error).chain(&nobody);
        errors.filter_map(Error::retry_after).min()
    }

    /// What came of it, once there is no next step.
    pub(super) fn outcome(self) -> Result<(), Error> {
        let nobody = self
            .found_nobody()
            .then(|| Failed { shard: self.shard.unwrap_or(0), error: self.nobody(self.shard) });
        let sent = self.sent;
        let mut failed: Vec<_> = self.lost.into_iter().chain(self.refused).chain(nobody).collect();
        match failed.pop() {
            None => Ok(()),
            Some(only) if failed.is_empty() && sent == 0 => Err(only.error),
            Some(last) => {
                failed.push(last);
                Err(Error::Partly { sent, failed })
            }
        }
    }

    /// Begins again with what was not sent.
    pub(super) fn restart(&mut self) {
        self.counts = None;
        self.jobs.clear();
        self.alive = false;
        self.refused.clear();
    }

    fn found_nobody(&self) -> bool {
        !self.alive && self.refused.is_empty()
    }

    /// Nobody of ours runs the shard.
    fn nobody(&self, shard: Option<u16>) -> Error {
        match &self.stranger {
            Some((path, uid)) => Error::Stranger { path: path.clone(), uid: *uid },
            None => Error::NoGateway { instance: self.instance.clone(), shard },
        }
    }

    fn fail(&mut self, failed: Failed) {
        match failed.error.retry_after() {
            Some(_) => self.refused.push(failed),
            None => self.lost.push(failed),
        }
    }

    fn is_left(&self, job: &Job, socket: &Socket) -> bool {
        let is_it =
            |(path, shard): &(PathBuf, u16)| *path == socket.path && Some(*shard) == job.shard;
        self.left.iter().any(is_it)
    }

    /// This need not be asked again.
    fn settle(&mut self, job: &Job, socket: &Socket) {
        match job.shard {
            None => self.settled_processes.push(socket.path.clone()),
            Some(shard) => {
                self.settled.extend(job.request.command.guilds());
                self.left.retain(|(path, left)| *path != socket.path || *left != shard);
            }
        }
    }

    fn plan(&mut self, mut found: Vec<Socket>) {
        // Of two shard counts, the one that was started last is the one in force.
        found.sort_by_key(|socket| std::cmp::Reverse(socket.since));
        let mut counts: VecDeque<Vec<Socket>> = VecDeque::new();
        for socket in found {
            match counts.iter_mut().find(|of| of.iter().any(|other| other.count == socket.count)) {
                Some(of) => of.push(socket),
                None => counts.push_back(vec![socket]),
            }
        }
        self.counts = Some(counts);
        self.next_count();
    }

    /// Makes the jobs for the next shard count; false when there is none.
    fn next_count(&mut self) -> bool {
        let next = self.counts.as_mut().and_then(VecDeque::pop_front);
        let Some(sockets) = next.filter(|sockets| !sockets.is_empty()) else { return false };
        self.refused.clear();
        let count = sockets[0].count;
        let mut parts: Vec<(u16, Vec<u64>)> = Vec::new();
        for guild in self.command.guilds().iter().filter(|guild| !self.settled.contains(guild)) {
            let shard = self.shard.unwrap_or_else(|| shard_of(*guild, count));
            match parts.iter_mut().find(|(of, _)| *of == shard) {
                Some((_, guilds)) => guilds.push(*guild),
                None => parts.push((shard, vec![*guild])),
            }
        }
        if let (true, Some(shard)) = (self.command.guilds().is_empty(), self.shard) {
            parts.push((shard, Vec::new()));
        }
        if self.command.guilds().is_empty() && self.shard.is_none() {
            self.ask_all(sockets);
            return true;
        }
        for (shard, guilds) in parts {
            let target = self.shard.map_or(Target::Guild, Target::Shard);
            let request = Request { target, command: only(&self.command, guilds) };
            // The process whose shards begin nearest below.
            let mut sockets: Vec<_> =
                sockets.iter().filter(|socket| socket.first <= shard).cloned().collect();
            sockets.sort_by_key(|socket| std::cmp::Reverse(socket.first));
            self.jobs.push_back(Job { request, shard: Some(shard), sockets: sockets.into() });
        }
        true
    }

    /// Makes the jobs for a command to every shard: whole processes, and what is left of others.
    fn ask_all(&mut self, sockets: Vec<Socket>) {
        for socket in sockets {
            let left = self.left.iter().filter(|(path, _)| *path == socket.path);
            let left: Vec<_> = left.map(|(_, shard)| Some(*shard)).collect();
            let whole = !self.settled_processes.contains(&socket.path);
            for shard in if whole { vec![None] } else { left } {
                let target = shard.map_or(Target::All, Target::Shard);
                let request = Request { target, command: self.command.clone() };
                self.jobs.push_back(Job { request, shard, sockets: [socket.clone()].into() });
            }
        }
        // All that are left to ask may have been asked in an earlier try.
        self.alive |= self.jobs.is_empty();
    }
}

/// The part of a command that concerns these guilds.
fn only(command: &Command, guild_ids: Vec<u64>) -> Command {
    match command {
        Command::RequestSounds(_) => Command::RequestSounds(RequestSounds { guild_ids }),
        other => other.clone(),
    }
}

fn too_large() -> Error {
    Error::Invalid("it is too large: Discord takes 4,096 bytes".to_owned())
}

fn look(instance: &str, folder: &Path) -> Result<Vec<Socket>, Error> {
    let io =
        |source: io::Error| Error::Io { doing: format!("listing {}", folder.display()), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)?.flatten() {
        let name = entry.file_name();
        let Some((first, count)) =
            name.to_str().and_then(|name| topology::parse_command_socket(instance, name))
        else {
            continue;
        };
        // It may be gone again.
        let Ok(metadata) = entry.metadata() else { continue };
        let since = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        found.push(Socket { path: entry.path(), first, count, since });
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
