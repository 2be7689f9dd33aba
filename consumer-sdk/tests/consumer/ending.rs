//! SIGTERM when a handler does not let go: the process ends all the same, and says so by its code.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use mixcord::Consumer;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::rig::{PATIENCE, Rig, next, numbers, until};

const INSTANCE: &str = "TEST_INSTANCE_TO_HANG_IN";
const HOW: &str = "TEST_HOW_TO_HANG";
const BEGUN: &str = "TEST_FILE_TO_MAKE";

/// Not a test of its own: a bot whose handler never returns.
#[test]
fn child_that_hangs() {
    let Ok(instance) = std::env::var(INSTANCE) else { return };
    let begin = || {
        let file = std::env::var(BEGUN).expect("a file to make");
        std::fs::write(file, "").expect("made");
    };
    let hang = move || {
        begin();
        std::thread::sleep(std::time::Duration::MAX);
    };
    let builder = Consumer::builder().instance(instance).group("bot").stop_on_signals();
    match std::env::var(HOW).expect("how").as_str() {
        "threads" => {
            let consumer = builder.connect_blocking().expect("connected");
            consumer.run_blocking(move |_| hang()).expect("no error");
        }
        "runtime" => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            runtime.expect("a runtime").block_on(async {
                let consumer = builder.connect().await.expect("connected");
                // The one thread of the runtime never comes back: not even `grace` can pass.
                let handler = move |_| async move {
                    tokio::task::yield_now().await;
                    hang();
                };
                consumer.run(handler).await.expect("no error");
            });
        }
        "thread of the consumer" => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            runtime.expect("a runtime").block_on(async {
                let consumer = builder.connect().await.expect("connected");
                consumer.run(move |_| async move { hang() }).await.expect("no error");
            });
        }
        // `run` gives up after its grace, but the runtime waits for the thread at its end.
        "blocking task" => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            runtime.expect("a runtime").block_on(async {
                let consumer = builder.grace(std::time::Duration::ZERO);
                let consumer = consumer.connect().await.expect("connected");
                let handler = move |_| async move {
                    let _ = tokio::task::spawn_blocking(hang).await;
                };
                consumer.run(handler).await.expect("no error");
            });
        }
        how => panic!("{how}?"),
    }
}

/// A child whose handler is at work, ended with the test.
struct Bot(Child);

impl Bot {
    fn start(rig: &Rig, how: &str, begun: &Path) -> Self {
        let child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "ending::child_that_hangs"])
            .env(INSTANCE, &rig.instance)
            .env(HOW, how)
            .env(BEGUN, begun)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let bot = Self(child.expect("a child"));
        until("the handler to be at work", || begun.exists());
        bot
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ends_and_gives_its_event_back(how: &str, code_wanted: i32) {
    let mut rig = Rig::new();
    let mut other = rig.consumer().group("bot").connect_blocking().expect("connected");
    rig.message(1, 1);
    // Let go, so that the bot gets it.
    drop(next(&mut other));
    drop(other);
    let folder = tempfile::tempdir().expect("a folder");
    let mut bot = Bot::start(&rig, how, &folder.path().join("begun"));

    kill(Pid::from_raw(bot.0.id().cast_signed()), Signal::SIGTERM).expect("it lives");
    let mut code = None;
    until("the bot to end", || {
        code = bot.0.try_wait().expect("waits").map(|status| status.code());
        code.is_some()
    });
    assert_eq!(code, Some(Some(code_wanted)));
    let mut other = rig.consumer().group("bot").connect_blocking().expect("connected");
    let event = other.next_timeout(PATIENCE).expect("no error").event().expect("in time");
    assert_eq!(numbers(&event), (1, 1));
}

#[test]
fn a_handler_that_hangs_on_a_thread() {
    ends_and_gives_its_event_back("threads", 124);
}

#[test]
fn a_handler_that_blocks_the_runtime() {
    ends_and_gives_its_event_back("runtime", 124);
}

#[test]
fn a_handler_whose_blocking_task_hangs() {
    ends_and_gives_its_event_back("blocking task", 124);
}

/// The runtime is free, so that `run` gives up after its grace, and the program ends by itself.
#[test]
fn a_handler_that_hangs_where_it_begins() {
    ends_and_gives_its_event_back("thread of the consumer", 0);
}
