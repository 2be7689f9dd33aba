//! The SDK's test kit against the real thing: a state made of the `GUILD_CREATE`s that a consumer gets is the state
//! that the cache made of them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use mixcord::state::Resource;
use mixcord::testing::Testbed;
use mixcord::{Consumer, Kind, Next, State};
use mixcord_e2e::{Fake, FakeOptions, Stack, until};
use serde_json::Value as Json;

const PATIENCE: Duration = Duration::from_secs(60);

/// Every entity of a resource, by owner and id.
fn all(state: &State, resource: Resource) -> Result<BTreeMap<(u64, u64), Json>> {
    let found = state.entities(resource).map(|found| {
        let found = found?;
        let entity = serde_json::from_str(&found.document.to_json())?;
        Ok(((found.owner, found.id), entity))
    });
    found.collect()
}

#[test]
fn a_state_of_guild_creates_is_the_caches() -> Result<()> {
    let stack = Stack::new()?;
    let options = FakeOptions { shards: 1, guilds: 8, events: 0, ..FakeOptions::default() };
    let fake = Fake::start(stack.folder(), &options)?;
    let _cache = stack.cache(&[])?;
    let observer = Consumer::builder().instance(stack.instance()).observer().from_earliest();
    let mut observer = observer.names(["GUILD_CREATE"]).connect_blocking()?;
    let _gateway = stack.gateway(&fake, "1", &[])?;
    let bed = Testbed::new();
    for _ in 0..options.guilds {
        let Next::Event(event) = observer.next_timeout(PATIENCE)? else {
            anyhow::bail!("a GUILD_CREATE is missing")
        };
        ensure!(event.kind() == Kind::GUILD_CREATE, "{event:?}");
        bed.guild(event.data().to_json());
    }
    let (real, made) = (State::attach(stack.instance())?, bed.state());
    until("all guilds to be cached", PATIENCE, || {
        real.count(Resource::Guilds).is_ok_and(|count| count == u64::from(options.guilds))
    })?;
    let mut compared = 0;
    for &resource in Resource::ALL {
        let (real, made) = (all(&real, resource)?, all(&made, resource)?);
        // The bot itself is a user of the cache's, whatever guilds list.
        let real = real
            .into_iter()
            .filter(|(key, _)| resource != Resource::Users || made.contains_key(key));
        for (key, entity) in real {
            let own = made.get(&key);
            ensure!(own == Some(&entity), "{} {key:?}:\n{entity:#}\n{own:#?}", resource.name());
            compared += 1;
        }
    }
    ensure!(compared > 500, "only {compared} entities were there");
    for found in real.entities(Resource::Members).take(200) {
        let found = found?;
        for channel in real.channels(found.owner) {
            let channel = channel?.id;
            let ask = |state: &State| state.permissions(found.owner, channel, found.id);
            ensure!(ask(&real)? == ask(&made)?, "permissions of {} in {channel}", found.id);
        }
        let highest = |state: &State| state.highest_role(found.owner, found.id);
        ensure!(highest(&real)? == highest(&made)?, "highest role of {}", found.id);
        let facts = |state: &State| state.member_counts(found.owner);
        ensure!(facts(&real)? == facts(&made)?, "counts of {}", found.owner);
    }
    Ok(())
}
