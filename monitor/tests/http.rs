//! What is served, and what clients cannot do to it.

#[allow(dead_code, reason = "shared by the tests")]
mod rig;

use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::time::Duration;

use mixcord::operator::Overview;
use mixcord_event::figures::{Budget, CacheFigures, ShardFigures};
use mixcord_event::pauses::Pauses;
use mixcord_event::proxy::ProxyFigures;
use mixcord_event::reshard::{ReshardFigures, Stage};
use mixcord_event::{Kind, Reason, topology};
use mixcord_monitor::Limits;
use mixcord_ring::Producer;
use rig::monitor::{Monitor, lint, value};
use rig::{Rig, connected, now_us, of_a_bridge, publish};

/// An instance that is well, with figures of all kinds.
fn furnished(rig: &Rig) -> Vec<Producer> {
    let whole_us = now_us() + 3_600_000_000;
    let budget = Some(Budget { at_us: now_us(), left: 990, total: 1_000, whole_us });
    let mut figures =
        ShardFigures { budget, identifies: 3, last_close: Some(4009), ..ShardFigures::default() };
    figures.session_since_us = now_us() - 5_000_000;
    figures.gap("hole");
    figures.pauses.work.count(Duration::from_millis(3), now_us);
    let mut rings: Vec<_> = (0..2).map(|id| rig.shard(id, 2, &connected(), &figures)).collect();
    let mut out = rig.output();
    let mut counted = CacheFigures::begin(std::process::id(), now_us());
    counted.event(Kind::MESSAGE_CREATE);
    counted.gap(Reason::StateLost);
    counted.batches = 9;
    counted.commit(Duration::from_micros(80));
    let mut checkpoint = vec![1; 9];
    checkpoint.extend([0, 0]);
    counted.put(&mut checkpoint, 4_000);
    let mut pauses = Pauses::default();
    pauses.late.count(Duration::from_millis(40), now_us);
    checkpoint.extend(pauses.encode());
    out.set_checkpoint(&checkpoint).expect("short enough");
    publish(&mut out, now_us());
    rings.push(out);
    rings
}

/// The checkpoint of a stage: what it reads, how far it is, its state, what it did.
fn of_a_stage() -> Vec<u8> {
    let words = [1_u64, 2, 1, 5, 6, 7, 8, 9];
    let content: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut checkpoint = vec![mixcord_event::status::CHECKPOINT];
    mixcord_event::sections::put(&mut checkpoint, 2, 1, &content);
    checkpoint
}

fn of_a_proxy() -> ProxyFigures {
    let listen = "127.0.0.1:9465".to_owned();
    ProxyFigures { pid: 1, listen, clients: 3, events: 99, stalled: 2, ..ProxyFigures::default() }
}

