//! Greets new members and whoever says hello, and notices new nicknames.
//! Start it as often as you like: the processes of one group share the work. Left alone, the group holds
//! up nobody for longer than 15 minutes; `.ephemeral()` or `.max_absence(…)` make that shorter.
use mixcord::{Consumer, Event, Kind, Value, atoms};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let _log = mixcord::log::init(); // says what goes wrong; Ctrl-C ends
    let consumer = Consumer::builder().group("greeter").stop_on_signals();
    mixcord::exit(consumer.run(greet).await)
}

async fn greet(event: Event) {
    let data = event.data();
    let text = |key| data.get(key).and_then(Value::as_str);
    let name = |key| data.get(key)?.get(atoms::USERNAME)?.as_str();
    if event.kind() == Kind::GUILD_MEMBER_ADD {
        println!("welcome, {}!", name(atoms::USER).unwrap_or("stranger"));
    }
    if event.kind() == Kind::MESSAGE_CREATE && text(atoms::CONTENT) == Some("hello") {
        println!("hello, {}!", name(atoms::AUTHOR).unwrap_or("stranger"));
    }
    if event.kind() == Kind::GUILD_MEMBER_UPDATE {
        let before = event.old().and_then(|old| old.get(atoms::NICK)?.as_str());
        match (name(atoms::USER), text(atoms::NICK)) {
            (Some(name), after) if after != before => println!("{name}: {before:?} -> {after:?}"),
            _ => {} // the nickname stayed as it was
        }
    }
}
