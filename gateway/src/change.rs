//! A change of the shard count without a pause, as the cache's [board](mixcord_event::reshard) tells it: what this process
//! is to run.
//!
//! The cache decides, and says only what is committed. So a gateway needs no memory of its own of a change: whoever is
//! killed, the next one reads the board, and finds the sessions of both sets in their rings.
//!
//! | the board says | a process with all shards | one with some of the old ones | one with `--beside` |
//! |---|---|---|---|
//! | both sets are to run (*listing* to *cut*) | runs both | runs on | runs |
//! | the old set is left (*leaving*, *done*) | closes the old set, goes on with the new one | closes its sessions, ends with 0 | is an ordinary one |
//! | called off (*called-off*, *back*) | closes the new set, goes on with the old one | runs on | closes its sessions, ends with 0 |
//!
//! | killed | what goes on |
//! |---|---|
//! | the gateway, while both sets run | its next start opens the rings of both, and resumes what has a session in either |
//! | the gateway, while it closes the old set | its next start runs the new set alone, joins what is left of voice while the change goes on, and says of the old rings that they are closed; Discord ends the other sessions by itself |
//! | the cache | the board stays: both sets run on until the next cache has decided something else |
//! | whoever asked (`mixcord reshard`) | nothing depends on it: the order is a file, and the cache leaves the old set by itself |

use std::path::Path;

use mixcord_event::reshard::{BOARD_BYTES_MAX, ReshardFigures, Sets, Stage};
use mixcord_event::topology::{self, ReshardOrder};
use mixcord_process::folder;

use crate::config::{ShardSet, Shards};
use crate::shard::Phase;

/// A change that is under way, or the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// The shard count before.
    pub(crate) from: u16,
    /// And the one that it is changed to.
    pub(crate) to: u16,
    /// How far it is.
    pub(crate) stage: Stage,
    /// Which sets are to run.
    pub(crate) sets: Sets,
}

/// What a process is to start with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Start {
    /// What its options say.
    AsTold,
    /// These shards, whatever they say.
    With(ShardSet),
    /// Nothing: why.
    Nothing(String),
    /// It may not: why.
    Refused(String),
}

impl Change {
    /// What stands on the board of an instance; `None` where there is none, or none of this user's.
    pub(crate) fn read(instance: &str) -> Option<Self> {
        let board = topology::reshard_board(instance);
        let bytes = folder::read(Path::new(&board), BOARD_BYTES_MAX).ok()?;
        let (figures, _) = ReshardFigures::decode(&bytes)?;
        let ReshardFigures { from, to, stage, .. } = figures;
        let sets = stage.sets().filter(|_| from > 0 && to > 0)?;
        Some(Self { from, to, stage, sets })
    }

    pub(crate) const fn is_under_way(&self) -> bool {
        self.stage.is_under_way()
    }

    /// As the sets tell it in their streams.
    pub(crate) const fn phase(&self) -> Phase {
        Phase { from: self.from, to: self.to, stage: self.stage }
    }

    /// Whether gateways of these two counts may run side by side: one of them ends by itself, if not both are wanted.
    pub(crate) fn allows(&self, one: u16, other: u16) -> bool {
        self.is_under_way() && [(self.from, self.to), (self.to, self.from)].contains(&(one, other))
    }
}

/// What becomes of a change whose new set cannot run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// It is to be called off.
    CallOff,
    /// There is no way back: the set is begun again until it runs.
    GoOn,
}

impl Outlook {
    /// As the board of an instance says.
    pub(crate) fn read(instance: &str) -> Self {
        Self::of(Change::read(instance).map_or(Stage::None, |change| change.stage))
    }

    const fn of(stage: Stage) -> Self {
        match stage {
            Stage::Cutting | Stage::Cut | Stage::Leaving | Stage::Done => Self::GoOn,
            Stage::None | Stage::Listing | Stage::Overlapping | Stage::CalledOff | Stage::Back => {
                Self::CallOff
            }
        }
    }
}

/// Why a set cannot run that is begun again and again: each reason is said once.
#[derive(Debug, Default)]
pub(crate) struct Complaint(Option<(u16, String)>);

impl Complaint {
    /// Whether this is not what was said last of a set of this count.
    pub(crate) fn is_news(&mut self, count: u16, why: &str) -> bool {
        let is_said = matches!(&self.0, Some((of, last)) if *of == count && last == why);
        if !is_said {
            self.0 = Some((count, why.to_owned()));
        }
        !is_said
    }
}

