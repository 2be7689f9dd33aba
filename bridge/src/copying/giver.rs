//! Gives copies of this machine's state.

use std::fmt::Debug;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::{Client, Message, Subscriber};
use futures_util::StreamExt as _;
use mixcord_bridge::copies::{Answer, Message as _, Origins, PATIENCE_S, Question, room_for};
use mixcord_bridge::names;
use mixcord_ring::Namespace;
use mixcord_state::State;
use tokio::sync::watch;

use super::making::{Made, Making};
use crate::failure::Failure;
use crate::{place, random};

/// How often it is looked whether somebody still asks.
const LOOK: Duration = Duration::from_secs(5);
/// The longest answer.
const BYTES_MAX: u32 = 1 << 20;

/// Sees that what stands behind a copy is not trimmed.
pub(crate) trait Keeps: Debug + Send + Sync {
    /// From now on, until what is given is dropped; `None` where that cannot be yet, as the receiver is not known.
    fn keep(self: Arc<Self>, receiver: &str) -> Option<Box<dyn Send + Sync>>;
}

/// Who gives copies.
pub(crate) struct Giver {
    number: u64,
    client: Client,
    instance: String,
    bot: String,
    namespace: Namespace,
    dir: PathBuf,
    keeps: Arc<dyn Keeps>,
    given: Option<Given>,
}

/// A copy.
struct Given {
    number: u64,
    /// Who gets it.
    receiver: String,
    making: Arc<Making>,
    asked: Instant,
    _kept: Box<dyn Send + Sync>,
}

impl Drop for Given {
    fn drop(&mut self) {
        self.making.give_up();
    }
}

impl Giver {
    /// Of the state of an instance; copies lie in `dir`.
    pub(crate) fn new(
        client: Client,
        (instance, bot): (&str, &str),
        namespace: &Namespace,
        dir: PathBuf,
        keeps: Arc<dyn Keeps>,
    ) -> Self {
        let (number, namespace) = (random(), namespace.clone());
        let (instance, bot) = (instance.to_owned(), bot.to_owned());
        Self { number, client, instance, bot, namespace, dir, keeps, given: None }
    }

    /// Answers until `stop` says so.
    pub(crate) async fn give(mut self, mut stop: watch::Receiver<bool>) -> Result<(), Failure> {
        let mut asked_of_all = self.subscribe(names::copies(&self.bot, &self.instance)).await?;
        let mut asked = self.subscribe(names::copy_giver(&self.bot, self.number)).await?;
        let mut look = tokio::time::interval(LOOK);
        loop {
            let request = tokio::select! {
                () = async { drop(stop.wait_for(|stop| *stop).await) } => return Ok(()),
                Some(request) = asked_of_all.next() => request,
                Some(request) = asked.next() => request,
                _ = look.tick() => {
                    let patience = Duration::from_secs(PATIENCE_S);
                    self.given.take_if(|given| given.asked.elapsed() >= patience);
                    continue;
                }
            };
            if let Some(answer) = self.answer(&request) {
                let Some(reply) = request.reply else { continue };
                if let Err(error) = self.client.publish(reply, answer.into()).await {
                    tracing::debug!("an answer about a copy is lost: {error}");
                }
            }
        }
    }

    async fn subscribe(&self, subject: String) -> Result<Subscriber, Failure> {
        let subscribed = self.client.subscribe(subject).await;
        subscribed.map_err(|error| Failure::Trouble(error.to_string()))
    }

    fn answer(&mut self, request: &Message) -> Option<Vec<u8>> {
        let answer = match Question::decode(&request.payload)? {
            Question::Who(shards) => {
                let inputs = State::open(&mixcord_state::directory(&self.instance)).ok()?.inputs();
                let has = Origins::of(&inputs.ok()?, shards).missing(shards).is_none();
                has.then(|| Answer::Here { giver: self.number, place: place(&self.instance) })?
            }
            Question::Begin { receiver } => self.begin(&receiver),
            Question::Look { copy } => self.look(copy),
            Question::Read { copy, from, bytes } => match self.read(copy, from, bytes) {
                Ok(bytes) => return Some(bytes),
                Err(answer) => answer,
            },
            Question::Done { copy } => {
                self.given.take_if(|given| given.number == copy);
                Answer::Gone
            }
        };
        Some(answer.encode())
    }

    fn begin(&mut self, receiver: &str) -> Answer {
        match &self.given {
            // The answer to its first question was lost.
            Some(given) if given.receiver == receiver => {
                let number = given.number;
                return self.look(number);
            }
            Some(_) => return Answer::Busy,
            None => {}
        }
        let Some(kept) = Arc::clone(&self.keeps).keep(receiver) else { return Answer::Busy };
        let (making, number) = (Arc::new(Making::new()), random());
        let (maker, instance) = (Arc::clone(&making), self.instance.clone());
        let (namespace, dir) = (self.namespace.clone(), self.dir.clone());
        tokio::task::spawn_blocking(move || maker.make(&instance, &namespace, &dir));
        tracing::info!(receiver, "a copy of the state is made for another machine");
        let (receiver, asked) = (receiver.to_owned(), Instant::now());
        self.given = Some(Given { number, receiver, making, asked, _kept: kept });
        self.look(number)
    }

    fn look(&mut self, copy: u64) -> Answer {
        let Some(given) = self.given.as_mut().filter(|given| given.number == copy) else {
            return Answer::Gone;
        };
        given.asked = Instant::now();
        let answer = match &*given.making.made() {
            Made::Making(progress) => {
                let (values, expected) = (progress.values, progress.expected);
                return Answer::Making { copy, values, expected };
            }
            Made::Whole { bytes, .. } => return Answer::Whole { copy, bytes: *bytes },
            Made::Failed(why) => Answer::Failed { why: why.clone() },
        };
        tracing::warn!("no copy of the state could be made: {answer:?}");
        self.given = None;
        answer
    }

    fn read(&mut self, copy: u64, from: u64, bytes: u32) -> Result<Vec<u8>, Answer> {
        let given = self.given.as_mut().filter(|given| given.number == copy);
        let given = given.ok_or(Answer::Gone)?;
        given.asked = Instant::now();
        let made = given.making.made();
        let Made::Whole { file, bytes: all } = &*made else {
            return Err(Answer::Gone);
        };
        let bytes = u64::from(bytes.min(BYTES_MAX)).min(all.saturating_sub(from));
        let mut answer = room_for(bytes as usize);
        match file.read_exact_at(&mut answer[1..], from) {
            Ok(()) => Ok(answer),
            Err(error) => Err(Answer::Failed { why: error.to_string() }),
        }
    }
}
