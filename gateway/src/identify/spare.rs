//! Permits for identifies that can wait: those of shards whose sessions are well.

use std::io;

use tokio::time::Instant;

use super::{Claim, Gate, Permit, Told, Wish, file};

/// What was logged of a wait.
#[derive(Debug, Default)]
struct Waiting {
    warned: bool,
    held_since: Option<Instant>,
}

impl Gate {
    /// Waits until [`Self::spare_permit`] would grant one: whoever asks for that has a connection to use it on at once,
    /// and the queue is nobody's meanwhile.
    ///
    /// # Errors
    /// When the common book cannot be read.
    pub async fn spare_turn(&self, shard: u16, failures: u32, keep: u64) -> io::Result<()> {
        let mut waiting = Waiting::default();
        loop {
            let told = self.turn(shard, .., &mut None).await;
            let wish = wish(shard, failures, keep, told);
            let claim = self.look(wish, told.rules).await?;
            if claim == Claim::Granted {
                return Ok(());
            }
            self.outwait(wish, told, claim, &mut waiting).await;
        }
    }

    /// Waits until `shard`, which has a session, may begin another one: behind all shards of the process that have
    /// none, and only where `keep` identifies stay for those that will have to, or half a day's budget if that is
    /// less. Dropping the future gives up.
    ///
    /// # Errors
    /// When the common book cannot be used.
    pub async fn spare_permit(&self, shard: u16, failures: u32, keep: u64) -> io::Result<Permit> {
        let (mut waiting, mut shared) = (Waiting::default(), None);
        loop {
            let told = self.turn(shard, .., &mut shared).await;
            let wish = wish(shard, failures, keep, told);
            match self.claim(wish, told.rules, &mut shared).await? {
                Ok(permit) => {
                    self.count_granted();
                    return Ok(permit);
                }
                Err(claim) => self.outwait(wish, told, claim, &mut waiting).await,
            }
        }
    }

    async fn outwait(&self, wish: Wish, told: Told, claim: Claim, waiting: &mut Waiting) {
        let Wish { shard, keep, .. } = wish;
        match claim {
            Claim::Granted => {}
            Claim::Wait(wait) => {
                if claim == file::HELD {
                    self.tell_held(shard, *waiting.held_since.get_or_insert_with(Instant::now));
                } else {
                    waiting.held_since = None;
                }
                tokio::time::sleep(wait).await;
            }
            Claim::Paced(wait) | Claim::Spent(wait) => {
                if !std::mem::replace(&mut waiting.warned, true) {
                    tracing::warn!(
                        shard,
                        keep,
                        wait_s = wait.as_secs(),
                        "a new session would leave too few identifies for shards that lose theirs: it waits for the \
                         next budget, and the old session goes on"
                    );
                }
                self.doubt.notify_one();
                self.rest(wait, told).await;
            }
        }
    }
}

/// The reserve is half of the budget at most, or a bot of many shards would never begin anew.
fn wish(shard: u16, failures: u32, keep: u64, told: Told) -> Wish {
    Wish { shard, failures, keep: keep.min(told.rules.total / 2) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::tests::{gate, has_place};
    use super::*;
    use crate::discovery::StartLimit;

    const SOON: Duration = Duration::from_millis(50);

    fn limit(remaining: u64) -> StartLimit {
        StartLimit { total: 10, remaining, reset_after: 3_600_000, ..StartLimit::default() }
    }

    fn spare(gate: &Arc<Gate>, keep: u64) -> tokio::task::JoinHandle<io::Result<Permit>> {
        let gate = Arc::clone(gate);
        tokio::spawn(async move { gate.spare_permit(0, 0, keep).await })
    }

    #[tokio::test]
    async fn g16_what_can_wait_leaves_the_reserve_and_goes_on_when_there_is_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let gate = gate(folder.path(), 1, &[]);
        gate.tell(&limit(3)).await.expect("works");
        let waits = spare(&gate, 3);
        let looks = tokio::time::timeout(SOON, gate.spare_turn(0, 0, 3)).await;
        assert!(looks.is_err(), "nor is there a turn");
        // Who has to identify does, out of that reserve, and is not held up.
        gate.permit(0, 0).await.expect("granted");
        gate.permit(1, 0).await.expect("granted");
        assert!(!waits.is_finished());
        gate.tell(&limit(10)).await.expect("works");
        // Whichever comes first: a permit keeps the turn of others as long as it is there.
        let granted = async { drop(waits.await.expect("no panic").expect("granted")) };
        let (turn, ()) = tokio::join!(gate.spare_turn(1, 0, 3), granted);
        turn.expect("works");
        // More than half of all is never kept, or a bot of many shards would never begin anew.
        gate.tell(&limit(7)).await.expect("works");
        spare(&gate, 1_000).await.expect("no panic").expect("granted");
    }

    #[tokio::test]
    async fn who_has_no_session_goes_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let gate = gate(folder.path(), 1, &[]);
        let held = gate.permit(7, 0).await.expect("granted");
        let needs = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.permit(9, 0).await }
        });
        has_place(&gate, 9, true).await;
        let turn = tokio::time::timeout(Duration::ZERO, gate.turn(0, .., &mut None)).await;
        assert!(turn.is_err(), "a higher number, and yet before it");
        let waits = spare(&gate, 0);
        drop(held);
        needs.await.expect("no panic").expect("granted");
        waits.await.expect("no panic").expect("granted");
    }
}