/// What a process starts with whose options say `shards`. `kept` is the count whose sessions live as far as the rings
/// say, and `began` whether sessions of a count ever began.
pub(crate) fn start(
    shards: &Shards,
    is_beside: bool,
    change: Option<&Change>,
    kept: Option<u16>,
    began: impl Fn(u16) -> bool,
) -> Start {
    let told = shards.fixed();
    if is_beside {
        let Some(set) = told.clone() else {
            return Start::Refused("--beside needs --shards N or A..B/N".to_owned());
        };
        // After the change it was started for it is one like others, and the next change may leave it.
        if !change.is_some_and(|change| change.from == set.count && began(set.count)) {
            return start_beside(set, change);
        }
    }
    let Some(change) = change else { return Start::AsTold };
    let &Change { from, to, sets, .. } = change;
    let Some(count) = told.as_ref().map(|set| set.count).or(kept) else { return Start::AsTold };
    if count != from && count != to {
        return Start::AsTold;
    }
    // Of a change that is over it matters only while there are sessions that it left.
    let is_in_force = change.is_under_way() || began(if sets == Sets::New { to } else { from });
    let is_whole = told.is_none_or(|set| set == ShardSet::whole(count));
    match (sets, is_whole) {
        _ if !is_in_force => Start::AsTold,
        (Sets::New, true) => Start::With(ShardSet::whole(to)),
        (Sets::New, false) if count == from => Start::Nothing(format!(
            "the shard count was changed from {from} to {to}, and the shards of {from} run no more"
        )),
        // It was called off since, and who names the other count means it.
        (Sets::Old, true) if !change.is_under_way() && count == to && *shards != Shards::Auto => {
            Start::AsTold
        }
        (Sets::Both | Sets::Old, true) => Start::With(ShardSet::whole(from)),
        (Sets::Both, false) if count == to => Start::Refused(format!(
            "the shard count is being changed from {from} to {to}: give --beside to run shards of {to} now"
        )),
        _ => Start::AsTold,
    }
}

fn start_beside(set: ShardSet, change: Option<&Change>) -> Start {
    let count = set.count;
    match change.filter(|change| change.to == count) {
        Some(Change { sets: Sets::Both | Sets::New, .. }) => Start::With(set),
        Some(change) if change.is_under_way() => {
            Start::Nothing(format!("the change to {count} shards was called off"))
        }
        _ => Start::Refused(format!(
            "--beside: nobody asked for a change to {count} shards: `mixcord reshard --to {count}` does"
        )),
    }
}

