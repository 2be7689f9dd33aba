//! Pages of a long list, turned by whoever asked: "!list", then "next" and "back" in the same channel, or nothing
//! for a minute.
//!
//! The handler acknowledges its event first, so that its guild goes on while it waits, and sees the answers
//! whichever process of the group gets them.
use std::time::Duration;

use mixcord::{Consumer, Event, Kind, Router};

const PAGES: [&str; 3] = ["apples", "pears", "plums"];

#[derive(serde::Deserialize)]
struct Message {
    content: String,
    channel_id: u64,
    author: Author,
}

#[derive(serde::Deserialize)]
struct Author {
    id: u64,
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let _log = mixcord::log::init();
    let consumer = Consumer::builder().group("paginator").stop_on_signals();
    let show = |page: &str| println!("{page}");
    mixcord::exit(consumer.route(router(show, Duration::from_secs(60))).await)
}

pub(crate) fn router(
    show: impl Fn(&str) + Clone + Send + Sync + 'static,
    quiet: Duration,
) -> Router {
    Router::new().on(Kind::MESSAGE_CREATE, move |message: Message, event: Event| {
        paginate(message, event, show.clone(), quiet)
    })
}

async fn paginate(asked: Message, event: Event, show: impl Fn(&str), quiet: Duration) {
    if asked.content != "!list" {
        return;
    }
    event.ack();
    let (user, channel) = (asked.author.id, asked.channel_id);
    let is_answer = move |event: &Event| {
        let message: Result<Message, _> = event.data_as();
        message.is_ok_and(|message| message.author.id == user && message.channel_id == channel)
    };
    // From here on nothing is missed, also what is said before the first page is shown.
    let mut answers = event.standby().watch([Kind::MESSAGE_CREATE], is_answer);
    let mut page = 0;
    show(PAGES[page]);
    while let Ok(answer) = answers.next(quiet).await {
        let Ok(Message { content, .. }) = answer.data_as() else { continue };
        page = match &*content {
            "next" => (page + 1) % PAGES.len(),
            "back" => (page + PAGES.len() - 1) % PAGES.len(),
            _ => continue,
        };
        show(PAGES[page]);
    }
}
