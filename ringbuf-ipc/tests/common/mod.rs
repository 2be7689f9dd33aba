//! A namespace of a test's own, gone when the test ends, however it ends.
#![allow(dead_code, unreachable_pub)]

use std::sync::atomic::{AtomicU32, Ordering};

use mixcord_ring::{Geometry, Limits, Member, Meta, Namespace, Position, Producer};

pub struct Instance {
    pub namespace: Namespace,
}

impl Instance {
    pub fn new(test: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("ringtest-{}-{test}-{number}", std::process::id());
        Self { namespace: Namespace::new(&prefix).unwrap() }
    }

    /// Files of this namespace, without the bells.
    pub fn files(&self) -> Vec<String> {
        let prefix = format!("{}.", self.namespace.prefix());
        let mut names: Vec<_> = std::fs::read_dir(Namespace::directory())
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
            .filter(|name| name.starts_with(&prefix) && !name.ends_with(".bells"))
            .map(|name| name[prefix.len()..].to_owned())
            .collect();
        names.sort();
        names
    }

    pub fn path(&self, segment: &str) -> std::path::PathBuf {
        Namespace::directory().join(format!("{}.{segment}", self.namespace.prefix()))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let prefix = format!("{}.", self.namespace.prefix());
        for entry in std::fs::read_dir(Namespace::directory()).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                let removed = std::fs::remove_file(entry.path());
                let _ = removed.or_else(|_| std::fs::remove_dir(entry.path()));
            }
        }
    }
}

pub fn small() -> Geometry {
    Geometry::new(64, 16 << 10, 4, 8, 8).unwrap()
}

pub fn one_partition() -> Geometry {
    Geometry::new(16, 4 << 10, 4, 1, 4).unwrap()
}

/// A payload that says which record it is, of a length that depends on it.
pub fn payload(position: Position) -> Vec<u8> {
    let mut bytes = position.to_le_bytes().to_vec();
    bytes.extend((0..position % 97).map(|i| (position + i) as u8));
    bytes
}

pub fn put(producer: &mut Producer, key: u64) -> Position {
    let position = producer.staged_tail();
    let meta = Meta { key, tag: key % 5, source: position * 3, ..Meta::default() };
    producer.stage(&meta, &[&payload(position)]).unwrap()
}

/// Everything the member can have, acknowledged.
pub fn drain(member: &mut Member) -> Vec<(Position, u64)> {
    let mut seen = Vec::new();
    while let Some(batch) = member.take(Limits::default()).unwrap() {
        for entry in batch.records() {
            assert_eq!(entry.payload, payload(entry.position));
            assert_eq!(entry.source, entry.position * 3);
            seen.push((entry.position, entry.key));
        }
        batch.ack();
    }
    seen
}

/// Positions of everything the member can have, acknowledged.
pub fn positions(member: &mut Member) -> Vec<Position> {
    let mut seen = Vec::new();
    while let Some(batch) = member.take(Limits::default()).unwrap() {
        seen.extend(batch.records().map(|entry| entry.position));
        batch.ack();
    }
    seen
}
