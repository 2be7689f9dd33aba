//! The thread behind an `AsyncBell`. Alone in its file, since it counts the threads of its process, which
//! under plain `cargo test` would be those of its neighbours, too.
#![cfg(feature = "tokio")]

mod common;

use std::time::Duration;

use common::Instance;
use mixcord_ring::AsyncBell;

const LONG: Duration = Duration::from_secs(20);

fn bell_threads() -> usize {
    let named = |task: std::io::Result<std::fs::DirEntry>| {
        let name = std::fs::read_to_string(task.unwrap().path().join("comm"));
        name.is_ok_and(|name| name.trim() == "ring-bell")
    };
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| named(task).then_some(()))
        .count()
}

#[test]
fn waits_share_one_thread_and_may_be_abandoned() {
    let instance = Instance::new("abandon");
    let bell = AsyncBell::new(instance.namespace.bell().unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let bell = bell.clone();
                tokio::spawn(async move {
                    let ticket = bell.ticket();
                    bell.notified_within(ticket, LONG).await;
                })
            })
            .collect();
        for task in &tasks[..20] {
            task.abort();
        }
        // A thread gives itself its name, a moment after it was started.
        while bell_threads() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(bell_threads(), 1);
        // Tasks that have not taken their ticket yet take it after this ring: ring until all ended.
        while tasks.iter().any(|task| !task.is_finished()) {
            bell.bell().ring();
            tokio::task::yield_now().await;
        }
        let nobody = bell.ticket();
        bell.notified(nobody).await;
    });
}
