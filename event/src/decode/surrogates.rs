//! JSON may escape half of a surrogate pair, which is no character.

/// `text` with every lone surrogate escape replaced by `\ufffd`; `None` when there is none.
pub(crate) fn repair(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut repaired: Option<Vec<u8>> = None;
    let mut index = 0;
    while let Some(found) = memchr::memchr(b'\\', &bytes[index..]) {
        let at = index + found;
        match unit(bytes, at) {
            Some(0xD800..=0xDBFF) if matches!(unit(bytes, at + 6), Some(0xDC00..=0xDFFF)) => {
                index = at + 12;
            }
            Some(0xD800..=0xDFFF) => {
                let copy = repaired.get_or_insert_with(|| bytes.to_vec());
                copy[at..at + 6].copy_from_slice(b"\\ufffd");
                index = at + 6;
            }
            Some(_) => index = at + 6,
            // Another escape: skip what it escapes, which may be a backslash.
            None => index = (at + 2).min(bytes.len()),
        }
    }
    repaired.and_then(|bytes| String::from_utf8(bytes).ok())
}

/// The code unit that `\uXXXX` at `at` stands for.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let escape = bytes.get(at..at + 6)?;
    let digits = escape.strip_prefix(b"\\u")?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
