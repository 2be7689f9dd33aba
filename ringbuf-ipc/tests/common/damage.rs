//! A ring with anything written over it, and everything anybody may do with it afterwards.
//!
//! Nothing here may panic, hang or read outside, whatever the bytes are: the property test and the fuzz
//! target share it.

use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use mixcord_ring::{
    Bell, Entry, Geometry, GroupSpec, Limits, Member, Meta, Namespace, Observed, Producer, Ring,
    Start,
};

pub(crate) const RING: &str = "ring";
const LIMITS: Limits = Limits { records: 3, bytes: 4096 };

// Offsets of the layout for this geometry; tests/layout.rs fixes them.
pub(crate) const SLOTS: u64 = 16;
pub(crate) const PAYLOAD: u64 = 4096;
pub(crate) const TAIL: u64 = 4096;
const RESERVED: u64 = TAIL + 128;
pub(crate) const CONTROL: u64 = 65_536;
pub(crate) const GROUPS: u64 = CONTROL + 896;
pub(crate) const GROUP_BYTES: u64 = 1280;
/// Of the first partition of a group, in its entry: owner, cursor, lost from; one every 128 bytes.
pub(crate) const CURSORS: u64 = 768;
pub(crate) const DESCRIPTORS: u64 = 208_896;
pub(crate) const TOTAL: u64 = 262_144;

/// One thing done to the bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Damage {
    /// Any word anywhere.
    Word { at: u64, value: u64 },
    /// A descriptor that is whole, of whatever record.
    Descriptor { position: u64, offset: u64, size: u64, key: u64 },
    /// Tail and reserved.
    Ends { tail: u64, reserved: u64 },
    /// Floor and cursors of a group.
    Cursors { group: u64, floor: u64, cursor: u64, owner: u64 },
    /// State, policy and losses of a group.
    Group { group: u64, state: u64, policy: u64, loss: u64 },
}

impl Damage {
    /// Five words say what is done.
    pub(crate) fn of(words: [u64; 5]) -> Self {
        let [kind, a, b, c, d] = words;
        match kind % 5 {
            0 => Self::Word { at: a % (TOTAL / 8) * 8, value: b },
            1 => Self::Descriptor { position: a, offset: b, size: c, key: d },
            2 => Self::Ends { tail: a, reserved: b },
            3 => Self::Cursors { group: a % 2, floor: b, cursor: c, owner: d },
            _ => Self::Group { group: a % 2, state: b, policy: c, loss: d },
        }
    }

    fn words(self) -> Vec<(u64, u64)> {
        match self {
            Self::Word { at, value } => vec![(at, value)],
            Self::Descriptor { position, offset, size, key } => {
                let words = [position, offset, size, key, key, key, key];
                let at = DESCRIPTORS + position % SLOTS * 64;
                let sum = [(at + 56, descriptor_sum(&words))];
                (0..).map(|i| at + i * 8).zip(words).chain(sum).collect()
            }
            Self::Ends { tail, reserved } => vec![(TAIL, tail), (RESERVED, reserved)],
            Self::Cursors { group, floor, cursor, owner } => {
                let at = GROUPS + group * GROUP_BYTES;
                let partitions = (0..4).flat_map(|partition| {
                    let at = at + CURSORS + partition * 128;
                    [(at, owner), (at + 8, cursor), (at + 16, cursor)]
                });
                [(at + 128, floor)].into_iter().chain(partitions).collect()
            }
            Self::Group { group, state, policy, loss } => {
                let at = GROUPS + group * GROUP_BYTES;
                vec![
                    (at, state),
                    (at + 8, policy),
                    (at + 40, loss),
                    (at + 48, loss),
                    (at + 32, loss),
                ]
            }
        }
    }
}

fn descriptor_sum(words: &[u64; 7]) -> u64 {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    words.iter().fold(ODD, |sum, word| (sum ^ word).wrapping_mul(ODD))
}

/// A sound ring with records in it, one of them too long for it, as bytes.
pub(crate) fn sound(namespace: &Namespace, bell: &Bell) -> Vec<u8> {
    let geometry = Geometry::new(SLOTS as u32, PAYLOAD, 2, 4, 4).unwrap();
    let group = GroupSpec::durable("g").from(Start::Earliest);
    let mut producer = Producer::create(namespace, RING, geometry, &[group], bell).unwrap();
    for position in 0..12u64 {
        let length = if position == 5 { 2000 } else { position as usize * 9 };
        let meta = Meta { key: position % 3, tag: position, source: position, ..Meta::default() };
        producer.stage(&meta, &[&vec![position as u8; length]]).unwrap();
    }
    producer.set_checkpoint(b"checkpoint").unwrap();
    producer.publish();
    drop(producer);
    let bytes = std::fs::read(path(namespace)).unwrap();
    assert_eq!(bytes.len() as u64, TOTAL);
    bytes
}

