//! The limit: passing over a term without looking at what it says.

/// How many bytes the message has, found by its structure alone. Panics on anything but the terms
/// of our own payloads.
pub(super) fn term(message: &[u8]) -> usize {
    let mut at = 1;
    let mut pending = 1_usize;
    let short = |at: usize| usize::from(u16::from_be_bytes([message[at], message[at + 1]]));
    let long = |at: usize| {
        u32::from_be_bytes([message[at], message[at + 1], message[at + 2], message[at + 3]]) as usize
    };
    while pending > 0 {
        pending -= 1;
        let tag = message[at];
        at += 1;
        match tag {
            97 => at += 1,
            98 => at += 4,
            70 => at += 8,
            100 | 118 | 107 => at += 2 + short(at),
            115 | 119 => at += 1 + usize::from(message[at]),
            106 => {}
            109 => at += 4 + long(at),
            110 => at += 2 + usize::from(message[at]),
            108 => {
                pending += long(at) + 1;
                at += 4;
            }
            116 => {
                pending += 2 * long(at);
                at += 4;
            }
            other => unreachable!("a term with tag {other}"),
        }
    }
    at
}
