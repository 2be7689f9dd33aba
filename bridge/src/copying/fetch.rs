//! Fetches the state of another machine.

use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant};

use async_nats::{Client, Request, RequestErrorKind};
use bytes::Bytes;
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use mixcord_bridge::copies::{Answer, Message as _, Origins, Question, bytes_in};
use mixcord_bridge::names;
use mixcord_process::service::Service;

use super::arrival::{Arrival, Note};
use crate::broker::{Broker, PATIENCE, PAUSE, REMIND};
use crate::failure::Failure;

/// Bytes that are asked for at once, and how many such requests are under way.
const CHUNK: usize = 256 << 10;
const CHUNKS: usize = 8;
/// Beside the bytes in a message.
const ROOM: usize = 1 << 10;
/// How often it is said how far it is.
const TELL: Duration = Duration::from_secs(2);

/// Who fetches, and whose state.
pub(crate) struct Fetch<'a> {
    pub(crate) broker: &'a Broker,
    pub(crate) bot: &'a str,
    /// The instance whose state it is to be.
    pub(crate) from: &'a str,
    /// Under which floors are told here.
    pub(crate) receiver: String,
    pub(crate) arrival: &'a Arrival,
    pub(crate) service: &'a Service,
}

/// Why it does not go on.
enum Stopped {
    /// It may a little later, from where it is.
    Later(String),
    /// Nobody listens there.
    Nobody,
    /// What has arrived is of no use.
    Anew(String),
    /// Nobody can mend it but people.
    Failed(Failure),
}

impl From<std::io::Error> for Stopped {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(Failure::Trouble(format!("the copy of the state cannot be kept: {error}")))
    }
}

