//! Whether this machine may have sessions of its shards, where another one may take them over (`--take-over`): the bridge says
//! so, each time for a few seconds. Without that nobody resumes or identifies here, so that two machines never fight
//! for a session; a connection that is there is kept.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mixcord_event::permit::{Answer, Ask, PACKET_MAX, Shards};
use mixcord_event::topology;
use mixcord_process::packets::{self, Asked};
use nix::time::{ClockId, clock_gettime};
use tokio::sync::watch;

use crate::config::ShardSet;

/// How often the bridge is asked while all is well.
const ASK: Duration = Duration::from_secs(1);
/// How long it may take to answer: it asks nobody.
const PATIENCE: Duration = Duration::from_secs(2);
/// How soon to ask again where nobody answers.
const PAUSE: Duration = Duration::from_millis(250);
/// How often it is said that nothing is resumed, and from when on.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// The right to run shards.
#[derive(Debug)]
pub struct Tenure {
    socket: PathBuf,
    shards: Shards,
    state: watch::Sender<State>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// By the clock that goes on while the machine is suspended.
    Until(Duration),
    /// Another machine runs them.
    Over(String),
}

impl Tenure {
    /// Of these shards, by the bridge of this instance.
    pub fn new(instance: &str, shards: &ShardSet) -> Self {
        let ShardSet { first, last, count } = *shards;
        Self {
            socket: topology::permit_socket(instance).into(),
            shards: Shards { first, last, count },
            state: watch::Sender::new(State::Until(Duration::ZERO)),
        }
    }

    /// May a session be begun or resumed now?
    pub fn is_held(&self) -> bool {
        matches!(&*self.state.borrow(), State::Until(until) if now() < *until)
    }

    /// Waits until one may.
    pub async fn held(&self) {
        let mut state = self.state.subscribe();
        // It is renewed before it ends, or begins with a change.
        let is_held = |state: &State| matches!(state, State::Until(until) if now() < *until);
        if state.wait_for(is_held).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until another machine runs the shards for good, and says which.
    pub async fn over(&self) -> String {
        let mut state = self.state.subscribe();
        let mut said = None;
        let is_over = |state: &State| {
            said = match state {
                State::Over(why) => Some(why.clone()),
                State::Until(_) => None,
            };
            said.is_some()
        };
        let _ = state.wait_for(is_over).await;
        match said {
            Some(why) => why,
            None => std::future::pending().await,
        }
    }

    /// Asks for it again and again.
    pub async fn keep(&self) -> Infallible {
        let (mut lacks_since, mut told) = (Instant::now(), None::<Instant>);
        loop {
            let asked = now();
            let (pause, why) = match ask(&self.socket, Ask::Run(self.shards)).await {
                Some(Answer::Held { valid_ms }) => {
                    self.state.send_replace(State::Until(asked + Duration::from_millis(valid_ms)));
                    (lacks_since, told) = (Instant::now(), None);
                    (ASK, None)
                }
                Some(Answer::Over { why }) => {
                    self.state.send_replace(State::Over(why));
                    return std::future::pending().await;
                }
                Some(Answer::Wait { ms, why }) => (Duration::from_millis(ms), why),
                Some(_) => (PAUSE, Some("the bridge is of another release".to_owned())),
                None => (PAUSE, Some("no mixcord-bridge send runs here".to_owned())),
            };
            let last = told.unwrap_or(lacks_since);
            if let Some(why) = why
                && last.elapsed() >= TELL_EVERY
            {
                told = Some(Instant::now());
                tracing::warn!(
                    "no session is begun or resumed, as another machine may have taken the shards over: {why}"
                );
            }
            tokio::time::sleep(pause).await;
        }
    }
}

/// Asks the bridge once.
pub(crate) async fn ask(socket: &std::path::Path, what: Ask) -> Option<Answer> {
    match packets::ask(socket, &what.encode(), PACKET_MAX, PATIENCE).await {
        Asked::Answered(answer) => Answer::decode(&answer),
        Asked::Nobody | Asked::Unknown => None,
    }
}

fn now() -> Duration {
    // It is there since Linux 2.6.39.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::MAX, Duration::from)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use mixcord_process::packets::PacketServer;

    use super::*;

    const SHARDS: ShardSet = ShardSet { first: 2, last: 3, count: 4 };

    /// A bridge that gives these answers by turns, the last one again and again.
    fn bridge(tenure: &Tenure, answers: Vec<Answer>) {
        let server = PacketServer::bind(tenure.socket.clone(), PACKET_MAX).expect("bound");
        let answers = Arc::new(Mutex::new(answers));
        let expected = Ask::Run(Shards { first: 2, last: 3, count: 4 });
        tokio::spawn(server.serve(move |packet| {
            assert_eq!(Ask::decode(&packet), Some(expected));
            let mut answers = answers.lock().expect("whole");
            let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
            async move { Some(answer.encode()) }
        }));
    }

    #[tokio::test]
    async fn who_waits_goes_on_once_the_bridge_holds_the_shards() {
        let tenure = Tenure::new(&format!("t{}-g-held", std::process::id()), &SHARDS);
        assert!(!tenure.is_held(), "nobody said so");
        bridge(&tenure, vec![Answer::Wait { ms: 1, why: None }, Answer::Held { valid_ms: 60_000 }]);
        tokio::select! {
            never = tenure.keep() => match never {},
            () = tenure.held() => {}
        }
        assert!(tenure.is_held());
    }

    #[tokio::test]
    async fn it_ends_by_itself_and_for_good_when_another_machine_has_them() {
        let tenure = Tenure::new(&format!("t{}-g-over", std::process::id()), &SHARDS);
        let over = Answer::Over { why: "elsewhere".to_owned() };
        bridge(&tenure, vec![Answer::Held { valid_ms: 0 }, over]);
        let why = tokio::select! {
            never = tenure.keep() => match never {},
            () = tenure.held() => panic!("its time was over when it came"),
            why = tenure.over() => why,
        };
        assert_eq!((&*why, tenure.is_held()), ("elsewhere", false));
    }
}
