//! Kill points, every one of them: a child process is killed by SIGKILL right after its k-th shared
//! store or change of a file, for every k from the first to the last; a payload copy has a point half way
//! through. What is left is then taken over by living processes, or some lived beside it all the time,
//! and the oracle must hold: nothing lost, nothing given twice beyond the batch that was not acknowledged,
//! nothing out of order, nobody held up.
//!
//! A child tells over its standard output what it is about to do and what it has done. Its last words
//! before its death are what the oracle may rely on.

mod beside;
mod child;
#[path = "../common/mod.rs"]
mod common;
mod oracle;
mod successor;
mod words;

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::Instance;

/// What a child said, in order.
#[derive(Debug, Default)]
pub(crate) struct Words(Vec<(String, Vec<u64>)>);

impl Words {
    /// Everything said under a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u64]> {
        self.0.iter().filter(move |(said, _)| said == name).map(|(_, numbers)| &**numbers)
    }

    /// The last first number said under a name.
    pub(crate) fn last(&self, name: &str) -> Option<u64> {
        self.all(name).last().and_then(|numbers| numbers.first()).copied()
    }

    fn parse(output: &str) -> Self {
        // A word that its death cut off has no end, and is none.
        let whole = |line: &'_ str| -> Option<String> {
            Some(line.strip_prefix('@')?.strip_suffix(';')?.to_owned())
        };
        let said = output.lines().filter_map(whole).filter_map(|line| {
            let mut parts = line.split(' ');
            let name = parts.next()?.to_owned();
            Some((name, parts.filter_map(|number| number.parse().ok()).collect()))
        });
        Self(said.collect())
    }
}

/// Runs a child to its end, or to its death after the `last`-th store.
pub(crate) fn run(role: &str, instance: &Instance, last: u64) -> Words {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child::process", "--exact", "--nocapture", "--test-threads=1"])
        .env(child::ROLE, role)
        .env(child::PREFIX, instance.namespace.prefix())
        .env(child::LAST, last.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = String::new();
    child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    let status = child.wait().unwrap();
    let words = Words::parse(&output);
    let killed = std::os::unix::process::ExitStatusExt::signal(&status) == Some(9);
    assert!(killed || status.success(), "{role} {last}: {status}\n{output}\n{errors}");
    assert_eq!(killed, words.last("end").is_none(), "{role} {last}: {status} {words:?}");
    words
}

/// One scenario: prepares a ring, lets the child of a role die in it at every store, and judges.
pub(crate) fn every_k<S>(
    role: &str,
    prepare: impl Fn(&Instance) -> S,
    judge: impl Fn(&Instance, S, &Words),
) {
    let started = Instant::now();
    let mut last = 1;
    loop {
        let instance = Instance::new(&role.replace('_', "-"));
        let state = prepare(&instance);
        let words = run(role, &instance, last);
        let over = words.last("end").is_some();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            judge(&instance, state, &words);
        }));
        if let Err(panic) = outcome {
            eprintln!("{role}: killed after store {last}: {words:?}");
            std::panic::resume_unwind(panic);
        }
        if over {
            break;
        }
        last += 1;
        assert!(last < 5_000, "{role} does not come to an end");
        assert!(started.elapsed() < Duration::from_secs(240), "{role}: {last} takes too long");
    }
    println!("{role}: {} kill points, {:?}", last - 1, started.elapsed());
    assert!(last > 3, "{role} has stores to be killed at");
}
