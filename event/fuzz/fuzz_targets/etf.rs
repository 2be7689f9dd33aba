//! Any bytes as an ETF message.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mixcord_event::Decoder;
use mixcord_event_fuzz::{LIMITS, frame, trip};

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = Decoder::new(LIMITS);
    match decoder.etf(bytes) {
        Ok(decoded) => frame(decoded),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(document) = decoder.document_from_etf(bytes) {
        trip(document.value());
    }
});
