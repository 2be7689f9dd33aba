//! Metrics of bridges, and of the leases by which a standby takes over.

#[allow(dead_code, reason = "shared by the tests")]
mod rig;

use mixcord_event::bridge::BridgeFigures;
use mixcord_monitor::Limits;
use rig::monitor::{Monitor, lint, value};
use rig::{Rig, of_a_bridge};

fn metrics(rig: &Rig) -> String {
    let (_, metrics) = Monitor::start(rig, Limits::default()).get("/metrics", "");
    lint(&metrics);
    metrics
}

fn says(metrics: &str, samples: &[(&str, f64)]) {
    for (sample, wanted) in samples {
        let found = value(metrics, &format!("mixcord_bridge_{sample}"));
        assert!((found - wanted).abs() < 1e-9, "{sample}: {found}");
    }
}

#[test]
fn metrics_of_a_bridge_and_of_the_leases_that_it_sees() {
    let rig = Rig::new();
    let _rings = (rig.shards(), rig.output());
    assert!(!metrics(&rig).contains("_bridge_"), "there is none");
    let _bridge = rig.bridge(&of_a_bridge("receive"));
    let metrics = metrics(&rig);
    let (first, second) = ("MIXCORD_b_LOG_main_0-16", "MIXCORD_b_LOG_main_8-16");
    let of = |name: &str, stream: &str| format!(r#"{name}{{end="receive",stream="{stream}"}}"#);
    let lease = |stream: &str, state: &str| {
        format!(r#"lease_state{{end="receive",stream="{stream}",state="{state}"}}"#)
    };
    let gateway = |state: &str| {
        format!(r#"gateway_state{{end="receive",gateway="8..15/16",state="{state}"}}"#)
    };
    says(
        &metrics,
        &[
            (r#"connected{end="receive"}"#, 1.0),
            (r#"lag_records{end="receive"}"#, 5.0),
            (r#"lag_seconds{end="receive"}"#, 1.5),
            (r#"messages_under_way{end="receive"}"#, 3.0),
            (r#"begun_again_total{end="receive"}"#, 2.0),
            (&of("stream_used_ratio", first), 0.25),
            (r#"role{end="receive",role="standby"}"#, 1.0),
            (r#"role{end="receive",role="holder"}"#, 0.0),
            (&lease(first, "held"), 1.0),
            (&lease(first, "ended"), 0.0),
            (&lease(first, "lapsed"), 0.0),
            (&lease(second, "held"), 0.0),
            (&lease(second, "lapsed"), 1.0),
            (&of("lease_own", first), 0.0),
            // Not more than a float can tell from the next.
            (&of("lease_generation", first), 70_000.0),
            (&of("lease_age_seconds", first), 1.0),
            (&of("lease_age_seconds", second), 40.0),
            (&gateway("standby"), 1.0),
            (&gateway("holder"), 0.0),
            (r#"lease_free_seconds{gateway="8..15/16"}"#, 40.0),
        ],
    );
}

#[test]
fn a_lease_is_free_where_a_standby_that_knows_sees_nobody_have_it() {
    let rig = Rig::new();
    let _rings = (rig.shards(), rig.output());
    let free = |change: fn(&mut BridgeFigures)| {
        let mut figures = of_a_bridge("receive");
        change(&mut figures);
        let _bridge = rig.bridge(&figures);
        let metrics = metrics(&rig);
        let told = metrics.contains("mixcord_bridge_lease_free_seconds{");
        told.then(|| value(&metrics, r#"mixcord_bridge_lease_free_seconds{gateway="8..15/16"}"#))
    };
    assert_eq!(free(|_| ()), Some(40.0));
    assert_eq!(free(|bridge| bridge.leases[1].state = "held".to_owned()), Some(0.0));
    assert_eq!(free(|bridge| bridge.gateways[0].state = "holder".to_owned()), None);
    assert_eq!(free(|bridge| bridge.connected = false), None);
    let never_sent = free(|bridge| bridge.streams.clear()).expect("nobody ever sent them");
    assert!((60.0..600.0).contains(&never_sent), "{never_sent}");
}

#[test]
fn a_holder_shows_its_lease_as_its_own() {
    let rig = Rig::new();
    let _rings = (rig.shards(), rig.output());
    let mut figures = of_a_bridge("send");
    figures.leases[0].own = true;
    figures.gateways[0].state = "holder".to_owned();
    let bridge = rig.bridge(&figures);
    let stream = "MIXCORD_b_LOG_main_0-16";
    says(
        &metrics(&rig),
        &[
            (r#"role{end="send",role="holder"}"#, 1.0),
            (&format!(r#"lease_own{{end="send",stream="{stream}"}}"#), 1.0),
            (r#"gateway_state{end="send",gateway="8..15/16",state="holder"}"#, 1.0),
        ],
    );
    drop(bridge);
    let metrics = metrics(&rig);
    assert!(
        !metrics.contains("_lease_") && !metrics.contains("_role{"),
        "it was killed: {metrics}"
    );
}
