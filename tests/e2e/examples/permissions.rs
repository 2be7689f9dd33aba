//! How long `state.permissions` takes, of a member with 10 roles in a channel with 20 overwrites, beside a query for
//! one entity. `cargo run --release -p mixcord-e2e --example permissions`, behind `cargo build --release --bins`.

use std::time::Instant;

use anyhow::{Context, Result};
use mixcord::State;
use mixcord::state::Error;
use mixcord_e2e::{Shard, Stack, until};
use serde_json::json;

const GUILD: u64 = 100;
const CHANNEL: u64 = 200;
const USER: u64 = 1000;
/// Roles of the guild and of the member, and overwrites of the channel.
const ROLES: (u64, u64, u64) = (100, 10, 20);
const ROUNDS: u32 = 200_000;

fn main() -> Result<()> {
    let stack = Stack::new()?;
    let mut shard = Shard::new(&stack)?;
    let (of_guild, of_member, overwrites) = ROLES;
    let role = |id: u64| json!({"id": id.to_string(), "name": format!("role {id}"), "permissions": "1024", "position": id});
    let roles: Vec<_> = (GUILD..GUILD + of_guild).map(role).collect();
    let held: Vec<_> = (1..=of_member).map(|at| (GUILD + at).to_string()).collect();
    let overwrite =
        |at: u64| json!({"id": (GUILD + at).to_string(), "type": 0, "allow": "2048", "deny": "0"});
    let overwrites: Vec<_> = (0..overwrites).map(overwrite).collect();
    let user = json!({"id": USER.to_string(), "username": "ada"});
    let guild = json!({
        "id": GUILD.to_string(), "name": "guild", "owner_id": "1", "roles": roles,
        "emojis": (0..100).map(|id| json!({"id": id.to_string(), "name": "emoji"})).collect::<Vec<_>>(),
        "channels": [{"id": CHANNEL.to_string(), "type": 0, "permission_overwrites": overwrites}],
        "members": [{"user": user, "roles": held}],
    });
    shard.send("READY", 0, &json!({"user": {"id": "1", "username": "bot"}, "guilds": []}))?;
    shard.send("GUILD_CREATE", GUILD, &guild)?;
    let _cache = stack.cache(&[])?;
    let state = State::attach(stack.instance())?;
    until("the guild to be cached", std::time::Duration::from_secs(60), || {
        state.channel(CHANNEL).is_ok_and(|channel| channel.is_some())
    })?;
    let held = state.permissions(GUILD, CHANNEL, USER)?.context("all is cached")?;
    println!("it may: {held}");
    time("one member", || state.member(GUILD, USER).map(drop))?;
    time("permissions in the channel", || state.permissions(GUILD, CHANNEL, USER).map(drop))?;
    time("permissions in the guild", || state.permissions_in_guild(GUILD, USER).map(drop))?;
    time("the guild, composed", || state.guild(GUILD).map(drop))?;
    Ok(())
}

/// The CPU time of this thread for a call, in the best of five rounds: others share the machine.
fn time(what: &str, mut call: impl FnMut() -> Result<(), Error>) -> Result<()> {
    let mut best = f64::MAX;
    for _ in 0..5 {
        let (began, wall) = (cpu()?, Instant::now());
        for _ in 0..ROUNDS / 5 {
            call()?;
        }
        let spent = (cpu()? - began).min(wall.elapsed());
        best = best.min(spent.as_secs_f64() * 1e6 / f64::from(ROUNDS / 5));
    }
    println!("{what}: {best:.2} µs");
    Ok(())
}

fn cpu() -> Result<std::time::Duration> {
    use nix::time::{ClockId, clock_gettime};
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}
