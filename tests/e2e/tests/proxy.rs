//! mixcord-proxy: what its clients are told, whatever dies on the way.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use mixcord::State;
use mixcord::state::Resource;
use mixcord_e2e::{
    Client, Dispatch, Fake, FakeOptions, Program, Said, Stack, TOKEN, View, differences, until,
};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(120);
/// Every documented intent.
const ALL: u64 = 53_608_447;

/// An instance under load, with a proxy.
struct Rig {
    fake: Fake,
    _gateway: Program,
    cache: Option<Program>,
    proxy: Option<Program>,
    address: String,
    stack: Stack,
}

impl Rig {
    fn new(options: &FakeOptions, proxy: &[&str]) -> Result<Self> {
        let stack = Stack::new()?;
        let fake = Fake::start(stack.folder(), options)?;
        let gateway = stack.gateway(&fake, "auto", &["--large-threshold", "250"])?;
        let cache = stack.cache(&[])?;
        let (proxy, address) = stack.proxy(proxy)?;
        let (cache, proxy) = (Some(cache), Some(proxy));
        Ok(Self { fake, _gateway: gateway, cache, proxy, address, stack })
    }

    fn socket(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// A proxy in the place of one that is killed.
    fn kill_proxy(&mut self) -> Result<()> {
        let killed = self.proxy.take().context("a proxy")?;
        killed.kill()?;
        let address = self.address.clone();
        let (proxy, _) = self.stack.proxy(&["--listen", &address])?;
        self.proxy = Some(proxy);
        Ok(())
    }

    fn kill_cache(&mut self) -> Result<()> {
        self.cache.take().context("a cache")?.kill()?;
        self.cache = Some(self.stack.cache(&[])?);
        Ok(())
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

fn options(events: u64, rate: u64) -> FakeOptions {
    FakeOptions { shards: 2, guilds: 12, members: 20, events, rate, ..FakeOptions::default() }
}

/// What a tail printed of Discord's own events, in order, as a client of all intents is sent them.
fn printed(tail: &Program) -> Result<Vec<(String, Value)>> {
    let mut found = Vec::new();
    for line in tail.stdout().lines() {
        let mut line: Value = serde_json::from_str(line)?;
        let kind = line["kind"].as_str().unwrap_or_default().to_owned();
        let own = matches!(kind.as_str(), "READY" | "RESUMED" | "SHARD_STATE" | "GAP" | "LOST");
        let derived = line["index"] != json!(0) && kind != "GUILD_DELETE";
        // Both of Discord's shards tell it; a client of one shard is told once.
        let again = kind == "USER_UPDATE" && line["shard"] != json!(0);
        if !own && !derived && !again {
            found.push((kind, line["data"].take()));
        }
    }
    Ok(found)
}

/// Reads until the session has had `count` events that are in the ring.
async fn read(client: &mut Client, seen: &mut Vec<Dispatch>, count: usize) -> Result<()> {
    while seen.len() < count {
        let dispatch = client.dispatch().await?;
        if dispatch.name != "RESUMED" {
            seen.push(dispatch);
        }
    }
    Ok(())
}

#[test]
fn a_session_goes_on_exactly_where_it_was_through_kills_of_everybody() -> Result<()> {
    let mut rig = Rig::new(&options(6_000, 1_500), &[])?;
    // However late the client comes, it finds as many events as it wants.
    rig.fake.post("/fake/pause")?;
    let tail = rig.stack.tail(&["--group", "oracle", "--from", "earliest"])?;
    let seen = runtime()?.block_on(async {
        let mut client = Client::connect(&rig.socket()).await?;
        let ready = client.identify(TOKEN, ALL, json!({})).await?;
        rig.fake.post("/fake/resume")?;
        let guilds = ready["guilds"].as_array().map_or(0, Vec::len);
        let mut seen = Vec::new();
        read(&mut client, &mut seen, guilds + 500).await?;
        for round in 0..6 {
            let kept = client.kept.clone();
            match round % 3 {
                0 => rig.kill_proxy()?,
                1 => rig.kill_cache()?,
                // The client dies without a word, and its library kept what it needs.
                _ => {}
            }
            drop(client);
            client = Client::resume(&rig.socket(), TOKEN, &kept).await?;
            let count = seen.len() + 400;
            read(&mut client, &mut seen, count).await?;
        }
        // To the end: what the world does is over, and the tail has all of it.
        rig.fake.until_finished(DEADLINE)?;
        let whole = rig.fake.journal()?.len();
        until("the tail to have all", DEADLINE, || {
            tail.stdout().lines().filter(|line| line.contains("\"index\":0")).count() >= whole
        })?;
        let last = printed(&tail)?.pop().context("events")?;
        while seen.last().map(|last| (&last.name, &last.data)) != Some((&last.0, &last.1)) {
            let count = seen.len() + 1;
            read(&mut client, &mut seen, count).await?;
        }
        anyhow::Ok((seen, guilds))
    });
    let (seen, guilds) = seen?;
    let expected = printed(&tail)?;
    // Behind its start a session has exactly the events of the ring.
    let got: Vec<_> =
        seen.into_iter().skip(guilds + 200).map(|seen| (seen.name, seen.data)).collect();
    let first = got.first().context("events")?;
    let from = expected.iter().position(|event| event == first).context("a first event")?;
    for (at, (got, expected)) in got.iter().zip(&expected[from..]).enumerate() {
        ensure!(got == expected, "event {at} of {}: {got:?} is not {expected:?}", expected.0);
    }
    ensure!(
        expected.len() - from == got.len(),
        "{} are missing",
        expected.len() - from - got.len()
    );
    ensure!(got.len() > 2_500, "only {} events", got.len());
    Ok(())
}

/// The client is Mixcord itself: a second gateway and cache, whose gateway is the proxy. What its cache has at the
/// end has to be the world.
#[test]
fn clients_that_begin_in_the_midst_of_changes_have_the_world_at_the_end() -> Result<()> {
    const MIX: &str = "presence=100,message=50,voice=60,member-update=80,member-add=40,member-remove=40,\
        user-rename=10,role-update=20,role-create=10,role-delete=10,channel-update=20,channel-create=20,\
        channel-delete=20,thread-create=10,thread-update=10,thread-delete=5,emojis=5,stickers=5,\
        stage-create=5,scheduled-create=5";
    const SHOWN: View = View {
        shown: &[
            Resource::Guilds,
            Resource::Roles,
            Resource::Channels,
            Resource::Threads,
            Resource::Emojis,
            Resource::Stickers,
            Resource::Members,
            Resource::Presences,
            Resource::VoiceStates,
            Resource::StageInstances,
            Resource::ScheduledEvents,
        ],
        hidden: &[],
        // A user is of several guilds, and so of several clients, whose events come in no common order.
        untold: &["user"],
    };
    let more = vec!["--mix".into(), MIX.into()];
    let world = FakeOptions {
        shards: 2,
        guilds: 200,
        members: 20,
        events: 60_000,
        rate: 10_000,
        more,
        ..FakeOptions::default()
    };
    let rig = Rig::new(&world, &["--shards", "100"])?;
    // The world moves before anybody begins.
    until("events", DEADLINE, || rig.stack.ls().is_ok_and(|ls| tail_of(&ls) > 2_000))?;
    let client = Stack::new()?;
    let api = format!("http://{}/api/v10", rig.address);
    let mut command = client.command("mixcord-gateway");
    command.env("DISCORD_TOKEN", TOKEN);
    command.args(["--api-url", &api, "--shards", "auto", "--intents", &ALL.to_string()]);
    command.args(["--large-threshold", "250", "--encoding", "etf"]);
    let _gateway = Program::start("client-gateway", client.folder(), &mut command)?;
    let _cache = client.cache(&[])?;
    rig.fake.until_finished(DEADLINE)?;
    let world = rig.fake.world()?;
    let state = State::attach(client.instance())?;
    let mut found = Vec::new();
    let equal = until("the client to have the world", DEADLINE, || {
        found = differences(&world, &state, SHOWN).unwrap_or_else(|error| vec![error.to_string()]);
        found.is_empty()
    });
    let first = found.iter().take(10).cloned().collect::<Vec<_>>().join("\n");
    equal.with_context(|| format!("{} differences, the first ones:\n{first}", found.len()))?;
    let gaps = client.ls()?;
    let lost: u64 = shards(&gaps).map(|shard| shard["gaps"].as_u64().unwrap_or(0)).sum();
    ensure!(lost == 0 && shards(&gaps).count() == 100, "{lost} gaps: {gaps}");
    Ok(())
}

fn tail_of(ls: &Value) -> u64 {
    let out = ls["rings"].as_array().into_iter().flatten().find(|ring| ring["name"] == "out");
    out.and_then(|ring| ring["tail"].as_u64()).unwrap_or(0)
}

fn shards(ls: &Value) -> impl Iterator<Item = &Value> {
    ls["rings"].as_array().into_iter().flatten().map(|ring| &ring["shard"]).filter(|s| !s.is_null())
}

/// The code that a connection closes with which says this.
async fn refused(address: &str, op: u8, data: Value) -> Result<u16> {
    let mut client = Client::connect(address).await?;
    client.send(op, data).await?;
    loop {
        match client.next().await? {
            Said::Closed(code) => return Ok(code),
            Said::Control(9, resumable) => {
                ensure!(resumable == json!(false));
                return Ok(9);
            }
            Said::Control(..) => {}
            Said::Dispatch(dispatch) => bail!("it was let in: {dispatch:?}"),
        }
    }
}

#[test]
fn what_discord_refuses_is_refused_with_its_code() -> Result<()> {
    let stack = Stack::new()?;
    let fake = Fake::start(stack.folder(), &options(0, 0))?;
    let _gateway = stack.gateway(&fake, "auto", &["--intents", "GUILDS,GUILD_MESSAGES"])?;
    let _cache = stack.cache(&[])?;
    let (proxy, address) = stack.proxy(&["--no-rest"])?;
    let address = format!("ws://{address}");
    let identify = |change: Value| {
        let mut data = json!({"token": TOKEN, "properties": {}, "intents": 1});
        for (key, value) in change.as_object().into_iter().flatten() {
            data[key] = value.clone();
        }
        data
    };
    let resume = |seq| json!({"token": TOKEN, "session_id": "0".repeat(32), "seq": seq});
    runtime()?.block_on(async {
        let mut first = Client::connect(&address).await?;
        first.identify(TOKEN, 1, json!({})).await?;
        let more_than_sent =
            json!({"token": TOKEN, "session_id": first.kept.session, "seq": 1_000_000});
        for (op, data, code) in [
            (2, identify(json!({"token": "no-such-token"})), 4004),
            (2, identify(json!({"intents": 1 | 1 << 15})), 4014),
            (2, identify(json!({"intents": 1_u64 << 40})), 4013),
            (2, identify(json!({"shard": [1, 1]})), 4010),
            (2, identify(json!({"properties": null})), 4002),
            (2, identify(json!({"large_threshold": "x".repeat(5000)})), 4002),
            (8, json!({"guild_id": "1", "query": "", "limit": 0}), 4003),
            (77, json!(null), 4001),
            (6, resume(5), 9),
            (6, json!({"token": "no-such-token", "session_id": "x", "seq": 1}), 4004),
            (6, more_than_sent, 4007),
        ] {
            let said = data.to_string();
            let got = refused(&address, op, data).await?;
            ensure!(got == code, "op {op} {said}: closed with {got}, not {code}");
        }
        let mut many = Client::connect(&address).await?;
        for _ in 0..121 {
            many.send(1, json!(null)).await?;
        }
        loop {
            match many.next().await? {
                Said::Control(11, _) => {}
                Said::Closed(4008) => break,
                other => bail!("{other:?}"),
            }
        }
        anyhow::Ok(())
    })?;
    let said = proxy.stderr();
    ensure!(said.contains("MESSAGE_CONTENT"), "the missing intents are not named: {said}");
    ensure!(
        !said.contains(TOKEN) && !said.contains("no-such-token"),
        "a token is in the log: {said}"
    );
    let exit = proxy.terminate(DEADLINE)?;
    ensure!(exit.code == Some(0), "{exit:?}");
    Ok(())
}

/// What a client is sent of one kind, until `enough`.
async fn chunks(client: &mut Client) -> Result<Vec<Value>> {
    let mut found: Vec<Value> = Vec::new();
    loop {
        let dispatch = client.dispatch().await?;
        if dispatch.name == "GUILD_MEMBERS_CHUNK" {
            let last = dispatch.data["chunk_index"].as_u64().map(|index| index + 1);
            let whole = last == dispatch.data["chunk_count"].as_u64();
            found.push(dispatch.data);
            if whole {
                return Ok(found);
            }
        }
    }
}

fn requests(fake: &Fake) -> Result<usize> {
    Ok(fake.log()?.iter().filter(|line| line["what"] == "request").count())
}

/// Waits until the state is what the world has of these.
fn settled(rig: &Rig, shown: &'static [Resource]) -> Result<()> {
    rig.fake.until_finished(DEADLINE)?;
    let (world, state) = (rig.fake.world()?, State::attach(rig.stack.instance())?);
    let view = View { shown, hidden: &[], untold: &[] };
    until("the state to be the world", DEADLINE, || {
        differences(&world, &state, view).is_ok_and(|found| found.is_empty())
    })
}

/// Two clients, and the first guild's id.
async fn two_clients(rig: &Rig) -> Result<(Client, Client, String)> {
    let mut first = Client::connect(&rig.socket()).await?;
    let ready = first.identify(TOKEN, ALL, json!({})).await?;
    let mut second = Client::connect(&rig.socket()).await?;
    second.identify(TOKEN, ALL, json!({})).await?;
    let guild = ready["guilds"][0]["id"].as_str().context("a guild")?.to_owned();
    Ok((first, second, guild))
}

#[test]
fn members_that_are_known_come_from_the_state_and_to_the_asker_alone() -> Result<()> {
    let rig = Rig::new(&options(500, 200), &[])?;
    settled(&rig, &[Resource::Guilds, Resource::Members])?;
    runtime()?.block_on(async {
        let (mut asker, mut other, guild) = two_clients(&rig).await?;
        let all =
            json!({"guild_id": guild, "query": "", "limit": 0, "presences": true, "nonce": "mine"});
        asker.send(8, all).await?;
        let answer = chunks(&mut asker).await?;
        let members: usize =
            answer.iter().map(|chunk| chunk["members"].as_array().map_or(0, Vec::len)).sum();
        let world = rig.fake.world()?;
        let there = world["guilds"][&guild]["member_count"].as_u64().context("a count")?;
        ensure!(members as u64 == there, "{members} of {there}");
        ensure!(
            answer
                .iter()
                .all(|chunk| chunk["nonce"] == "mine" && chunk["guild_id"] == guild.as_str())
        );
        ensure!(requests(&rig.fake)? == 0, "Discord was asked");
        // One who is no member is told as that.
        asker.send(8, json!({"guild_id": guild, "user_ids": ["1"], "nonce": "one"})).await?;
        let answer = chunks(&mut asker).await?;
        ensure!(answer[0]["not_found"] == json!(["1"]), "{answer:?}");
        // The other sees what it asks for itself, and nothing before.
        other
            .send(8, json!({"guild_id": guild, "query": "", "limit": 0, "nonce": "other"}))
            .await?;
        let answer = chunks(&mut other).await?;
        ensure!(answer.iter().all(|chunk| chunk["nonce"] == "other"), "{answer:?}");
        anyhow::Ok(())
    })
}

#[test]
fn members_that_are_not_known_are_asked_for_once_and_come_to_the_askers_alone() -> Result<()> {
    // More than the gateway is told of at the start.
    let world = FakeOptions { members: 300, guilds: 3, ..options(0, 0) };
    let rig = Rig::new(&world, &[])?;
    settled(&rig, &[Resource::Guilds])?;
    runtime()?.block_on(async {
        let (mut first, mut second, guild) = two_clients(&rig).await?;
        let mut third = Client::connect(&rig.socket()).await?;
        third.identify(TOKEN, ALL, json!({})).await?;
        let ask = |nonce| json!({"guild_id": guild, "query": "", "limit": 0, "nonce": nonce});
        first.send(8, ask("first")).await?;
        let answers = chunks(&mut first).await?;
        ensure!(answers.iter().all(|chunk| chunk["nonce"] == "first"), "{answers:?}");
        let members: usize =
            answers.iter().map(|chunk| chunk["members"].as_array().map_or(0, Vec::len)).sum();
        ensure!(members == 300, "{members} members");
        ensure!(requests(&rig.fake)? == 1, "{} requests", requests(&rig.fake)?);
        // By now they are known.
        second.send(8, ask("second")).await?;
        let answers = chunks(&mut second).await?;
        ensure!(answers.iter().all(|chunk| chunk["nonce"] == "second"), "{answers:?}");
        ensure!(requests(&rig.fake)? == 1, "{} requests", requests(&rig.fake)?);
        // What the first asked for is nobody else's.
        let guilds = 3;
        for _ in 0..guilds {
            let dispatch = third.dispatch().await?;
            ensure!(dispatch.name == "GUILD_CREATE", "{dispatch:?}");
        }
        third.send(1, json!(null)).await?;
        match third.next().await? {
            Said::Control(11, _) => Ok(()),
            other => bail!("{other:?}"),
        }
    })
}

#[test]
fn everything_else_is_passed_on_and_a_secret_becomes_the_token() -> Result<()> {
    const SECRET: &str = "MTE3NTYyMzQ4MjM3NDkxODE5NA.x.a-secret-of-its-own";
    let stack = Stack::new()?;
    let fake = Fake::start(stack.folder(), &options(0, 0))?;
    let _gateway = stack.gateway(&fake, "auto", &[])?;
    let _cache = stack.cache(&[])?;
    let file = stack.folder().join("secrets");
    std::fs::write(&file, format!("# one a line\n{SECRET}\n"))?;
    let token = stack.folder().join("token");
    std::fs::write(&token, TOKEN)?;
    let path = |path: &std::path::Path| path.display().to_string();
    let (file, token) = (path(&file), path(&token));
    let (proxy, address) = stack.proxy(&[
        "--rest-url",
        &fake.api_url(),
        "--secret-file",
        &file,
        "--token-file",
        &token,
        "--shards",
        "3",
    ])?;
    let ask = |path: &str, shown: &str| {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let url = format!("http://{address}/api/v10{path}");
        let answer =
            ureq::Agent::from(config).get(url).header("Authorization", format!("Bot {shown}"));
        let mut answer = answer.call()?;
        let text = answer.body_mut().read_to_string()?;
        anyhow::Ok((answer.status().as_u16(), serde_json::from_str::<Value>(&text)?))
    };
    let (status, bot) = ask("/gateway/bot", SECRET)?;
    ensure!(
        status == 200 && bot["shards"] == 3 && bot["url"] == format!("ws://{address}"),
        "{bot}"
    );
    ensure!(ask("/gateway/bot", TOKEN)?.0 == 401, "the token is no secret");
    let (status, me) = ask("/users/@me", SECRET)?;
    ensure!(status == 200 && me["id"].is_string(), "{status} {me}");
    ensure!(ask("/users/@me", TOKEN)?.0 == 401, "the token is no secret");
    runtime()?.block_on(async {
        let mut client = Client::connect(&format!("ws://{address}")).await?;
        client.identify(SECRET, ALL, json!({"shard": [2, 3]})).await?;
        let with_token = json!({"token": TOKEN, "properties": {}, "intents": 1});
        let closed = refused(&format!("ws://{address}"), 2, with_token).await?;
        ensure!(closed == 4004, "closed with {closed}");
        anyhow::Ok(())
    })?;
    let said = proxy.stderr();
    ensure!(!said.contains(TOKEN) && !said.contains(SECRET), "{said}");
    Ok(())
}

/// What `ls` and `doctor` say of a proxy, also when it was killed and when another takes its place.
#[test]
fn ls_and_doctor_tell_of_proxies() -> Result<()> {
    let mut rig = Rig::new(&options(1_000_000, 50), &[])?;
    let proxies = |rig: &Rig| anyhow::Ok(rig.stack.ls()?["proxies"].take());
    let doctor = |rig: &Rig| {
        let mut command = rig.stack.mixcord();
        let output = command.args(["doctor", "--instance", rig.stack.instance()]).output()?;
        anyhow::Ok(String::from_utf8(output.stdout)?)
    };
    runtime()?.block_on(async {
        let mut client = Client::connect(&rig.socket()).await?;
        client.identify(TOKEN, ALL, json!({})).await?;
        until("the client to be counted", DEADLINE, || {
            proxies(&rig).is_ok_and(|all| {
                let proxy = &all["running"][0];
                proxy["clients"] == 1 && proxy["events"].as_u64() > Some(0) && all["sessions"] == 1
            })
        })?;
        let all = proxies(&rig)?;
        ensure!(all["running"].as_array().map(Vec::len) == Some(1), "{all}");
        ensure!(all["running"][0]["alive"] == true, "{all}");
        ensure!(all["running"][0]["listen"] == rig.address, "{all}");
        ensure!(!doctor(&rig)?.contains("proxy"));
        rig.proxy.take().context("a proxy")?.kill()?;
        let all = proxies(&rig)?;
        ensure!(all["running"][0]["alive"] == false && all["sessions"] == 1, "{all}");
        ensure!(doctor(&rig)?.contains(&format!("the proxy at {} was killed", rig.address)));
        let address = rig.address.clone();
        let (proxy, _) = rig.stack.proxy(&["--listen", &address])?;
        let all = proxies(&rig)?;
        ensure!(all["running"].as_array().map(Vec::len) == Some(1), "{all}");
        ensure!(all["running"][0]["alive"] == true, "{all}");
        proxy.terminate(DEADLINE)?;
        let all = proxies(&rig)?;
        ensure!(all["running"] == json!([]) && all["sessions"] == 1, "{all}");
        ensure!(!doctor(&rig)?.contains("the proxy at"));
        anyhow::Ok(())
    })
}
