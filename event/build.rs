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

    let keys = read("keys.txt")?;
    let names: Vec<&str> = keys.iter().map(|(name, _)| name.as_str()).collect();
    let mut code = table(&names, 11)?;
    let flags: Vec<u8> = keys
        .iter()
        .map(|(name, flag)| match flag.as_str() {
            "" => Ok(0),
            "id" => Ok(1),
            "owners" => Ok(2),
            _ => Err(format!("keys.txt: '{name}' is marked '{flag}', which means nothing")),
        })
        .collect::<Result<_, _>>()?;
    writeln!(code, "static FLAGS: [u8; COUNT] = {flags:?};")?;
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

    let kinds = read("kinds.txt")?;
    let names: Vec<&str> = kinds.iter().map(|(name, _)| name.as_str()).collect();
    let mut code = table(&names, 8)?;
    writeln!(code, "impl Kind {{")?;
    for (index, name) in names.iter().enumerate() {
        writeln!(code, "    /// `{name}`.\n    pub const {name}: Self = Self({});", index + 1)?;
    }
    writeln!(code, "}}")?;
    fs::write(Path::new(&out).join("kinds.rs"), code)?;
    Ok(())
}

/// The lines of a list: name and what stands behind it.
fn read(path: &str) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let text = fs::read_to_string(path)?;
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    Ok(lines
        .map(|line| {
            let (name, flag) = line.split_once(' ').unwrap_or((line, ""));
            (name.to_owned(), flag.to_owned())
        })
        .collect())
}

/// The statics of one table: names, their ends, slots and displacements.
fn table(names: &[&str], bits: u32) -> Result<String, Box<dyn Error>> {
    let mut buckets: Vec<Vec<usize>> = vec![Vec::new(); 256];
    let hashes: Vec<u64> = names
        .iter()
        .map(|name| {
            let (first, last) = keyhash::ends(name.as_bytes());
            keyhash::mix(first, last, name.len())
        })
        .collect();
    for (index, hash) in hashes.iter().enumerate() {
        buckets[keyhash::bucket(*hash)].push(index);
    }
    let mut order: Vec<usize> = (0..256).collect();
    order.sort_by_key(|bucket| std::cmp::Reverse(buckets[*bucket].len()));

    const EMPTY: u16 = u16::MAX;
    let mut slots = vec![EMPTY; 1 << bits];
    let mut displacements = vec![0_u16; 256];
    for bucket in order {
        let members = &buckets[bucket];
        let fit = (0..u16::MAX).find(|displacement| {
            let mut places: Vec<usize> = members
                .iter()
                .map(|index| keyhash::slot(hashes[*index], *displacement, bits))
                .collect();
            places.sort_unstable();
            places.windows(2).all(|pair| pair[0] != pair[1])
                && places.iter().all(|place| slots[*place] == EMPTY)
        });
        let displacement = fit.ok_or("no displacement fits: is a name listed twice?")?;
        displacements[bucket] = displacement;
        for index in members {
            slots[keyhash::slot(hashes[*index], displacement, bits)] = *index as u16;
        }
    }

    let ends: Vec<(u64, u64)> = names.iter().map(|name| keyhash::ends(name.as_bytes())).collect();
    let mut code = String::new();
    writeln!(code, "const COUNT: usize = {};", names.len())?;
    writeln!(code, "const BITS: u32 = {bits};")?;
    writeln!(code, "static NAMES: [&str; COUNT] = {names:?};")?;
    writeln!(code, "static ENDS: [(u64, u64); COUNT] = {ends:?};")?;
    writeln!(code, "static SLOTS: [u16; 1 << BITS] = {slots:?};")?;
    writeln!(code, "static DISPLACEMENTS: [u16; 256] = {displacements:?};")?;
    Ok(code)
}
