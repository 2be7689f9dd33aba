//! What is wrong, in one line, and which command mends it, in another.
//!
//! Facts are gathered in one place and judged in another, so that each finding can be shown to be found.

mod bridges;
mod instance;
mod machine;
mod system;

use std::fmt;

use mixcord::operator::{self, Overview};
use serde::Serialize;

pub use self::system::{Machine, Other, Segment, Shm};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It works, and will not for long, or not well.
    Warning,
    /// Events do not flow, or not all of them.
    Broken,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// Its name, which stays the same: `gateway-gone`, `group-holds-ring`.
    pub name: &'static str,
    /// What is so, in one line.
    pub text: String,
    /// What to type, in one line.
    pub command: String,
}

impl Finding {
    fn broken(name: &'static str, text: impl Into<String>, command: impl Into<String>) -> Self {
        Self { severity: Severity::Broken, name, text: text.into(), command: command.into() }
    }

    fn warning(name: &'static str, text: impl Into<String>, command: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, name, text: text.into(), command: command.into() }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Broken => "broken",
        })
    }
}

/// What is wrong with an instance, the worst first.
#[must_use]
pub fn of_instance(overview: &Overview) -> Vec<Finding> {
    sorted(instance::judge(overview))
}

/// What is wrong with an instance and the machine it runs on, the worst first.
#[must_use]
pub fn all(overview: &Overview, machine: &Machine) -> Vec<Finding> {
    let mut found = instance::judge(overview);
    found.extend(machine::judge(overview, machine));
    sorted(found)
}

/// What is known of this machine, as far as it matters to this instance.
///
/// # Errors
/// When /dev/shm cannot be listed.
pub fn look_around(instance: &operator::Instance) -> Result<Machine, operator::Error> {
    system::look(instance)
}

fn sorted(mut found: Vec<Finding>) -> Vec<Finding> {
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    found
}
