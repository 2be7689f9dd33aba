use super::*;

/// From the end of a sleep to the first look, and how late a nap ends.
const WAKE: Duration = Duration::from_micros(50);
/// What a record takes.
const WORK: Duration = Duration::from_micros(8);

/// When records are there, one after the other.
type Times = Vec<Instant>;

/// What a reader did.
#[derive(Debug, Default)]
struct Read {
    sleeps: u32,
    naps: u32,
    /// When it passed each record on: those that it took together at once.
    passed: Times,
}

impl Read {
    fn wakes(&self) -> f64 {
        f64::from(self.sleeps + self.naps) / self.passed.len() as f64
    }

    fn is_mostly_asleep(&self) -> bool {
        self.naps * 20 <= self.sleeps
    }
}

/// A reader of records that are there at these times.
fn read(mut pacer: Pacer, come: &[Instant]) -> Read {
    let (mut read, mut now) = (Read::default(), come[0] - WAKE);
    loop {
        let taken = read.passed.len();
        let there = come[taken..].iter().take_while(|&&at| at <= now).count();
        if there > 0 {
            pacer.took(there as u64);
            now += WORK * there as u32;
            read.passed.extend(std::iter::repeat_n(now, there));
            continue;
        }
        let Some(next) = come.get(taken) else { return read };
        match pacer.rest_at(now) {
            Some(nap) => {
                now += nap + WAKE;
                read.naps += 1;
            }
            None => {
                now = *next + WAKE;
                read.sleeps += 1;
            }
        }
    }
}

/// So many records, one every `gap`.
fn steady(gap: Duration, count: u32) -> Times {
    let begin = Instant::now() + Duration::from_secs(1);
    (0..count).map(|number| begin + gap * number).collect()
}

/// The same on average, by chance.
fn by_chance(gap: Duration, count: u32) -> Times {
    let (mut at, mut state) = (Instant::now() + Duration::from_secs(1), 88_172_645_463_325_252_u64);
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let chance = (state >> 11) as f64 / (1_u64 << 53) as f64;
        at += gap.mul_f64(-(1.0 - chance).ln());
        at
    };
    (0..count).map(next).collect()
}

fn gap(rate: u32) -> Duration {
    Duration::from_secs(1) / rate
}

/// A source and two readers behind it.
fn chain(pace: Pace, come: &[Instant]) -> [Read; 3] {
    let source = read(Pacer::at_source(pace), come);
    let second = read(Pacer::new(pace), &source.passed);
    let third = read(Pacer::new(pace), &second.passed);
    [source, second, third]
}

/// How late a record is behind all of them: half of them, and 99 of 100, were no later.
fn late(come: &[Instant], last: &Read) -> (Duration, Duration) {
    let mut late: Vec<_> = come.iter().zip(&last.passed).map(|(at, done)| *done - *at).collect();
    late.sort_unstable();
    (late[late.len() / 2], late[late.len() * 99 / 100])
}

#[test]
fn names_are_read_as_they_are_written() {
    for pace in [Pace::LowLatency, Pace::Balanced, Pace::LowCpu] {
        assert_eq!(pace.to_string().parse(), Ok(pace));
    }
    assert_eq!("fast".parse::<Pace>(), Err(UnknownPace));
}

/// Wakes of all three a record, and how late it is: what the documentation promises.
#[test]
fn one_nap_on_the_way_saves_the_wakes_of_all() {
    for (pace, rate, wakes_most, half_ms, nearly_all_ms) in [
        (Pace::Balanced, 1_000, 2.2, 1.0, 3.0),
        (Pace::Balanced, 2_000, 1.6, 1.0, 3.0),
        (Pace::Balanced, 10_000, 0.33, 1.0, 3.0),
        (Pace::Balanced, 50_000, 0.2, 1.0, 3.0),
        (Pace::LowCpu, 500, 1.3, 3.5, 7.0),
        (Pace::LowCpu, 1_000, 1.05, 3.5, 7.0),
        (Pace::LowCpu, 10_000, 0.12, 2.5, 5.0),
    ] {
        for come in [steady(gap(rate), 20_000), by_chance(gap(rate), 20_000)] {
            let readers = chain(pace, &come);
            let wakes: f64 = readers.iter().map(Read::wakes).sum();
            let (half, nearly_all) = late(&come, &readers[2]);
            let told = format!("{pace:?} at {rate}: {wakes:.2} wakes, {half:?}, {nearly_all:?}");
            assert!(wakes <= wakes_most, "{told}");
            assert!(half.as_secs_f64() * 1e3 <= half_ms, "{told}");
            assert!(nearly_all.as_secs_f64() * 1e3 <= nearly_all_ms, "{told}");
            let behind = &readers[1..];
            assert!(behind.iter().all(Read::is_mostly_asleep), "{told}: {behind:?}");
        }
    }
}

