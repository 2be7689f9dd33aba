//! A ring with a group whose records are settled in any order.
#![allow(dead_code)]

use mixcord_ring::{
    Bell, Geometry, GroupSpec, Meta, Order, Producer, Start, Worker, WorkerOptions,
};

use crate::common::Instance;

pub(crate) struct Scene {
    pub(crate) instance: Instance,
    pub(crate) bell: Bell,
    pub(crate) producer: Producer,
    pub(crate) group: GroupSpec,
}

impl Scene {
    pub(crate) fn new(test: &str, slots: u32, order: Order) -> Self {
        let instance = Instance::new(test);
        let bell = instance.namespace.bell().unwrap();
        let geometry = Geometry::new(slots, 64 << 10, 4, 4, 8).unwrap();
        let group = GroupSpec::durable("bot").from(Start::Earliest).any_order(order);
        let groups = std::slice::from_ref(&group);
        let producer = Producer::create(&instance.namespace, "r", geometry, groups, &bell).unwrap();
        Self { instance, bell, producer, group }
    }

    pub(crate) fn worker(&self, options: WorkerOptions) -> Worker {
        self.producer.ring().work(&self.group, &self.bell, options).unwrap()
    }

    /// Whether there was room.
    pub(crate) fn put(&mut self, key: u64, order: u64) -> bool {
        let tag = self.producer.staged_tail();
        let payload = tag.to_le_bytes();
        let staged = self.producer.stage(&Meta { key, tag, order, source: 1 }, &[&payload]).is_ok();
        self.producer.publish();
        staged
    }
}
