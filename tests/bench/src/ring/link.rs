//! One-way links between two processes, ours and the peers', behind one face.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use iceoryx2::prelude::{
    BackpressureStrategy, Config, FileName, NodeBuilder, Path, SemanticString as _, ServiceName,
    ipc,
};
use mixcord_ring::{Geometry, GroupSpec, Limits, Member, Meta, Namespace, Producer, Ring, Start};

/// What goes over a link is a multiple of a cache line.
pub(crate) const LINE: usize = 64;
/// Messages that a batching sender puts together.
pub(crate) const BATCH: usize = 64;

/// The sending end.
pub(crate) trait Sender {
    /// Copies the payload in; waits, spinning, while there is no room.
    fn send(&mut self, payload: &[u8]);
    /// Whatever was put off is on its way after this.
    fn flush(&mut self) {}
}

/// The receiving end.
pub(crate) trait Receiver {
    /// Adds up one byte of every cache line of what is there; gives how many messages that was.
    fn receive(&mut self, sum: &mut u64) -> u64;

    /// The same for one who waits for an answer, and never sleeps.
    fn poll(&mut self, sum: &mut u64) -> u64 {
        self.receive(sum)
    }
}

/// Reads every cache line of a payload.
#[inline]
pub(crate) fn touch(payload: &[u8], sum: &mut u64) {
    for line in payload.chunks(LINE) {
        *sum = sum.wrapping_add(u64::from(line[0]));
    }
}

/// Where links of this run live; removed by [`Place::remove`].
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) name: String,
}

impl Place {
    pub(crate) fn path(&self, what: &str) -> PathBuf {
        PathBuf::from(format!("/dev/shm/{}.{what}", self.name))
    }

    fn namespace(&self) -> Result<Namespace> {
        Ok(Namespace::new(&self.name)?)
    }

    pub(crate) fn remove(&self) {
        let prefix = format!("{}.", self.name);
        for entry in std::fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                let path = entry.path();
                let _ = if path.is_dir() {
                    std::fs::remove_dir_all(path)
                } else {
                    std::fs::remove_file(path)
                };
            }
        }
    }
}

/// The receiving end makes the link, so that the sender finds it there.
pub(crate) fn receiver(
    kind: &str,
    place: &Place,
    name: &str,
    size: usize,
) -> Result<Box<dyn Receiver>> {
    Ok(match kind {
        "mixcord" | "mixcord, batched in place" => Box::new(RingReceiver::new(place, name, false)?),
        "mixcord, copied out" | "mixcord, batched" => {
            Box::new(RingReceiver::new(place, name, true)?)
        }
        "shaq" => super::cells::receiver(place, name, size)?,
        "ringfire, copied out" => super::ringfire::receiver(place, name, size)?,
        "iceoryx2" => Box::new(IceReceiver::new(place, name)?),
        "Unix stream" | "Unix stream, batched" => {
            Box::new(StreamReceiver::unix(place, name, size)?)
        }
        "pipe, batched" => Box::new(StreamReceiver::pipe(place, name, size)?),
        other => bail!("no such link: {other}"),
    })
}

/// The sending end of a link that was made.
pub(crate) fn sender(
    kind: &str,
    place: &Place,
    name: &str,
    size: usize,
) -> Result<Box<dyn Sender>> {
    let batched = kind.contains("batched");
    Ok(match kind {
        "mixcord" | "mixcord, copied out" => Box::new(RingSender::new(place, name, 1)?),
        "mixcord, batched" | "mixcord, batched in place" => {
            Box::new(RingSender::new(place, name, BATCH)?)
        }
        "shaq" => super::cells::sender(place, name, size)?,
        "ringfire, copied out" => super::ringfire::sender(place, name, size)?,
        "iceoryx2" => Box::new(IceSender::new(place, name, size)?),
        "Unix stream" | "Unix stream, batched" => {
            let stream = UnixStream::connect(place.path(name))?;
            Box::new(StreamSender::new(stream, size, batched))
        }
        "pipe, batched" => {
            let pipe = OpenOptions::new().write(true).open(place.path(name))?;
            Box::new(StreamSender::new(pipe, size, batched))
        }
        other => bail!("no such link: {other}"),
    })
}