#[test]
fn what_comes_seldom_is_slept_for() {
    for (pace, rate) in [(Pace::Balanced, 500), (Pace::LowCpu, 120), (Pace::LowLatency, 100_000)] {
        for come in [steady(gap(rate), 2_000), by_chance(gap(rate), 2_000)] {
            let read = read(Pacer::at_source(pace), &come);
            assert!(read.is_mostly_asleep(), "{pace:?}: {} naps", read.naps);
        }
    }
    for (pace, rate) in [(Pace::Balanced, 1_500), (Pace::LowCpu, 500)] {
        let read = read(Pacer::new(pace), &steady(gap(rate), 2_000));
        assert_eq!(read.naps, 0, "{pace:?}, not at the source");
    }
}

/// Where the source has records one by one, the next reader naps in its place.
#[test]
fn a_reader_behind_one_that_wants_each_at_once_naps_for_itself() {
    let come = steady(gap(10_000), 10_000);
    let source = read(Pacer::at_source(Pace::LowLatency), &come);
    let second = read(Pacer::new(Pace::Balanced), &source.passed);
    let third = read(Pacer::new(Pace::Balanced), &second.passed);
    assert!(source.naps == 0 && second.wakes() < 0.15, "{:.2}", second.wakes());
    assert!(third.is_mostly_asleep() && third.wakes() < 0.15, "{} {}", third.sleeps, third.naps);
}

/// A pause ends the naps, and costs one look in vain; the stream behind it begins them again.
#[test]
fn a_nap_in_vain_is_followed_by_sleeps() {
    let mut pacer = Pacer::new(Pace::Balanced);
    let mut now = Instant::now();
    for _ in 0..50 {
        pacer.took(1);
        pacer.rest_at(now);
        now += Duration::from_micros(100);
    }
    for round in 0..3 {
        now += Duration::from_millis(1);
        pacer.took(1);
        while pacer.rest_at(now).is_none() {
            pacer.took(1);
        }
        now += Duration::from_millis(1);
        assert!(pacer.rest_at(now).is_none(), "round {round}: it napped in vain twice");
        for tick in 1..=10 {
            now += Duration::from_millis(100);
            assert!(pacer.rest_at(now).is_none(), "a nap after {tick} ticks");
        }
        for _ in 0..60 {
            pacer.took(1);
            pacer.rest_at(now);
            now += Duration::from_micros(100);
        }
    }
}

/// Whoever naps where its source has come to nap as well notices it, though none of its naps is in vain.
#[test]
fn a_reader_behind_a_source_that_begins_to_nap_sleeps() {
    let mut come = steady(gap(10_000), 2_000);
    let end = come[come.len() - 1];
    for batch in 1..=3_000 {
        come.extend([end + Duration::from_micros(900) * batch; 9]);
    }
    let read = read(Pacer::new(Pace::Balanced), &come);
    assert!(read.naps > 100, "it did not nap at all: {}", read.naps);
    assert!(read.naps < 400 && read.sleeps > 2_500, "{} naps, {} sleeps", read.naps, read.sleeps);
}

/// What is before a reader has a limit, and many records wait for each other: naps of a flood are short.
#[test]
fn naps_of_a_flood_are_short() {
    let read = read(Pacer::at_source(Pace::LowCpu), &steady(gap(50_000), 100_000));
    let rests = read.naps + read.sleeps;
    assert!(rests > 100_000 / 128, "{rests} rests");
}

#[test]
fn a_producer_that_waits_shortens_naps_for_a_while() {
    let mut pacer = Pacer::new(Pace::Balanced);
    let mut now = Instant::now();
    let mut rest = |pacer: &mut Pacer| loop {
        pacer.took(1);
        now += Duration::from_micros(100);
        if let Some(nap) = pacer.rest_at(now) {
            return nap;
        }
    };
    let usual = rest(&mut pacer);
    for _ in 0..20 {
        pacer.hurry();
    }
    assert!(rest(&mut pacer) <= usual / 60);
    for _ in 0..400 {
        rest(&mut pacer);
    }
    assert_eq!(rest(&mut pacer), usual);
}

#[test]
fn one_that_wants_every_record_at_once_looks_on_only_in_a_stream() {
    let mut pacer = Pacer::new(Pace::LowLatency);
    let mut now = Instant::now();
    assert_eq!(pacer.linger(), Duration::ZERO);
    for _ in 0..50 {
        pacer.took(1);
        now += Duration::from_micros(5);
        assert_eq!(pacer.rest_at(now), None);
    }
    assert!(pacer.linger() >= Duration::from_micros(9));
    for _ in 0..50 {
        pacer.took(1);
        now += Duration::from_micros(100);
        pacer.rest_at(now);
    }
    assert_eq!(pacer.linger(), Duration::ZERO);
}
