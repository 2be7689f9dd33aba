//! What an instance's own segments say.

use std::collections::BTreeMap;
use std::time::Duration;

use mixcord::event::topology;
use mixcord::operator::{GroupStatus, Overview, RingStatus, ShardStatus, span};

use super::Finding;

/// A socket that is not read for longer is about to cost the session (G-23).
const UNREAD: f64 = 15.0;
/// A shard that is connected hears something sooner than this, if only its own heartbeats' neighbours.
const SILENT: f64 = 1_800.0;
/// A group that is behind for longer is told.
const LATE: f64 = 60.0;
/// Above this fullness a ring that is held is broken rather than in danger.
const FULL: f64 = 0.98;
/// What each program calls itself in a checkpoint ends with its version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn judge(overview: &Overview) -> Vec<Finding> {
    let mut judge = Judge { overview, instance: &overview.instance, found: Vec::new() };
    if overview.is_empty() {
        let text = format!("instance \"{}\" has no rings", judge.instance);
        judge.found.push(Finding::broken("nothing-there", text, judge.start("mixcord-gateway")));
        return judge.found;
    }
    judge.unreadable();
    judge.gateway();
    judge.cache();
    judge.rings();
    judge.groups();
    judge.bridge();
    judge.proxies();
    judge.bridges();
    judge.budget();
    judge.versions();
    judge.found
}

pub(super) struct Judge<'a> {
    pub(super) overview: &'a Overview,
    instance: &'a str,
    pub(super) found: Vec<Finding>,
}

