//! `mixcord cache export` and `mixcord cache stats`, as an operator meets them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};

use anyhow::{Context, Result};
use mixcord_e2e::Stack;
use mixcord_e2e::furnish::{MEMBERS, furnished};
use serde_json::{Value, json};

fn run(stack: &Stack, arguments: &[&str]) -> Result<Output> {
    let mut command = stack.mixcord();
    Ok(command.arg("cache").args(arguments).args(["--instance", stack.instance()]).output()?)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn lines(output: &Output) -> Result<Vec<Value>> {
    text(&output.stdout).lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

#[test]
fn export_prints_every_entity_of_every_resource_whether_the_cache_runs_or_not() -> Result<()> {
    let stack = Stack::new()?;
    let (_shard, cache, _) = furnished(&stack, &[])?;
    let live = run(&stack, &["export"])?;
    assert_eq!(live.status.code(), Some(0), "{live:?}");
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for line in lines(&live)? {
        *counts.entry(line["resource"].as_str().context("a name")?.to_owned()).or_default() += 1;
    }
    let wanted = json!({
        "automod_rules": 1, "channels": 2, "emojis": 2, "guilds": 1, "integrations": 1, "me": 1,
        "members": MEMBERS, "messages": 20, "presences": 1, "roles": 2, "scheduled_events": 1,
        "soundboard_sounds": 1, "stage_instances": 1, "stickers": 1, "threads": 1,
        "users": MEMBERS, "voice_states": 1,
    });
    assert_eq!(serde_json::to_value(&counts)?, wanted);
    cache.kill()?;
    assert_eq!(run(&stack, &["export"])?.stdout, live.stdout);
    Ok(())
}

#[test]
fn export_says_whose_an_entity_is() -> Result<()> {
    let stack = Stack::new()?;
    let (_shard, _cache, _) = furnished(&stack, &[])?;
    let export = |resource| lines(&run(&stack, &["export", "--resource", resource])?);
    let first = |resource| export(resource).map(|lines| lines[0].clone());
    let message = first("messages")?;
    assert_eq!((&message["channel_id"], &message["id"]), (&json!("200"), &json!("1")));
    assert_eq!(message["data"]["content"], json!("text 1"));
    let state = first("voice_states")?;
    assert_eq!((&state["guild_id"], &state["id"]), (&json!("100"), &json!("1002")));
    let emoji = first("emojis")?;
    assert_eq!(emoji["guild_id"], json!("100"));
    assert_eq!(emoji["data"], json!({"id": "400", "name": "emoji"}));
    let user = first("users")?;
    let wanted =
        json!({"resource": "users", "id": "1000", "data": {"id": "1000", "username": "user 1000"}});
    assert_eq!(user, wanted);
    let both = export("roles,threads")?;
    let resources: Vec<_> = both.iter().map(|line| line["resource"].clone()).collect();
    assert_eq!(resources, [json!("roles"), json!("roles"), json!("threads")]);
    Ok(())
}

#[test]
fn export_ends_quietly_when_nobody_reads() -> Result<()> {
    let stack = Stack::new()?;
    let (_shard, _cache, _) = furnished(&stack, &[])?;
    let mut command = stack.mixcord();
    command.args(["cache", "export", "--instance", stack.instance()]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut output = BufReader::new(child.stdout.take().context("its output")?);
    output.read_line(&mut String::new())?;
    drop(output);
    let end = child.wait_with_output()?;
    assert_eq!((end.status.code(), text(&end.stderr).as_str()), (Some(0), ""));
    Ok(())
}

#[test]
fn stats_count_entities_and_bytes_for_programs_and_for_people() -> Result<()> {
    let stack = Stack::new()?;
    let (_shard, _cache, _) = furnished(&stack, &[])?;
    let output = run(&stack, &["stats", "--json"])?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let stats: Value = serde_json::from_slice(&output.stdout)?;
    let number = |value: &Value| value.as_u64().context("a number");
    let of = |name: &str| {
        let all = stats["resources"].as_array().into_iter().flatten();
        all.into_iter().find(|it| it["resource"] == name).cloned().unwrap_or_default()
    };
    assert_eq!(of("members")["entities"], json!(MEMBERS));
    assert_eq!(of("emojis")["entities"], json!(2));
    let bytes = number(&of("members")["bytes"])?;
    assert!(bytes > MEMBERS * 20 && bytes < number(&stats["used_bytes"])?, "{stats}");
    for resource in stats["resources"].as_array().context("resources")? {
        let of = |what: &str| number(&resource[what]);
        assert!(of("raw_bytes")? >= of("stored_bytes")?, "{resource}");
        assert_eq!(of("stored_bytes")? + of("overhead_bytes")?, of("bytes")?, "{resource}");
    }
    let members = of("members");
    assert!(number(&members["raw_bytes"])? > MEMBERS * 10, "{members}");
    let (used, free) = (number(&stats["used_bytes"])?, number(&stats["free_bytes"])?);
    assert_eq!(number(&stats["file_bytes"])?, used + free);

    let table = text(&run(&stack, &["stats"])?.stdout);
    for word in ["members", "700", "raw", "stored", "overhead", "file", "used", "free", "commits"] {
        assert!(table.contains(word), "{word} is missing in {table}");
    }
    assert!(!table.contains('\x1b'), "colours in a pipe");
    Ok(())
}

#[test]
fn without_a_state_one_line_says_what_to_do() -> Result<()> {
    let stack = Stack::new()?;
    let refused = |arguments: &[&str], code: i32, says: &str| -> Result<()> {
        let output = run(&stack, arguments)?;
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(says) && said.lines().count() == 1, "{arguments:?}: {said}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
        Ok(())
    };
    for command in ["export", "stats"] {
        refused(&[command], 1, "start mixcord-cache")?;
    }
    assert!(stack.segments().is_empty(), "asking left something behind");
    let _cache = stack.cache(&["--store", "none"])?;
    mixcord_e2e::until("the cache to be ready", std::time::Duration::from_secs(30), || {
        run(&stack, &["stats"]).is_ok_and(|output| text(&output.stderr).contains("--store none"))
    })?;
    for command in ["export", "stats"] {
        refused(&[command], 1, "--store none")?;
    }
    refused(&["export", "--resource", "cats"], 78, "cats")?;
    refused(&["export", "--resource", ""], 78, "no resource")?;
    refused(&["stats", "--nonsense"], 78, "--nonsense")
}
