//! Files: what was written comes back; whatever is done to them, nothing else does.

use mixcord_recording::{Item, ReadError, Reader, RingOf, Writer};
use mixcord_ring::{Geometry, Meta};
use proptest::prelude::*;

/// Pieces as they may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Ring(RingOf),
    Record(u16, u64, Meta, Vec<u8>),
    Lost(u16, u64),
}

fn piece() -> impl Strategy<Value = Piece> {
    let geometry = Geometry::new(1024, 1 << 20, 4, 1, 4).expect("a geometry");
    let payload = prop_oneof![
        8 => proptest::collection::vec(any::<u8>(), 0..300),
        // Over the end of a block, and of several.
        1 => (any::<u8>(), 0_usize..3_000_000).prop_map(|(byte, length)| vec![byte; length]),
    ];
    let meta = any::<(u64, u64, u64, u64)>().prop_map(|(key, tag, source, order)| Meta {
        key,
        tag,
        source,
        order,
    });
    prop_oneof![
        1 => any::<(u16, u64, u64)>().prop_map(move |(number, id, from)| Piece::Ring(RingOf {
            number, shard: 1, shards: 2, id, from, geometry,
        })),
        6 => (any::<u16>(), any::<u64>(), meta, payload)
            .prop_map(|(ring, position, meta, payload)| Piece::Record(ring, position, meta, payload)),
        1 => any::<(u16, u64)>().prop_map(|(ring, count)| Piece::Lost(ring, count)),
    ]
}

fn write(pieces: &[Piece], flush_every: usize) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), 77, true).expect("it is memory");
    for (index, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Ring(ring) => writer.ring(ring),
            Piece::Record(ring, position, meta, payload) => {
                writer.record(*ring, *position, meta, payload)
            }
            Piece::Lost(ring, count) => writer.lost(*ring, *count),
        }
        .expect("it is memory");
        if index % flush_every == 0 {
            writer.flush().expect("it is memory");
        }
    }
    let (bytes, written) = writer.finish().expect("it is memory");
    assert_eq!(bytes.len() as u64, written);
    bytes
}

/// What a file says, and why it says no more.
fn read(bytes: &[u8]) -> (Vec<Piece>, Result<(), ReadError>) {
    let mut pieces = Vec::new();
    let mut reader = match Reader::open(bytes) {
        Ok(reader) => reader,
        Err(error) => return (pieces, Err(error)),
    };
    loop {
        match reader.next_item() {
            Ok(None) => return (pieces, Ok(())),
            Ok(Some(Item::Ring(ring))) => pieces.push(Piece::Ring(ring)),
            Ok(Some(Item::Record { ring, position, meta, payload })) => {
                pieces.push(Piece::Record(ring, position, meta, payload.to_vec()));
            }
            Ok(Some(Item::Lost { ring, count })) => pieces.push(Piece::Lost(ring, count)),
            Ok(Some(_)) => {}
            Err(error) => return (pieces, Err(error)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_written_comes_back(pieces in proptest::collection::vec(piece(), 0..40), flush_every in 1_usize..9) {
        let bytes = write(&pieces, flush_every);
        let head = Reader::open(&bytes[..]).expect("one").head().clone();
        prop_assert_eq!((head.started_us, head.redacted), (77, true));
        let (back, end) = read(&bytes);
        prop_assert!(end.is_ok());
        prop_assert_eq!(back, pieces);
    }

    /// P8: cut off, or with any bytes changed, a file gives a beginning of what was written, and says that there is more.
    #[test]
    fn a_damaged_file_gives_what_is_whole_before_the_damage(
        pieces in proptest::collection::vec(piece(), 0..20),
        at in any::<prop::sample::Index>(),
        change in 1_u8..,
        cut in any::<bool>(),
    ) {
        let mut bytes = write(&pieces, 3);
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= change;
        }
        let (back, end) = read(&bytes);
        prop_assert!(end.is_err());
        prop_assert!(pieces.starts_with(&back));
    }

    #[test]
    fn p8_any_bytes_are_read_without_a_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..500), is_one in any::<bool>()) {
        if is_one {
            bytes.splice(..bytes.len().min(12), *b"mixrec\r\n\x01\0\0\0");
        }
        prop_assert!(read(&bytes).1.is_err());
    }
}

/// Frames of any content in a block that is whole, as whoever means harm would make them.
#[test]
fn p8_frames_that_cannot_be_are_errors() {
    let whole = write(&[], 1);
    let with_block = |content: &[u8]| {
        let mut packed = vec![0; zstd_bound(content.len())];
        let length = zstd_safe::compress(packed.as_mut_slice(), content, 1).expect("it fits");
        packed.truncate(length);
        let mut head = Vec::new();
        for word in [length as u32, content.len() as u32, crc32fast::hash(&packed)] {
            head.extend_from_slice(&word.to_le_bytes());
        }
        head.extend_from_slice(&crc32fast::hash(&head).to_le_bytes());
        [&whole[..12], &head, &packed].concat()
    };
    let head = [1, 0, 0, 0, 0];
    let said = |frames: &[u8]| {
        read(&with_block(&[&head, frames].concat())).1.expect_err("none").to_string()
    };
    // A record of 4 GiB takes no memory, one of 200 MiB none that is not there.
    assert!(said(&[3, 0xff, 0xff, 0xff, 0xff]).contains("a length in it"));
    assert!(said(&[3, 0, 0, 0x80, 0x0c, 7, 7]).contains("cut off"));
    assert!(said(&[3, 2, 0, 0, 0, 1, 0]).contains("a frame in it"), "a record of two bytes");
    assert!(said(&[2, 3, 0, 0, 0, 1, 0, 0]).contains("a frame in it"), "a ring of three");
    // A kind of a later release is passed over and counted; without an end it was cut off all the same.
    assert!(said(&[99, 3, 0, 0, 0, 1, 0, 0]).contains("cut off"));
    assert!(
        read(&with_block(&[5, 0, 0, 0, 0])).1.expect_err("none").to_string().contains("a head")
    );
    let frames =
        [&head[..], &[99, 3, 0, 0, 0, 1, 0, 0], &[4, 10, 0, 0, 0, 5, 0, 2], &[0; 7]].concat();
    let end = [&[200, 0, 0, 0, 0, 5, 16, 0, 0, 0][..], &[0; 16]].concat();
    let file = with_block(&[frames, end].concat());
    let mut reader = Reader::open(&file[..]).expect("one");
    let item = reader.next_item().expect("whole");
    assert_eq!(item, Some(Item::Lost { ring: 5, count: 2 }));
    assert!(matches!(reader.next_item(), Ok(Some(Item::End { .. }))));
    assert_eq!(reader.unknown(), 2);
    let later = [&b"mixrec\r\n"[..], &9_u32.to_le_bytes()].concat();
    assert!(matches!(read(&later).1, Err(ReadError::Version { found: 9, .. })));
    assert!(matches!(read(b"{\"kind\":\"READY\"}").1, Err(ReadError::NotOne)));
}

fn zstd_bound(length: usize) -> usize {
    zstd_safe::compress_bound(length)
}
