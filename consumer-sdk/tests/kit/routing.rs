//! The router gives each event to the handler of its kind, with the arguments that it asks for.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mixcord::testing::{Settled, Testbed};
use mixcord::{Change, Event, Kind, Mismatch, Options, Router, Shared, State};
use serde_json::json;

/// What handlers were called with.
type Calls = Arc<Mutex<Vec<String>>>;

fn note(calls: &Shared<Calls>, what: impl Into<String>) {
    calls.lock().expect("no panic").push(what.into());
}

#[derive(serde::Deserialize)]
struct Message {
    id: u64,
    content: String,
}

#[derive(serde::Deserialize)]
struct Role {
    name: String,
    color: u32,
}

async fn message(message: Message, event: Event, calls: Shared<Calls>) {
    assert_eq!(event.kind(), Kind::MESSAGE_CREATE);
    note(&calls, format!("message {} {}", message.id, message.content));
}

async fn role(role: Change<Role>, calls: Shared<Calls>) -> Result<(), std::fmt::Error> {
    let changes: Vec<_> =
        role.changes().iter().map(mixcord::event::edit::Change::path_text).collect();
    let (old, new) = (role.old.as_ref(), role.new.as_ref());
    let name = |role: Option<&Role>| role.map(|role| (role.name.clone(), role.color));
    note(&calls, format!("role {:?} {:?} {changes:?}", name(old), name(new)));
    Ok(())
}

async fn rest(event: Event, calls: Shared<Calls>) {
    note(&calls, format!("rest {}", event.name()));
}

fn calls_of(calls: &Calls) -> Vec<String> {
    std::mem::take(&mut *calls.lock().expect("no panic"))
}

#[tokio::test]
async fn each_kind_has_its_handler_with_its_arguments() {
    let (bed, calls) = (Testbed::new(), Calls::default());
    let router = Router::with(Arc::clone(&calls))
        .on(Kind::MESSAGE_CREATE, message)
        .on_each([Kind::GUILD_ROLE_UPDATE, Kind::GUILD_ROLE_DELETE], role)
        .on_name("NEW_THING", |calls: Shared<Calls>| async move { note(&calls, "new") })
        .otherwise(rest);
    let role =
        |name: &str, color: u32| json!({"id": "5", "name": name, "color": color, "hoist": false});
    let events = [
        bed.event(Kind::MESSAGE_CREATE, json!({"id": "1", "content": "hi"})).make(),
        bed.event(Kind::GUILD_ROLE_UPDATE, json!({"guild_id": "9", "role": role("b", 2)}))
            .old(role("a", 1))
            .make(),
        bed.event(Kind::GUILD_ROLE_DELETE, json!({"guild_id": "9", "role_id": "5"}))
            .old(role("b", 2))
            .make(),
        bed.event_named("NEW_THING", "{}").make(),
        bed.event(Kind::TYPING_START, "{}").make(),
        bed.event_named("NEWER_THING", "{}").make(),
    ];
    for event in events {
        router.handle(event).await.expect("no failure");
    }
    let wanted = [
        "message 1 hi",
        r#"role Some(("a", 1)) Some(("b", 2)) ["color", "name"]"#,
        r#"role Some(("b", 2)) None []"#,
        "new",
        "rest TYPING_START",
        "rest NEWER_THING",
    ];
    assert_eq!(calls_of(&calls), wanted);
}

/// P10 is for what may heal. What never fits a type is no such thing: it becomes a dead letter at once, and tells
/// the field.
#[tokio::test]
async fn what_does_not_fit_a_type_is_given_up_at_the_first_attempt() {
    let bed = Testbed::new();
    let router = Router::new().on(Kind::MESSAGE_CREATE, |_: Message| async {});
    let event = bed.event(Kind::MESSAGE_CREATE, json!({"id": "1"})).make();
    let error = router.handle(event.clone()).await.expect_err("it has no content");
    let said = "the event is no Message: missing field `content`";
    assert_eq!(error, said);
    assert_eq!(Settled::of(&event), Some(Settled::Term { reason: said.to_owned() }));

    let consumer = bed.consumer().group("bot").retry(Duration::ZERO, Duration::ZERO);
    let consumer = consumer.connect().await.expect("connected");
    let (stop, meter) = (consumer.stop_handle(), consumer.meter());
    bed.event(Kind::MESSAGE_CREATE, json!({"id": "1"})).publish();
    let running = tokio::spawn(consumer.route(router));
    bed.drained("bot").await;
    let read = meter.read();
    assert_eq!((read.dead, read.failed, read.retried), (1, 0, 0));
    stop.stop();
    running.await.expect("no panic").expect("no error");
}

