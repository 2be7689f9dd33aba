//! Keeps RULES.md true: no rule without a test, no test that does not exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn every_rule_names_tests_that_exist() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = home.parent().expect("a workspace");
    let mut sources = String::new();
    for part in ["gateway", "event", "cache", "consumer-sdk", "cli", "tests"] {
        gather(&workspace.join(part), &mut sources);
    }
    let tests: BTreeSet<&str> = sources
        .split("fn ")
        .skip(1)
        .filter_map(|after| after.split_once('(').map(|(name, _)| name))
        .collect();

    let table = fs::read_to_string(home.join("RULES.md")).expect("the table");
    let mut rules = BTreeSet::new();
    for row in table.lines().filter_map(|line| line.strip_prefix("| ")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [rule, _, named] = cells[..] else { continue };
        if rule.starts_with("G-") || rule.parse::<u32>().is_ok() {
            rules.insert(rule.to_owned());
            let named: Vec<_> = named.split('`').skip(1).step_by(2).collect();
            assert!(!named.is_empty(), "{rule} names no test");
            for test in named {
                assert!(tests.contains(test), "{rule} names {test}, which does not exist");
            }
        }
    }
    let wanted = (1..=49).map(|rule| format!("G-{rule}"));
    let wanted: BTreeSet<_> = wanted.chain((1..=27).map(|line: u32| line.to_string())).collect();
    assert_eq!(rules, wanted);
}

fn gather(folder: &Path, sources: &mut String) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                gather(&path, sources);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(&path).unwrap_or_default());
        }
    }
}
