//! Single-producer shared-memory rings with durable reader groups.
#![allow(
    missing_docs,
    clippy::todo,
    missing_debug_implementations,
    unused_variables,
    clippy::needless_pass_by_value,
    dead_code
)]

use std::io;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

#[derive(Clone)]
pub struct Namespace {
    prefix: String,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NameError(pub String);
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BellError {
    #[error("{0}")]
    Io(#[from] io::Error),
}
/// Which limit a creation would have broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shortage {
    Directory,
    Memory,
    Cgroup,
}
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    #[error("exists")]
    Exists { name: String },
    #[error("needs {needed} bytes, {free} free")]
    NoSpace { shortage: Shortage, needed: u64, free: u64 },
    #[error("{0}")]
    Geometry(#[from] GeometryError),
    #[error("{0}")]
    Name(#[from] NameError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Attach(#[from] AttachError),
}
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    #[error("ring {name} does not exist")]
    NotFound { name: String },
    #[error("ring {name} has a live producer")]
    Locked { name: String },
    #[error("{0}")]
    Name(#[from] NameError),
    #[error("{0}")]
    Io(#[from] io::Error),
}
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct GeometryError(pub String);
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoveError {
    #[error("in use")]
    InUse { name: String },
    #[error("{0}")]
    Name(#[from] NameError),
    #[error("{0}")]
    Io(#[from] io::Error),
}
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StageError {
    #[error("the ring is full")]
    Full,
    #[error("too large")]
    TooLarge { bytes: u64, limit: u64 },
    #[error("{0}")]
    Io(#[from] io::Error),
}
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    #[error("too large")]
    TooLarge { bytes: usize, limit: usize },
}
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestageError {
    #[error("invalid descriptor at {position}")]
    Invalid { position: Position },
}
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    #[error("no room")]
    Full { limit: u16 },
    #[error("{0}")]
    Name(#[from] NameError),
    #[error("in use")]
    InUse,
    #[error("not found")]
    NotFound,
}
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    #[error("{0}")]
    Group(#[from] GroupError),
    #[error("all member slots taken")]
    Full { limit: u16 },
    #[error("policy")]
    Policy,
    #[error("{0}")]
    Io(#[from] io::Error),
}
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TakeError {
    #[error("evicted")]
    Evicted { lost: Range<Position> },
    #[error("removed")]
    Removed,
    #[error("corrupt")]
    Corrupt { position: Position },
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Namespace {
    pub fn new(prefix: &str) -> Result<Self, NameError> {
        todo!()
    }
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
    pub fn bell(&self) -> Result<Bell, BellError> {
        todo!()
    }
    pub fn rings(&self) -> io::Result<Vec<String>> {
        todo!()
    }
    pub fn remove_ring(&self, name: &str) -> Result<(), RemoveError> {
        todo!()
    }
    pub fn remove_all(&self) -> Result<(), RemoveError> {
        todo!()
    }
    pub fn directory() -> &'static Path {
        Path::new("/dev/shm")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    pub slots: u32,
    pub payload_bytes: u64,
    pub groups: u16,
    pub partitions: u16,
    pub members: u16,
}
impl Geometry {
    pub fn new(
        slots: u32,
        payload_bytes: u64,
        groups: u16,
        partitions: u16,
        members: u16,
    ) -> Result<Self, GeometryError> {
        todo!()
    }
    pub fn segment_bytes(&self) -> u64 {
        todo!()
    }
}
pub type Position = u64;
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RingId(pub u64);
#[derive(Debug, Clone)]
pub struct GroupSpec {
    pub name: String,
    pub policy: Policy,
    pub start: Start,
}
impl GroupSpec {
    pub fn durable(name: &str) -> Self {
        todo!()
    }
    pub fn ephemeral(name: &str) -> Self {
        todo!()
    }
    #[must_use]
    pub fn from(self, start: Start) -> Self {
        todo!()
    }
    #[must_use]
    pub fn max_absence(self, absence: Duration) -> Self {
        todo!()
    }
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    Durable { max_absence: Option<Duration> },
    Ephemeral,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Earliest,
    Latest,
    At(Position),
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Meta {
    pub key: u64,
    pub tag: u64,
    pub source: u64,
}

pub struct Producer {
    _p: (),
}
impl Producer {
    pub const CHECKPOINT_MAX: usize = 4032;
    pub fn create(
        ns: &Namespace,
        name: &str,
        geometry: Geometry,
        groups: &[GroupSpec],
        bell: &Bell,
    ) -> Result<Self, CreateError> {
        todo!()
    }
    pub fn attach(ns: &Namespace, name: &str, bell: &Bell) -> Result<Self, AttachError> {
        todo!()
    }
    pub fn create_or_attach(
        ns: &Namespace,
        name: &str,
        geometry: Geometry,
        groups: &[GroupSpec],
        bell: &Bell,
    ) -> Result<Self, CreateError> {
        todo!()
    }
    pub fn ring(&self) -> Ring {
        todo!()
    }
    pub fn id(&self) -> RingId {
        todo!()
    }
    pub fn name(&self) -> &str {
        todo!()
    }
    pub fn geometry(&self) -> Geometry {
        todo!()
    }
    pub fn tail(&self) -> Position {
        todo!()
    }
    pub fn staged_tail(&self) -> Position {
        todo!()
    }
    pub fn earliest(&self) -> Position {
        todo!()
    }
    pub fn stage(&mut self, meta: &Meta, parts: &[&[u8]]) -> Result<Position, StageError> {
        todo!()
    }
    pub fn set_checkpoint(&mut self, bytes: &[u8]) -> Result<(), CheckpointError> {
        todo!()
    }
    pub fn publish(&mut self) -> Position {
        todo!()
    }
    pub fn discard_staged(&mut self) {
        todo!()
    }
    pub fn checkpoint(&self) -> Option<Vec<u8>> {
        todo!()
    }
    pub fn restage(&mut self, intended_tail: Position) -> Result<(), RestageError> {
        todo!()
    }
    pub fn free_records(&mut self) -> u64 {
        todo!()
    }
    pub fn free_payload(&mut self) -> u64 {
        todo!()
    }
    pub fn has_space(&mut self, bytes: usize) -> bool {
        todo!()
    }
    pub fn wait_space(&mut self, bytes: usize, timeout: Duration) -> bool {
        todo!()
    }
    pub fn arm_space(&mut self, bytes: usize) {
        todo!()
    }
    #[cfg(feature = "tokio")]
    pub async fn space(&mut self, bytes: usize, bell: &AsyncBell) {
        todo!()
    }
}

#[derive(Clone)]
pub struct Ring {
    _p: (),
}
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GroupInfo {
    pub name: String,
    pub policy: Policy,
    pub generation: u64,
    pub floor: Position,
    pub lag: u64,
    pub fullness: f64,
    pub members: u16,
}
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Pressure {
    pub fullness: f64,
    pub slots_used: u64,
    pub payload_used: u64,
    pub stalls: u64,
    pub stalled_ns: u64,
    pub publishes: u64,
    pub records: u64,
    pub wakes: u64,
}
impl Ring {
    pub fn attach(ns: &Namespace, name: &str) -> Result<Self, AttachError> {
        todo!()
    }
    pub fn id(&self) -> RingId {
        todo!()
    }
    pub fn name(&self) -> &str {
        todo!()
    }
    pub fn geometry(&self) -> Geometry {
        todo!()
    }
    pub fn tail(&self) -> Position {
        todo!()
    }
    pub fn earliest(&self) -> Position {
        todo!()
    }
    pub fn checkpoint(&self) -> Option<Vec<u8>> {
        todo!()
    }
    pub fn producer_alive(&self) -> bool {
        todo!()
    }
    pub fn groups(&self) -> Vec<GroupInfo> {
        todo!()
    }
    pub fn pressure(&self) -> Pressure {
        todo!()
    }
    pub fn partition_lags(&self, group: &str) -> Option<Vec<u64>> {
        todo!()
    }
    pub fn declare_group(&self, spec: &GroupSpec) -> Result<bool, GroupError> {
        todo!()
    }
    pub fn remove_group(&self, name: &str) -> Result<(), GroupError> {
        todo!()
    }
    pub fn join(&self, spec: &GroupSpec, bell: &Bell) -> Result<Member, JoinError> {
        todo!()
    }
    pub fn observe(&self, hint: &str, start: Start, bell: &Bell) -> Result<Observer, JoinError> {
        todo!()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub records: usize,
    pub bytes: usize,
}
pub struct Member {
    _p: (),
}
impl Member {
    pub fn ring(&self) -> &Ring {
        todo!()
    }
    pub fn take(&mut self, limits: Limits) -> Result<Option<Batch>, TakeError> {
        todo!()
    }
    pub fn take_at_most_once(&mut self, limits: Limits) -> Result<Option<Batch>, TakeError> {
        todo!()
    }
    pub fn has_work(&mut self) -> bool {
        todo!()
    }
    pub fn lag(&self) -> u64 {
        todo!()
    }
    pub fn floor(&self) -> Position {
        todo!()
    }
    pub fn arm(&mut self) {
        todo!()
    }
    pub fn wait(&mut self, timeout: Duration) -> bool {
        todo!()
    }
    #[cfg(feature = "tokio")]
    pub async fn ready(&mut self, bell: &AsyncBell) {
        todo!()
    }
    pub fn leave(self) {
        todo!()
    }
}
#[derive(Debug)]
pub struct Batch {
    _p: (),
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    pub position: Position,
    pub key: u64,
    pub tag: u64,
    pub source: u64,
    pub payload: &'a [u8],
}
impl Batch {
    pub fn partition(&self) -> u16 {
        todo!()
    }
    pub fn len(&self) -> usize {
        todo!()
    }
    pub fn is_empty(&self) -> bool {
        todo!()
    }
    pub fn first(&self) -> Option<Entry<'_>> {
        todo!()
    }
    pub fn records(&self) -> impl Iterator<Item = Entry<'_>> + '_ {
        std::iter::empty()
    }
    /// The cursor moves past `position`; the rest of the batch stays ours.
    pub fn ack_through(&mut self, position: Position) {
        todo!()
    }
    pub fn ack(self) {
        todo!()
    }
    /// Parts the bytes from the hold on the partition, so that events can share the bytes for as
    /// long as a handler likes while the partition is let go at the right moment.
    pub fn split(self) -> (Records, Claim) {
        todo!()
    }
}
/// The records of a batch, copied out and validated; `Send + Sync`, put behind an `Arc` and shared.
#[derive(Debug)]
pub struct Records {
    _p: (),
}
impl Records {
    pub fn len(&self) -> usize {
        todo!()
    }
    pub fn is_empty(&self) -> bool {
        todo!()
    }
    /// O(1).
    pub fn get(&self, index: usize) -> Option<Entry<'_>> {
        todo!()
    }
}
/// The hold on the partition of a batch; dropping it lets go of what was not acknowledged.
#[derive(Debug)]
pub struct Claim {
    _p: (),
}
impl Claim {
    pub fn partition(&self) -> u16 {
        todo!()
    }
    /// The cursor moves past `position`; the rest stays ours.
    pub fn ack_through(&mut self, position: Position) {
        todo!()
    }
    pub fn ack(self) {
        todo!()
    }
}
pub struct Observer {
    _p: (),
}
#[derive(Debug, Default)]
pub struct Observed {
    lost: u64,
}
impl Observed {
    /// Records lost before the first of `entries`, exact, before any filter.
    pub fn lost(&self) -> u64 {
        self.lost
    }
    pub fn len(&self) -> usize {
        todo!()
    }
    pub fn is_empty(&self) -> bool {
        todo!()
    }
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> + '_ {
        std::iter::empty()
    }
    /// O(1).
    pub fn get(&self, index: usize) -> Option<Entry<'_>> {
        todo!()
    }
}
impl Observer {
    pub fn ring(&self) -> &Ring {
        todo!()
    }
    /// Replaces what `into` held. True when there is something (records or a loss).
    pub fn read(&mut self, limits: Limits, into: &mut Observed) -> Result<bool, TakeError> {
        todo!()
    }
    pub fn position(&self) -> Position {
        todo!()
    }
    pub fn has_work(&self) -> bool {
        todo!()
    }
    pub fn arm(&mut self) {
        todo!()
    }
    pub fn wait(&mut self, timeout: Duration) -> bool {
        todo!()
    }
    #[cfg(feature = "tokio")]
    pub async fn ready(&mut self, bell: &AsyncBell) {
        todo!()
    }
}

#[derive(Clone)]
pub struct Bell {
    _p: (),
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u32);
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    Rung,
    TimedOut,
}
impl Bell {
    pub fn ticket(&self) -> Ticket {
        todo!()
    }
    pub fn wait(&self, ticket: Ticket, timeout: Duration) -> Woken {
        todo!()
    }
    /// Wakes whoever waits on this bell, from the same process (shutdown, new work from elsewhere).
    pub fn ring(&self) {
        todo!()
    }
}
#[cfg(feature = "tokio")]
#[derive(Clone)]
pub struct AsyncBell {
    _p: (),
}
#[cfg(feature = "tokio")]
impl AsyncBell {
    pub fn new(bell: Bell) -> io::Result<Self> {
        todo!()
    }
    pub fn ticket(&self) -> Ticket {
        todo!()
    }
    pub fn bell(&self) -> &Bell {
        todo!()
    }
    pub async fn notified(&self, ticket: Ticket) {
        todo!()
    }
}
