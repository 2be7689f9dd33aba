//! What cannot work: one clear line, exit code 78, nothing left behind.

use std::path::PathBuf;

use crate::harness::{Fake, Gateway, Instance, until};

fn refused(instance: &Instance, mut gateway: Gateway, about: &str) {
    let status = gateway.wait();
    let log = gateway.log();
    assert_eq!(status.code(), Some(78), "{log}");
    let last = log.lines().last().unwrap_or_default();
    assert!(last.starts_with("mixcord-gateway: ") && last.contains(about), "{log}");
    assert_eq!(instance.segments(), Vec::<PathBuf>::new(), "segments were left behind");
}

#[test]
fn a_wrong_token() {
    let fake = Fake::start(|config| config.token = Some("another".into()));
    let instance = Instance::new();
    refused(&instance, instance.start(&fake.api_url(), &[]), "token");
    assert!(fake.logged("identify").is_empty());
}

#[test]
fn no_token() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let mut command = instance.command();
    command.env_remove("DISCORD_TOKEN").args(["--api-url", &fake.api_url()]);
    refused(&instance, instance.spawn(command), "DISCORD_TOKEN");
}

/// 4014 and 4013, from the websocket.
#[test]
fn refused_intents() {
    let fake = Fake::start(|config| config.no_privileged_intents = true);
    let instance = Instance::new();
    refused(&instance, instance.start(&fake.api_url(), &["--intents", "ALL"]), "4014");
    let instance = Instance::new();
    refused(&instance, instance.start(&fake.api_url(), &["--intents", "262144"]), "4013");
}

/// Discord takes 4,096 bytes (G-30): what could never identify is not tried.
#[test]
fn g30_a_presence_too_long_to_identify_with() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let name = "x".repeat(5000);
    let presence = format!(r#"{{"status":"online","activities":[{{"name":"{name}","type":0}}]}}"#);
    refused(&instance, instance.start(&fake.api_url(), &["--presence", &presence]), "--presence");
    assert!(fake.logged("connect").is_empty());
}

#[test]
fn too_little_shared_memory() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let gateway = instance.start(&fake.api_url(), &["--ring-bytes", "64TiB"]);
    refused(&instance, gateway, "--ring-bytes");
}

#[test]
fn an_address_that_is_no_api() {
    let fake = Fake::start(|_| {});
    let instance = Instance::new();
    let gateway = instance.start(&format!("{}/nothing", fake.api_url()), &[]);
    refused(&instance, gateway, "--api-url");
}

#[test]
fn shards_that_run_already() {
    let fake = Fake::start(|config| config.shards = 4);
    let instance = Instance::new();
    let mut first = instance.start(&fake.api_url(), &["--shards", "0..1/4"]);
    until("the first two shards", || fake.logged("identify").len() == 2);
    let before = instance.segments();
    let mut second = instance.start(&fake.api_url(), &["--shards", "1..2/4"]);
    assert_eq!(second.wait().code(), Some(78));
    assert!(second.log().contains("shard 1"), "{}", second.log());
    assert_eq!(instance.segments(), before, "the refused start left something behind");
    assert!(first.is_running());
    let third = instance.start(&fake.api_url(), &["--shards", "2..3/4"]);
    until("all four shards", || fake.logged("identify").len() == 4);
    drop(third);
}

/// §15 line 13, G-16: not one identify when the budget does not last for all.
#[test]
fn g16_a_budget_that_is_used_up() {
    let fake = Fake::start(|config| config.identifies = 1);
    let instance = Instance::new();
    let mut gateway = instance.start(&fake.api_url(), &[]);
    assert_eq!(gateway.wait().code(), Some(1));
    assert!(gateway.log().contains("minutes"), "{}", gateway.log());
    assert!(fake.logged("identify").is_empty());
    assert_eq!(instance.segments(), Vec::<PathBuf>::new());
}
