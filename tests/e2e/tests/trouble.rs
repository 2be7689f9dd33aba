//! P10: one consumer's trouble stays its own. Beside a group whose handler fails for ever, hangs for ever, or that
//! nobody is a member of any more, another group gets every event, with a ring that holds a fraction of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, ensure};
use mixcord::{Builder, Consumer, Event, Kind, Stop};
use mixcord_e2e::{Fake, FakeOptions, Stack, until};

const DEADLINE: Duration = Duration::from_secs(120);
const EVENTS: u64 = 12_000;
/// A few hundred records.
const SMALL: [&str; 4] = ["--output-slots", "1024", "--output-bytes", "1MiB"];

/// What a group's handler does with the events of one guild; those of all others it handles.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    None,
    Fails,
    Hangs,
}

/// A group that runs in this process until it is told to stop.
struct Running {
    handled: Arc<AtomicUsize>,
    thread: JoinHandle<Result<(), mixcord::Error>>,
}

impl Running {
    fn start(builder: Builder, trouble: Trouble) -> Self {
        let handled = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&handled);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            let unlucky = Arc::new(AtomicU64::new(0));
            runtime.expect("a runtime").block_on(async {
                let handler = move |event: Event| {
                    let (counted, unlucky) = (Arc::clone(&counted), Arc::clone(&unlucky));
                    async move { handle(&event, trouble, &unlucky, &counted).await }
                };
                builder.connect().await?.run(handler).await
            })
        });
        Self { handled, thread }
    }
}

async fn handle(
    event: &Event,
    trouble: Trouble,
    unlucky: &AtomicU64,
    handled: &AtomicUsize,
) -> Result<(), &'static str> {
    // The guild of the first event that has one.
    let guild = event.guild_id().unwrap_or(0);
    let _ = unlucky.compare_exchange(0, guild, Ordering::SeqCst, Ordering::SeqCst);
    if guild != 0 && unlucky.load(Ordering::SeqCst) == guild {
        match trouble {
            Trouble::None => {}
            Trouble::Fails => return Err("unknown channel"),
            Trouble::Hangs => std::future::pending().await,
        }
    }
    if event.index() == 0 && ![Kind::GAP, Kind::SHARD_STATE].contains(&event.kind()) {
        handled.fetch_add(1, Ordering::SeqCst);
    }
    Ok(())
}

/// All that Discord sends goes through, and the group `prod` has all of it in the end, whatever else there is.
fn prod_is_not_held_up(
    stack: &Stack,
    trouble: impl FnOnce(Builder) -> Option<Running>,
) -> Result<()> {
    let options = FakeOptions { guilds: 40, members: 5, events: EVENTS, ..FakeOptions::default() };
    let fake = Fake::start(stack.folder(), &options)?;
    let stop = Stop::new();
    let group = |name| {
        let builder = Consumer::builder().instance(stack.instance()).group(name).stop(&stop);
        let builder = builder.max_age(Kind::INTERACTION_CREATE, None);
        builder.from_earliest().grace(Duration::from_millis(100))
    };
    let cache = stack.cache(&SMALL)?;
    let prod = Running::start(group("prod"), Trouble::None);
    let other = trouble(group("other"));
    until("both groups to be there", DEADLINE, || {
        stack.lag("prod").is_ok() && stack.lag("other").is_ok()
    })?;
    let _gateway = stack.gateway(&fake, "auto", &[])?;
    fake.until_finished(DEADLINE)?;
    let sent = fake.journal()?.len();
    ensure!(sent > 8 * 1024, "{sent} events fit into the ring: the test proves nothing");
    let handled = || prod.handled.load(Ordering::SeqCst);
    let settled = || handled() >= sent && stack.lag("prod").is_ok_and(|lag| lag == 0);
    let all = until("the group beside to have everything", DEADLINE, settled);
    ensure!(all.is_ok(), "{} of {sent} handled; the cache: {}", handled(), cache.stderr());
    ensure!(handled() == sent, "{} handled, {sent} sent", handled());
    stop.stop();
    prod.thread.join().expect("no panic")?;
    if let Some(other) = other {
        other.thread.join().expect("no panic")?;
        let handled = other.handled.load(Ordering::SeqCst);
        ensure!(handled < sent && handled > sent / 2, "{handled} of {sent} in the other group");
    }
    Ok(())
}

#[test]
fn a_handler_that_always_fails_holds_up_no_other_group() -> Result<()> {
    let stack = Stack::new()?;
    prod_is_not_held_up(&stack, |group| Some(Running::start(group, Trouble::Fails)))?;
    let instance = mixcord::operator::Instance::open(stack.instance())?;
    ensure!(instance.group("other")?.status.dead > 0, "its events are kept as dead letters");
    Ok(())
}

#[test]
fn a_handler_that_hangs_for_ever_holds_up_nothing_but_its_guild() -> Result<()> {
    let stack = Stack::new()?;
    prod_is_not_held_up(&stack, |group| {
        Some(Running::start(group.handler_timeout(None), Trouble::Hangs))
    })
}

#[test]
fn a_group_that_was_tried_once_and_left_holds_up_others_no_longer_than_its_policy_says()
-> Result<()> {
    let stack = Stack::new()?;
    prod_is_not_held_up(&stack, |group| {
        let group = group.max_absence(Duration::from_millis(300));
        drop(group.connect_blocking().expect("connected"));
        None
    })
}
