//! Turns `keys.txt` and `kinds.txt` into tables with a perfect hash.

use std::{env, error::Error, fmt::Write as _, fs, path::Path};

#[path = "src/keyhash.rs"]
mod keyhash;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=keys.txt");
    println!("cargo::rerun-if-changed=kinds.txt");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/keyhash.rs");
    let out = env::var("OUT_DIR")?;

    let List { lines: keys, frozen } = read("keys.txt")?;
    let names: Vec<&str> = keys.iter().map(|(name, _)| name.as_str()).collect();
    let flags: Vec<&str> = keys
        .iter()
        .map(|(name, flag)| match flag.as_str() {
            "" => Ok("None"),
            "id" => Ok("Value"),
            "owners" => Ok("Members"),
            "plain" => Ok("Plain"),
            _ => Err(format!("keys.txt: '{name}' is marked '{flag}', which means nothing")),
        })
        .collect::<Result<_, _>>()?;
    let mut code = table(&names, frozen, 11, &flags)?;
    writeln!(code, "/// Of the frozen lines, marks included.")?;
    writeln!(code, "pub(crate) const CHECKSUM: u64 = {:#x};", checksum(&keys[..frozen]))?;
    let ids: Vec<String> = flags.iter().map(|flag| format!("crate::atom::Ids::{flag}")).collect();
    writeln!(code, "static IDS: [crate::atom::Ids; {}] = [{}];", ids.len(), ids.join(", "))?;
    writeln!(
        code,
        "/// One constant for every documented key.\npub mod atoms {{\n    use super::Atom;"
    )?;
    for (index, (name, flag)) in keys.iter().enumerate() {
        let what = if flag == "id" { ", a snowflake or a list of them" } else { "" };
        let constant = name.to_ascii_uppercase().replace('-', "_");
        writeln!(code, "    /// `{name}`{what}.\n    pub const {constant}: Atom = Atom({index});")?;
    }
    writeln!(code, "}}")?;
    fs::write(Path::new(&out).join("keys.rs"), code)?;

    let List { lines: kinds, frozen } = read("kinds.txt")?;
    let names: Vec<&str> = kinds.iter().map(|(name, _)| name.as_str()).collect();
    let mut code = table(&names, frozen, 8, &[])?;
    writeln!(code, "/// Of the frozen lines.")?;
    writeln!(code, "pub(crate) const CHECKSUM: u64 = {:#x};", checksum(&kinds[..frozen]))?;
    writeln!(code, "impl Kind {{")?;
    for (index, name) in names.iter().enumerate() {
        // Behind the frozen ones, whose numbers stand in records, and the numbers of Mixcord's own.
        let id = if index < frozen { index + 1 } else { 0x8000 + index };
        writeln!(code, "    /// `{name}`.\n    pub const {name}: Self = Self({id});")?;
    }
    writeln!(code, "}}")?;
    fs::write(Path::new(&out).join("kinds.rs"), code)?;
    Ok(())
}

/// A list of names.
struct List {
    /// Name and what stands behind it.
    lines: Vec<(String, String)>,
    /// How many of them have a number in records. Those that follow travel by name.
    frozen: usize,
}

/// Ends the frozen part of a list.
const LATER: &str = "[later]";

fn read(path: &str) -> Result<List, Box<dyn Error>> {
    let text = fs::read_to_string(path)?;
    let mut lines = Vec::new();
    let mut frozen = None;
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        if line == LATER {
            frozen = Some(lines.len());
            continue;
        }
        let (name, flag) = line.split_once(' ').unwrap_or((line, ""));
        lines.push((name.to_owned(), flag.to_owned()));
    }
    let frozen = frozen.ok_or_else(|| format!("{path} has no line {LATER}"))?;
    Ok(List { lines, frozen })
}

