//! Any bytes as a recording.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mixcord_recording_fuzz::read;

fuzz_target!(|bytes: &[u8]| read(bytes));
