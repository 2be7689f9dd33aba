//! The bounds of a session, and what a RESUME may name.

use super::*;
use crate::world::intents::Intents;

pub(super) fn session(limits: Limits) -> Session {
    let viewer = Viewer { intents: Intents::ALL, large_threshold: 50, obfuscated: false };
    Session::new("a".to_owned(), 1, (0, 1), viewer, Encoding::Json, limits, None)
}

pub(super) fn limits() -> Limits {
    let ttl = Duration::from_secs(60);
    Limits {
        replay: 10,
        hold: true,
        ttl,
        forget_acked: false,
        first_seq: 1,
        journal_max: 0,
        ahead: 0,
    }
}

/// A packet of a mebibyte.
fn packet() -> Packet {
    Packet { name: "X", body: vec![b'x'; 1 << 20].into(), hash: 0 }
}

#[test]
fn who_never_reads_what_it_is_answered_is_cut_and_its_session_ends() {
    let session = session(limits());
    for _ in 0..100 {
        session.push(packet());
    }
    assert!(!session.expired(Instant::now()), "what READY brings is never too much");
    let (sender, mut receiver) = mpsc::unbounded_channel();
    session.attach(1, sender);
    let mut answers = 0;
    while !session.expired(Instant::now()) {
        session.push(packet());
        answers += 1;
        assert!(answers < 100, "no end");
    }
    assert!(answers > 60);
    assert!(matches!(receiver.try_recv(), Ok(Command::Cut)));
    session.push(packet());
    assert_eq!(session.progress().last_seq, 100 + answers);
}

#[test]
fn a_seq_from_beyond_any_number_is_refused() {
    let session = session(limits());
    session.push(packet());
    assert_eq!(session.rewind(u64::MAX, Encoding::Json), Err(Refusal::Seq));
    assert_eq!(session.rewind(1, Encoding::Json), Ok(()));
}

/// Of two connections the one that resumes is told everything, however late the other one hears of it.
#[test]
fn who_resumes_shares_with_nobody() {
    let session = session(limits());
    let (sender, mut receiver) = mpsc::unbounded_channel();
    session.attach(1, sender);
    (0..3).for_each(|_| session.push(packet()));
    assert_eq!(session.rewind(0, Encoding::Json), Ok(()));
    assert!(matches!(receiver.try_recv(), Ok(Command::Cut)));
    let mut taken = Vec::new();
    session.take(1, usize::MAX, &mut taken);
    assert!(taken.is_empty(), "it is the other's");
    session.attach(2, mpsc::unbounded_channel().0);
    assert_eq!(session.take(2, usize::MAX, &mut taken).first, 1);
    assert_eq!(taken.len(), 3);
}
