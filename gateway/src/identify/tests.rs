//! The queue within one process.

use std::sync::Arc;

use super::*;
use crate::config::Fingerprint;

const SPACING: Duration = Duration::from_millis(30);

/// A queue that Discord has said nothing to.
fn silent(folder: &std::path::Path, expected: &[u16]) -> Arc<Gate> {
    let file = BookFile::new(&folder.join("book"), Fingerprint([7; 16])).expect("made");
    Arc::new(Gate::new(file, SPACING, expected.iter().copied()))
}

pub(super) fn gate(folder: &std::path::Path, max_concurrency: u32, expected: &[u16]) -> Arc<Gate> {
    let gate = silent(folder, expected);
    gate.set_rules(Rules { max_concurrency, spacing: SPACING, total: 1_000 });
    gate
}

/// Until the shard has a place, or gave it up.
pub(super) async fn has_place(gate: &Gate, shard: u16, place: bool) {
    while lock(&gate.waiting).contains_key(&shard) != place {
        tokio::task::yield_now().await;
    }
}

/// Sessions resume without a word from Discord; nobody identifies before it.
#[tokio::test]
async fn g13_nobody_identifies_before_discord_has_said_how_many_may() {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = silent(folder.path(), &[]);
    let early = tokio::spawn({
        let gate = gate.clone();
        async move { gate.permit(0, 0).await }
    });
    has_place(&gate, 0, true).await;
    let limit = StartLimit { remaining: 0, reset_after: 3_600_000, ..StartLimit::default() };
    gate.tell(&limit).await.expect("works");
    // It hears that there is nothing, and later that there is again.
    has_place(&gate, 0, false).await;
    assert!(!early.is_finished());
    gate.tell(&StartLimit::default()).await.expect("works");
    early.await.expect("no panic").expect("granted");
}

/// §15 line 12: buckets in order, 0…c-1, then c…2c-1.
#[tokio::test]
async fn g14_lower_shards_identify_first_whoever_asks_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = gate(folder.path(), 2, &[0, 1, 2, 3, 4, 5]);
    let order = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<_> = [5, 4, 3, 2, 1, 0]
        .map(|shard| {
            let (gate, order) = (gate.clone(), order.clone());
            tokio::spawn(async move {
                gate.permit(shard, 0).await.expect("granted");
                lock(&order).push(shard);
            })
        })
        .into();
    for task in tasks {
        task.await.expect("no panic");
    }
    let order = lock(&order).clone();
    for bucket in 0..2 {
        let of_bucket: Vec<_> = order.iter().copied().filter(|s| s % 2 == bucket).collect();
        assert!(of_bucket.is_sorted(), "{order:?}");
    }
}

/// A process that is stopped with the lock is told of, not before some seconds and not all the time.
#[tokio::test]
async fn a_lock_that_is_not_let_go_is_told_once_in_a_while() {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = gate(folder.path(), 1, &[]);
    let file = std::fs::File::create(gate.file.path()).expect("made");
    let held = nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusiveNonblock);
    let held = held.expect("free");
    let told = gate.turn(0, ..0, &mut None).await;
    assert_eq!(
        gate.claim(Wish::default(), told.rules, &mut None).await.expect("works").expect_err("held"),
        file::HELD
    );
    let told = || *lock(&gate.told_held);
    gate.tell_held(0, Instant::now());
    assert_eq!(told(), None, "held for a moment");
    let long_ago = Instant::now().checked_sub(HELD_FOR).expect("the clock runs longer");
    gate.tell_held(0, long_ago);
    let first = told().expect("told");
    gate.tell_held(1, long_ago);
    assert_eq!(told(), Some(first), "for all shards together");
    *lock(&gate.told_held) = first.checked_sub(TELL_EVERY);
    gate.tell_held(1, long_ago);
    assert!(told().expect("again") >= first);
    drop(held);
    gate.permit(0, 0).await.expect("granted");
}

/// Discord may say that the budget is whole between the book's refusal and the wait for that.
#[tokio::test]
async fn g16_what_discord_says_while_the_book_is_asked_ends_the_wait() {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = gate(folder.path(), 1, &[]);
    let spent = StartLimit { remaining: 0, reset_after: 3_600_000, ..StartLimit::default() };
    gate.tell(&spent).await.expect("works");
    let told = gate.turn(0, ..0, &mut None).await;
    let refused = gate.claim(Wish::default(), told.rules, &mut None).await.expect("works");
    let Err(Claim::Spent(wait)) = refused else { panic!("{refused:?}") };
    gate.tell(&StartLimit::default()).await.expect("works");
    assert!(wait > Duration::from_secs(3_000));
    let rest = tokio::time::timeout(Duration::from_secs(30), gate.rest(wait, told));
    rest.await.expect("it does not sleep through the news");
}

#[tokio::test]
async fn a_shard_that_never_comes_or_leaves_holds_nobody_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = gate(folder.path(), 1, &[1, 2]);
    // Shard 1 asks and goes away again.
    drop(tokio::time::timeout(Duration::ZERO, gate.permit(1, 0)).await);
    gate.permit(2, 0).await.expect("granted");
}

/// A shard whose failures have used up their part waits for long, and nobody behind it does.
#[tokio::test]
async fn g16_a_shard_that_waits_for_the_budget_lets_others_of_its_bucket_pass() {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = gate(folder.path(), 1, &[]);
    let limit =
        StartLimit { total: 4, remaining: 4, reset_after: 3_600_000, ..StartLimit::default() };
    gate.tell(&limit).await.expect("works");
    gate.permit(0, 1).await.expect("the only identify for failures");
    gate.permit(0, 1).await.expect("the first that is paced");
    let paced = tokio::spawn({
        let gate = gate.clone();
        async move { gate.permit(0, 1).await }
    });
    has_place(&gate, 0, true).await;
    has_place(&gate, 0, false).await;
    tokio::time::timeout(Duration::from_secs(30), gate.permit(1, 0))
        .await
        .expect("shard 1 does not wait for shard 0")
        .expect("granted");
    assert!(!paced.is_finished());
    paced.abort();
}
