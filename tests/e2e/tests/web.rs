//! The live page in a real browser: it shows what `mixcord ls --json` says, also while shards die.
//!
//! `scripts/test.sh web` runs it where Chromium can be had. `MIXCORD_SCREENSHOTS` names a folder for pictures.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use mixcord_e2e::{Browser, Fake, FakeOptions, Program, Stack, until};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(90);
const SHARDS: u16 = 8;

/// Shard and state, group and what it is behind and by whom it is read: as the page has it, and as `ls` does.
#[derive(Debug, PartialEq, Default)]
struct Shown {
    shards: BTreeMap<String, String>,
    groups: BTreeMap<String, (u64, u64)>,
}

fn on_page(browser: &Browser) -> Result<Shown> {
    let page = browser.run(
        "const all = (selector, of) => [...document.querySelectorAll(selector)].map(it => of(it.dataset));
         return {shards: all('.cell', it => [it.shard, it.state]),
                 groups: all('.row.group', it => [it.group, Number(it.lag), Number(it.members)])};",
    )?;
    let rows = |name: &str| page[name].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let number = |value: &Value| value.as_u64().unwrap_or(u64::MAX);
    Ok(Shown {
        shards: rows("shards").iter().map(|row| (text(&row[0]), text(&row[1]))).collect(),
        groups: rows("groups")
            .iter()
            .map(|row| (text(&row[0]), (number(&row[1]), number(&row[2]))))
            .collect(),
    })
}

fn in_ls(stack: &Stack) -> Result<Shown> {
    let mut shown = Shown::default();
    let listing = stack.ls()?;
    for ring in listing["rings"].as_array().context("rings")? {
        let name = ring["name"].as_str().context("a name")?;
        if let Some(shard) = name.strip_prefix("shard-") {
            let told = ring["shard"]["state"].as_str().unwrap_or("unknown");
            let alive = ring["producer_alive"] == true;
            let state = if alive || told == "stopped" { told } else { "gone" };
            shown.shards.insert(shard.to_owned(), state.to_owned());
        } else {
            for group in ring["groups"].as_array().context("groups")? {
                let figures =
                    (group["lag"].as_u64().unwrap_or(0), group["members"].as_u64().unwrap_or(0));
                shown.groups.insert(group["name"].as_str().context("a name")?.to_owned(), figures);
            }
        }
    }
    Ok(shown)
}

/// Both say the same, and it is so.
fn agree(
    stack: &Stack,
    browser: &Browser,
    what: &str,
    is_so: impl Fn(&Shown) -> bool,
) -> Result<()> {
    let agreed = until(what, PATIENCE, || {
        let (page, listed) = (on_page(browser), in_ls(stack));
        matches!((page, listed), (Ok(page), Ok(listed)) if page == listed && is_so(&page))
    });
    agreed.with_context(|| format!("page {:?}, ls {:?}", on_page(browser), in_ls(stack)))
}

fn all_connected(shown: &Shown) -> bool {
    shown.shards.len() == usize::from(SHARDS)
        && shown.shards.values().all(|state| state == "connected")
}

fn text(browser: &Browser, selector: &str) -> Result<String> {
    let script = format!("return document.querySelector('{selector}')?.innerText ?? ''");
    Ok(browser.run(&script)?.as_str().unwrap_or_default().to_owned())
}

fn monitor(stack: &Stack) -> Result<(Program, String)> {
    let mut command = stack.mixcord();
    command.args([
        "monitor",
        "--instance",
        stack.instance(),
        "--listen",
        "127.0.0.1:0",
        "--show-events",
    ]);
    let monitor = Program::start("monitor", stack.folder(), &mut command)?;
    let url = || monitor.stdout().lines().next()?.strip_prefix("listening on ").map(str::to_owned);
    until("the monitor to listen", PATIENCE, || url().is_some())?;
    let url = url().context("an address")?;
    Ok((monitor, url))
}

/// The page in its four looks, where somebody wants pictures.
fn pictures(browser: &Browser) -> Result<()> {
    for (name, width, height, phone, dark) in [
        ("monitor-phone", 390, 2_000, true, false),
        ("monitor-dark", 1_280, 1_300, false, true),
        ("monitor-light", 1_280, 1_300, false, false),
    ] {
        browser.look_like(width, height, phone, dark)?;
        let wide = browser.run("return document.documentElement.scrollWidth <= innerWidth")?;
        assert_eq!(wide, true, "{name}: nobody wants to scroll sideways");
        if let Some(folder) = std::env::var_os("MIXCORD_SCREENSHOTS") {
            let at = browser.run("return document.body.dataset.at")?;
            let moved =
                || browser.run("return document.body.dataset.at").is_ok_and(|now| now != at);
            until("the next look", PATIENCE, moved)?;
            browser.picture(&PathBuf::from(folder).join(format!("{name}.png")))?;
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs Chromium: scripts/test.sh web"]
fn the_page_shows_what_ls_says_also_while_shards_die() -> Result<()> {
    let stack = Stack::new()?;
    let more = ["--identify-seconds", "0.1"].map(str::to_owned).to_vec();
    let options = FakeOptions {
        shards: SHARDS,
        events: 1_000_000,
        rate: 200,
        more,
        ..FakeOptions::default()
    };
    let fake = Fake::start(stack.folder(), &options)?;
    let spacing = ["--identify-spacing-ms", "150", "--ring-bytes", "256KiB"];
    let _first = stack.gateway(&fake, "0..3/8", &spacing)?;
    let second = stack.gateway(&fake, "4..7/8", &spacing)?;
    let _cache = stack.cache(&["--output-bytes", "4MiB", "--output-slots", "8192"])?;
    let _tail = stack.tail(&["--group", "bot", "--from", "earliest"])?;
    let (mut monitor, url) = monitor(&stack)?;
    let browser = Browser::start(stack.folder())?;
    browser.look_like(1_280, 1_300, false, false)?;
    browser.open(&url)?;
    let busy = || {
        text(&browser, "#arrow-in b")
            .is_ok_and(|rate| rate.parse::<f64>().is_ok_and(|rate| rate > 0.0))
    };
    until("events to flow on the page", PATIENCE, busy)?;
    until("an update to be shown", PATIENCE, || {
        text(&browser, "#updates").is_ok_and(|it| it.contains('→'))
    })?;
    pictures(&browser)?;

    fake.post("/fake/pause")?;
    let idle = |shown: &Shown| all_connected(shown) && shown.groups.get("bot") == Some(&(0, 1));
    agree(&stack, &browser, "all to be connected and handled", idle)?;
    until("the page to say that all is well", PATIENCE, || {
        text(&browser, "#verdict").is_ok_and(|verdict| verdict == "all is well")
    })?;

    second.kill()?;
    agree(&stack, &browser, "half of the shards to be gone", |shown| {
        let gone =
            |number: u16| shown.shards.get(&format!("{number}-8")).is_some_and(|it| it == "gone");
        (0..SHARDS).all(|number| gone(number) == (number >= 4))
    })?;
    let told =
        || text(&browser, "#findings").is_ok_and(|it| it.contains("4 of the 8 shards' rings"));
    until("the page to say so", PATIENCE, told)?;
    let command = format!("mixcord-gateway --instance {}", stack.instance());
    assert!(text(&browser, "#findings code")?.contains(&command));

    let _again = stack.gateway(&fake, "4..7/8", &spacing)?;
    agree(&stack, &browser, "all to be back", all_connected)?;
    assert_eq!(browser.complaints()?, Vec::<String>::new());
    assert!(monitor.is_running());
    assert_eq!(monitor.terminate(PATIENCE)?.code, Some(0));
    Ok(())
}
