use flate2::{Compress, FlushCompress};
use zstd_safe::zstd_sys::ZSTD_EndDirective as End;
use zstd_safe::{CCtx, InBuffer, OutBuffer};

use super::streams::STEP;
use super::*;

const LIMIT: usize = 1 << 20;

fn messages() -> Vec<Vec<u8>> {
    (0..40u32)
        .map(|n| {
            let mut random = crate::random::Random::seeded(u64::from(n));
            let noise = (0..n * 700).map(|_| random.bits().to_le_bytes()[0]);
            noise.chain([b'x'; 500]).collect()
        })
        .collect()
}

/// All that is there, when it looks whole.
fn push(inflater: &mut Inflater, input: &[u8]) -> Result<Option<Vec<u8>>, InflateError> {
    let looks_whole = inflater.push(input)?;
    let all = |inflater: &Inflater| match inflater.with_kept() {
        Some(all) => all.to_vec(),
        None => inflater.newest(input).to_vec(),
    };
    Ok(looks_whole.then(|| all(inflater)))
}

fn zlib(context: &mut Compress, message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() * 2 + 1024);
    context.compress_vec(message, &mut out, FlushCompress::Sync).expect("compresses");
    assert!(out.ends_with(&ZLIB_SUFFIX));
    out
}

fn zstd(context: &mut CCtx<'_>, message: &[u8], end: End) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() * 2 + 1024);
    let mut buffer = OutBuffer::around(&mut out);
    let mut input = InBuffer::around(message);
    let left = context.compress_stream2(&mut buffer, &mut input, end).expect("compresses");
    assert_eq!(left, 0);
    out
}

#[test]
fn g36_zstd_one_endless_frame() {
    let mut context = CCtx::create();
    let mut inflater = Inflater::new(Compression::Zstd, LIMIT);
    for message in messages() {
        let packed = zstd(&mut context, &message, End::ZSTD_e_flush);
        assert_eq!(push(&mut inflater, &packed), Ok(Some(message.to_vec())));
    }
}

#[test]
fn g36_zstd_one_frame_per_message() {
    let mut inflater = Inflater::new(Compression::Zstd, LIMIT);
    for message in messages() {
        let packed = zstd(&mut CCtx::create(), &message, End::ZSTD_e_end);
        assert_eq!(push(&mut inflater, &packed), Ok(Some(message.to_vec())));
    }
}

/// §15 line 18: output larger than the buffer, and exactly as large.
#[test]
fn g36_zstd_output_larger_than_the_buffer() {
    let mut context = CCtx::create();
    let mut inflater = Inflater::new(Compression::Zstd, LIMIT);
    for length in [STEP - 1, STEP, STEP + 1, 4 * STEP, 5 * STEP + 3, 1] {
        let message = vec![b'z'; length];
        let packed = zstd(&mut context, &message, End::ZSTD_e_flush);
        assert_eq!(push(&mut inflater, &packed), Ok(Some(message)), "{length}");
    }
}

/// §15 line 17: split over messages anywhere, also within the suffix.
#[test]
fn g35_zlib_messages_split_anywhere() {
    let mut context = Compress::new(flate2::Compression::fast(), true);
    let mut inflater = Inflater::new(Compression::Zlib, LIMIT);
    for (n, message) in messages().into_iter().enumerate() {
        let packed = zlib(&mut context, &message);
        let cuts = [(n * 37) % packed.len(), packed.len() - 1 - n % 4];
        let (first, second) = packed.split_at(cuts[n % 2]);
        assert_eq!(push(&mut inflater, first), Ok(None));
        assert_eq!(push(&mut inflater, second), Ok(Some(message)));
    }
}

/// §15 line 17: the suffix stands within a message, and a websocket message ends just there.
#[test]
fn g35_a_suffix_inside_the_data_looks_whole_and_is_kept() {
    // Stored as it is, so that its own bytes are those of the stream.
    let mut context = Compress::new(flate2::Compression::none(), true);
    let mut inflater = Inflater::new(Compression::Zlib, LIMIT);
    for n in 1..20 {
        let message =
            [&b"before"[..], &ZLIB_SUFFIX, &vec![b'm'; n], &ZLIB_SUFFIX, b"after"].concat();
        let packed = zlib(&mut context, &message);
        let mut rest = &packed[..];
        let mut looked_whole = 0;
        while let Some(at) = rest.windows(4).position(|four| four == ZLIB_SUFFIX) {
            let (piece, more) = rest.split_at(at + 4);
            let all = push(&mut inflater, piece).expect("sound").expect("looks whole");
            assert!(message.starts_with(&all));
            rest = more;
            looked_whole += 1;
            if rest.is_empty() {
                assert_eq!(all, message);
            } else {
                assert!(inflater.keep());
            }
        }
        assert_eq!(looked_whole, 3, "twice within, once at the end");
    }
}