fn group() -> GroupSpec {
    GroupSpec::durable("reader").from(Start::Earliest)
}

struct RingSender {
    producer: Producer,
    batch: usize,
    staged: usize,
}

impl RingSender {
    fn new(place: &Place, name: &str, batch: usize) -> Result<Self> {
        let namespace = place.namespace()?;
        let bell = namespace.bell()?;
        let producer = Producer::attach(&namespace, name, &bell)?;
        Ok(Self { producer, batch, staged: 0 })
    }
}

impl Sender for RingSender {
    fn send(&mut self, payload: &[u8]) {
        while self.producer.stage(&Meta::default(), &[payload]).is_err() {
            self.flush();
            std::hint::spin_loop();
        }
        self.staged += 1;
        if self.staged >= self.batch {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.staged != 0 {
            self.producer.publish();
            self.staged = 0;
        }
    }
}

pub(crate) struct RingReceiver {
    member: Member,
    /// Whether each record is copied out, as by those who parse it, or looked at in the ring.
    copies: bool,
}

impl RingReceiver {
    fn new(place: &Place, name: &str, copies: bool) -> Result<Self> {
        let namespace = place.namespace()?;
        let bell = namespace.bell()?;
        let geometry = Geometry::new(4096, 2 << 20, 1, 1, 1)?;
        drop(Producer::create(&namespace, name, geometry, &[group()], &bell)?);
        let member = Ring::attach(&namespace, name)?.join(&group(), &bell)?;
        Ok(Self::over(member, copies))
    }

    pub(crate) fn over(member: Member, copies: bool) -> Self {
        Self { member, copies }
    }

    fn copy_out(&mut self, sum: &mut u64) -> u64 {
        let Ok(Some(batch)) = self.member.take(Limits::default()) else { return 0 };
        for entry in batch.records() {
            touch(entry.payload, sum);
        }
        let count = batch.len() as u64;
        batch.ack();
        count
    }

    fn look(&mut self, sum: &mut u64) -> u64 {
        let Ok(Some(lease)) = self.member.lease(Limits::default()) else { return 0 };
        for payload in lease.records().filter_map(|view| view.in_place()) {
            for line in (0..payload.len()).step_by(LINE) {
                *sum = sum.wrapping_add(payload.byte(line).map_or(0, u64::from));
            }
        }
        let count = lease.len() as u64;
        lease.ack();
        count
    }
}

impl Receiver for RingReceiver {
    fn receive(&mut self, sum: &mut u64) -> u64 {
        self.member.wait(Duration::from_secs(1));
        if self.copies { self.copy_out(sum) } else { self.look(sum) }
    }

