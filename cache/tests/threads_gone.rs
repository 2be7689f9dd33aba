//! Threads that are archived for too long go with their messages, however many these are and however few changes the
//! store takes at once.

mod common;

use std::time::Duration;

use common::instance::{Instance, receive, send_at, settle};
use mixcord_state::tables::{CHANNEL_MAP, THREADS};
use mixcord_state::{Archived, Table};
use serde_json::{Value as Json, json};

const BEGIN_US: u64 = 1_700_000_000_000_000;
const AGE: Duration = Duration::from_secs(600);

fn thread(id: u64, archived: bool) -> Json {
    json!({"id": id.to_string(), "guild_id": "100", "parent_id": "200", "type": 11, "name": "t",
        "thread_metadata": {"archived": archived}})
}

fn guild() -> (&'static str, Json) {
    let channel = json!({"id": "200", "type": 0, "name": "c"});
    ("GUILD_CREATE", json!({"id": "100", "name": "g", "channels": [channel]}))
}

/// Each thread has more messages than a batch of the store may change keys.
#[test]
fn threads_of_many_messages_go_in_a_small_store_and_no_event_is_lost_for_them() {
    const OLD: u64 = 4;
    const MESSAGES: u64 = 600;
    let mut instance = Instance::new("threads-gone");
    instance.state_bytes_max = 4 << 20;
    instance.settings.messages_per_channel = 1000;
    instance.settings.threads_age = AGE;
    instance.declare();
    let mut shard = instance.shard(0, 1);
    let mut engine = instance.engine();
    let mut consumer = instance.consumer();
    let mut us = BEGIN_US;
    let mut feed = |kind: &str, event: Json, seconds: u64| {
        us += seconds * 1_000_000 + 1;
        send_at(&mut shard, (0, 1), &[(kind, event)], us);
        settle(&mut engine);
        receive(&mut consumer)
    };
    let (kind, event) = guild();
    feed(kind, event, 0);
    for of in 1000..1000 + OLD {
        feed("THREAD_CREATE", thread(of, false), 0);
        for n in 0..MESSAGES {
            let id = (of * 1000 + n).to_string();
            let message =
                json!({"id": id, "channel_id": of.to_string(), "guild_id": "100", "content": "c"});
            feed("MESSAGE_CREATE", message, 0);
        }
        feed("THREAD_UPDATE", thread(of, true), 0);
    }
    let mut seen = feed("THREAD_CREATE", thread(2000, false), AGE.as_secs() + 100);
    // Far more than are needed, and none of a message: each lets some go.
    for id in 2001..2100 {
        seen.extend(feed("THREAD_CREATE", thread(id, false), 0));
    }
    let lost = seen.iter().filter(|out| out.kind == "GAP").count();
    assert_eq!((lost, seen.len()), (0, 100));
    drop(engine);
    for of in 1000..1000 + OLD {
        assert!(!instance.has(THREADS.at(100, of)) && !instance.has(CHANNEL_MAP.at(of)));
        assert!(!instance.has(Archived::since(of)));
    }
    assert!(instance.has(THREADS.at(100, 2000)));
    assert!(instance.is_empty(Table::Messages) && instance.is_empty(Table::Archived));
    instance.check_state();
}
