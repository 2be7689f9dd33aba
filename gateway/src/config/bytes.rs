//! Sizes on the command line: `4194304`, `4MiB`, `64TiB`.

use std::str::FromStr;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let shift = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kib" => 10,
            "m" | "mib" => 20,
            "g" | "gib" => 30,
            "t" | "tib" => 40,
            _ => return Err("expected bytes, or a number with KiB, MiB, GiB or TiB".into()),
        };
        let number: u64 = number.parse().map_err(|_| "expected a number of bytes".to_owned())?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(|| "the size is too large".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        assert_eq!("4096".parse(), Ok(Bytes(4096)));
        assert_eq!("4 MiB".parse(), Ok(Bytes(4 << 20)));
        assert_eq!("64TiB".parse(), Ok(Bytes(64 << 40)));
        for bad in ["", "MiB", "4MB!", "-1", "99999999999TiB"] {
            assert!(bad.parse::<Bytes>().is_err(), "{bad}");
        }
    }
}
