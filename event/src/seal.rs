//! The word of whoever wrote a record that its bytes are one: it travels beside the record, in the ring's descriptor.
//!
//! Who checked a record, or made it out of what was checked, seals it; who reads it compares a sum of its bytes, which
//! costs a fifth of checking them again. Damage changes the sum. A seal is no protection from malice: another process may
//! put one on anything, and what it says is then read as safely as any other bytes, with what cannot be read null,
//! empty or missing.

use crate::{header::HEADER_LEN, validate};

/// What a writer says of a record.
///
/// Bit 0 says that the rest is a sum worked out in this way. Another way, of a later release, has another bit, and
/// is nothing to this one: the record is then checked.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Seal(u32);

/// Bits of a seal, from the lowest on.
const BITS: u32 = 31;
/// The way of this module.
const WAY: u32 = 1;

impl Seal {
    /// Nothing is said.
    pub const NONE: Self = Self(0);

    /// A seal as it travelled.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// As it travels: 31 bits.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether this build knows what it says.
    pub(crate) const fn is_known(self) -> bool {
        self.0 & WAY != 0
    }

    /// That of a whole record, which the caller has checked or made; none for bytes that are too short for one.
    pub fn of(record: &[u8]) -> Self {
        crate::Record::parse_head(record).map_or(Self::NONE, |parsed| {
            let (data, old) = (parsed.data_bytes(), parsed.old_bytes().unwrap_or_default());
            let head = &record[..record.len() - data.len() - old.len()];
            Self::of_parts(head, Sum::of(data), Sum::of(old))
        })
    }

    /// That of a record that is written in parts; an absent entity is one of no bytes.
    pub fn of_parts(head: &[u8], data: Sum, old: Sum) -> Self {
        debug_assert!(head.len() >= HEADER_LEN, "a head is {HEADER_LEN} bytes at least");
        let sum = fold(Sum::of(head).0 ^ K[0], data.0 ^ K[1]);
        let sum = fold(sum ^ K[2], old.0 ^ K[3]);
        Self((sum >> (64 - BITS)) as u32 | WAY)
    }
}

/// The sum of a part of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sum(u64);

/// Bits without a pattern, of the square roots of the first primes.
const K: [u64; 4] =
    [0x6a09_e667_f3bc_c908, 0xbb67_ae85_84ca_a73b, 0x3c6e_f372_fe94_f82b, 0xa54f_f53a_5f1d_36f1];

impl Sum {
    /// Of a document, if these bytes are one.
    pub fn checked(document: &[u8]) -> Option<Self> {
        validate::document(document).is_ok().then(|| Self::of(document))
    }

    /// Of these bytes: each 16 of them are a product, four of which are worked out side by side.
    #[inline]
    pub fn of(bytes: &[u8]) -> Self {
        let mut sums = K;
        let (blocks, rest) = bytes.as_chunks::<64>();
        for block in blocks {
            let (words, _) = block.as_chunks::<16>();
            for (sum, words) in sums.iter_mut().zip(words) {
                *sum = mixed(*sum, words);
            }
        }
        let [mut sum, b, c, d] = sums;
        if !blocks.is_empty() {
            sum = fold(fold(sum ^ K[1], b), fold(c ^ K[2], d));
        }
        let (words, rest) = rest.as_chunks::<16>();
        for words in words {
            sum = mixed(sum, words);
        }
        let mut last = [0; 16];
        last[..rest.len()].copy_from_slice(rest);
        Self(fold(mixed(sum, &last) ^ K[3], bytes.len() as u64 ^ K[2]))
    }
}

#[inline(always)]
fn mixed(sum: u64, words: &[u8; 16]) -> u64 {
    let (words, _) = words.as_chunks::<8>();
    let [low, high] = [words[0], words[1]].map(u64::from_le_bytes);
    fold(sum ^ low, high ^ K[3])
}