/// The first piece was no message: the second one stands alone.
#[test]
fn g35_the_newest_piece_can_be_had_and_kept_alone() {
    let mut context = Compress::new(flate2::Compression::fast(), true);
    let mut inflater = Inflater::new(Compression::Zlib, LIMIT);
    let newest = |inflater: &Inflater| inflater.newest(&[]).to_vec();
    let all = |inflater: &Inflater| inflater.with_kept().map(<[u8]>::to_vec);
    assert_eq!(inflater.push(&zlib(&mut context, b"one")), Ok(true));
    assert_eq!((newest(&inflater), all(&inflater)), (b"one".to_vec(), None));
    assert!(inflater.keep());
    assert_eq!(inflater.push(&zlib(&mut context, b"two")), Ok(true));
    assert_eq!((newest(&inflater), all(&inflater)), (b"two".to_vec(), Some(b"onetwo".to_vec())));
    inflater.keep_newest();
    assert_eq!(inflater.push(&zlib(&mut context, b"three")), Ok(true));
    assert_eq!(all(&inflater), Some(b"twothree".to_vec()));
    assert_eq!(inflater.push(&zlib(&mut context, b"four")), Ok(true));
    assert_eq!((newest(&inflater), all(&inflater)), (b"four".to_vec(), None));
    for _ in 1..PIECES_MAX {
        assert!(inflater.keep());
        assert_eq!(inflater.push(&zlib(&mut context, b"more")), Ok(true));
    }
    assert!(!inflater.keep(), "there is an end to it");
}

/// Between two messages no connection holds a buffer; the beginning of one stays with its own.
#[test]
fn p7_a_buffer_is_lent_and_given_back() {
    let mut context = Compress::new(flate2::Compression::fast(), true);
    let mut inflater = Inflater::new(Compression::Zlib, LIMIT);
    let mut buffer = Vec::with_capacity(1_000);
    let packed = zlib(&mut context, b"whole");
    inflater.lend(&mut buffer);
    assert_eq!(push(&mut inflater, &packed), Ok(Some(b"whole".to_vec())));
    inflater.give_back(&mut buffer);
    assert_eq!((inflater.output.capacity(), buffer.len()), (0, 0));
    assert!(buffer.capacity() >= 1_000);

    let packed = zlib(&mut context, b"in two pieces");
    let (first, second) = packed.split_at(packed.len() - 3);
    inflater.lend(&mut buffer);
    assert_eq!(push(&mut inflater, first), Ok(None));
    inflater.give_back(&mut buffer);
    assert_eq!(buffer.capacity(), 0, "it holds the beginning");
    inflater.lend(&mut buffer);
    assert_eq!(push(&mut inflater, second), Ok(Some(b"in two pieces".to_vec())));
    inflater.give_back(&mut buffer);
    assert_eq!(inflater.output.capacity(), 0);
}

#[test]
fn g35_g36_reset_begins_a_new_stream() {
    for (compression, message) in [(Compression::Zlib, b"hello"), (Compression::Zstd, b"world")] {
        let mut inflater = Inflater::new(compression, LIMIT);
        for _ in 0..3 {
            let packed = match compression {
                Compression::Zlib => {
                    zlib(&mut Compress::new(flate2::Compression::fast(), true), message)
                }
                _ => zstd(&mut CCtx::create(), message, End::ZSTD_e_flush),
            };
            assert_eq!(push(&mut inflater, &packed), Ok(Some(message.to_vec())));
            // Half a message waits when the connection ends.
            let _ = inflater.push(&packed[..packed.len() / 2]);
            inflater.reset();
        }
    }
}

#[test]
fn g38_bombs_end_at_the_limit_with_bounded_memory() {
    let bomb = vec![0u8; 64 * LIMIT];
    let packed = [
        (Compression::Zstd, zstd(&mut CCtx::create(), &bomb, End::ZSTD_e_flush)),
        (Compression::Zlib, {
            let mut out = Vec::with_capacity(LIMIT);
            let mut context = Compress::new(flate2::Compression::best(), true);
            context.compress_vec(&bomb, &mut out, FlushCompress::Sync).expect("compresses");
            out
        }),
    ];
    for (compression, packed) in packed {
        assert!(packed.len() < LIMIT);
        let mut inflater = Inflater::new(compression, LIMIT);
        assert_eq!(inflater.push(&packed), Err(InflateError::TooLarge { limit: LIMIT }));
        assert!(inflater.output.capacity() <= 3 * LIMIT, "{}", inflater.output.capacity());
    }
}

#[test]
fn broken_streams_are_errors() {
    for compression in [Compression::Zstd, Compression::Zlib] {
        let mut inflater = Inflater::new(compression, LIMIT);
        let broken = inflater.push(b"certainly neither of the two\x00\x00\xff\xff");
        assert!(matches!(broken, Err(InflateError::Corrupt { .. })), "{broken:?}");
    }
    // A message that never ends.
    let mut context = Compress::new(flate2::Compression::fast(), true);
    let mut endless = Inflater::new(Compression::Zlib, LIMIT);
    let error = loop {
        let mut out = Vec::with_capacity(LIMIT);
        context.compress_vec(&[7; 100_000], &mut out, FlushCompress::None).expect("compresses");
        match endless.push(&out) {
            Ok(whole) => assert!(!whole),
            Err(error) => break error,
        }
    };
    assert_eq!(error, InflateError::TooLarge { limit: LIMIT });
}
