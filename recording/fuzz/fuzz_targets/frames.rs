//! Any bytes as frames in blocks that are whole, as whoever means harm would write them; read, and replayed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mixcord_recording_fuzz::{file, read, replay};

fuzz_target!(|bytes: &[u8]| {
    let file = file(bytes);
    read(&file);
    replay(&file);
});
