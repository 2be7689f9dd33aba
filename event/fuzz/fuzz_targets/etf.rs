//! Any bytes as an ETF message. What a decoder has read before changes nothing.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use mixcord_event::{DecodeError, Decoder, Record, RecordMeta};
use mixcord_event_fuzz::{LIMITS, frame, trip};

thread_local! {
    /// Has read all inputs before.
    static WARM: RefCell<Decoder> = RefCell::new(Decoder::new(LIMITS));
}

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = Decoder::new(LIMITS);
    match decoder.etf(bytes) {
        Ok(decoded) => frame(decoded),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(error.offset <= LIMITS.inflated_bytes);
        }
    }
    if let Ok(document) = decoder.document_from_etf(bytes) {
        trip(document.value());
    }
    let cold = record(&mut Decoder::new(LIMITS), bytes);
    WARM.with_borrow_mut(|warm| {
        assert_eq!(record(warm, bytes), cold);
        // And once more, with the keys it now expects.
        assert_eq!(record(warm, bytes), cold);
    });
});

fn record(decoder: &mut Decoder, bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut frame = decoder.etf(bytes)?;
    let record = frame.record(&RecordMeta::default()).to_vec();
    Record::parse(&record).expect("what we write, we read");
    Ok(record)
}
