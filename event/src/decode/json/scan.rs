//! Where text stops, eight or sixteen bytes at a time.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = ONES * 0x80;

/// How many bytes of a window from `at` on come before the first quote, backslash, control character or byte
/// outside ASCII, if there is one in so many words.
#[inline(always)]
pub(super) fn ascii_end<const WORDS: usize>(window: &[u8], at: usize) -> Option<usize> {
    let (words, _) = window.get(at..)?.as_chunks::<8>();
    let words = words.first_chunk::<WORDS>()?;
    for (index, word) in words.iter().enumerate() {
        let stops = ascii_stops(u64::from_le_bytes(*word));
        if stops != 0 {
            return Some(8 * index + stops.trailing_zeros() as usize / 8);
        }
    }
    None
}

/// A bit for the first quote, backslash, control character or byte outside ASCII, and maybe for others behind it.
#[inline(always)]
pub(super) fn ascii_stops(word: u64) -> u64 {
    // Flipping this bit puts the quote behind the control characters, and nothing else before it. No byte of
    // ASCII carries, so the lowest stop is exact.
    let is_above = (word ^ (ONES * 0x02)).wrapping_add(ONES * (0x80 - 0x21));
    let is_other = (word ^ (ONES * b'\\' as u64)).wrapping_add(ONES * 0x7F);
    (!(is_above & is_other) | word) & HIGH
}

/// How many bytes of text come before the first quote, backslash or control character.
#[inline]
pub(super) fn plain_end(text: &[u8]) -> usize {
    let mut rest = skip_plain(text);
    while let Some((word, tail)) = rest.split_first_chunk() {
        let stops = plain_stops(u64::from_le_bytes(*word));
        if stops != 0 {
            return text.len() - rest.len() + stops.trailing_zeros() as usize / 8;
        }
        rest = tail;
    }
    text.len() - rest.len() + rest.iter().position(is_stop).unwrap_or(rest.len())
}

/// What follows the chunks without any stop.
#[inline(always)]
fn skip_plain(text: &[u8]) -> &[u8] {
    let mut rest = text;
    while let Some((chunk, tail)) = rest.split_first_chunk()
        && !has_stop(chunk)
    {
        rest = tail;
    }
    rest
}

/// As [`ascii_stops`], but bytes outside ASCII are none.
#[inline(always)]
fn plain_stops(word: u64) -> u64 {
    // A byte below what is subtracted borrows and so shows its high bit; the lowest one found is exact.
    let above = (word ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    (above | backslash) & !word & HIGH
}

#[inline(always)]
fn is_stop(byte: &u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..=0x1F)
}

/// Whether there is a quote, backslash, control character or byte outside ASCII.
#[inline(always)]
pub(super) fn has_ascii_stop(chunk: &[u8; 16]) -> bool {
    // As signed numbers the bytes outside ASCII are below the space, too.
    has(chunk, |byte| (byte ^ 0x02).cast_signed() < 0x21 || byte == b'\\')
}

/// Whether there is a quote, backslash or control character.
#[inline(always)]
fn has_stop(chunk: &[u8; 16]) -> bool {
    has(chunk, |byte| byte ^ 0x02 < 0x21 || byte == b'\\')
}

/// Whether one of the bytes is so. In this form the compiler compares all of them at once.
#[inline(always)]
fn has(chunk: &[u8; 16], is: impl Fn(u8) -> bool) -> bool {
    chunk.iter().fold(0, |has, byte| has | if is(*byte) { u8::MAX } else { 0 }) != 0
}

#[cfg(test)]
mod tests {
    use super::{ascii_end, has_ascii_stop, plain_end};

    /// Every byte at every place, before and behind a quote.
    #[test]
    fn the_first_stop_is_found() {
        for byte in 0..=u8::MAX {
            for (at, quote) in (0..8).flat_map(|at| (0..=8).map(move |quote| (at, quote))) {
                let mut bytes = [b'x'; 9];
                bytes[quote] = b'"';
                bytes[at] = byte;
                let bytes: [u8; 8] = *bytes.first_chunk().unwrap();
                let is_plain = |b: &u8| !matches!(b, b'"' | b'\\' | ..0x20);
                let plain = bytes.iter().take_while(|b| is_plain(b)).count();
                let ascii = bytes.iter().take_while(|b| is_plain(b) && b.is_ascii()).count();
                assert_eq!(plain_end(&bytes), plain, "{bytes:?}");
                assert_eq!(ascii_end::<1>(&bytes, 0), (ascii < 8).then_some(ascii), "{bytes:?}");
            }
        }
    }

    /// In texts of any length, also where few bytes are left.
    #[test]
    fn the_end_of_a_text_is_found() {
        for len in 0..70 {
            for (end, stop) in (0..=len).flat_map(|end| [b'"', b'\\', 0x1F].map(|stop| (end, stop)))
            {
                let mut text = vec![0xFF; len];
                if let Some(byte) = text.get_mut(end) {
                    *byte = stop;
                }
                assert_eq!(plain_end(&text), end, "of {len}");
                text.iter_mut().filter(|byte| **byte == 0xFF).for_each(|byte| *byte = b'~');
                if let Some(chunk) = text.first_chunk() {
                    assert_eq!(has_ascii_stop(chunk), end < 16, "{text:?}");
                }
            }
        }
    }
}
