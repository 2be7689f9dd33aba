//! cache

fn main() {}
