//! What checkpoints are made of: sections with a length each, so that a reader skips what it does not
//! know, and every part can grow without the others (P11).
//!
//! | bytes | what |
//! |---|---|
//! | 1 | which section it is |
//! | 1 | its version |
//! | 4 | length of its content, little-endian |
//! | … | content |
//!
//! A section grows at its end only, by what an older reader may do without; what a writer did not know
//! yet reads as zeros, so 0 must mean that nothing is said. The version is raised only when what is
//! there begins to mean something else: older readers then go without the section. Whoever writes a
//! checkpoint anew may drop the sections it does not know.

use serde::de::DeserializeOwned;

/// In every checkpoint: which program wrote it, as text.
pub const WRITER: u8 = 1;

/// Bytes before a section's content.
pub(crate) const HEAD: usize = 6;
/// More than any structure in a section takes for the fields it did not have yet.
const MISSING_MAX: usize = 256;
/// No structure in a section is larger.
const STRUCTURE_MAX: usize = 8 << 10;

/// Appends a section.
pub fn put(out: &mut Vec<u8>, section: u8, version: u8, content: &[u8]) {
    out.extend_from_slice(&[section, version]);
    out.extend_from_slice(&(content.len() as u32).to_le_bytes());
    out.extend_from_slice(content);
}

/// The content of a section, in this version of it; `None` where there is none.
pub fn find(sections: &[u8], section: u8, version: u8) -> Option<&[u8]> {
    let mut rest = sections;
    loop {
        let (&[found, in_version, a, b, c, d], after) = rest.split_first_chunk::<HEAD>()?;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        let (content, after) = after.split_at_checked(length)?;
        if (found, in_version) == (section, version) {
            return Some(content);
        }
        rest = after;
    }
}

/// Every section, each with all of its bytes, in order; a damaged rest is left out.
pub fn each(sections: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = sections;
    std::iter::from_fn(move || {
        let &[section, _, a, b, c, d] = rest.first_chunk::<HEAD>()?;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        let (bytes, after) = rest.split_at_checked(HEAD.checked_add(length)?)?;
        rest = after;
        Some((section, bytes))
    })
}

/// Which program wrote these sections, if they say so.
pub fn writer(sections: &[u8]) -> Option<&str> {
    find(sections, WRITER, 1).and_then(|name| std::str::from_utf8(name).ok())
}

/// Reads a structure: what it has more than `T` is left aside, and what it has less is zero.
pub fn read<T: DeserializeOwned>(content: &[u8]) -> Option<T> {
    read_within::<T, STRUCTURE_MAX>(content)
}

/// The same of a structure that takes up to so many bytes of memory.
pub fn read_within<T: DeserializeOwned, const BYTES_MAX: usize>(content: &[u8]) -> Option<T> {
    let bytes = [content, &[0; MISSING_MAX]].concat();
    let configuration = bincode::config::standard().with_limit::<BYTES_MAX>();
    bincode::serde::decode_from_slice(&bytes, configuration).ok().map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_skipped_by_its_length() {
        let mut bytes = Vec::new();
        put(&mut bytes, 200, 1, &[7; 300]);
        put(&mut bytes, 4, 2, b"newer");
        put(&mut bytes, 4, 1, b"known");
        put(&mut bytes, WRITER, 1, b"mixcord-gateway 9.9.9");
        assert_eq!(find(&bytes, 4, 1), Some(&b"known"[..]));
        assert_eq!(find(&bytes, 5, 1), None);
        assert_eq!(
            each(&bytes).map(|(section, _)| section).collect::<Vec<_>>(),
            [200, 4, 4, WRITER]
        );
        assert!(each(&bytes).flat_map(|(_, bytes)| bytes).eq(&bytes), "nothing is left out");
        assert_eq!(writer(&bytes), Some("mixcord-gateway 9.9.9"));
        let whole = bytes.len() - 27;
        assert!((0..whole).all(|end| find(&bytes[..end], 4, 1).is_none()), "P8: cut anywhere");
        assert_eq!(find(&[0xff; 100], 4, 1), None);
    }

    #[test]
    fn a_structure_may_have_fewer_fields_or_more() {
        type Old = (u32, Option<u64>);
        type New = (u32, Option<u64>, String, bool, Option<String>);
        let old = bincode::serde::encode_to_vec((5_u32, Some(77_u64)), bincode::config::standard());
        let old = old.unwrap();
        assert_eq!(read::<New>(&old), Some((5, Some(77), String::new(), false, None)));
        assert_eq!(read::<Old>(&[&old[..], b"more"].concat()), Some((5, Some(77))));
        assert_eq!(read::<Old>(&[0xff; 20]), None);
        assert_eq!(
            read::<Vec<u8>>(&[254, 0xff, 0xff, 0xff, 0xff]),
            None,
            "no memory is taken for it"
        );
    }
}