impl Fetch<'_> {
    /// Until the copy is here, where the cache finds it; says where its lanes go on.
    pub(crate) async fn run(&self) -> Result<Origins, Failure> {
        let mut reminded: Option<Instant> = None;
        loop {
            let (why, anew) = match self.try_run().await {
                Ok(origins) => return Ok(origins),
                Err(Stopped::Failed(failure)) => return Err(failure),
                Err(Stopped::Later(why)) => (why, false),
                Err(Stopped::Nobody) => ("no bridge that has it is connected".to_owned(), false),
                Err(Stopped::Anew(why)) => (why, true),
            };
            if anew {
                self.arrival.forget().map_err(|error| Failure::Trouble(error.to_string()))?;
            }
            self.service.status(format!("waits for the state of instance {}", self.from));
            if reminded.is_none_or(|at| at.elapsed() >= REMIND) {
                reminded = Some(Instant::now());
                tracing::warn!(
                    "no state from instance {} yet, and no shard is received before: {why} (--state-from none begins \
                     without one)",
                    self.from
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn try_run(&self) -> Result<Origins, Stopped> {
        let began = Instant::now();
        // An earlier process ended between the two.
        if let Some(whole) = self.arrival.whole()? {
            let origins = self.origins(whole).await?;
            self.arrival.put_origins(&origins)?;
            return Ok(origins);
        }
        let (note, file, have) = match self.arrival.begun() {
            Some(begun) => begun,
            None => {
                let note = self.ask_for_one().await?;
                (note, self.arrival.begin(&note)?, 0)
            }
        };
        match self.transfer(&note, file, have).await {
            // Its connection may come back, and the copy is there still; unless the process was another one.
            Err(Stopped::Nobody) if self.who().await?.0 != note.giver => {
                return Err(Stopped::Anew("the bridge that gave it was started anew".to_owned()));
            }
            transferred => transferred?,
        }
        let origins = self.origins(self.arrival.part()?).await?;
        self.arrival.finish()?;
        self.arrival.put_origins(&origins)?;
        let _ = self.ask(note.giver, &Question::Done { copy: note.copy }).await;
        tracing::info!(
            bytes = note.bytes,
            ms = began.elapsed().as_millis(),
            "the state of instance {} is here",
            self.from
        );
        Ok(origins)
    }

    /// Who has the state: a number, and where that runs.
    async fn who(&self) -> Result<(u64, String), Stopped> {
        let who = Question::Who(self.arrival.shards);
        let answer = request(self.client(), names::copies(self.bot, self.from), &who).await?;
        match Answer::decode(&answer) {
            Some(Answer::Here { giver, place }) => Ok((giver, place)),
            _ => Err(Stopped::Later("its bridge is of another release".to_owned())),
        }
    }

    /// Has a copy made, and waits until it is whole.
    async fn ask_for_one(&self) -> Result<Note, Stopped> {
        let (giver, place) = self.who().await?;
        let mut question = Question::Begin { receiver: self.receiver.clone() };
        let mut told = Instant::now();
        tracing::info!("{place} has the state");
        loop {
            match self.ask(giver, &question).await? {
                Answer::Making { copy, values, expected } => {
                    question = Question::Look { copy };
                    self.tell(&mut told, || {
                        format!("{values} of about {expected} values of the state are copied there")
                    });
                }
                Answer::Whole { copy, bytes } => return Ok(Note { giver, copy, bytes }),
                Answer::Busy => {
                    return Err(Stopped::Later("it is not ready to give one".to_owned()));
                }
                Answer::Failed { why } => return Err(Stopped::Later(why)),
                _ => return Err(Stopped::Later("its bridge was started anew".to_owned())),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Appends what is missing to `file`, which has so many bytes.
    async fn transfer(&self, note: &Note, mut file: File, mut have: u64) -> Result<(), Stopped> {
        let Note { giver, copy, bytes: all } = *note;
        let chunk = CHUNK.min(self.broker.payload_max().saturating_sub(ROOM)).max(1) as u64;
        let (mut asked, mut told) = (have, Instant::now());
        let mut under_way = FuturesOrdered::new();
        loop {
            while asked < all && under_way.len() < CHUNKS {
                let bytes = chunk.min(all - asked);
                let question = Question::Read { copy, from: asked, bytes: bytes as u32 };
                let subject = names::copy_giver(self.bot, giver);
                under_way.push_back(async move {
                    (bytes, request(self.client(), subject, &question).await)
                });
                asked += bytes;
            }
            let Some((bytes, answer)) = under_way.next().await else { return Ok(()) };
            let answer = answer?;
            let content = bytes_in(&answer).map_err(|answer| match answer {
                Answer::Failed { why } => Stopped::Later(why),
                _ => Stopped::Anew("its copy is gone".to_owned()),
            })?;
            if content.len() as u64 != bytes {
                return Err(Stopped::Later("a part came of another length".to_owned()));
            }
            file.write_all(content)?;
            have += bytes;
            self.tell(&mut told, || {
                let percent = have * 100 / all.max(1);
                format!("{have} of {all} bytes of the state have arrived, {percent} %")
            });
        }
    }

    /// Where the lanes of a copy go on. All of it is read, so that nothing damaged is given to the cache.
    async fn origins(&self, copy: File) -> Result<Origins, Stopped> {
        let read = move || mixcord_copy::inputs(std::io::BufReader::new(copy));
        let inputs = tokio::task::spawn_blocking(read).await;
        let inputs = inputs.map_err(|error| Stopped::Later(error.to_string()))?;
        let inputs = inputs.map_err(|error| Stopped::Anew(error.to_string()))?;
        let origins = Origins::of(&inputs, self.arrival.shards);
        match origins.missing(self.arrival.shards) {
            None => Ok(origins),
            Some(lane) => Err(Stopped::Anew(format!("it does not have shard {lane}"))),
        }
    }

    async fn ask(&self, giver: u64, question: &Question) -> Result<Answer, Stopped> {
        let answer = request(self.client(), names::copy_giver(self.bot, giver), question).await?;
        Ok(Answer::decode(&answer).unwrap_or(Answer::Gone))
    }

    fn client(&self) -> Client {
        self.broker.jetstream.client()
    }

    fn tell(&self, told: &mut Instant, what: impl Fn() -> String) {
        if told.elapsed() >= TELL {
            *told = Instant::now();
            let line = what();
            tracing::info!("{line}");
            self.service.status(line);
        }
    }
}

async fn request(client: Client, subject: String, question: &Question) -> Result<Bytes, Stopped> {
    let request = Request::new().payload(question.encode().into()).timeout(Some(PATIENCE));
    match client.send_request(subject, request).await {
        Ok(answer) => Ok(answer.payload),
        Err(error) if error.kind() == RequestErrorKind::NoResponders => Err(Stopped::Nobody),
        Err(error) => Err(Stopped::Later(error.to_string())),
    }
}