impl Judge<'_> {
    pub(super) fn start(&self, program: &str) -> String {
        format!("{program} --instance {}", self.instance)
    }

    fn mixcord(&self, command: &str) -> String {
        format!("mixcord {command} --instance {}", self.instance)
    }

    fn unreadable(&mut self) {
        for ring in &self.overview.unreadable {
            let text = format!("{} cannot be read: {}", ring.name, ring.error);
            let command = self.mixcord(&format!("rm --ring {}", ring.name));
            self.found.push(Finding::broken("ring-unreadable", text, command));
        }
    }

    /// The shard count in force: that of a gateway that lives, else of the ring that was written last.
    pub(super) fn count(&self) -> Option<u16> {
        let counts = self.overview.shards().filter_map(|ring| {
            let (_, shards) = ring.of_shard()?;
            let age = ring.shard.as_ref().and_then(|shard| shard.last_event_seconds);
            Some((!ring.producer_alive, age.unwrap_or(f64::MAX), shards))
        });
        counts
            .min_by(|a, b| (a.0, a.1).partial_cmp(&(b.0, b.1)).unwrap_or(std::cmp::Ordering::Equal))
            .map(|(_, _, shards)| shards)
    }

    fn gateway(&mut self) {
        let Some(count) = self.count() else {
            let text = "there is no ring of a shard: no gateway has run yet";
            let command = self.start("mixcord-gateway");
            return self.found.push(Finding::broken("gateway-gone", text, command));
        };
        let (now, old): (Vec<_>, Vec<_>) = self
            .overview
            .shards()
            .partition(|ring| ring.of_shard().is_some_and(|(_, shards)| shards == count));
        let gone: Vec<_> = now.iter().filter(|ring| !ring.producer_alive).collect();
        if let Some(first) = gone.first() {
            let text = match (gone.len(), now.len()) {
                (1, 1) => format!("nobody writes {}: mixcord-gateway does not run", first.name),
                (gone, all) if gone == all => {
                    format!(
                        "nobody writes the rings of the {all} shards: mixcord-gateway does not run"
                    )
                }
                (gone, all) => format!(
                    "nobody writes {gone} of the {all} shards' rings, {} the first",
                    first.name
                ),
            };
            let command = self.start("mixcord-gateway");
            self.found.push(Finding::broken("gateway-gone", text, command));
        }
        self.shards(&now);
        // While the count changes both are run.
        let is_changing = self.overview.reshard.as_ref().is_some_and(|change| change.under_way);
        for ring in old.into_iter().filter(|_| !is_changing) {
            let text = format!("{} is left of another shard count: {count} are run now", ring.name);
            let command = self.mixcord(&format!("rm --ring {}", ring.name));
            self.found.push(Finding::warning("old-ring", text, command));
        }
    }

    /// What the living shards say of themselves, those in the same trouble together.
    fn shards(&mut self, rings: &[&RingStatus]) {
        let living = rings.iter().filter(|ring| ring.producer_alive);
        let shards: Vec<&ShardStatus> = living.filter_map(|ring| ring.shard.as_ref()).collect();
        let mut away: BTreeMap<&str, Vec<u16>> = BTreeMap::new();
        for shard in shards.iter().filter(|shard| shard.state != "connected") {
            away.entry(&shard.state).or_default().push(shard.shard);
        }
        for (state, ids) in away {
            let all = shards.len();
            let text = format!("{} of {all} shards {state}: {}", ids.len(), list(&ids));
            let command = match state {
                "identifying" | "connecting" | "resuming" => self.mixcord("top"),
                "paused" => self.mixcord("drain --undo"),
                _ => self.mixcord(&format!("shard reconnect {}", ids[0])),
            };
            self.found.push(Finding::warning("shard-not-connected", text, command));
        }
        let refilled = shards.iter().filter(|shard| shard.awaits_refill);
        let refilled: Vec<u16> = refilled.map(|shard| shard.shard).collect();
        if !refilled.is_empty() {
            let text = format!(
                "the state of {} of {} shards was lost, and waits for new sessions: {}. The gateway begins them one \
                 after the other, out of identifies that are to spare, unless it was started with --no-refill",
                refilled.len(),
                shards.len(),
                list(&refilled)
            );
            self.found.push(Finding::warning("state-lost", text, self.mixcord("top")));
        }
        for shard in &shards {
            let number = shard.shard;
            if let Some(seconds) = shard.stalled_now_seconds.filter(|seconds| *seconds >= UNREAD) {
                let text = format!(
                    "shard {number} is not read for {seconds:.0} s, for its ring is full: Discord may drop the session"
                );
                let holdup = self.overview.rings.iter().find_map(|ring| ring.held_by.as_ref());
                let command = holdup.and_then(|holdup| holdup.command.clone());
                let command = command.unwrap_or_else(|| self.start("mixcord-cache"));
                self.found.push(Finding::broken("shard-not-read", text, command));
            }
            if let Some(age) = shard.last_event_seconds {
                let command = self.mixcord(&format!("shard reconnect {number}"));
                if age >= SILENT && shard.state == "connected" {
                    let age = span(Duration::from_secs_f64(age));
                    let text = format!("shard {number} is connected and had no event for {age}");
                    self.found.push(Finding::warning("shard-silent", text, command));
                } else if age < -1.0 {
                    let text = format!(
                        "the last event of shard {number} is from {:.0} s ahead: the clock went back",
                        -age
                    );
                    self.found.push(Finding::warning("clock", text, "timedatectl set-ntp true"));
                }
            }
        }
    }

    fn cache(&mut self) {
        let text = match self.overview.output() {
            None => "there is no output ring: no cache has run yet",
            Some(ring) if !ring.producer_alive => {
                "nobody writes the output ring: mixcord-cache does not run"
            }
            Some(_) => return,
        };
        let command = self.start("mixcord-cache");
        self.found.push(Finding::broken("cache-gone", text, command));
    }

    fn rings(&mut self) {
        for ring in &self.overview.rings {
            let Some(holdup) = &ring.held_by else { continue };
            let full = ring.fullness * 100.0;
            let text = format!("{} is {full:.0} % full: {}", ring.name, first_part(&holdup.text));
            let command = holdup.command.clone().unwrap_or_else(|| self.start("mixcord-cache"));
            let make = if ring.fullness >= FULL { Finding::broken } else { Finding::warning };
            self.found.push(make("group-holds-ring", text, command));
        }
    }

    fn groups(&mut self) {
        for ring in &self.overview.rings {
            if let Some(source) = topology::source_of(&ring.name) {
                self.groups_of(ring, source);
            }
        }
    }

    fn groups_of(&mut self, ring: &RingStatus, source: &str) {
        let source = match source {
            topology::OUTPUT_SOURCE => String::new(),
            stage => format!(" --source {stage}"),
        };
        for group in &ring.groups {
            let name = &group.name;
            let command = |what: &str| self.mixcord(&format!("groups {what} {name}{source}"));
            let finding = if group.damaged {
                let text = format!("group \"{name}\" is damaged: its members get an error");
                Finding::broken("group-damaged", text, command("rm"))
            } else if group.evicted {
                let text = format!(
                    "group \"{name}\" was let go: it misses what comes until a member is back"
                );
                Finding::warning("group-evicted", text, command("rm"))
            } else if let (0, Some(stage)) = (group.members, topology::parse_stage_ring(name)) {
                let text = format!(
                    "stage \"{stage}\" does not run: {} records wait for it{}; start it, or remove its group",
                    group.lag,
                    for_how_long(group)
                );
                Finding::broken("stage-gone", text, command("rm"))
            } else if group.members == 0 && group.policy == "durable" {
                let text = format!(
                    "group \"{name}\" has no members and keeps {} records{}",
                    group.lag,
                    for_how_long(group)
                );
                Finding::warning("group-empty", text, command("rm"))
            } else if group.oldest_seconds.is_some_and(|age| age >= LATE) {
                let age = span(Duration::from_secs_f64(group.oldest_seconds.unwrap_or(0.0)));
                let text = format!("group \"{name}\" is {age} behind ({} records)", group.lag);
                Finding::warning("group-late", text, command("show"))
            } else {
                continue;
            };
            self.found.push(finding);
        }
        for group in ring.groups.iter().filter(|group| group.dead > 0) {
            let (name, dead) = (&group.name, group.dead);
            let text = format!("group \"{name}\" gave up {dead} events");
            let command = self.mixcord(&format!("groups dead {name}{source}"));
            self.found.push(Finding::warning("dead-letters", text, command));
        }
    }

    /// One that was killed; its successor at the same address takes its place here, too.
    fn proxies(&mut self) {
        let proxies = &self.overview.proxies;
        for proxy in proxies.running.iter().filter(|proxy| !proxy.alive) {
            let listen = &proxy.listen;
            let text = format!(
                "the proxy at {listen} was killed: its clients cannot connect, and {} sessions wait; start it, or remove \
                 {} where none is to come back",
                proxies.sessions,
                topology::proxy_dir(self.instance)
            );
            let command = format!("{} --listen {listen}", self.start("mixcord-proxy"));
            self.found.push(Finding::broken("proxy-gone", text, command));
        }
    }

    fn budget(&mut self) {
        let shards = self.overview.shards().filter(|ring| ring.producer_alive);
        let shards: Vec<_> = shards.filter_map(|ring| ring.shard.as_ref()).collect();
        let known = shards.iter().filter_map(|shard| shard.budget);
        let Some(budget) = known.min_by(|a, b| a.age_seconds.total_cmp(&b.age_seconds)) else {
            return;
        };
        if budget.left >= shards.len() as u64 || budget.whole_seconds <= 0.0 {
            return;
        }
        let (left, total, shards) = (budget.left, budget.total, shards.len());
        let whole = span(Duration::from_secs_f64(budget.whole_seconds));
        let text = format!(
            "{left} of {total} identifies are left for {shards} shards, whole again in {whole}: restart nothing that cannot resume"
        );
        self.found.push(Finding::warning("budget-low", text, self.mixcord("ls")));
    }

    /// Programs of another release than this one: fine while an upgrade is on its way (P11).
    fn versions(&mut self) {
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for ring in self.overview.rings.iter().filter(|ring| ring.producer_alive) {
            let named = ring.writer.as_deref().and_then(|writer| writer.rsplit_once(' '));
            let Some((program, version)) = named.filter(|(_, version)| *version != VERSION) else {
                continue;
            };
            // A stage is a program of the user's, in which only the SDK has a version of ours.
            let Some(stage) = topology::parse_stage_ring(&ring.name) else {
                seen.insert(program, version);
                continue;
            };
            let text = format!(
                "stage \"{stage}\" is built with mixcord {version}, mixcord here is {VERSION}: build anew what is older"
            );
            self.found.push(Finding::warning("version-differs", text, self.mixcord("ls")));
        }
        let proxies = self.overview.proxies.running.iter().filter(|proxy| proxy.alive);
        let named = proxies.filter_map(|proxy| proxy.writer.as_deref()?.rsplit_once(' '));
        seen.extend(named.filter(|(_, version)| *version != VERSION));
        for (program, version) in seen {
            let text = format!(
                "{program} is of release {version}, mixcord of {VERSION}: restart what is older"
            );
            let command = format!("{program} --version");
            self.found.push(Finding::warning("version-differs", text, command));
        }
    }
}

fn for_how_long(group: &GroupStatus) -> String {
    group.absent_seconds.map_or_else(String::new, |seconds| {
        format!(", nobody came for {}", span(Duration::from_secs(seconds)))
    })
}

/// What it says before it comes to commands.
fn first_part(text: &str) -> &str {
    text.split_once("; ").map_or(text, |(first, _)| first)
}

/// A few numbers of many.
fn list(ids: &[u16]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<_> = ids.iter().take(SHOWN).map(u16::to_string).collect();
    let more = ids.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}
