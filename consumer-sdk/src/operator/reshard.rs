use std::path::Path;

use mixcord_event::reshard::{BOARD_BYTES_MAX, ReshardFigures, Stage};
use mixcord_event::topology;
use serde::Serialize;

use super::{RingStatus, board};

/// A change of the shard count without a pause: how far the one that is under way is, or how the last one ended.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ReshardStatus {
    /// The shard count before.
    pub from: u16,
    /// And the one that it is changed to.
    pub to: u16,
    /// `listing`, `overlapping`, `cutting`, `cut`, `leaving`, `called-off`; `done` and `back` once the new set, or the old
    /// one, alone is left; `none` where no change ever began.
    pub stage: &'static str,
    /// Whether it is under way.
    pub under_way: bool,
    /// Whether it may be called off still.
    pub may_be_called_off: bool,
    /// How long ago it began.
    pub began_seconds: f64,
    /// Shards of the new set that have a session.
    pub sessions: u16,
    /// Guilds that are known.
    pub guilds: u64,
    /// Those that are there in both sets.
    pub overlapping: u64,
    /// Those that the new set delivers.
    pub cut: u64,
    /// Those that the old set has and the new one has not.
    pub missing: u64,
    /// Records that wait for their copies.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Events that one set delivered and the other has still to bring.
    pub counted: u64,
    /// Copies that were recognised.
    pub cancelled: u64,
    /// Events that the old set alone brought.
    pub one_sided_old: u64,
    /// Events that the new set alone brought.
    pub one_sided_new: u64,
    /// Guilds that changed sides because a session was lost, or had them in an outage.
    pub taken_over: u64,
    /// Why it was called off; `null` where nobody said.
    pub why: Option<String>,
    /// The last order that the cache refused, and why; `null` where the last one was obeyed.
    pub refused: Option<String>,
    /// Rings of the old count that are there.
    pub old_rings: usize,
    /// Rings of the new one.
    pub new_rings: usize,
}

impl ReshardStatus {
    /// What stands on the board of an instance that has these rings; `None` where there is none of this user's.
    pub(super) fn of(instance: &str, rings: &[RingStatus]) -> Option<Self> {
        let path = topology::reshard_board(instance);
        let bytes_max = usize::try_from(BOARD_BYTES_MAX).unwrap_or(usize::MAX);
        let read = board::read(Path::new(&path), bytes_max, |bytes| {
            let (figures, writer) = ReshardFigures::decode(bytes)?;
            Some((figures, writer.map(str::to_owned)))
        })?;
        let of = read.figures;
        let count = |shards: u16| {
            rings.iter().filter(|ring| ring.of_shard().is_some_and(|(_, of)| of == shards)).count()
        };
        let text = |text: String| (!text.is_empty()).then_some(text);
        Some(Self {
            stage: of.stage.name(),
            under_way: of.stage.is_under_way(),
            may_be_called_off: matches!(of.stage, Stage::Listing | Stage::Overlapping),
            began_seconds: if of.began_us == 0 { 0.0 } else { board::seconds_since(of.began_us) },
            old_rings: count(of.from),
            new_rings: count(of.to),
            from: of.from,
            to: of.to,
            sessions: of.sessions,
            guilds: of.guilds,
            overlapping: of.overlapping,
            cut: of.cut,
            missing: of.missing,
            waiting: of.waiting,
            waiting_bytes: of.waiting_bytes,
            counted: of.counted,
            cancelled: of.cancelled,
            one_sided_old: of.one_sided_old,
            one_sided_new: of.one_sided_new,
            taken_over: of.taken_over,
            why: text(of.why),
            refused: text(of.refused),
        })
    }

    /// How far it is, in one line; `None` where there was none.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        let Self { from, to, sessions, guilds, overlapping, cut, missing, .. } = self;
        let of = format!("{from} → {to} shards");
        Some(match self.stage {
            "listing" => format!("{of}: guilds are being listed"),
            "overlapping" if sessions < to => format!("{of}: {sessions} of {to} shards identified"),
            "overlapping" | "cutting" => format!(
                "{of}: {cut} of {guilds} guilds cut, {overlapping} in both sets, {missing} missing in the new one"
            ),
            "cut" => format!("{of}: all {guilds} guilds cut"),
            "leaving" => format!("{of}: all guilds cut, the old set is being closed"),
            "called-off" => {
                format!("{of}: called off, the new set is being closed{}", self.because())
            }
            "done" if self.old_rings > 0 => {
                format!("{of}: done, {} old rings are left", self.old_rings)
            }
            "done" => format!("{of}: done"),
            "back" => format!("{of}: called off{}", self.because()),
            _ => return None,
        })
    }

    fn because(&self) -> String {
        self.why.as_ref().map_or_else(String::new, |why| format!(" ({why})"))
    }
}
