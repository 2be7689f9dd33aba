//! Instructions by function, as valgrind's callgrind counts them.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Result, ensure};

use super::matter::Matter;
use super::{Costs, find, read};

pub(super) fn is_here() -> bool {
    find("valgrind").is_some()
}

/// What stands before a program's own command line.
pub(super) fn prefix(out: &Path) -> Vec<String> {
    let mut prefix: Vec<String> =
        ["valgrind", "--quiet", "--tool=callgrind"].map(str::to_owned).to_vec();
    prefix.push(format!("--callgrind-out-file={}", out.display()));
    prefix
}

/// The instructions of a whole run.
pub(super) fn costs(out: &Path) -> Result<Costs> {
    let costs = own_costs(&read(out)?);
    ensure!(!costs.is_empty(), "{} has no function", out.display());
    Ok(costs)
}

/// Lines are `fn=(3) name`, later `fn=(3)`; then `line cost` of the function itself, or `calls=…` and behind it a line
/// whose cost is what was called.
fn own_costs(text: &str) -> Costs {
    let mut names: HashMap<&str, Matter> = HashMap::new();
    let (mut costs, mut matter, mut is_of_callee) = (Costs::new(), Matter::Other, false);
    for line in text.lines() {
        if let Some((key, rest)) = line.split_once('=') {
            if matches!(key, "fn" | "cfn") {
                let (number, name) = rest.split_once(' ').unwrap_or((rest, ""));
                if !name.is_empty() {
                    names.insert(number, Matter::of(name, false));
                }
                if key == "fn" {
                    matter = names.get(number).copied().unwrap_or(Matter::Other);
                }
            }
            is_of_callee = key == "calls";
        } else if line.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '*')) {
            let cost = line.split(' ').nth(1).and_then(|cost| cost.parse::<f64>().ok());
            if !std::mem::take(&mut is_of_callee) {
                *costs.entry(matter).or_default() += cost.unwrap_or(0.0);
            }
        }
    }
    costs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_function_does_itself_is_counted() {
        let text = "\
events: Ir
fl=(1) a.rs
fn=(1) mixcord_event::parse
16 400
cfi=(2) b.rs
cfn=(2) memcpy
calls=1 50
16 1000
+3 20

fn=(2)
50 1000

fn=(1)
* 5
totals: 1425
";
        let costs = own_costs(text);
        assert_eq!(costs.get(&Matter::Record), Some(&425.0));
        assert_eq!(costs.get(&Matter::Copies), Some(&1000.0));
        assert_eq!(costs.len(), 2);
    }
}
