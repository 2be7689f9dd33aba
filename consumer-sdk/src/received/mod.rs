//! Events, as they are given to the program.

mod change;
mod context;
mod identity;
mod settling;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use mixcord_event::record::{self, Record};
use mixcord_event::{Document, Flags, Header, Kind, Origin, Reason, Shard, Value, from_value};
use mixcord_ring::{Entry, Observed, Records, RingId};
use serde::Deserialize;

pub use self::change::Change;
pub(crate) use self::context::{Context, Lookout, Watcher};
pub use self::identity::Identity;
use crate::State;
use crate::group::Out;
#[cfg(feature = "testing")]
use crate::testing::Given;

/// One event, yours to keep, to clone and to send to other threads: clones share its bytes.
///
/// A member of a group acknowledges it with [`ack`](Self::ack) once it is handled;
/// [`Consumer::run`](crate::Consumer::run) does that when the handler returns without an error. When the last clone
/// is dropped unsettled, the attempt failed, and the event is given again after a pause.
#[derive(Clone)]
pub struct Event {
    holder: Holder,
    header: Header,
    attempt: u32,
    /// Where the parts of the record are in its bytes.
    name: Option<Range<u32>>,
    data: Range<u32>,
    old: Option<Range<u32>>,
}

/// Where the bytes of an event are, and whom its end concerns.
#[derive(Clone)]
pub(crate) enum Holder {
    /// Given to a member of a group.
    Out(Arc<Out>),
    /// In what an observer read.
    Seen(Arc<Observed>, u32, Arc<Context>),
    /// In records that nothing settles any more, or that a stage settles.
    Kept(Arc<Records>, usize, Arc<Context>),
    /// In a record made here.
    Lost(Arc<Lost>),
    /// In a record made here, in the place of one whose bytes are gone, given to a member of a group.
    Gone(Arc<Out>, Arc<Lost>),
    /// In a record made by a test.
    #[cfg(feature = "testing")]
    Made(Arc<Given>),
}

/// The record that says that so many were lost.
pub(crate) struct Lost {
    record: Vec<u8>,
    count: u64,
    context: Arc<Context>,
}

impl Lost {
    /// A record named `LOST`.
    fn new(header: &Header, count: u64, data: &str, context: &Arc<Context>) -> Option<Self> {
        let data = Document::from_json(data).ok()?;
        let mut record = Vec::new();
        record::encode(header, Some("LOST"), data.as_bytes(), None, &mut record);
        Some(Self { record, count, context: Arc::clone(context) })
    }
}

impl Event {
    /// The event of a record that was read from what `holder` holds.
    pub(crate) fn new(record: &Record<'_>, bytes: &[u8], holder: Holder, attempt: u32) -> Self {
        let header = *record.header();
        let named = header.kind == Kind::UNKNOWN;
        Self {
            header,
            attempt,
            name: named.then(|| range_in(bytes, record.kind_name().as_bytes())),
            data: range_in(bytes, record.data_bytes()),
            old: record.old_bytes().map(|old| range_in(bytes, old)),
            holder,
        }
    }

    /// The event that says that `count` records were lost.
    pub(crate) fn lost_records(count: u64, context: &Arc<Context>) -> Option<Self> {
        let header = Header { kind: Kind::UNKNOWN, ..Header::default() };
        let data = format!("{{\"count\":{count}}}");
        let lost = Arc::new(Lost::new(&header, count, &data, context)?);
        let record = Record::parse(&lost.record).ok()?;
        Some(Self::new(&record, &lost.record, Holder::Lost(Arc::clone(&lost)), 1))
    }

    /// The event in the place of a record whose bytes are gone: which one it was, as far as the ring says it.
    pub(crate) fn gone(
        entry: &Entry<'_>,
        ring: RingId,
        context: &Arc<Context>,
        give: impl FnOnce(Identity) -> Option<Arc<Out>>,
    ) -> Option<Self> {
        let kind = u16::try_from(entry.tag).ok().and_then(Kind::from_number);
        let kind = kind.map_or_else(|| "null".to_owned(), |kind| format!("\"{}\"", kind.name()));
        let (position, source) = (entry.position, entry.source);
        let data = format!(
            r#"{{"count":1,"position":{position},"kind":{kind},"source_position":{source}}}"#
        );
        let origin = Origin { ring: ring.0, position };
        let (key, reason) = (entry.key, Reason::RecordsLost);
        let header = Header { kind: Kind::UNKNOWN, reason, key, origin, ..Header::default() };
        let lost = Arc::new(Lost::new(&header, 1, &data, context)?);
        let record = Record::parse(&lost.record).ok()?;
        let out = give(Identity::of(&header));
        let attempt = out.as_ref().map_or(1, |out| out.attempt());
        let holder = match out {
            Some(out) => Holder::Gone(out, Arc::clone(&lost)),
            None => Holder::Lost(Arc::clone(&lost)),
        };
        Some(Self::new(&record, &lost.record, holder, attempt))
    }

