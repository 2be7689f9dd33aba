//! Keeps RULES.md true: no rule without a test, nothing named as one that is none.

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
    let tests = tests_in(&sources);

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
                assert!(tests.contains(test), "{rule} names {test}, which is no test");
            }
        }
    }
    let wanted = (1..=49).map(|rule| format!("G-{rule}"));
    let wanted: BTreeSet<_> = wanted.chain((1..=27).map(|line: u32| line.to_string())).collect();
    assert_eq!(rules, wanted);
}

#[test]
fn only_tests_prove_a_rule() {
    let source = "
        #[test]
        fn one() {}
        /// A helper.
        fn helper(name: &str) {}
        #[tokio::test(flavor = \"current_thread\")]
        #[ignore = \"long\"]
        async fn two() { fn inner() {} }
        #[allow(dead_code)]
        fn another() {}
        // #[test]
        fn not_run() {}
    ";
    assert_eq!(tests_in(source), BTreeSet::from(["one", "two"]));
}

/// The names of functions under a test's attribute.
fn tests_in(source: &str) -> BTreeSet<&str> {
    let mut tests = BTreeSet::new();
    let mut marked = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if let Some((_, after)) = line.split_once("fn ").filter(|_| marked) {
            tests.extend(after.split_once('(').map(|(name, _)| name));
            marked = false;
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            marked = false;
        }
    }
    tests
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