    fn poll(&mut self, sum: &mut u64) -> u64 {
        let count = if self.copies { self.copy_out(sum) } else { self.look(sum) };
        if count == 0 {
            std::hint::spin_loop();
        }
        count
    }
}

type Publisher = iceoryx2::port::publisher::Publisher<ipc::Service, [u8], ()>;
type Subscriber = iceoryx2::port::subscriber::Subscriber<ipc::Service, [u8], ()>;

struct IceSender(Publisher);
struct IceReceiver(Subscriber);

fn ice_service(
    place: &Place,
    name: &str,
) -> Result<iceoryx2::service::port_factory::publish_subscribe::PortFactory<ipc::Service, [u8], ()>>
{
    // Where everybody's are it would leave them there: it removes little at its end, and nothing when
    // it is stopped.
    let mut config = Config::default();
    config.global.prefix = FileName::new(format!("{}.", place.name).as_bytes())?;
    let root = place.path("ice");
    config.global.set_root_path(&Path::new(root.as_os_str().as_encoded_bytes())?);
    let node = NodeBuilder::new().config(&config).create::<ipc::Service>()?;
    let name: ServiceName = format!("{}/{name}", place.name).as_str().try_into()?;
    Ok(node
        .service_builder(&name)
        .publish_subscribe::<[u8]>()
        .enable_safe_overflow(false)
        .subscriber_max_buffer_size(64)
        .subscriber_max_borrowed_samples(8)
        .max_publishers(1)
        .max_subscribers(1)
        .history_size(0)
        .open_or_create()?)
}

impl IceSender {
    fn new(place: &Place, name: &str, size: usize) -> Result<Self> {
        let publisher = ice_service(place, name)?
            .publisher_builder()
            .initial_max_slice_len(size)
            .max_loaned_samples(2)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()?;
        Ok(Self(publisher))
    }
}

impl Sender for IceSender {
    fn send(&mut self, payload: &[u8]) {
        loop {
            if let Ok(sample) = self.0.loan_slice_uninit(payload.len())
                && sample.write_from_slice(payload).send().is_ok_and(|receivers| receivers == 1)
            {
                return;
            }
            std::hint::spin_loop();
        }
    }
}

impl IceReceiver {
    fn new(place: &Place, name: &str) -> Result<Self> {
        Ok(Self(ice_service(place, name)?.subscriber_builder().create()?))
    }
}

impl Receiver for IceReceiver {
    fn receive(&mut self, sum: &mut u64) -> u64 {
        match self.0.receive() {
            Ok(Some(sample)) => {
                touch(sample.payload(), sum);
                1
            }
            _ => {
                std::hint::spin_loop();
                0
            }
        }
    }
}

struct StreamSender<W> {
    stream: W,
    buffer: Vec<u8>,
    limit: usize,
}

impl<W: Write> StreamSender<W> {
    fn new(stream: W, size: usize, batched: bool) -> Self {
        let limit = if batched { (BATCH * size).min(64 << 10).max(size) } else { size };
        Self { stream, buffer: Vec::with_capacity(limit), limit }
    }
}

impl<W: Write> Sender for StreamSender<W> {
    fn send(&mut self, payload: &[u8]) {
        if self.limit == payload.len() {
            self.stream.write_all(payload).expect("the reader lives");
            return;
        }
        self.buffer.extend_from_slice(payload);
        if self.buffer.len() + payload.len() > self.limit {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.stream.write_all(&self.buffer).expect("the reader lives");
        self.buffer.clear();
    }
}

enum Source {
    Waiting(UnixListener),
    Unix(UnixStream),
    Pipe(File),
}

struct StreamReceiver {
    source: Source,
    size: usize,
    buffer: Vec<u8>,
    have: usize,
}

impl StreamReceiver {
    fn unix(place: &Place, name: &str, size: usize) -> Result<Self> {
        let listener = UnixListener::bind(place.path(name))?;
        Ok(Self::of(Source::Waiting(listener), size))
    }

    fn pipe(place: &Place, name: &str, size: usize) -> Result<Self> {
        let path = place.path(name);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR)?;
        // For reading and writing, so that it opens before there is a writer.
        let pipe = OpenOptions::new().read(true).write(true).open(path).context("pipe")?;
        Ok(Self::of(Source::Pipe(pipe), size))
    }

    fn of(source: Source, size: usize) -> Self {
        Self { source, size, buffer: vec![0; (256 << 10).max(size)], have: 0 }
    }
}

impl Receiver for StreamReceiver {
    fn receive(&mut self, sum: &mut u64) -> u64 {
        let into = &mut self.buffer[self.have..];
        let read = match &mut self.source {
            Source::Waiting(listener) => {
                let (stream, _) = listener.accept().expect("a sender comes");
                self.source = Source::Unix(stream);
                return 0;
            }
            Source::Unix(stream) => stream.read(into),
            Source::Pipe(pipe) => pipe.read(into),
        };
        self.have += read.expect("the sender lives");
        let whole = self.have / self.size;
        for payload in self.buffer[..whole * self.size].chunks(self.size) {
            touch(payload, sum);
        }
        self.buffer.copy_within(whole * self.size..self.have, 0);
        self.have -= whole * self.size;
        whole as u64
    }
}