/// Both halves of the product.
#[inline(always)]
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, Header, Record, RecordError, record};

    fn sample(old: bool) -> Vec<u8> {
        let data =
            r#"{"id":"41","content":"some words of a length","author":{"id":"7","bot":false}}"#;
        let (data, before) =
            (Document::from_json(data).unwrap(), Document::from_json("[1,2]").unwrap());
        let before = old.then_some(before.as_bytes());
        let mut bytes = Vec::new();
        record::encode(&Header::default(), Some("WHAT"), data.as_bytes(), before, &mut bytes);
        bytes
    }

    /// Each bit changed, and each two bytes changed in the same way, is seen; so is each cut.
    #[test]
    fn damage_is_seen() {
        for old in [false, true] {
            let whole = sample(old);
            let seal = Seal::of(&whole);
            let read = Record::parse_sealed(&whole, seal).unwrap();
            let checked = Record::parse(&whole).unwrap();
            assert_eq!(
                (read.header(), read.data_bytes()),
                (checked.header(), checked.data_bytes())
            );
            assert_eq!(read.old_bytes(), checked.old_bytes());
            assert_eq!(read.data_sum(), Some(Sum::of(checked.data_bytes())));
            for place in 0..whole.len() {
                for bit in 0..8 {
                    let mut bytes = whole.clone();
                    bytes[place] ^= 1 << bit;
                    assert!(
                        Record::parse_sealed(&bytes, seal).is_err(),
                        "bit {bit} of byte {place}"
                    );
                    for other in (place % 8 + 8..place).step_by(8) {
                        let mut bytes = bytes.clone();
                        bytes[other] ^= 1 << bit;
                        assert!(
                            Record::parse_sealed(&bytes, seal).is_err(),
                            "{bit}: {place}, {other}"
                        );
                    }
                }
                assert!(Record::parse_sealed(&whole[..place], seal).is_err());
            }
        }
    }

    /// A text may be changed into another text, and a document into another one: what reads a record without a
    /// seal cannot tell.
    #[test]
    fn what_is_still_a_document_is_damaged_all_the_same() {
        let whole = sample(false);
        let place = whole.windows(4).position(|four| four == b"some").unwrap();
        let mut bytes = whole.clone();
        bytes[place] = b'S';
        assert!(Record::parse(&bytes).is_ok());
        let seal = Seal::of(&whole);
        assert_eq!(Record::parse_sealed(&bytes, seal).unwrap_err(), RecordError::Seal);
        assert!(!RecordError::Seal.is_of_another_release());
    }

    /// Of another release, or of a writer that does not seal: checked as ever.
    #[test]
    fn without_a_seal_that_is_known_all_is_checked() {
        let (whole, mut damaged) = (sample(true), sample(true));
        *damaged.last_mut().unwrap() = 0x1F;
        for seal in [Seal::NONE, Seal::from_bits(2), Seal::from_bits(!WAY)] {
            assert!(Record::parse_sealed(&whole, seal).is_ok());
            assert!(matches!(Record::parse_sealed(&damaged, seal), Err(RecordError::Old(_))));
        }
        assert_eq!(Seal::of(b"nothing"), Seal::NONE);
    }

    /// It fits where it travels, and is the same wherever it was worked out: records lie in rings over an upgrade.
    #[test]
    fn it_never_changes() {
        let long: Vec<u8> = (0..1000_u32).map(|n| (n * 7) as u8).collect();
        let sums = [0, 1, 16, 63, 64, 65, 1000].map(|len| Sum::of(&long[..len]).0);
        assert_eq!(
            sums,
            [
                0xdd71_2cd2_30ca_5d76,
                0x9043_6fc6_5c72_fff5,
                0x935c_c0c4_23b0_b0a7,
                0x27d5_f460_4617_7c23,
                0x8f56_c85c_9410_a527,
                0x0edd_785f_8a57_9270,
                0x57d0_e1fa_80c8_87e5
            ]
        );
        let seal = Seal::of_parts(&long[..65], Sum::of(&long), Sum::of(&[]));
        assert_eq!(seal.bits(), 0x78c1_0f79);
    }
}
