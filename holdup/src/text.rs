//! The one sentence in which everybody tells it.

use std::fmt;
use std::time::Duration;

use mixcord_event::topology;

use crate::Holdup;

impl fmt::Display for Holdup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group \"{}\" holds it ({}", self.group, self.presence())?;
        if let Some(oldest) = &self.oldest {
            write!(f, ", oldest {oldest}")?;
        }
        let records = if self.lag == 1 { "record" } else { "records" };
        write!(f, ", {} {records} behind)", self.lag)?;
        match &self.behind {
            Some(behind) if self.is_cache() => {
                write!(f, ", which waits for the output ring: {behind}")
            }
            Some(behind) => write!(f, ", which waits for its own ring {}: {behind}", behind.ring),
            None => write!(f, "; {}", self.advice()),
        }
    }
}

impl Holdup {
    /// The command that ends it: what is typed, word for word. `None` where a program has to be started, or
    /// looked at.
    #[must_use]
    pub fn command(&self) -> Option<String> {
        if let Some(behind) = &self.behind {
            return behind.command();
        }
        let (group, instance) = (&self.group, &self.instance);
        if self.is_cache() {
            return None;
        }
        let source = self.source();
        Some(format!("mixcord groups rm {group}{} --instance {instance}{source}", self.force()))
    }

    /// Where the group is, unless it is in the output ring.
    fn source(&self) -> String {
        match topology::parse_stage_ring(&self.ring) {
            Some(stage) => format!(" --source {stage}"),
            None => String::new(),
        }
    }

    fn force(&self) -> &'static str {
        if self.members == 0 { "" } else { " --force" }
    }

    fn presence(&self) -> String {
        match (self.members, self.absent) {
            (0, Some(absent)) => format!("no member for {}", span(absent)),
            (0, None) => "no member".to_owned(),
            (1, _) => "1 member".to_owned(),
            (members, _) => format!("{members} members"),
        }
    }

    fn advice(&self) -> String {
        let instance = &self.instance;
        let Some(command) = self.command() else {
            return if self.members == 0 {
                format!("it ends with: mixcord-cache --instance {instance}")
            } else {
                "the log of mixcord-cache says what it waits for".to_owned()
            };
        };
        if let (0, Some(stage)) = (self.members, self.stage()) {
            return format!("start stage \"{stage}\" again, or end it with: {command}");
        }
        match (self.members, self.max_absence) {
            (0, Some(allowed)) => {
                format!("it is let go after {} without a member, or with: {command}", span(allowed))
            }
            (0, None) => format!("it ends with: {command}"),
            _ => {
                let group = &self.group;
                format!(
                    "mixcord groups show {group} --instance {instance}{} tells what its members do; \
                     it ends with: {command}",
                    self.source()
                )
            }
        }
    }
}

/// A time as people say it: `95 s`, `3 min`, `5 h`, `2 d`.
#[must_use]
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use mixcord_event::Shard;

    use super::*;
    use crate::Oldest;

    fn greeter() -> Holdup {
        Holdup {
            instance: "prod".into(),
            ring: "out".into(),
            group: "greeter".into(),
            members: 0,
            absent: Some(Duration::from_secs(190)),
            max_absence: None,
            lag: 2_048,
            oldest: Some(Oldest {
                position: 7,
                kind: "MESSAGE_CREATE".into(),
                guild: Some(5),
                shard: Shard { id: 1, count: 4 },
                identity: String::new(),
                received_us: (14 * 3600 + 2 * 60 + 11) * 1_000_000,
            }),
            behind: None,
        }
    }

    #[test]
    fn the_sentence_names_the_group_its_oldest_event_and_what_ends_it() {
        let holdup = greeter();
        let oldest = "oldest MESSAGE_CREATE of guild 5 from 14:02:11 UTC, 2048 records behind";
        assert_eq!(
            holdup.to_string(),
            format!(
                "group \"greeter\" holds it (no member for 3 min, {oldest}); \
                 it ends with: mixcord groups rm greeter --instance prod"
            )
        );
        let allowed = Some(Duration::from_secs(900));
        let text = Holdup { max_absence: allowed, ..greeter() }.to_string();
        assert!(text.contains("let go after 15 min without a member, or with: mixcord"), "{text}");
        let text = Holdup { members: 3, absent: None, ..greeter() }.to_string();
        assert!(text.contains("(3 members, ") && text.contains("groups show greeter"), "{text}");
        assert!(text.ends_with("mixcord groups rm greeter --force --instance prod"), "{text}");
    }

    #[test]
    fn the_cache_is_started_or_passes_the_blame_on() {
        let cache = |members, behind: Option<Holdup>| Holdup {
            ring: "shard-0-1".into(),
            group: "cache".into(),
            members,
            oldest: None,
            behind: behind.map(Box::new),
            ..greeter()
        };
        let text = cache(0, None).to_string();
        assert!(text.ends_with("it ends with: mixcord-cache --instance prod"), "{text}");
        assert!(cache(1, None).to_string().ends_with("says what it waits for"));
        let text = cache(1, Some(greeter())).to_string();
        assert!(text.contains("which waits for the output ring: group \"greeter\""), "{text}");
        assert!(text.ends_with("mixcord groups rm greeter --instance prod"), "{text}");
        assert_eq!(cache(0, None).command(), None);
    }

    #[test]
    fn spans_are_short() {
        let text = |seconds| span(Duration::from_secs(seconds));
        assert_eq!([0, 119, 120, 7_199].map(text), ["0 s", "119 s", "2 min", "119 min"]);
        assert_eq!([7_200, 172_799, 172_800].map(text), ["2 h", "47 h", "2 d"]);
    }
}
