//! Text as people write it: names, sentences, other scripts, emoji, and the odd ends of Unicode.

use super::dice::Dice;

pub(crate) const NAMES: [&str; 40] = [
    "otter", "nova", "pixel", "maple", "cinder", "juniper", "atlas", "echo", "saffron", "bramble",
    "koi", "lumen", "marrow", "nimbus", "onyx", "pepper", "quill", "rowan", "sable", "thistle",
    "umber", "velvet", "willow", "xenia", "yarrow", "zephyr", "aki", "björn", "chloé", "darya",
    "émile", "fatima", "günther", "hana", "ivy", "jún", "kai", "léa", "mika", "noor",
];

const WORDS: [&str; 64] = [
    "the",
    "a",
    "is",
    "was",
    "and",
    "but",
    "so",
    "then",
    "I",
    "you",
    "we",
    "they",
    "it",
    "that",
    "this",
    "what",
    "why",
    "how",
    "when",
    "build",
    "server",
    "game",
    "stream",
    "music",
    "patch",
    "update",
    "raid",
    "quest",
    "meme",
    "coffee",
    "tonight",
    "tomorrow",
    "again",
    "never",
    "always",
    "think",
    "know",
    "want",
    "need",
    "join",
    "leave",
    "please",
    "thanks",
    "lol",
    "wow",
    "ok",
    "nice",
    "broken",
    "fixed",
    "fast",
    "slow",
    "big",
    "small",
    "new",
    "old",
    "really",
    "just",
    "für",
    "être",
    "niño",
    "привет",
    "世界",
    "안녕",
    "مرحبا",
];

const ODD: [&str; 12] = [
    "👨‍👩‍👧‍👦 family",
    "🏳️‍🌈",
    "z̷̡͝a̵͇͒l̸̰̈́g̶̮̃o̶̜̓",
    "\u{202e}right to left\u{202c}",
    "nul:\u{0}:after",
    "tab\tnew\nline\r\n",
    "quote \" backslash \\ slash /",
    "\u{feff}byte order mark",
    "𝕌𝕟𝕚𝕔𝕠𝕕𝕖 𝒎𝒂𝒕𝒉",
    "\u{7f}\u{1}\u{1f}",
    "```rust\nfn main() {}\n```",
    "\u{10ffff}\u{fffd}\u{e000}",
];

pub(crate) const UNICODE_EMOJI: [&str; 10] =
    ["👍", "🔥", "😂", "❤️", "👀", "🎉", "🇪🇸", "1️⃣", "🧑‍💻", "😭"];

/// A name for a channel, role or thing, in Discord's lower-case style.
pub(crate) fn slug(dice: &mut Dice) -> String {
    format!("{}-{}", dice.one(&NAMES), dice.one(&WORDS)).to_lowercase()
}

pub(crate) fn title(dice: &mut Dice) -> String {
    let words = 2 + dice.below(4);
    sentence(dice, words)
}

pub(crate) fn sentence(dice: &mut Dice, words: usize) -> String {
    let mut text = String::with_capacity(words * 6);
    for at in 0..words {
        if at > 0 {
            text.push(' ');
        }
        text.push_str(dice.one(&WORDS));
    }
    text
}

/// What a message says: mostly short, sometimes odd, rarely as long as Discord allows.
pub(crate) fn content(dice: &mut Dice) -> String {
    match dice.below(200) {
        0 => {
            let mut text = sentence(dice, 420);
            text = text.chars().take(2000).collect();
            text
        }
        1..=8 => dice.one(&ODD).to_owned(),
        9..=16 => String::new(),
        17..=40 => {
            let words = 40 + dice.below(60);
            sentence(dice, words)
        }
        _ => {
            let words = 3 + dice.below(14);
            sentence(dice, words)
        }
    }
}
