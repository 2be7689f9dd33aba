//! Which gateway processes to ask for what, in which order. No I/O but the look for their sockets.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mixcord_event::command::{Command, Refusal, Reply, Request, Target, shard_of};
use mixcord_event::send::RequestSounds;
use mixcord_event::topology;
use mixcord_ring::Namespace;

use super::Error;

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
    /// Guilds that it was sent for.
    sent: Vec<u64>,
    /// Processes that it was sent by, when it is for all.
    sent_by: Vec<PathBuf>,
    /// Sockets by shard count, the newest first; `None` before the first look.
    counts: Option<VecDeque<Vec<Socket>>>,
    jobs: VecDeque<Job>,
    /// A process of the present shard count answered.
    alive: bool,
    refused: Option<Error>,
}

impl Plan {
    pub(super) fn new(instance: &str, shard: Option<u16>, command: Command) -> Result<Self, Error> {
        command.check().map_err(|refusal| Error::refused(instance, refusal))?;
        Ok(Self {
            instance: instance.to_owned(),
            shard,
            command,
            sent: Vec::new(),
            sent_by: Vec::new(),
            counts: None,
            jobs: VecDeque::new(),
            alive: false,
            refused: None,
        })
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
                let shard = job.shard;
                self.jobs.pop_front();
                // For all shards it is enough that somebody is there.
                if shard.is_some() {
                    self.refuse(Error::NoGateway { instance: self.instance.clone(), shard });
                }
            }
            // Sockets of a count that nobody runs any more: those of the count before it.
            if self.alive || !self.next_count() {
                return Ok(None);
            }
        }
    }

    /// The answer to the last step; `None` when nobody was there.
    pub(super) fn answered(&mut self, answer: Option<Reply>) {
        let Some(job) = self.jobs.front_mut() else { return };
        let Some(socket) = job.sockets.pop_front() else { return };
        self.alive |= answer.is_some();
        match answer {
            // The next candidate, if there is one.
            None | Some(Reply::Refused(Refusal::WrongShard { .. })) => return,
            Some(Reply::Accepted) if job.shard.is_some() => {
                self.sent.extend(job.request.command.guilds());
            }
            Some(Reply::Accepted) => self.sent_by.push(socket.path),
            Some(Reply::Refused(refusal)) => {
                let error = Error::refused(&self.instance, refusal);
                self.refuse(error);
            }
            Some(_) => self.refuse(Error::Version),
        }
        self.jobs.pop_front();
    }

    /// What came of it, once there is no next step.
    pub(super) fn outcome(&mut self) -> Result<(), Error> {
        match self.refused.take() {
            Some(error) => Err(error),
            None if self.alive => Ok(()),
            None => Err(Error::NoGateway { instance: self.instance.clone(), shard: self.shard }),
        }
    }

    /// Begins again with what was not sent.
    pub(super) fn restart(&mut self) {
        self.counts = None;
        self.jobs.clear();
        self.alive = false;
        self.refused = None;
    }

    fn refuse(&mut self, error: Error) {
        self.refused.get_or_insert(error);
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
        self.refused = None;
        let count = sockets[0].count;
        let mut parts: Vec<(u16, Vec<u64>)> = Vec::new();
        for guild in self.command.guilds().iter().filter(|guild| !self.sent.contains(guild)) {
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
            let request = Request { target: Target::All, command: self.command.clone() };
            let left = sockets.into_iter().filter(|socket| !self.sent_by.contains(&socket.path));
            self.jobs.extend(left.map(|socket| Job {
                request: request.clone(),
                shard: None,
                sockets: [socket].into(),
            }));
            // All that are left to ask may have been asked in an earlier try.
            self.alive |= self.jobs.is_empty();
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
mod tests {
    use std::time::Duration;

    use mixcord_event::send::{PresenceUpdate, RequestMembers};

    use super::*;

    fn socket(first: u16, count: u16, age: u64) -> Socket {
        let since = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 - age);
        Socket { path: format!("{first}-{count}").into(), first, count, since }
    }

    fn plan(shard: Option<u16>, command: Command, sockets: Vec<Socket>) -> Plan {
        let mut plan = Plan::new("test", shard, command).expect("a sound command");
        plan.plan(sockets);
        plan
    }

    fn members(guild: u64) -> Command {
        RequestMembers { guild_id: guild << 22, ..RequestMembers::default() }.into()
    }

    fn sounds(guilds: &[u64]) -> Command {
        RequestSounds { guild_ids: guilds.iter().map(|guild| guild << 22).collect() }.into()
    }

    fn presence() -> Command {
        let status = "idle".to_owned();
        PresenceUpdate { since: None, activities: vec![], status, afk: false }.into()
    }

    /// Whom it asks, when these are gone, these run other shards and the others accept.
    fn asked(plan: &mut Plan, gone: &[&str], wrong: &[&str]) -> Vec<String> {
        let mut asked = Vec::new();
        while let Some(step) = plan.next().expect("goes on") {
            let name = step.socket.to_str().expect("text").to_owned();
            plan.answered(match name.as_str() {
                name if gone.contains(&name) => None,
                name if wrong.contains(&name) => {
                    Some(Reply::Refused(Refusal::WrongShard { shard: 0 }))
                }
                _ => Some(Reply::Accepted),
            });
            asked.push(name);
        }
        asked
    }

    #[test]
    fn g39_a_guild_goes_to_the_process_that_begins_nearest_below_its_shard() {
        let sockets = || vec![socket(0, 16, 5), socket(8, 16, 5), socket(12, 16, 5)];
        for (guild, whom) in [(0, "0-16"), (7, "0-16"), (9, "8-16"), (31, "12-16")] {
            let mut plan = plan(None, members(guild), sockets());
            assert_eq!(asked(&mut plan, &[], &[]), [whom]);
            assert!(plan.outcome().is_ok());
        }
    }

    #[test]
    fn one_that_died_or_runs_less_is_passed_over() {
        let mut plan =
            plan(None, members(14), vec![socket(0, 16, 9), socket(8, 16, 5), socket(12, 16, 1)]);
        assert_eq!(asked(&mut plan, &["12-16"], &["8-16"]), ["12-16", "8-16", "0-16"]);
        assert!(plan.outcome().is_ok());
    }

    #[test]
    fn nobody_who_runs_the_shard_is_an_error_that_names_it() {
        let mut plan = plan(None, members(14), vec![socket(0, 16, 9)]);
        assert_eq!(asked(&mut plan, &[], &["0-16"]), ["0-16"]);
        assert!(matches!(plan.outcome(), Err(Error::NoGateway { shard: Some(14), .. })));
        let mut plan = self::plan(None, members(14), vec![]);
        assert_eq!(asked(&mut plan, &[], &[]), Vec::<String>::new());
        assert!(matches!(plan.outcome(), Err(Error::NoGateway { shard: None, .. })));
    }

    #[test]
    fn the_newest_shard_count_that_lives_is_asked() {
        let sockets = || vec![socket(0, 4, 9), socket(0, 8, 1), socket(4, 8, 2)];
        let mut both = plan(None, members(5), sockets());
        assert_eq!(asked(&mut both, &[], &[]), ["4-8"]);
        let mut old = plan(None, members(5), sockets());
        assert_eq!(asked(&mut old, &["0-8", "4-8"], &[]), ["4-8", "0-8", "0-4"]);
        assert!(old.outcome().is_ok());
    }

    #[test]
    fn a_presence_goes_to_every_process_and_again_only_where_it_was_refused() {
        let sockets = || vec![socket(0, 4, 9), socket(2, 4, 1), socket(0, 2, 99)];
        let mut plan = plan(None, presence(), sockets());
        let mut first = Vec::new();
        while let Some(step) = plan.next().expect("goes on") {
            plan.answered(Some(match step.socket.to_str() {
                Some("2-4") => Reply::Refused(Refusal::NotConnected { shard: 3 }),
                _ => Reply::Accepted,
            }));
            first.push(step.socket);
        }
        assert_eq!(first.len(), 2);
        assert!(matches!(plan.outcome(), Err(Error::NotConnected { shard: 3 })));
        plan.restart();
        plan.plan(sockets());
        assert_eq!(asked(&mut plan, &[], &[]), ["2-4"]);
        assert!(plan.outcome().is_ok());
    }

    #[test]
    fn sounds_of_several_shards_are_asked_for_shard_by_shard() {
        let mut plan = plan(None, sounds(&[0, 1, 2, 4, 5]), vec![socket(0, 4, 1)]);
        let mut guilds = Vec::new();
        while let Some(step) = plan.next().expect("goes on") {
            let request = Request::decode(&step.packet).expect("a request");
            guilds.push(request.command.guilds().iter().map(|id| id >> 22).collect::<Vec<_>>());
            plan.answered(Some(Reply::Accepted));
        }
        assert_eq!(guilds, [vec![0, 4], vec![1, 5], vec![2]]);
        assert!(plan.outcome().is_ok());
    }

    #[test]
    fn g31_what_could_never_be_sent_is_refused_before_anybody_is_asked() {
        let command = RequestMembers { user_ids: vec![1; 101], ..RequestMembers::default() };
        assert!(matches!(Plan::new("test", None, command.into()), Err(Error::Invalid(_))));
    }
}