/// Asks the cache.
///
/// # Errors
/// The order cannot be written.
pub(crate) fn ask(instance: &str, order: &ReshardOrder) -> std::io::Result<()> {
    let file = topology::reshard_order(instance);
    folder::put(Path::new(&file), order.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(sets: Sets, is_under_way: bool) -> Change {
        let stage = match (sets, is_under_way) {
            (Sets::Both, _) => Stage::Overlapping,
            (Sets::New, true) => Stage::Leaving,
            (Sets::New, false) => Stage::Done,
            (Sets::Old, true) => Stage::CalledOff,
            (Sets::Old, false) => Stage::Back,
        };
        Change { from: 2, to: 3, stage, sets }
    }

    #[test]
    fn a_change_is_called_off_while_there_is_a_way_back() {
        for stage in [Stage::None, Stage::Listing, Stage::Overlapping, Stage::CalledOff] {
            assert_eq!(Outlook::of(stage), Outlook::CallOff, "{stage:?}");
        }
        for stage in [Stage::Cutting, Stage::Cut, Stage::Leaving, Stage::Done] {
            assert_eq!(Outlook::of(stage), Outlook::GoOn, "{stage:?}");
        }
    }

    #[test]
    fn why_a_set_cannot_run_is_said_once() {
        let mut complaint = Complaint::default();
        let said = [(3, "no room"), (3, "no room"), (3, "a bad token"), (4, "a bad token")];
        let news = said.map(|(count, why)| complaint.is_news(count, why));
        assert_eq!(news, [true, false, true, true]);
    }

    fn started(shards: &str, is_beside: bool, change: Option<Change>, kept: Option<u16>) -> Start {
        let shards = shards.parse().expect("shards");
        start(&shards, is_beside, change.as_ref(), kept, |_| true)
    }

    fn with(count: u16) -> Start {
        Start::With(ShardSet::whole(count))
    }

    #[test]
    fn a_process_with_all_shards_begins_with_the_set_that_delivers() {
        let both = Some(change(Sets::Both, true));
        let (leaving, done) = (Some(change(Sets::New, true)), Some(change(Sets::New, false)));
        let (off, back) = (Some(change(Sets::Old, true)), Some(change(Sets::Old, false)));
        for shards in ["auto", "2", "0..1/2"] {
            // Rings of the new set may be the newer ones.
            for kept in [2, 3] {
                assert_eq!(started(shards, false, both, Some(kept)), with(2));
                assert_eq!(started(shards, false, leaving, Some(kept)), with(3));
                assert_eq!(started(shards, false, done, Some(kept)), with(3));
                assert_eq!(started(shards, false, off, Some(kept)), with(2));
                assert_eq!(started(shards, false, back, Some(kept)), with(2));
            }
            assert_eq!(started(shards, false, None, Some(2)), Start::AsTold);
        }
        for (change, begins) in
            [(both, with(2)), (leaving, with(3)), (done, with(3)), (off, with(2))]
        {
            assert_eq!(started("3", false, change, None), begins);
        }
        assert_eq!(started("3", false, back, Some(2)), Start::AsTold, "as ever");
        assert_eq!(started("4", false, both, Some(2)), Start::AsTold, "which is refused elsewhere");
        assert_eq!(started("auto", false, both, None), Start::AsTold, "there are no rings");
        let shards = Shards::All(2);
        let none_left = start(&shards, false, done.as_ref(), Some(2), |_| false);
        assert_eq!(none_left, Start::AsTold, "somebody removed the instance");
    }

    #[test]
    fn a_process_with_some_shards_runs_them_until_they_are_left() {
        let of =
            |sets, is_under_way| started("0..0/2", false, Some(change(sets, is_under_way)), None);
        assert_eq!(of(Sets::Both, true), Start::AsTold);
        assert_eq!(of(Sets::Old, true), Start::AsTold);
        assert!(matches!(of(Sets::New, true), Start::Nothing(_)));
        assert!(matches!(of(Sets::New, false), Start::Nothing(_)));
        let new =
            |sets, is_under_way| started("0..1/3", false, Some(change(sets, is_under_way)), None);
        assert!(matches!(new(Sets::Both, true), Start::Refused(why) if why.contains("--beside")));
        assert_eq!(new(Sets::New, false), Start::AsTold);
    }

    #[test]
    fn a_second_process_runs_beside_only_while_that_is_asked_for() {
        let beside = |shards: &str, change| started(shards, true, change, Some(2));
        let both = Some(change(Sets::Both, true));
        let some = ShardSet { first: 0, last: 1, count: 3 };
        assert_eq!(beside("0..1/3", both), Start::With(some.clone()));
        assert_eq!(beside("0..1/3", Some(change(Sets::New, true))), Start::With(some.clone()));
        assert_eq!(beside("0..1/3", Some(change(Sets::New, false))), Start::With(some));
        // The next change is from its own count.
        let next = |sets| Some(Change { from: 3, to: 4, ..change(sets, true) });
        assert_eq!(beside("0..1/3", next(Sets::Both)), Start::AsTold);
        assert!(matches!(beside("0..1/3", next(Sets::New)), Start::Nothing(_)));
        assert_eq!(beside("3", next(Sets::Both)), with(3));
        assert!(matches!(beside("0..1/3", Some(change(Sets::Old, true))), Start::Nothing(_)));
        for refused in [
            beside("0..1/3", Some(change(Sets::Old, false))),
            beside("0..1/4", both),
            beside("4", both),
            beside("0..1/3", None),
            beside("auto", both),
        ] {
            assert!(matches!(refused, Start::Refused(_)), "{refused:?}");
        }
    }

    #[test]
    fn two_counts_run_side_by_side_while_one_is_changed_to_the_other() {
        let both = change(Sets::Both, true);
        assert!(both.allows(2, 3) && both.allows(3, 2) && !both.allows(2, 4));
        assert!(!change(Sets::New, false).allows(2, 3));
    }
}
