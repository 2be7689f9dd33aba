//! Types of twilight-model and serenity as arguments, read out of every fixture there is.

use std::collections::BTreeSet;

use mixcord::event::twilight::twilight_model;
use mixcord::testing::Testbed;
use mixcord::{Change, Event, Kind, MaybeTwilight, Router, Serenity, Twilight, serenity};
use serde_json::{Value as Json, json};

/// A payload for each documented kind.
fn fixtures() -> impl Iterator<Item = (String, Json)> {
    let text = include_str!("../../../event/tests/fixtures.jsonl");
    text.lines().map(|line| {
        let mut message: Json = serde_json::from_str(line).expect("JSON");
        (message["t"].as_str().expect("a name").to_owned(), message["d"].take())
    })
}

/// As JSON, lists sorted: what serenity has in maps it writes in any order.
fn sorted(event: &serenity::model::event::Event) -> Json {
    fn sort(value: &mut Json) {
        match value {
            Json::Array(items) => {
                items.iter_mut().for_each(sort);
                items.sort_by_key(Json::to_string);
            }
            Json::Object(members) => members.values_mut().for_each(sort),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(event).expect("JSON");
    sort(&mut value);
    value
}

/// Names of which serenity's event is not what Discord documents; each with why.
const NOT_SERENITYS: &[&str] = &[];

#[tokio::test]
async fn every_fixture_is_an_event_of_serenitys_as_its_json_is() {
    let bed = Testbed::new();
    let (mut refused, mut unknown) = (BTreeSet::new(), BTreeSet::new());
    for (name, data) in fixtures() {
        let event = bed.event_named(&name, &data).make();
        let from_json =
            serde_json::from_value::<serenity::model::event::Event>(json!({"t": name, "d": data}));
        match (event.to_serenity(), from_json) {
            // What it has no type for it keeps as it came, ids as Discord wrote them.
            (Ok(serenity::model::event::Event::Unknown(_)), Ok(_)) => {
                unknown.insert(name);
            }
            (Ok(ours), Ok(theirs)) => assert_eq!(sorted(&ours), sorted(&theirs), "{name}"),
            (Err(_), Err(_)) => {
                refused.insert(name);
            }
            (Err(ours), Ok(_)) => panic!("{name}: {ours}"),
            (Ok(_), Err(theirs)) => panic!("{name}: JSON is refused: {theirs}"),
        }
    }
    let expected: BTreeSet<_> = NOT_SERENITYS.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(refused, expected, "unknown to serenity: {unknown:?}");
}

#[tokio::test]
async fn entities_of_both_libraries_are_arguments() {
    let bed = Testbed::new();
    let of = |wanted: &str| {
        let found = fixtures().find(|(name, data)| name == wanted && data.get("author").is_some());
        found.unwrap_or_else(|| panic!("a fixture of {wanted}")).1
    };
    let message = of("MESSAGE_CREATE");
    let id = message["id"].as_str().expect("an id").to_owned();
    let (first, second) = (id.clone(), id);
    let event = || bed.event(Kind::MESSAGE_CREATE, &message).make();
    let router =
        Router::new().on(Kind::MESSAGE_CREATE, move |message: twilight_model::channel::Message| {
            let id = first.clone();
            async move { assert_eq!(message.id.to_string(), id) }
        });
    router.handle(event()).await.expect("no failure");
    let router = Router::new().on(
        Kind::MESSAGE_CREATE,
        move |message: serenity::model::channel::Message| {
            let id = second.clone();
            async move { assert_eq!(message.id.to_string(), id) }
        },
    );
    router.handle(event()).await.expect("no failure");

    let role = |name: &str| {
        json!({"id": "5", "name": name, "color": 1, "colors": {"primary_color": 1, "secondary_color": null, "tertiary_color": null},
               "hoist": false, "managed": false, "mentionable": false, "permissions": "8", "position": 2, "flags": 0})
    };
    let changed = || {
        let data = json!({"guild_id": "9", "role": role("new")});
        bed.event(Kind::GUILD_ROLE_UPDATE, data).old(role("old")).make()
    };
    async fn twilight(role: Change<twilight_model::guild::Role>) {
        let names = (role.old.as_ref().map(|r| &*r.name), role.new.as_ref().map(|r| &*r.name));
        assert_eq!(names, (Some("old"), Some("new")));
        assert_eq!(role.changes().len(), 1);
    }
    async fn serenity(role: Change<serenity::model::guild::Role>) {
        let names = (role.old.as_ref().map(|r| &*r.name), role.new.as_ref().map(|r| &*r.name));
        assert_eq!(names, (Some("old"), Some("new")));
    }
    let router = Router::new().on(Kind::GUILD_ROLE_UPDATE, twilight);
    router.handle(changed()).await.expect("no failure");
    let router = Router::new().on(Kind::GUILD_ROLE_UPDATE, serenity);
    router.handle(changed()).await.expect("no failure");
}

#[tokio::test]
async fn whole_events_of_both_libraries_are_arguments_and_unknown_kinds_can_be_told() {
    let bed = Testbed::new();
    let event = |name: &str, data: &str| bed.event_named(name, data).make();
    let deleted = r#"{"id":"41","channel_id":"5"}"#;
    let twilight = Router::new().otherwise(|Twilight(made): Twilight, event: Event| async move {
        assert_eq!(made.kind().name(), Some(event.name()));
    });
    twilight.handle(event("MESSAGE_DELETE", deleted)).await.expect("no failure");
    let error = twilight.handle(event("GAP", "{}")).await.expect_err("no event of Discord's");
    assert!(error.contains("twilight-model has no type for GAP"), "{error}");
    let both =
        Router::new().otherwise(|MaybeTwilight(made): MaybeTwilight, event: Event| async move {
            assert_eq!(made.is_some(), event.kind() == Kind::MESSAGE_DELETE);
        });
    both.handle(event("MESSAGE_DELETE", deleted)).await.expect("no failure");
    both.handle(event("GAP", "{}")).await.expect("no failure");
    let serenity = Router::new().otherwise(|Serenity(made): Serenity| async move {
        use mixcord::serenity::model::event::Event;
        assert!(matches!(made, Event::MessageDelete(deleted) if deleted.message_id.get() == 41));
    });
    serenity.handle(event("MESSAGE_DELETE", deleted)).await.expect("no failure");
}
