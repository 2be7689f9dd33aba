use mixcord_ring::Entry;
use proptest::prelude::*;

use super::*;
use crate::sender::Start;

fn entry(position: u64, payload: &[u8]) -> Entry<'_> {
    Entry {
        position,
        key: position ^ 3,
        tag: 4,
        source: 5,
        order: 6,
        seal: 7,
        payload,
        lost: false,
    }
}

fn start(first: u64) -> Start {
    Start { log: 11, generation: 12, kept: first / 2, first }
}

fn packer(message: usize) -> Packer {
    Packer::new(Sizes { records: 64, pack: 64 << 10, message })
}

#[test]
fn a_pack_is_cut_at_64_records_at_its_bytes_and_at_a_jump() {
    let (mut packer, short, long) = (packer(1 << 20), [7; 10], [7; 40 << 10]);
    let about = About::default();
    let many = (5..500).map(|at| entry(at, &short));
    assert_eq!(packer.pack(&start(5), many, &about).end, 5 + 64);
    let large = (0..9).map(|at| entry(at, &long));
    assert_eq!(packer.pack(&start(0), large, &about).count, 1);
    let jump = [1, 2, 4].map(|at| entry(at, &short));
    assert_eq!(packer.pack(&start(1), jump, &about).count, 2);
    assert_eq!(packer.pack(&start(9), [], &about).end, 9, "only how the shard stands");
}

#[test]
fn a_record_beyond_every_limit_is_lost_in_its_place() {
    let huge = vec![0; BODY_MAX];
    let packed = packer(1 << 20).pack(&start(0), [entry(0, &huge)], &About::default());
    let (head, body) = Head::read(&packed.messages[0]).unwrap();
    let mut assembler = Assembler::default();
    let whole = assembler.push(head, body).unwrap().unwrap();
    assert_eq!(whole.body.rows().next().unwrap().bytes, None);
}

#[test]
fn parts_out_of_order_are_no_pack() {
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    let noise: Vec<u8> = (0..20_000).map(|_| noise()).collect();
    let packed = packer(4 << 10).pack(&start(0), [entry(0, &noise)], &About::default());
    let parts: Vec<_> = packed.messages.iter().map(|part| Head::read(part).unwrap()).collect();
    assert!(parts.len() > 3 && parts[0].0.end() == 0 && parts.last().unwrap().0.end() == 1);
    let mut assembler = Assembler::default();
    assert!(matches!(assembler.push(parts[1].0, parts[1].1), Err(PackError::Part { part: 1, .. })));
    assert!(assembler.push(parts[0].0, parts[0].1).unwrap().is_none());
    assert!(assembler.push(parts[2].0, parts[2].1).is_err());
    // Of another pack that looks alike.
    let mut alike = parts[1].1.to_vec();
    alike[7] ^= 1;
    for (number, (head, body)) in parts.iter().enumerate() {
        let whole = assembler.push(*head, if number == 1 { &alike } else { body });
        assert_eq!(whole.is_err(), number + 1 == parts.len());
    }
    // Begun anew after a kill.
    for (head, body) in parts.iter().take(2).chain(&parts) {
        if let Some(whole) = assembler.push(*head, body).unwrap() {
            assert_eq!(whole.body.rows().next().unwrap().bytes, Some(&*noise));
            return;
        }
    }
    panic!("never whole");
}

#[test]
fn what_a_later_release_adds_is_skipped_and_another_version_is_told() {
    let packed = packer(1 << 20).pack(&start(3), [entry(3, b"abc")], &About::default());
    let message = &packed.messages[0];
    let mut longer = message[..Head::LEN].to_vec();
    longer[6] += 8;
    longer.extend_from_slice(b"whatever");
    longer.extend_from_slice(&message[Head::LEN..]);
    let (head, body) = Head::read(&longer).unwrap();
    assert!(Assembler::default().push(head, body).unwrap().is_some());
    let mut newer = message.to_vec();
    newer[4] = 2;
    assert!(Head::read(&newer).unwrap_err().is_of_another_release());
    assert_eq!(Head::read(b"MXP"), Err(PackError::Short));
    assert_eq!(Head::read(&[0; 99]), Err(PackError::Foreign));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_packed_comes_out(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 0..90),
        first in 0..u64::MAX / 2,
        message in 0_usize..20_000,
        position in prop::option::of(any::<u64>()),
        checkpoint in prop::option::of(prop::collection::vec(any::<u8>(), 0..200)),
    ) {
        let predecessor = position.map(|position| Predecessor { log: 9, position });
        let about = About { checkpoint: checkpoint.as_deref(), predecessor };
        let entries = payloads.iter().zip(first..).map(|(bytes, at)| entry(at, bytes));
        let packed = packer(message).pack(&start(first), entries, &about);
        let mut assembler = Assembler::default();
        let last = packed.messages.len() - 1;
        for (number, message) in packed.messages.iter().enumerate() {
            let (head, body) = Head::read(message).unwrap();
            let whole = assembler.push(head, body).unwrap();
            prop_assert_eq!(whole.is_some(), number == last);
            let Some(whole) = whole else { continue };
            prop_assert_eq!((whole.head.log, whole.head.generation, whole.head.end()), (11, 12, packed.end));
            prop_assert_eq!((whole.body.about, whole.head.kept), (about, first / 2));
            let rows: Vec<_> = whole.body.rows().collect();
            prop_assert_eq!(rows.len() as u32, packed.count);
            for ((row, payload), at) in rows.iter().zip(&payloads).zip(first..) {
                prop_assert_eq!((row.bytes, row.key), (Some(&**payload), at ^ 3));
            }
        }
    }

    #[test]
    fn p8_any_bytes_are_a_pack_or_an_error(
        mut bytes in prop::collection::vec(any::<u8>(), 0..300),
        sound in any::<bool>(),
    ) {
        if sound && bytes.len() > Head::LEN {
            let packed = packer(1 << 20).pack(&start(0), [entry(0, &[0; 400])], &About::default());
            bytes[..Head::LEN].copy_from_slice(&packed.messages[0][..Head::LEN]);
        }
        if let Ok((head, body)) = Head::read(&bytes) {
            let _ = Assembler::default().push(head, body);
        }
    }
}
