//! Which key is likely to come next. Discord gives the members of one kind of map in one order, so a
//! key is guessed from the one before it and its spelling compared; only where the guess is wrong
//! it is looked up.
//!
//! A guess changes nothing but the time it takes. The table has a fixed size; what collides in it
//! displaces each other.

use std::fmt;

use super::{
    etf::terms::{ATOM, BINARY, SMALL_ATOM_UTF8},
    window::word,
};
use crate::atom::{ATOMS, Atom, Ids};

/// Places for guesses; a power of two.
const LINKS: usize = 4096;
/// Spellings; a power of two, so that a number is cut to it by a mask.
const SPELLINGS_LEN: usize = ATOMS.next_power_of_two();
/// The longest spelling that is compared.
const SPELLING_MAX: usize = 32;

/// Where values stand: what is known of them before they are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Whether they are snowflakes.
    pub(crate) ids: Ids,
    /// The number of the key they stand under, if it is of the table.
    pub(crate) key: u16,
}

impl Place {
    /// Under no key, or one outside the table.
    pub(crate) const fn nowhere(ids: Ids) -> Self {
        Self { ids, key: u16::MAX }
    }
}

/// A documented key as it stands in a payload, and what the table says of it.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Spelling {
    /// The first eight bytes, and the eight before the end; of a shorter one all bytes, twice.
    first: u64,
    last: u64,
    /// Which bits of these count: all, but for spellings of less than eight bytes.
    mask: u64,
    /// Of more than 16 bytes: what follows `first`, and what stands before `last`.
    second: u64,
    third: u64,
    /// Its place in a set of keys: which bit of which word.
    pub(super) bit: u64,
    pub(super) word: u8,
    /// Where `last` begins.
    tail: u8,
    /// How many bytes it takes.
    pub(super) len: u8,
    pub(super) ids: Ids,
    pub(super) number: u16,
}

impl Spelling {
    /// The spelling that begins with this byte of the key with this number, which is one of the table's;
    /// `None` for forms that are not guessed, and for spellings too long to be.
    #[inline(always)]
    pub(super) fn with_first(first: u8, number: u16) -> Option<&'static Self> {
        let form = FORMS.iter().position(|form| *form == first)?;
        let spelling = &SPELLINGS[form][usize::from(number) % SPELLINGS_LEN];
        (usize::from(spelling.len) <= SPELLING_MAX).then_some(spelling)
    }

    /// Any spelling of the key with this number, which is one of the table's: for what the table says.
    #[inline(always)]
    pub(super) fn of(number: u16) -> &'static Self {
        &SPELLINGS[0][usize::from(number) % SPELLINGS_LEN]
    }

    /// Whether the window begins with it, which is of the window's encoding. It must not be longer than
    /// [`SPELLING_MAX`].
    #[inline(always)]
    pub(super) fn begins<const N: usize>(&self, window: &[u8; N]) -> bool {
        let tail = usize::from(self.tail % 32);
        let ends = word(window, 0) ^ self.first | word(window, tail) ^ self.last;
        if self.len <= 16 {
            return ends & self.mask == 0;
        }
        let before = usize::from(self.tail.wrapping_sub(8) % 32);
        ends | word(window, 8) ^ self.second | word(window, before) ^ self.third == 0
    }

    const fn new(first: u8, name: &str, ids: Ids, number: u16) -> Self {
        let name = name.as_bytes();
        let mut bytes = [0; 64];
        let header = match first {
            QUOTE => 1,
            SMALL_ATOM_UTF8 => 2,
            BINARY => 5,
            _ => 3,
        };
        let mut len = header + name.len();
        if first == QUOTE {
            (bytes[len], bytes[len + 1]) = (QUOTE, b':');
            len += 2;
        } else {
            // The length behind the tag, of which no name needs more than the last byte.
            bytes[header - 1] = name.len() as u8;
        }
        bytes[0] = first;
        let mut index = 0;
        while index < name.len() {
            bytes[header + index] = name[index];
            index += 1;
        }
        let tail = len.saturating_sub(8);
        Self {
            first: word_at(&bytes, 0),
            last: word_at(&bytes, tail),
            mask: if len < 8 { (1 << (8 * len)) - 1 } else { u64::MAX },
            second: word_at(&bytes, 8),
            third: word_at(&bytes, tail.saturating_sub(8)),
            bit: 1 << (number % 64),
            word: (number / 64) as u8,
            tail: tail as u8,
            len: len as u8,
            ids,
            number,
        }
    }
}

