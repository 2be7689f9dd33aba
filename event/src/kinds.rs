#![doc = include_str!("../KINDS.md")]

/// This page, as Markdown.
pub const PAGE: &str = include_str!("../KINDS.md");
