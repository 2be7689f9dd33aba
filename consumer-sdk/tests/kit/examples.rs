//! The examples, tried with the test kit.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mixcord::Kind;
use mixcord::testing::{Settled, Testbed};
use serde_json::json;

/// The file of an example, as a module: tests that it has run here, too. Its `main` is tried in `mixcord-e2e`.
macro_rules! examples {
    ($($name:ident $path:literal;)*) => {
        $(#[path = $path] #[allow(dead_code, reason = "its main")] mod $name;)*
    };
}

examples! {
    from_serenity "../../examples/from_serenity.rs";
    from_twilight "../../examples/from_twilight.rs";
    modlog "../../examples/modlog.rs";
    observer "../../examples/observer.rs";
    paginator "../../examples/paginator.rs";
    spam "../../examples/spam.rs";
    who "../../examples/who.rs";
    worker "../../examples/worker.rs";
}

/// A message as Discord sends it, for those who read all of it.
fn message(id: u64, content: &str) -> serde_json::Value {
    json!({"id": id.to_string(), "channel_id": "7", "guild_id": "9", "content": content,
           "author": {"id": "5", "username": "ada", "discriminator": "0", "avatar": null, "bot": false, "global_name": null},
           "timestamp": "2020-01-01T00:00:00.000000+00:00", "edited_timestamp": null, "tts": false, "mention_everyone": false,
           "mentions": [], "mention_roles": [], "mention_channels": [], "attachments": [], "embeds": [], "reactions": [],
           "pinned": false, "type": 0, "flags": 0, "components": []})
}

#[tokio::test]
async fn observer_counts_kinds_and_what_it_missed() {
    let bed = Testbed::new();
    let mut counts = observer::Counts::default();
    for kind in [Kind::TYPING_START, Kind::MESSAGE_CREATE, Kind::TYPING_START] {
        counts.add(&bed.event(kind, "{}").make());
    }
    assert_eq!(counts.line(), "MESSAGE_CREATE 1, TYPING_START 2; missed 0");
}

#[tokio::test]
async fn a_bot_of_twilights_and_one_of_serenitys_keep_their_types() {
    let bed = Testbed::new();
    let edit = || bed.event(Kind::MESSAGE_UPDATE, message(1, "new")).old(message(1, "old")).make();
    let ping = || bed.event(Kind::MESSAGE_CREATE, message(2, "!ping")).make();
    let seen = Arc::<from_twilight::Seen>::default();
    let router = from_twilight::router(Arc::clone(&seen));
    router.handle(edit()).await.expect("it fits twilight's types");
    router.handle(ping()).await.expect("it fits twilight's types");
    let other = bed.event(Kind::MESSAGE_CREATE, message(3, "else")).make();
    router.handle(other).await.expect("it fits twilight's types");
    let load =
        |count: &std::sync::atomic::AtomicU64| count.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!((load(&seen.edits), load(&seen.others)), (1, 1));

    let app = Arc::<from_serenity::App>::default();
    let router = from_serenity::router(Arc::clone(&app));
    router.handle(edit()).await.expect("it fits serenity's types");
    router.handle(ping()).await.expect("it fits serenity's types");
    assert_eq!(load(&app.pings), 1);
}

#[tokio::test]
async fn worker_retries_does_nothing_twice_and_gives_up_what_never_works() {
    let bed = Testbed::new();
    let ledger = Arc::<worker::Ledger>::default();
    let router = worker::router(Arc::clone(&ledger));
    let order = |what: &str| bed.event(Kind::MESSAGE_CREATE, message(1, what));
    let busy = order("!order busy");
    let error = router.handle(busy.clone().make()).await.expect_err("the first attempt");
    assert_eq!(error, "the ledger is busy");
    let second = busy.attempt(2).make();
    router.handle(second.clone()).await.expect("the second attempt");
    assert!(ledger.is_done(second.identity()));
    router.handle(second).await.expect("known by its identity");
    let nothing = order("!order ").make();
    router.handle(nothing.clone()).await.expect("given up, not failed");
    let reason = "an order of nothing".to_owned();
    assert_eq!(Settled::of(&nothing), Some(Settled::Term { reason }));
}

/// The stage as it runs, and what a consumer behind it is given.
#[tokio::test]
async fn spam_puts_a_score_beside_messages_and_keeps_back_what_is_certain() {
    let bed = Testbed::new();
    let stop = mixcord::Stop::new();
    let stage = bed.stage("spam").stop(&stop).from_earliest().run(spam::score);
    let texts = ["hello", "free tea", "FREE nitro giveaway: http://x"];
    for (id, text) in (1..).zip(texts) {
        bed.event(Kind::MESSAGE_CREATE, message(id, text)).publish();
    }
    let behind = async {
        let reader = bed.consumer().source("spam").observer().from_earliest();
        let mut reader = reader.wait(Duration::from_secs(30)).connect().await.expect("connected");
        let mut told = Vec::new();
        for _ in texts {
            let event = reader.next().await.expect("no error").expect("an event");
            let score = event.data().get_str("spam_score").and_then(|score| score.as_f64());
            let content = event.data().get(mixcord::atoms::CONTENT).and_then(|text| text.as_str());
            told.push((event.name().to_owned(), score, content.map(str::to_owned)));
        }
        stop.stop();
        told
    };
    let (ran, told) = tokio::join!(stage, behind);
    ran.expect("no error");
    let of = |name: &str, score: f64, content: Option<&str>| {
        (name.to_owned(), Some(score), content.map(str::to_owned))
    };
    assert_eq!(
        told,
        [
            of("MESSAGE_CREATE", 0.0, Some("hello")),
            of("MESSAGE_CREATE", 0.25, Some("free tea")),
            // Its words go no further.
            of("SPAM_BLOCKED", 1.0, None),
        ]
    );
}

#[tokio::test]
async fn paginator_turns_pages_for_whoever_asked_and_frees_its_guild() {
    let bed = Testbed::new();
    let shown = Arc::new(Mutex::new(Vec::new()));
    let pages = Arc::clone(&shown);
    let show = move |page: &str| pages.lock().expect("no panic").push(page.to_owned());
    let router = paginator::router(show, Duration::from_secs(30));
    let consumer = bed.consumer().group("bot").connect().await.expect("connected");
    let stop = consumer.stop_handle();
    let running = tokio::spawn(consumer.route(router));
    let count = || shown.lock().expect("no panic").len();
    let wait_for = async |pages: usize| {
        while count() < pages {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    bed.event(Kind::MESSAGE_CREATE, message(1, "!list")).publish();
    wait_for(1).await;
    // In the same guild: they would wait for the handler, had it not acknowledged.
    for (id, (word, pages)) in (2..).zip([("next", 2), ("back", 3), ("hm", 3), ("back", 4)]) {
        bed.event(Kind::MESSAGE_CREATE, message(id, word)).publish();
        bed.drained("bot").await;
        wait_for(pages).await;
    }
    assert_eq!(*shown.lock().expect("no panic"), ["apples", "pears", "apples", "plums"]);
    stop.stop();
    running.abort();
}