/// The first byte of a key in JSON, whose spelling goes to the colon.
pub(super) const QUOTE: u8 = b'"';

/// The first bytes of keys that are guessed. In ETF the tags of what Discord sends, of what Erlang writes since
/// OTP 26, and of texts.
const FORMS: [u8; 4] = [ATOM, SMALL_ATOM_UTF8, BINARY, QUOTE];
const _: () = assert!(FORMS[0] == ATOM && FORMS[FORMS.len() - 1] == QUOTE);

static SPELLINGS: [[Spelling; SPELLINGS_LEN]; FORMS.len()] = {
    let mut all =
        [const { [const { Spelling::new(0, "", Ids::None, 0) }; SPELLINGS_LEN] }; FORMS.len()];
    let mut form = 0;
    while form < FORMS.len() {
        let mut number = 0;
        while number < ATOMS {
            let (name, ids) = Atom::listed(number);
            all[form][number] = Spelling::new(FORMS[form], name, ids, number as u16);
            number += 1;
        }
        form += 1;
    }
    all
};

/// The guesses. All are of one encoding: in another one the bytes of a spelling would be no key.
pub(crate) struct Links {
    guesses: [&'static Spelling; LINKS],
    encoding: Encoding,
}

/// What is being read.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Encoding {
    Etf,
    Json,
}

impl Encoding {
    /// The spelling that is guessed before any was learnt.
    fn any_spelling(self) -> &'static Spelling {
        match self {
            Self::Etf => &SPELLINGS[0][0],
            Self::Json => &SPELLINGS[FORMS.len() - 1][0],
        }
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links").finish_non_exhaustive()
    }
}

/// A key in a map of some kind: the place of the guess for the next one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    map: usize,
    key: usize,
}

impl Link {
    /// Before the first key of a map at `place` with `len` members; 0 where that is not known before.
    #[inline(always)]
    pub(super) const fn start(place: Place, len: usize) -> Self {
        let map = (place.key as usize).wrapping_mul(0x5D3).wrapping_add(len.wrapping_mul(0x3A7));
        Self { map, key: SPELLINGS_LEN - 1 }
    }

    #[inline(always)]
    pub(super) const fn follow(&mut self, key: &Spelling) {
        self.key = key.number as usize;
    }

    #[inline(always)]
    const fn index(self) -> usize {
        self.map.wrapping_add(self.key) % LINKS
    }
}

impl Links {
    pub(crate) fn new() -> Box<Self> {
        let encoding = Encoding::Etf;
        Box::new(Self { guesses: [encoding.any_spelling(); LINKS], encoding })
    }

    /// Guesses for this encoding; what was learnt from another one is forgotten.
    #[inline]
    pub(super) fn of(&mut self, encoding: Encoding) -> &mut Self {
        if self.encoding != encoding {
            self.turn_to(encoding);
        }
        self
    }

    /// A connection has one encoding, so this comes seldom.
    #[cold]
    #[inline(never)]
    fn turn_to(&mut self, encoding: Encoding) {
        self.guesses.fill(encoding.any_spelling());
        self.encoding = encoding;
    }

    /// Which key is likely to come.
    #[inline(always)]
    pub(super) const fn guess(&self, link: Link) -> &'static Spelling {
        self.guesses[link.index()]
    }

    /// Remembers which key came, in which spelling.
    #[inline(always)]
    pub(super) fn learn(&mut self, link: Link, key: &'static Spelling) {
        self.guesses[link.index()] = key;
    }
}

const fn word_at(bytes: &[u8; 64], at: usize) -> u64 {
    let mut word = 0;
    let mut index = 8;
    while index > 0 {
        index -= 1;
        word = word << 8 | bytes[at + index] as u64;
    }
    word
}