    /// The event of a record that its handler does not settle.
    pub(crate) fn kept(
        records: &Arc<Records>,
        index: usize,
        context: &Arc<Context>,
        attempt: u32,
    ) -> Option<Self> {
        let bytes = records.get(index)?.payload;
        let record = Record::parse_head(bytes).ok()?;
        let holder = Holder::Kept(Arc::clone(records), index, Arc::clone(context));
        Some(Self::new(&record, bytes, holder, attempt))
    }

    fn bytes(&self) -> &[u8] {
        match &self.holder {
            Holder::Out(out) => out.payload(),
            Holder::Seen(seen, index, _) => {
                seen.get(*index as usize).map_or(&[], |entry| entry.payload)
            }
            Holder::Kept(records, index, _) => {
                records.get(*index).map_or(&[], |entry| entry.payload)
            }
            Holder::Lost(lost) | Holder::Gone(_, lost) => &lost.record,
            #[cfg(feature = "testing")]
            Holder::Made(given) => &given.record,
        }
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        match &self.holder {
            Holder::Out(out) => out.team().context(),
            Holder::Seen(_, _, context) | Holder::Kept(_, _, context) => context,
            Holder::Lost(lost) | Holder::Gone(_, lost) => &lost.context,
            #[cfg(feature = "testing")]
            Holder::Made(given) => &given.context,
        }
    }

    /// What waits for the end of this event.
    pub(crate) fn out(&self) -> Option<&Arc<Out>> {
        match &self.holder {
            Holder::Out(out) | Holder::Gone(out, _) => Some(out),
            _ => None,
        }
    }

    /// What a test sees of what is said of this event.
    #[cfg(feature = "testing")]
    pub(crate) fn given(&self) -> Option<&Given> {
        match &self.holder {
            Holder::Made(given) => Some(given),
            _ => None,
        }
    }

    fn part(&self, range: &Range<u32>) -> &[u8] {
        self.bytes().get(range.start as usize..range.end as usize).unwrap_or_default()
    }

