//! Erlang's external term format as Discord's gateway writes it, piece by piece: whoever has a value of some
//! kind walks it and appends these.

/// The byte every ETF message begins with.
pub const VERSION: u8 = 131;

/// MAP_EXT with its number of pairs, which follow.
pub fn map_head(pairs: usize, out: &mut Vec<u8>) {
    out.push(116);
    length(pairs, out);
}

/// LIST_EXT with its number of elements, which follow, and behind them [`list_end`].
pub fn list_head(elements: usize, out: &mut Vec<u8>) {
    out.push(108);
    length(elements, out);
}

/// NIL_EXT: the tail of a list, or a list without elements.
pub fn list_end(out: &mut Vec<u8>) {
    out.push(106);
}

/// STRING_EXT, as Erlang writes a list of nothing but bytes, if `item` gives one for each of `count` elements and
/// there are no more than it holds; else nothing is appended.
pub fn byte_list(
    count: usize,
    items: impl IntoIterator<Item = Option<u8>>,
    out: &mut Vec<u8>,
) -> bool {
    let Ok(short) = u16::try_from(count) else { return false };
    let start = out.len();
    out.push(107);
    out.extend_from_slice(&short.to_be_bytes());
    let whole = items.into_iter().all(|item| item.map(|byte| out.push(byte)).is_some());
    if !whole {
        out.truncate(start);
    }
    whole
}

/// ATOM_EXT.
pub fn atom(name: &str, out: &mut Vec<u8>) {
    out.push(100);
    // Atoms are keys, event names and the three constants: far shorter than 64 KiB.
    out.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(name.as_bytes());
}

/// BINARY_EXT: text.
pub fn binary(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(109);
    length(bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// The shortest of Erlang's integers.
pub fn integer(value: i64, out: &mut Vec<u8>) {
    if let Ok(byte) = u8::try_from(value) {
        out.extend_from_slice(&[97, byte]);
    } else if let Ok(word) = i32::try_from(value) {
        out.push(98);
        out.extend_from_slice(&word.to_be_bytes());
    } else {
        big(u8::from(value < 0), value.unsigned_abs(), out);
    }
}

/// The same of what has no sign: ids.
pub fn unsigned(value: u64, out: &mut Vec<u8>) {
    match i64::try_from(value) {
        Ok(value) => integer(value, out),
        Err(_) => big(0, value, out),
    }
}

/// NEW_FLOAT_EXT.
pub fn float(value: f64, out: &mut Vec<u8>) {
    out.push(70);
    out.extend_from_slice(&value.to_be_bytes());
}

/// SMALL_BIG_EXT with no more bytes than needed, as Erlang writes it.
fn big(sign: u8, magnitude: u64, out: &mut Vec<u8>) {
    let bytes = magnitude.to_le_bytes();
    let used = 8 - magnitude.leading_zeros() as usize / 8;
    out.extend_from_slice(&[110, used as u8, sign]);
    out.extend_from_slice(&bytes[..used]);
}

fn length(length: usize, out: &mut Vec<u8>) {
    // Payloads are built in memory from bounded parts: never near 4 GiB.
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}