/// FNV-1a.
fn checksum(lines: &[(String, String)]) -> u64 {
    let bytes = lines.iter().flat_map(|(name, flag)| format!("{name} {flag}\n").into_bytes());
    bytes.fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

/// The statics of one table: all names, and of the frozen ones slots, displacements and the seed of
/// the hash.
fn table(
    names: &[&str],
    frozen: usize,
    bits: u32,
    flags: &[&str],
) -> Result<String, Box<dyn Error>> {
    let mut unique = names.to_vec();
    unique.sort_unstable();
    if let Some(twice) = unique.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("'{}' is listed twice", twice[0]).into());
    }
    // An odd constant and its multiples: one of the first few does.
    let (seed, slots, displacements) = (1_u64..1000)
        .map(|factor| 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(2 * factor + 1))
        .find_map(|seed| {
            let (slots, displacements) = place(&names[..frozen], bits, seed)?;
            Some((seed, slots, displacements))
        })
        .ok_or("no seed fits")?;

    let mut code = String::new();
    writeln!(code, "/// How many names have a number in records.")?;
    writeln!(code, "const FROZEN: usize = {frozen};")?;
    writeln!(code, "const BITS: u32 = {bits};")?;
    writeln!(code, "const SEED: u64 = {seed};")?;
    writeln!(code, "static NAMES: [&str; {}] = {names:?};", names.len())?;
    writeln!(code, "static DISPLACEMENTS: [u16; 256] = {displacements:?};")?;
    writeln!(code, "static SLOTS: [crate::names::Slot; 1 << BITS] = [")?;
    for slot in slots {
        match slot {
            None => writeln!(code, "    crate::names::Slot::EMPTY,")?,
            Some(index) => {
                let name = names[index].as_bytes();
                let (low, high) = keyhash::words(name, name.len()).ok_or("no words")?;
                let (third, fourth) = keyhash::middle(name, name.len()).ok_or("no words")?;
                let (len, flag) = (name.len(), flags.get(index).copied().unwrap_or("None"));
                writeln!(
                    code,
                    "    crate::names::Slot {{ low: {low}, high: {high}, middle: ({third}, {fourth}), index: {index}, len: {len}, ids: crate::atom::Ids::{flag} }},"
                )?;
            }
        }
    }
    writeln!(code, "];")?;
    Ok(code)
}

/// Finds a place for every name; `None` when `seed` does not allow it.
fn place(names: &[&str], bits: u32, seed: u64) -> Option<(Vec<Option<usize>>, Vec<u16>)> {
    let mut buckets: Vec<Vec<u64>> = vec![Vec::new(); 256];
    let mut indices: Vec<Vec<usize>> = vec![Vec::new(); 256];
    for (index, name) in names.iter().enumerate() {
        let words = keyhash::words(name.as_bytes(), name.len())?;
        let hash = keyhash::mix(words, name.len(), seed);
        buckets[keyhash::bucket(hash)].push(hash);
        indices[keyhash::bucket(hash)].push(index);
    }
    let mut order: Vec<usize> = (0..256).collect();
    order.sort_by_key(|bucket| std::cmp::Reverse(buckets[*bucket].len()));

    let mut slots = vec![None; 1 << bits];
    let mut displacements = vec![0_u16; 256];
    for bucket in order {
        let places = |displacement| {
            let mut places: Vec<usize> = buckets[bucket]
                .iter()
                .map(|hash| keyhash::slot(*hash, displacement, 1 << bits))
                .collect();
            let free = places.iter().all(|place| slots[*place].is_none());
            let all = places.clone();
            places.sort_unstable();
            places.dedup();
            (free && places.len() == all.len()).then_some(all)
        };
        let (displacement, found) = (0..1 << bits).find_map(|d| Some((d, places(d)?)))?;
        displacements[bucket] = displacement;
        for (place, index) in found.into_iter().zip(&indices[bucket]) {
            slots[place] = Some(*index);
        }
    }
    Some((slots, displacements))
}