    /// Which of Discord's events, or of Mixcord's own.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.header.kind
    }

    /// The kind's name, `MESSAGE_CREATE`; also of a kind that this build does not know
    /// ([`Kind::UNKNOWN`]), and `LOST` for [`lost`](Self::lost) records.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.name {
            Some(range) => std::str::from_utf8(self.part(range)).unwrap_or_default(),
            None => self.header.kind.name(),
        }
    }

    /// The shard it came through, and of how many.
    #[must_use]
    pub fn shard(&self) -> Shard {
        self.header.shard
    }

    /// The shard's session counter: one more with every new session; where the shard's ring is made anew it begins anew.
    #[must_use]
    pub fn session(&self) -> u32 {
        self.header.session
    }

    /// Discord's sequence number within the session.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.header.seq
    }

    /// 0 for Discord's event itself, 1… for those the cache derived from it.
    #[must_use]
    pub fn index(&self) -> u16 {
        self.header.index
    }

    /// Why a guild appeared or went, for `GUILD_CREATE` and `GUILD_DELETE`.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.header.reason
    }

    /// Remarks on the record: stale, unchanged, text repaired.
    #[must_use]
    pub fn flags(&self) -> Flags {
        self.header.flags
    }

    /// When the gateway received it, in microseconds since 1970 (UTC).
    #[must_use]
    pub fn received_us(&self) -> u64 {
        self.header.received_us
    }

    /// The channel or thread it is about, where its data names one.
    #[must_use]
    pub fn channel_id(&self) -> Option<u64> {
        self.data().get(mixcord_event::atoms::CHANNEL_ID)?.as_u64()
    }

    /// The guild it is about; `None` for direct messages and events of the bot itself.
    #[must_use]
    pub fn guild_id(&self) -> Option<u64> {
        Record::parse_head(self.bytes()).ok()?.guild_id()
    }

    /// The payload, or for updates the entity after the event: Discord's fields, uniform keys.
    ///
    /// ```
    /// # fn example(event: &mixcord::Event) {
    /// use mixcord::atoms;
    /// let text = event.data().get(atoms::CONTENT).and_then(|content| content.as_str());
    /// # }
    /// ```
    #[must_use]
    pub fn data(&self) -> Value<'_> {
        Value::trusted(self.part(&self.data))
    }

    /// The entity before the event; `None` when it was not cached, or the event has none.
    #[must_use]
    pub fn old(&self) -> Option<Value<'_>> {
        self.old.as_ref().map(|range| Value::trusted(self.part(range)))
    }

    /// The data as a type of yours, which may borrow its strings from the event.
    ///
    /// # Errors
    /// When the data does not fit the type; the message names the field.
    ///
    /// ```
    /// #[derive(serde::Deserialize)]
    /// struct Message<'a> {
    ///     id: u64,
    ///     content: &'a str,
    /// }
    /// # fn example(event: &mixcord::Event) -> Result<(), mixcord::event::ReadError> {
    /// let message: Message = event.data_as()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn data_as<'a, T: Deserialize<'a>>(&'a self) -> Result<T, mixcord_event::ReadError> {
        from_value(self.data())
    }

    /// The old entity as a type of yours, where there is one.
    ///
    /// # Errors
    /// When the entity does not fit the type.
    pub fn old_as<'a, T: Deserialize<'a>>(&'a self) -> Result<Option<T>, mixcord_event::ReadError> {
        self.old().map(from_value).transpose()
    }

    /// The event as twilight-model's, made from [`data`](Self::data) without JSON between; the types are in
    /// [`event::twilight`](mixcord_event::twilight).
    ///
    /// # Errors
    /// When twilight-model has no type for the event, or requires what Discord left out. [`data`](Self::data)
    /// reads those too.
    ///
    /// ```
    /// use mixcord::event::twilight::twilight_model::gateway::event::DispatchEvent;
    /// # fn example(event: &mixcord::Event) -> Result<(), mixcord::event::twilight::TwilightError> {
    /// if let DispatchEvent::MessageCreate(message) = event.to_twilight()? {
    ///     println!("{}: {}", message.author.name, message.content);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "twilight")]
    pub fn to_twilight(
        &self,
    ) -> Result<
        mixcord_event::twilight::twilight_model::gateway::event::DispatchEvent,
        mixcord_event::twilight::TwilightError,
    > {
        mixcord_event::twilight::dispatch_event(self.name(), self.data())
    }

    /// The cache's state, which contains this event already, and perhaps later ones (P4).
    ///
    /// ```no_run
    /// # fn example(event: &mixcord::Event) -> Result<(), mixcord::state::Error> {
    /// use mixcord::atoms;
    /// if let Some(guild) = event.guild_id() {
    ///     let guild = event.state().guild(guild)?;
    ///     let name = guild.as_ref().and_then(|guild| guild.get(atoms::NAME)?.as_str());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn state(&self) -> &State {
        &self.context().state
    }

    /// What names this event for ever. Of a [`lost`](Self::lost) event, which was made here and never
    /// comes again, it is all zeros; but of one in the place of a single record it is the output ring's id
    /// and the record's position there, and it comes again until it is acknowledged.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity::of(&self.header)
    }

    /// How many records were lost, where the event says that. An observer that fell behind is told
    /// exactly how many, between the event before and the next one. A group that was let go after its
    /// `max_absence` is told how many it may have lost at most: those between the oldest it had not
    /// acknowledged and the oldest it still gets. In the place of a record whose file was removed stands an
    /// event that says 1, and in its [`data`](Self::data) the position, kind and source position of that
    /// record. Counted before any filter, and delivered whatever the filter.
    #[must_use]
    pub fn lost(&self) -> Option<u64> {
        match &self.holder {
            Holder::Lost(lost) | Holder::Gone(_, lost) => Some(lost.count),
            _ => None,
        }
    }

    /// The position of its record in the output ring; `None` of one that no ring held. An event is [read
    /// again](crate::Past) by it, and a [snapshot of a guild](crate::State::guild_snapshot) says before which
    /// position everything is in it.
    #[must_use]
    pub fn position(&self) -> Option<u64> {
        match &self.holder {
            Holder::Out(out) => out.position(),
            Holder::Seen(seen, index, _) => Some(seen.get(*index as usize)?.position),
            Holder::Kept(records, index, _) => Some(records.get(*index)?.position),
            Holder::Lost(_) | Holder::Gone(..) => None,
            #[cfg(feature = "testing")]
            Holder::Made(_) => None,
        }
    }

    /// Which time the event is given, from 1, in whatever process. Not counted are attempts of processes that died
    /// before they had acknowledged anything, for those are laid to no event. An observer's is 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("kind", &self.name())
            .field("identity", &self.identity())
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// Where `part`, a slice of `whole`, lies in it.
fn range_in(whole: &[u8], part: &[u8]) -> Range<u32> {
    let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    let start = u32::try_from(start).unwrap_or(0);
    start..start.saturating_add(u32::try_from(part.len()).unwrap_or(0))
}