#[tokio::test]
async fn interactions_go_by_command_subcommand_component_and_form() {
    let (bed, calls) = (Testbed::new(), Calls::default());
    #[derive(serde::Deserialize)]
    struct Set {
        key: String,
        value: Option<u64>,
    }
    let say = |what: &'static str| move |calls: Shared<Calls>| async move { note(&calls, what) };
    let router = Router::with(Arc::clone(&calls))
        .on_interaction("ping", say("ping"))
        .on_interaction("config", say("config"))
        .on_interaction(
            "config set",
            |Options(set): Options<Set>, calls: Shared<Calls>| async move {
                note(&calls, format!("set {}={:?}", set.key, set.value));
            },
        )
        .on_autocomplete("config", say("completes"))
        .on_component("vote", say("vote"))
        .on_component("vote:no", say("vote no"))
        .on_modal("form", say("form"))
        .on(Kind::INTERACTION_CREATE, say("another"));
    let option = |name: &str, kind: u64, options: serde_json::Value| json!({"name": name, "type": kind, "options": options});
    let set = |value: serde_json::Value| json!([option("set", 1, value)]);
    let key = json!({"name": "key", "type": 3, "value": "k"});
    let value = json!({"name": "value", "type": 4, "value": 7});
    let cases = [
        (2, json!({"name": "ping"}), "ping"),
        (2, json!({"name": "config", "options": set(json!([key, value]))}), "set k=Some(7)"),
        (2, json!({"name": "config", "options": set(json!([key]))}), "set k=None"),
        (2, json!({"name": "config", "options": [option("get", 1, json!([key]))]}), "config"),
        (2, json!({"name": "config", "options": [option("more", 2, set(json!([])))]}), "config"),
        (4, json!({"name": "config", "options": set(json!([key]))}), "completes"),
        (3, json!({"custom_id": "vote"}), "vote"),
        (3, json!({"custom_id": "vote:yes:42"}), "vote"),
        (3, json!({"custom_id": "vote:no:42"}), "vote no"),
        (3, json!({"custom_id": "voter"}), "another"),
        (5, json!({"custom_id": "form:1"}), "form"),
        (2, json!({"name": "unknown"}), "another"),
        (1, json!(null), "another"),
    ];
    for (kind, data, wanted) in cases {
        let interaction = json!({"id": "1", "type": kind, "data": data});
        let event = bed.event(Kind::INTERACTION_CREATE, &interaction).make();
        router.handle(event).await.expect("no failure");
        assert_eq!(calls_of(&calls), [wanted], "{interaction}");
    }
}

#[tokio::test]
async fn without_otherwise_only_what_has_a_handler_is_given() {
    let (bed, calls) = (Testbed::new(), Calls::default());
    let consumer = bed.consumer().group("bot").connect().await.expect("connected");
    let (stop, meter) = (consumer.stop_handle(), consumer.meter());
    let router = Router::with(Arc::clone(&calls))
        .on(Kind::MESSAGE_CREATE, message)
        .on_name("NEW_THING", |calls: Shared<Calls>| async move { note(&calls, "new") })
        .on_interaction("ping", |calls: Shared<Calls>| async move { note(&calls, "ping") });
    bed.event(Kind::TYPING_START, "{}").publish();
    bed.event(Kind::MESSAGE_CREATE, json!({"id": "1", "content": "x"})).publish();
    bed.event_named("NEW_THING", "{}").publish();
    bed.event_named("NEWER_THING", "{}").publish();
    bed.event(Kind::INTERACTION_CREATE, json!({"type": 2, "data": {"name": "ping"}})).publish();
    let running = tokio::spawn(consumer.route(router));
    bed.drained("bot").await;
    stop.stop();
    running.await.expect("no panic").expect("no error");
    let mut called = calls_of(&calls);
    called.sort_unstable();
    assert_eq!(called, ["message 1 x", "new", "ping"]);
    // The two that nobody asked for were passed over without being events.
    assert_eq!(meter.read().handled, 3);
}

#[tokio::test]
async fn an_error_of_any_type_fails_the_attempt_with_all_its_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("answering")]
    struct Answering(#[source] std::num::ParseIntError);
    let bed = Testbed::new();
    let router = Router::new()
        .on(Kind::MESSAGE_CREATE, || async { "x".parse::<u8>().map(drop).map_err(Answering) });
    let event = bed.event(Kind::MESSAGE_CREATE, "{}").make();
    let error = router.handle(event.clone()).await.expect_err("x is no number");
    assert_eq!(error, "answering: invalid digit found in string");
    assert_eq!(Settled::of(&event), None, "it may be tried again");
}

#[tokio::test]
async fn state_and_types_of_ones_own_are_arguments_too() {
    struct Author(u64);
    impl<S> mixcord::FromEvent<S> for Author {
        fn from_event(event: &Event, _: &S) -> Result<Self, Mismatch> {
            let author = event.data().get(mixcord::atoms::AUTHOR);
            let id = author.and_then(|author| author.get(mixcord::atoms::ID)?.as_id());
            id.map(Self).ok_or_else(|| Mismatch::new("message", "it has no author"))
        }
    }
    let bed = Testbed::new();
    bed.entity(mixcord::state::Resource::Users, 0, json!({"id": "5", "username": "ada"}));
    let router =
        Router::new().on(Kind::MESSAGE_CREATE, |Author(id): Author, state: State| async move {
            let user = state.user(id)?.expect("the bed knows it");
            assert_eq!(
                user.get(mixcord::atoms::USERNAME).and_then(|name| name.as_str()),
                Some("ada")
            );
            Ok::<_, mixcord::state::Error>(())
        });
    let event = |data| bed.event(Kind::MESSAGE_CREATE, data).make();
    router.handle(event(r#"{"author":{"id":"5"}}"#)).await.expect("no failure");
    let error = router.handle(event("{}")).await.expect_err("no author");
    assert_eq!(error, "the event is no message: it has no author");
}

#[test]
#[should_panic = "MESSAGE_CREATE has two handlers"]
fn two_handlers_of_one_kind_are_refused_at_the_start() {
    let _ =
        Router::new().on(Kind::MESSAGE_CREATE, || async {}).on(Kind::MESSAGE_CREATE, || async {});
}
