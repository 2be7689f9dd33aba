//! The limit: passing over a term, without looking at what it says but as safely as a decoder must,
//! since the bytes come from outside: whatever they are, this ends and gives an answer.

/// What follows the term that a message is; `None` if it is cut off or holds an unknown tag.
pub(super) fn message(message: &[u8]) -> Option<&[u8]> {
    match message {
        [131, term @ ..] => term_of(term, 0),
        _ => None,
    }
}

fn term_of(input: &[u8], depth: u32) -> Option<&[u8]> {
    let (&tag, rest) = input.split_first()?;
    match tag {
        97 => rest.get(1..),
        98 => rest.get(4..),
        70 => rest.get(8..),
        100 | 118 | 107 => {
            after(rest.split_first_chunk().map(|(n, r)| (u16::from_be_bytes(*n).into(), r)))
        }
        115 | 119 => after(rest.split_first().map(|(&n, r)| (n.into(), r))),
        106 => Some(rest),
        109 => after(long(rest)),
        110 => after(rest.split_first().map(|(&n, r)| (usize::from(n) + 1, r))),
        108 => {
            let (count, rest) = long(rest)?;
            terms(rest, count.checked_add(1)?, depth)
        }
        116 => {
            let (count, rest) = long(rest)?;
            terms(rest, count.checked_mul(2)?, depth)
        }
        _ => None,
    }
}

fn terms(mut input: &[u8], count: usize, depth: u32) -> Option<&[u8]> {
    if depth == 64 {
        return None;
    }
    for _ in 0..count {
        input = term_of(input, depth + 1)?;
    }
    Some(input)
}

fn long(input: &[u8]) -> Option<(usize, &[u8])> {
    let (count, rest) = input.split_first_chunk()?;
    Some((u32::from_be_bytes(*count) as usize, rest))
}

fn after(counted: Option<(usize, &[u8])>) -> Option<&[u8]> {
    let (count, rest) = counted?;
    rest.get(count..)
}
