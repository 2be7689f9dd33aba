//! An awaited bell's bounds, and its end.
#![cfg(feature = "tokio")]

mod common;

use std::time::Duration;

use common::Instance;
use mixcord_ring::AsyncBell;

#[tokio::test]
async fn any_bound_is_a_bound() {
    let instance = Instance::new("bound");
    let bell = AsyncBell::new(instance.namespace.bell().unwrap()).unwrap();
    let ticket = bell.ticket();
    let ringer = bell.bell().clone();
    let rung = tokio::task::spawn_blocking(move || ringer.ring());
    bell.notified_within(ticket, Duration::MAX).await;
    rung.await.unwrap();
    bell.notified_within(bell.ticket(), Duration::ZERO).await;
}

/// Its thread holds the bell: it is gone when the last clone is.
#[tokio::test]
async fn with_its_last_clone_the_bell_is_given_back() {
    let instance = Instance::new("end");
    for _ in 0..100 {
        let bell = AsyncBell::new(instance.namespace.bell().unwrap()).unwrap();
        let clone = bell.clone();
        clone.notified_within(bell.ticket(), Duration::from_micros(100)).await;
        drop((bell, clone));
        instance.namespace.remove_all().unwrap();
    }
}
