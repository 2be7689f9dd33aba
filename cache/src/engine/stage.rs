//! Outputs into the output ring.

use mixcord_event::seal::{Seal, Sum};
use mixcord_event::{Flags, Header, Kind, Record, record};
use mixcord_ring::{Meta, Position, Producer, StageError};

use super::work::Place;
use crate::annotate::{Output, Part};

/// Stages a gap.
pub(super) fn stage_gap(
    out: &mut Producer,
    source: Position,
    bytes: &[u8],
) -> Result<(), StageError> {
    let meta = Meta { key: 0, tag: u64::from(Kind::GAP.number()), source, ..Meta::default() };
    out.stage_sealed(&meta, Seal::of(bytes).bits(), &[bytes]).map(drop)
}

/// Stages an output with this `old`; if it has another one, the record says so.
pub(super) fn stage_one(
    out: &mut Producer,
    input: &Record<'_>,
    output: &Output,
    (at, index): (Place, u16),
    old: Option<&[u8]>,
    bytes_max: u64,
) -> Result<(), StageError> {
    let cut = old.is_none() && output.old.is_some();
    let header = Header {
        kind: output.kind,
        flags: output.flags | if cut { Flags::WITHOUT_OLD } else { Flags::NONE },
        reason: output.reason,
        index,
        key: output.key,
        origin: input.header().origin.or(at.origin()),
        ..*input.header()
    };
    let data = output.data.bytes(input.data_bytes());
    let name = (output.kind == input.kind()).then(|| input.kind_name());
    let head = record::head(&header, name, data.len(), old.map(<[u8]>::len));
    let bytes = (head.as_ref().len() + data.len() + old.map_or(0, <[u8]>::len)) as u64;
    if bytes > bytes_max {
        return Err(StageError::TooLarge { bytes, limit: bytes_max });
    }
    let meta = Meta {
        key: output.key,
        tag: u64::from(output.kind.number()),
        source: at.position,
        ..Meta::default()
    };
    let seal = seal(head.as_ref(), output, input, old).unwrap_or_default().bits();
    out.stage_sealed(&meta, seal, &[head.as_ref(), data, old.unwrap_or_default()]).map(drop)
}

/// The word that an output is whole. The input is: it was checked, or compared with its own seal. What was composed
/// with documents of the state is checked here, once for all who read it; where it is not whole they will see that.
fn seal(head: &[u8], output: &Output, input: &Record<'_>, old: Option<&[u8]>) -> Option<Seal> {
    let data = match &output.data {
        Part::Payload => input.data_sum().unwrap_or_else(|| Sum::of(input.data_bytes())),
        Part::Document(document) => Sum::checked(document)?,
    };
    let old = old.map_or_else(|| Some(Sum::of(&[])), Sum::checked)?;
    Some(Seal::of_parts(head, data, old))
}