fn path(namespace: &Namespace) -> std::path::PathBuf {
    Namespace::directory().join(format!("{}.{RING}", namespace.prefix()))
}

/// The file gets these bytes.
pub(crate) fn put(namespace: &Namespace, bytes: &[u8]) {
    let path = path(namespace);
    let _ = std::fs::remove_file(&path);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all_at(bytes, 0).unwrap();
}

/// A sound ring with damage done to it, used for everything a ring is for. Only what the ring gives is
/// touched; that is all there is to check, but that every record is what a record can be.
pub(crate) fn survive(namespace: &Namespace, bell: &Bell, sound: &[u8], damage: &[Damage]) {
    let mut bytes = sound.to_vec();
    for (at, value) in damage.iter().flat_map(|damage| damage.words()) {
        bytes[at as usize..][..8].copy_from_slice(&value.to_le_bytes());
    }
    put(namespace, &bytes);
    use_it(namespace, bell);
}

/// Everything, in an order that lets errors end one part and not the others.
pub(crate) fn use_it(namespace: &Namespace, bell: &Bell) {
    let _ = namespace.rings();
    if let Ok(ring) = Ring::attach(namespace, RING) {
        look(&ring);
        read(&ring, bell, &GroupSpec::durable("g"));
        observe(&ring, bell);
    }
    if let Ok(mut producer) = Producer::attach(namespace, RING, bell) {
        write(&mut producer);
        let ring = producer.ring();
        read(&ring, bell, &GroupSpec::ephemeral("fresh").from(Start::Earliest));
        write(&mut producer);
        read(&ring, bell, &GroupSpec::durable("g"));
        observe(&ring, bell);
        look(&ring);
        let _ = ring.remove_group("g");
        write(&mut producer);
    }
    let _ = namespace.remove_ring(RING);
}

fn look(ring: &Ring) {
    let _ = (ring.tail(), ring.earliest(), ring.checkpoint(), ring.producer_alive());
    let _ = (ring.groups(), ring.pressure());
}

fn touch(entry: &Entry<'_>) {
    let sum: u64 = entry.payload.iter().map(|&byte| u64::from(byte)).sum();
    std::hint::black_box((sum, entry.position, entry.key));
}

fn read(ring: &Ring, bell: &Bell, group: &GroupSpec) {
    let Ok(mut member) = ring.join(group, bell) else { return };
    for round in 0..40 {
        let _ = (member.has_work(), member.lag(), member.floor());
        match member.take(LIMITS) {
            Ok(Some(mut batch)) => {
                batch.records().for_each(|entry| touch(&entry));
                match round % 3 {
                    0 => batch.ack(),
                    1 => batch.ack_through(batch.first().map_or(0, |entry| entry.position)),
                    _ => drop(batch),
                }
            }
            Ok(None) => {
                member.arm();
                break;
            }
            Err(_) => {}
        }
        look_in_place(&mut member, round);
    }
    let _ = member.take_at_most_once(LIMITS);
}

fn look_in_place(member: &mut Member, round: u32) {
    let Ok(Some(mut lease)) = member.lease(LIMITS) else { return };
    let first = lease.records().next().map_or(0, |view| view.position());
    let mut copied = Vec::new();
    for view in lease.records() {
        let _ = view.copy_to(&mut copied);
        if let Some(payload) = view.in_place() {
            let sum: u64 = (0..=payload.len()).filter_map(|i| payload.byte(i)).map(u64::from).sum();
            std::hint::black_box(sum);
            let _ = payload.read_at(payload.len() / 2, &mut [0; 16]);
        }
    }
    match round % 3 {
        0 => lease.ack(),
        1 => lease.ack_through(first),
        _ => drop(lease),
    }
}

fn observe(ring: &Ring, bell: &Bell) {
    for start in [Start::Earliest, Start::At(3), Start::Latest] {
        let Ok(mut observer) = ring.observe("o", start, bell) else { continue };
        let mut seen = Observed::default();
        for _ in 0..20 {
            match observer.read(LIMITS, &mut seen) {
                Ok(true) => seen.entries().for_each(|entry| touch(&entry)),
                Ok(false) | Err(_) => break,
            }
        }
        let _ = (observer.has_work(), seen.lost());
        observer.arm();
    }
}

fn write(producer: &mut Producer) {
    let _ = (producer.checkpoint(), producer.free_records(), producer.free_payload());
    let _ = producer.restage(producer.tail().wrapping_add(3));
    producer.discard_staged();
    for length in [0, 1, 64, 1000, 1100, 3000] {
        let _ = producer.has_space(length);
        let _ = producer.arm_space(length);
        if producer.stage(&Meta::default(), &[&vec![1; length]]).is_err() {
            producer.publish();
        }
    }
    let _ = producer.set_checkpoint(b"another");
    producer.publish();
}
