//! RUNBOOK.md explains every warning and every error that a program of ours can print.
//!
//! The messages are read from the sources: the literals of `tracing::warn!`, `tracing::error!` and
//! `#[error(…)]`. Of each the longest part without a variable has to stand in the book.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms whose messages people meet.
const ROOMS: [&str; 13] = [
    "gateway",
    "cache",
    "bridge",
    "consumer-sdk",
    "cli",
    "process",
    "ringbuf-ipc",
    "state",
    "holdup",
    "recording",
    "blocks",
    "copy",
    "proxy",
];
/// The part of a message that has to be found: long enough to tell it from others.
const PART_MAX: usize = 40;
/// Parts that are shorter say nothing of their own: the error behind them is explained.
const PART_MIN: usize = 8;

#[test]
fn every_message_is_in_the_book() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let book = fs::read_to_string(root.join("RUNBOOK.md")).expect("RUNBOOK.md");
    let book = spaced(&book);
    let mut missing = BTreeSet::new();
    let mut seen = 0;
    for room in ROOMS {
        for file in sources(&root.join(room).join("src")) {
            let source = fs::read_to_string(&file).expect("a source");
            for part in messages(&source).iter().filter_map(|message| part(message)) {
                seen += 1;
                if !book.contains(&part) {
                    let file = file.strip_prefix(root).expect("below it").display().to_string();
                    missing.insert(format!("{file}: {part}"));
                }
            }
        }
    }
    assert!(seen > 100, "the sources have messages, and only {seen} were found");
    assert!(missing.is_empty(), "not in RUNBOOK.md:\n{}", Vec::from_iter(missing).join("\n"));
}

/// Files of code that ships, in a folder and below.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if name.ends_with(".rs") && !name.contains("test") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The messages of one source, before its tests.
fn messages(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]\nmod tests").next().unwrap_or(source);
    let mut found = Vec::new();
    for start in ["tracing::warn!(", "tracing::error!(", "#[error("] {
        for (at, _) in source.match_indices(start) {
            let literals = literals(&source[at + start.len()..]);
            // Fields come before the message, its arguments after it: the longest is the message.
            found.extend(literals.into_iter().max_by_key(String::len));
        }
    }
    found
}

/// The text literals up to the parenthesis that closes what `code` begins in.
fn literals(code: &str) -> Vec<String> {
    let (mut found, mut depth, mut rest) = (Vec::new(), 1, code.chars().peekable());
    while let Some(char) = rest.next() {
        match char {
            '(' => depth += 1,
            ')' if depth == 1 => break,
            ')' => depth -= 1,
            // A character that is a quote or a parenthesis.
            '\'' if matches!(rest.peek(), Some('"' | '(' | ')')) => {
                rest.next();
            }
            '"' => {
                let mut literal = String::new();
                while let Some(char) = rest.next().filter(|char| *char != '"') {
                    match char {
                        '\\' => match rest.next() {
                            Some('\n') => {
                                while rest.next_if(|char| char.is_whitespace()).is_some() {}
                            }
                            Some(escaped) => literal.push(escaped),
                            None => break,
                        },
                        char => literal.push(char),
                    }
                }
                found.push(literal);
            }
            _ => {}
        }
    }
    found
}

/// The longest part of a message that has no variable in it.
fn part(message: &str) -> Option<String> {
    let mut parts = vec![String::new()];
    let mut rest = message.chars();
    while let Some(char) = rest.next() {
        if char == '{' {
            rest.by_ref().find(|char| *char == '}');
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(char);
        }
    }
    let inner =
        |part: &String| spaced(part).trim_matches(|char: char| !char.is_alphanumeric()).to_owned();
    let longest = parts.iter().map(inner).max_by_key(String::len)?;
    let cut: String = longest.chars().take(PART_MAX).collect();
    (longest.len() >= PART_MIN).then(|| cut.trim().to_owned())
}

/// Without line breaks, indents and code marks.
fn spaced(text: &str) -> String {
    text.replace('`', "").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_part_is_what_stays_the_same() {
    let source = r#"
        tracing::warn!(shard, why = %x("a"), "the ring {name} is full (for {} s): \
            wait", 3);
        #[error("no: {0}")]
        "#;
    let parts: Vec<_> = messages(source).iter().filter_map(|message| part(message)).collect();
    assert_eq!(parts, ["is full (for"]);
}
