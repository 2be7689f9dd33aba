//! The dashboard and the alerts name metrics that `mixcord monitor` has.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn dashboard_and_alerts_name_metrics_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let sources: String = fs::read_dir(root.join("monitor/src/metrics"))
        .expect("the sources of the metrics")
        .flatten()
        .map(|file| fs::read_to_string(file.path()).expect("a source"))
        .collect();
    for file in ["packaging/grafana/mixcord.json", "packaging/prometheus/mixcord.rules.yml"] {
        let names = names(&fs::read_to_string(root.join(file)).expect(file));
        assert!(names.len() > 10, "{file} names {names:?}");
        for name in names {
            assert!(sources.contains(&format!("\"{}\"", family(&name))), "{file}: no {name}");
        }
    }
}

/// What begins with our prefix, which the exporter puts before the name of each family.
fn names(text: &str) -> BTreeSet<String> {
    text.split(|char: char| !(char.is_ascii_lowercase() || char == '_'))
        .filter_map(|word| word.strip_prefix("mixcord_"))
        .map(ToOwned::to_owned)
        .collect()
}

/// Counters and histograms end as the exporter has them end.
fn family(name: &str) -> &str {
    name.strip_suffix("_total").or_else(|| name.strip_suffix("_bucket")).unwrap_or(name)
}

#[test]
fn a_name_is_found_where_it_stands() {
    let found = names("rate(mixcord_gaps_total{by=\"x\"}[1m]) mixcord tail mixcord-cache");
    assert_eq!(found.iter().map(|name| family(name)).collect::<Vec<_>>(), ["gaps"]);
}
