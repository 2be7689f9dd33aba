//! Histories that are written down: two sets of one shard, and one guild.

use mixcord_cache::overlap::{
    Fact, Keys, Overlap, PRIVATE, Request, Side, Sides, Stage, Times, Verdict, What,
};

use Side::New;
use Verdict::{Deliver, Keep, Pass};

pub(crate) const GUILD: u64 = 1 << 22;
pub(crate) const WINDOW: u64 = 60_000;
pub(crate) const SLACK: u64 = 5_000;
pub(crate) const GONE: What = What::Deleted { print: 2, is_outage: false };
pub(crate) const AWAY: What = What::Deleted { print: 3, is_outage: true };
/// A print of an event.
pub(crate) const E: u64 = 100;

pub(crate) const fn here(joined: u64) -> What {
    What::Created { print: 1, joined }
}

/// Both sets have one shard; the state has a guild of membership 1.
pub(crate) struct Script {
    pub(crate) overlap: Overlap,
    pub(crate) now: u64,
    /// What was delivered after it had waited.
    pub(crate) late: Vec<What>,
    kept: Vec<What>,
}

impl Script {
    pub(crate) fn new() -> Self {
        let mut script = Self::unlisted();
        script.list();
        script
    }

    /// What the state has is not listed yet.
    pub(crate) fn unlisted() -> Self {
        let times = Times { window_us: WINDOW, slack_us: SLACK };
        let request = Request { counts: Sides::new(1, 1), times, bytes_max: 1 << 20 };
        let now = 1_000_000;
        let overlap = Overlap::begin(request, Keys([1, 2]), now);
        Self { overlap, now, late: Vec::new(), kept: Vec::new() }
    }

    pub(crate) fn list(&mut self) {
        self.overlap.list(GUILD, true, false, 1);
        self.overlap.listed();
    }

    /// The new set has the guild as well, for long.
    pub(crate) fn both() -> Self {
        let mut script = Self::new();
        script.ready(New, &[GUILD]);
        script.say(New, here(1), Pass);
        script.go_on(2 * SLACK);
        script
    }

    /// The new set delivers it.
    pub(crate) fn cut() -> Self {
        let mut script = Self::both();
        script.wait(3 * SLACK);
        assert_eq!(script.overlap.stage(), Stage::Cut);
        script
    }

    pub(crate) fn read(&mut self, fact: Fact) -> Verdict {
        let verdict = self.overlap.judge(&fact, 100);
        match verdict {
            Deliver => self.overlap.delivered(&fact),
            Keep => {
                self.overlap.kept(&fact, vec![self.kept.len() as u8]);
                self.kept.push(fact.what);
            }
            Pass => self.overlap.passed(&fact),
            Verdict::Stop => self.overlap.stopped(&fact),
        }
        self.release();
        verdict
    }

    pub(crate) fn tell(&mut self, side: Side, guild: u64, what: What) -> Verdict {
        self.now += 10;
        self.read(Fact { side, shard: 0, guild, at_us: self.now, what })
    }

    pub(crate) fn release(&mut self) {
        while let Some(due) = self.overlap.due() {
            let (id, kept) = (due.id, usize::from(due.bytes[0]));
            if !due.is_shown
                && matches!(self.kept[kept], What::Created { .. } | What::Deleted { .. })
            {
                self.late.push(self.kept[kept].clone());
            }
            self.overlap.released(id);
        }
    }

    pub(crate) fn say(&mut self, side: Side, what: What, verdict: Verdict) {
        let told = format!("{side:?}: {what:?}");
        assert_eq!(self.tell(side, GUILD, what), verdict, "{told}");
    }

    pub(crate) fn ready(&mut self, side: Side, guilds: &[u64]) {
        self.tell(side, PRIVATE, What::Ready(guilds.to_vec()));
    }

    pub(crate) fn lose(&mut self, side: Side) -> Verdict {
        self.tell(side, PRIVATE, What::Lost)
    }

    /// Both sets go on, for so long.
    pub(crate) fn go_on(&mut self, us: u64) {
        Side::BOTH.into_iter().for_each(|side| self.run(side, self.now + us));
        self.now += us;
    }

    /// The same, and what time does is done.
    pub(crate) fn wait(&mut self, us: u64) {
        self.go_on(us);
        (0..3).for_each(|_| self.sweep());
    }

    /// A set goes on until then.
    pub(crate) fn run(&mut self, side: Side, until: u64) {
        let mut at_us = self.now;
        while at_us < until {
            at_us += SLACK / 2;
            let what = What::Event(at_us);
            self.read(Fact { side, shard: 0, guild: PRIVATE, at_us, what });
            self.overlap.reached(side, 0, at_us);
        }
    }

    pub(crate) fn sweep(&mut self) {
        self.overlap.sweep();
        self.release();
    }

    pub(crate) fn waiting(&self) -> u64 {
        self.overlap.progress().waiting.0
    }
}
