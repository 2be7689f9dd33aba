//! What a process says of itself, for people: a small file, written anew now and then.
//!
//! Whoever looks on reads it there without asking the process. That lives as long as the file is locked, and a file
//! that is not was left by one that was killed. What [proxies](crate::proxy) and [bridges](crate::bridge) say has one
//! form: a checksum, for a reader may come while it is written, and [sections].

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::sections;

const FIGURES: u8 = 2;
/// Raised only when what is there begins to mean something else.
const VERSION: u8 = 1;
/// Bytes of the checksum.
const HEAD: usize = 8;

/// Figures as `encode` takes them.
pub(crate) fn content(figures: &impl Serialize) -> Vec<u8> {
    // Nothing in them fails to be written down.
    bincode::serde::encode_to_vec(figures, bincode::config::standard()).unwrap_or_default()
}

/// The file, as the program `writer` writes it.
pub(crate) fn encode(writer: &str, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEAD];
    sections::put(&mut bytes, sections::WRITER, 1, writer.as_bytes());
    sections::put(&mut bytes, FIGURES, VERSION, content);
    let sum = checksum(&bytes[HEAD..]).to_le_bytes();
    bytes[..HEAD].copy_from_slice(&sum);
    bytes
}

/// Reads it, and which program wrote it; `None` of anything else, of what is half written, and of figures that take
/// more memory than that.
pub(crate) fn decode<T: DeserializeOwned, const MEMORY_MAX: usize>(
    bytes: &[u8],
) -> Option<(T, Option<&str>)> {
    let (sum, all) = bytes.split_first_chunk::<HEAD>()?;
    if u64::from_le_bytes(*sum) != checksum(all) {
        return None;
    }
    let content = sections::find(all, FIGURES, VERSION)?;
    let figures = sections::read_within::<T, MEMORY_MAX>(content)?;
    Some((figures, sections::writer(all)))
}

/// Leaves of a text what may be printed, and at most so many bytes of it.
pub(crate) fn make_plain(text: &mut String, bytes_max: usize) {
    text.retain(|char| char.is_ascii_graphic() || char == ' ');
    text.truncate(bytes_max);
}

/// FNV-1a: enough to tell what is whole.
fn checksum(bytes: &[u8]) -> u64 {
    let mix = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P11: what a release wrote is read by the next.
    #[test]
    fn the_form_is_what_it_was() {
        let bytes = encode("w", &content(&(7_u8, "x")));
        let sections = [&[1, 1, 1, 0, 0, 0, b'w'][..], &[2, 1, 3, 0, 0, 0, 7, 1, b'x']].concat();
        assert_eq!(bytes[HEAD..], sections);
        assert_eq!(bytes[..HEAD], checksum(&sections).to_le_bytes());
        assert_eq!(checksum(b"foobar"), 0x8594_4171_f739_67e8, "FNV-1a of 64 bits");
        assert_eq!(decode::<(u8, String), 1024>(&bytes), Some(((7, "x".to_owned()), Some("w"))));
    }

    #[test]
    fn figures_that_take_too_much_are_none() {
        let bytes = encode("w", &content(&"x".repeat(100)));
        assert_eq!(decode::<String, 50>(&bytes), None);
        assert_eq!(decode::<String, 1000>(&bytes).map(|(text, _)| text.len()), Some(100));
    }

    #[test]
    fn a_text_is_cut_after_what_cannot_be_printed_is_gone() {
        let mut text = "a\u{1b}[2J \u{e4}b".to_owned();
        make_plain(&mut text, 6);
        assert_eq!(text, "a[2J b");
    }
}
