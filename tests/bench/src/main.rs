//! tests/bench

fn main() {}
