//! Any bytes as a JSON message; serde_json is the judge of what is JSON. What a decoder has read before changes
//! nothing.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use mixcord_event::{DecodeError, Decoder, RecordMeta};
use mixcord_event_fuzz::{LIMITS, frame, trip};

thread_local! {
    /// Has read all inputs before.
    static WARM: RefCell<Decoder> = RefCell::new(Decoder::new(LIMITS));
}

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = Decoder::new(LIMITS);
    match decoder.json(bytes) {
        Ok(decoded) => frame(decoded),
        Err(error) => assert!(error.offset <= 3 * bytes.len()),
    }
    let ours = decoder.document_from_json(bytes);
    if let Ok(document) = &ours {
        trip(document.value());
    }
    // Whatever serde_json takes, we take too, but for the limits; and the other way round, but for
    // bytes and escapes that are repaired.
    let is_repaired = std::str::from_utf8(bytes).is_err() || bytes.windows(2).any(|w| w == b"\\u");
    let theirs = serde_json::from_slice::<serde_json::Value>(bytes);
    match (&ours, &theirs) {
        (Ok(_), Err(error)) if !is_repaired => panic!("serde_json refuses it: {error}"),
        (Err(error), Ok(_))
            if !error.to_string().contains("deep") && !error.to_string().contains("limit") =>
        {
            panic!("serde_json takes it: {error}")
        }
        // serde_json's tree, printed and read again, is the same document.
        (Ok(ours), Ok(theirs)) if !is_repaired => {
            let again = decoder.document_from_json(theirs.to_string().as_bytes());
            assert_eq!(*ours, again.expect("serde_json's own JSON"));
        }
        _ => {}
    }
    let cold = record(&mut Decoder::new(LIMITS), bytes);
    WARM.with_borrow_mut(|warm| {
        assert_eq!(record(warm, bytes), cold);
        // And once more, with the keys it now expects.
        assert_eq!(record(warm, bytes), cold);
    });
});

fn record(decoder: &mut Decoder, bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    Ok(decoder.json(bytes)?.record(&RecordMeta::default()).to_vec())
}