/// Stages and proxies are told where they are, and nothing of them where there are none.
#[test]
fn metrics_of_stages_and_proxies() {
    let rig = Rig::new();
    let _rings = furnished(&rig);
    {
        let (_, metrics) = Monitor::start(&rig, Limits::default()).get("/metrics", "");
        assert!(!metrics.contains("_proxy_") && !metrics.contains("_stage_"), "{metrics}");
        assert!(!metrics.contains(r#"process="proxy""#), "{metrics}");
    }
    let _stage = rig.stage("spam", &of_a_stage());
    let proxy = rig.proxy(&of_a_proxy());
    let told = |samples: &[(&str, f64)]| {
        let (_, metrics) = Monitor::start(&rig, Limits::default()).get("/metrics", "");
        for (sample, wanted) in samples {
            assert!((value(&metrics, sample) - wanted).abs() < 1e-9, "{sample}");
        }
        lint(&metrics);
        metrics
    };
    told(&[
        (r#"mixcord_stage_events_total{stage="spam",outcome="passed"}"#, 5.0),
        (r#"mixcord_stage_events_total{stage="spam",outcome="changed"}"#, 6.0),
        (r#"mixcord_stage_events_total{stage="spam",outcome="dropped"}"#, 7.0),
        (r#"mixcord_stage_events_total{stage="spam",outcome="added"}"#, 8.0),
        (r#"mixcord_stage_events_total{stage="spam",outcome="failed"}"#, 9.0),
        (r#"mixcord_up{process="proxy"}"#, 1.0),
        (r#"mixcord_proxy_clients{listen="127.0.0.1:9465"}"#, 3.0),
        (r#"mixcord_proxy_events_total{listen="127.0.0.1:9465"}"#, 99.0),
        (r#"mixcord_proxy_stalled_clients_total{listen="127.0.0.1:9465"}"#, 2.0),
        ("mixcord_proxy_sessions", 1.0),
    ]);
    drop(proxy);
    // What it said goes on standing there; it is not how it is.
    let metrics = told(&[(r#"mixcord_up{process="proxy"}"#, 0.0), ("mixcord_proxy_sessions", 1.0)]);
    assert!(!metrics.contains("mixcord_proxy_clients{"), "{metrics}");
    // Stopped in order it is not missed, though clients may come back to another.
    let board = format!("{}/{}1", topology::proxy_dir(&rig.instance), topology::PROXY_BOARD);
    std::fs::remove_file(board).expect("it was there");
    let metrics = told(&[("mixcord_proxy_sessions", 1.0)]);
    assert!(!metrics.contains(r#"process="proxy""#), "{metrics}");
}

/// Metrics, and what programs read, of a change of the shard count.
#[test]
fn a_change_of_the_shard_count_is_told_once_there_was_one() {
    let rig = Rig::new();
    let _rings = furnished(&rig);
    {
        let (_, metrics) = Monitor::start(&rig, Limits::default()).get("/metrics", "");
        assert!(!metrics.contains("_reshard_"), "{metrics}");
    }
    rig.reshard(&ReshardFigures {
        from: 2,
        to: 3,
        stage: Stage::Cutting,
        sessions: 3,
        guilds: 40,
        overlapping: 39,
        cut: 10,
        missing: 1,
        waiting: 7,
        waiting_bytes: 700,
        cancelled: 99,
        one_sided_old: 4,
        one_sided_new: 5,
        taken_over: 6,
        ..ReshardFigures::default()
    });
    let monitor = Monitor::start(&rig, Limits::default());
    let (_, metrics) = monitor.get("/metrics", "");
    for (sample, wanted) in [
        ("mixcord_reshard_under_way", 1.0),
        (r#"mixcord_reshard_stage{stage="cutting"}"#, 1.0),
        (r#"mixcord_reshard_shards{set="old"}"#, 2.0),
        (r#"mixcord_reshard_shards{set="new"}"#, 3.0),
        ("mixcord_reshard_sessions", 3.0),
        (r#"mixcord_reshard_guilds{state="known"}"#, 40.0),
        (r#"mixcord_reshard_guilds{state="overlapping"}"#, 39.0),
        (r#"mixcord_reshard_guilds{state="cut"}"#, 10.0),
        (r#"mixcord_reshard_guilds{state="missing"}"#, 1.0),
        ("mixcord_reshard_waiting_records", 7.0),
        ("mixcord_reshard_waiting_bytes", 700.0),
        ("mixcord_reshard_copies_total", 99.0),
        (r#"mixcord_reshard_one_sided_total{set="old"}"#, 4.0),
        (r#"mixcord_reshard_one_sided_total{set="new"}"#, 5.0),
        ("mixcord_reshard_taken_over_total", 6.0),
    ] {
        assert!((value(&metrics, sample) - wanted).abs() < 1e-9, "{sample}");
    }
    lint(&metrics);
    let (_, status) = monitor.get("/api/status", "");
    assert!(status.contains(r#""reshard":{"from":2,"to":3,"stage":"cutting""#), "{status}");
}

#[test]
fn metrics_say_what_the_rings_say() {
    let rig = Rig::new();
    let _rings = furnished(&rig);
    let monitor = Monitor::start(&rig, Limits::default());
    let (head, metrics) = monitor.get("/metrics", "");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    for (sample, wanted) in [
        (r#"mixcord_up{process="gateway"}"#, 1.0),
        (r#"mixcord_up{process="cache"}"#, 1.0),
        (r#"mixcord_shard_state{shard="1",shards="2",state="connected"}"#, 1.0),
        (r#"mixcord_shard_state{shard="1",shards="2",state="resuming"}"#, 0.0),
        (r#"mixcord_shard_heartbeat_latency_seconds{shard="0",shards="2"}"#, 0.041),
        (r#"mixcord_shard_identifies_total{shard="0",shards="2"}"#, 3.0),
        (r#"mixcord_shard_last_close_code{shard="0",shards="2"}"#, 4009.0),
        (r#"mixcord_gaps_total{by="gateway",reason="hole"}"#, 2.0),
        (r#"mixcord_gaps_total{by="cache",reason="state_lost"}"#, 1.0),
        ("mixcord_identify_remaining", 990.0),
        (r#"mixcord_ring_records_total{ring="out"}"#, 1.0),
        (r#"mixcord_group_lag_records{ring="shard-0-2",group="cache"}"#, 0.0),
        (r#"mixcord_events_total{kind="MESSAGE_CREATE"}"#, 1.0),
        ("mixcord_cache_batches_total", 9.0),
        (r#"mixcord_cache_commit_duration_seconds_bucket{le="5e-05"}"#, 0.0),
        (r#"mixcord_cache_commit_duration_seconds_bucket{le="0.0001"}"#, 1.0),
        (r#"mixcord_cache_commit_duration_seconds_bucket{le="+Inf"}"#, 1.0),
        (
            r#"mixcord_pause_duration_seconds_bucket{process="gateway",cause="work",le="0.0025"}"#,
            0.0,
        ),
        (
            r#"mixcord_pause_duration_seconds_bucket{process="gateway",cause="work",le="0.005"}"#,
            2.0,
        ),
        (r#"mixcord_pause_duration_seconds_count{process="gateway",cause="late"}"#, 0.0),
        (r#"mixcord_pause_duration_seconds_sum{process="cache",cause="late"}"#, 0.04),
    ] {
        assert!((value(&metrics, sample) - wanted).abs() < 1e-9, "{sample}");
    }
    let age = value(&metrics, r#"mixcord_shard_session_age_seconds{shard="0",shards="2"}"#);
    assert!((5.0..600.0).contains(&age), "{age}");
    let (head, open) =
        monitor.get("/metrics", "Accept: application/openmetrics-text;version=1.0.0\r\n");
    assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(open.ends_with("# EOF\n"), "{open}");
    lint(&metrics);
}

#[test]
fn every_metric_is_explained_and_no_label_grows() {
    let rig = Rig::new();
    let _rings = furnished(&rig);
    let _others = (
        rig.stage("spam", &of_a_stage()),
        rig.proxy(&of_a_proxy()),
        rig.bridge(&of_a_bridge("receive")),
    );
    let (_, metrics) = Monitor::start(&rig, Limits::default()).get("/metrics", "");
    let known = [
        "shard", "shards", "state", "ring", "group", "kind", "by", "reason", "resource", "process",
        "le", "version", "stage", "outcome", "listen", "cause", "end", "stream", "role", "gateway",
    ];
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_once(['{', ' ']).expect("a sample");
        let family =
            name.trim_end_matches("_bucket").trim_end_matches("_sum").trim_end_matches("_count");
        assert!(metrics.contains(&format!("# HELP {family} ")), "{name} has no HELP");
        assert!(metrics.contains(&format!("# TYPE {family} ")), "{name} has no TYPE");
        let labels = rest.rsplit_once('}').map_or("", |(labels, _)| labels);
        for label in labels.split("\",").filter(|label| !label.is_empty()) {
            let name = label.split('=').next().expect("a name");
            assert!(known.contains(&name), "{name} in {line}");
        }
    }
}

#[test]
fn health_readiness_and_status() {
    let rig = Rig::new();
    let mut rings = furnished(&rig);
    let monitor = Monitor::start(&rig, Limits::default());
    assert_eq!(monitor.get("/healthz", "").1, "ok\n");
    assert_eq!(monitor.get("/readyz", "").1, "ready\n");
    let status: serde_json::Value =
        serde_json::from_str(&monitor.get("/api/status", "").1).expect("JSON");
    let names = |status: &serde_json::Value| {
        let rings = status["rings"].as_array().expect("rings");
        rings.iter().map(|ring| ring["name"].clone()).collect::<Vec<_>>()
    };
    let now = serde_json::to_value(overview(&rig)).expect("JSON");
    assert_eq!(names(&status), names(&now));
    assert_eq!(status["rings"][0]["shard"]["state"], "connected");
    rings.pop();
    let (head, why) = loop {
        let answer = monitor.get("/readyz", "");
        // A look of a moment ago may still be told.
        if answer.1 != "ready\n" {
            break answer;
        }
    };
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(why.contains("mixcord-cache does not run\n  mixcord-cache --instance "), "{why}");
}

fn overview(rig: &Rig) -> Overview {
    rig.overview()
}

#[test]
fn only_known_paths_methods_and_names_are_answered() {
    let rig = Rig::new();
    let monitor = Monitor::start(&rig, Limits::default());
    let status = |request: &str| {
        let (head, body) = monitor.raw(request);
        (head.split(' ').nth(1).unwrap_or_default().to_owned(), body)
    };
    let of = |line: &str, more: &str| status(&format!("{line}\r\nConnection: close\r\n{more}\r\n"));
    for (path, kind) in [("/", "html"), ("/style.css", "css"), ("/page.js", "javascript")] {
        let (head, body) = monitor.get(path, "");
        assert!(
            head.starts_with("HTTP/1.1 200") && head.contains(kind) && !body.is_empty(),
            "{head}"
        );
        assert!(head.contains("default-src 'none'"), "{head}");
        let foreign = ["http://", "https://", "//cdn", "@import"];
        let body = body.replace("http://www.w3.org/2000/svg", "");
        assert!(!foreign.iter().any(|it| body.contains(it)), "{path} is not self-contained");
    }
    assert_eq!(of("GET /secret HTTP/1.1", "Host: localhost\r\n").0, "404");
    assert_eq!(of("GET /../etc/passwd HTTP/1.1", "Host: localhost\r\n").0, "404");
    assert_eq!(of("POST /metrics HTTP/1.1", "Host: localhost\r\nContent-Length: 0\r\n").0, "405");
    assert_eq!(of("GET /metrics HTTP/1.1", "Host: evil.example\r\n").0, "421");
    let (code, body) = of("HEAD /metrics HTTP/1.1", "Host: localhost\r\n");
    assert_eq!((code.as_str(), body.as_str()), ("200", ""));
}

#[test]
fn p8_hostile_requests_cost_their_connection_and_nothing_else() {
    let rig = Rig::new();
    let limits = Limits { connections: 3, request: Duration::from_secs(1), ..Limits::default() };
    let monitor = Monitor::start(&rig, limits);
    let long = "x".repeat(64 << 10);
    let many: String = (0..200).map(|number| format!("x{number}: y\r\n")).collect();
    for request in [
        "\0\0\0\0\r\n\r\n".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nx: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n"),
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n".to_owned(),
        // It never comes to its end.
        "GET / HTTP/1.1\r\nHost: local".to_owned(),
    ] {
        let (head, _) = monitor.raw(&request);
        assert!(!head.starts_with("HTTP/1.1 200"), "{:.60}: {head}", request);
        assert_eq!(monitor.get("/healthz", "").1, "ok\n");
    }
    // Who says nothing gives place to others, however many they are.
    let silent: Vec<_> = (0..20).map(|_| monitor.connect()).collect();
    assert_eq!(monitor.get("/healthz", "").1, "ok\n");
    drop(silent);
}

#[test]
fn a_page_is_told_what_was_and_what_is() {
    let rig = Rig::new();
    let _rings = furnished(&rig);
    let monitor = Monitor::start(&rig, Limits::default());
    let mut stream = monitor.connect();
    stream.write_all(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
    let mut lines =
        BufReader::new(stream.try_clone().expect("a handle")).lines().map_while(Result::ok);
    let mut next = |event: &str| -> serde_json::Value {
        let wanted = format!("event: {event}");
        lines.find(|line| *line == wanted).expect("it comes");
        let data = lines.next().expect("its data");
        serde_json::from_str(data.strip_prefix("data: ").expect("data")).expect("JSON")
    };
    assert_eq!(next("about")["show_events"], true);
    assert!(next("history").is_array());
    assert!(next("gaps").is_array());
    let frame = next("frame");
    assert_eq!(
        (&frame["instance"], &frame["gateway"]),
        (&rig.instance.as_str().into(), &true.into())
    );
    let shards = frame["shards"].as_array().expect("shards");
    assert_eq!(shards.len(), 2);
    assert_eq!(shards[1][0], serde_json::json!([1, 2, "connected", 1]));
    assert_eq!(frame["rings"][0]["name"], "out");
    assert_eq!(frame["findings"], serde_json::json!([]));
    assert!(next("frame")["at"].as_f64() > frame["at"].as_f64(), "it goes on");
    let _ = stream.shutdown(Shutdown::Both);
}
