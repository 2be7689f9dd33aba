//! How often members look that sleep.

use std::time::Duration;

use super::tests::Scene;
use crate::core::layout::group;
use crate::{Worker, WorkerOptions};

fn workers(scene: &Scene, count: usize) -> Vec<Worker> {
    let join = || scene.producer.ring().work(&scene.group, &scene.bell, WorkerOptions::new());
    (0..count).map(|_| join().unwrap()).collect()
}

/// Of those that sleep one looks at every tick whether something came that nobody rang for; of a sticky group, whose
/// members have something of their own each, all do.
#[test]
fn of_many_that_sleep_one_looks_out_for_the_others() {
    let scene = Scene::of("ticks", 16);
    let tick = scene.producer.ring().core().tick();
    // Where this system has no barrier, all look often.
    let others = if tick == Duration::from_millis(100) { tick * 10 } else { tick };
    let mut workers = workers(&scene, 4);
    workers.iter_mut().for_each(Worker::arm);
    let ticks = |workers: &[Worker]| workers.iter().map(Worker::tick).collect::<Vec<_>>();
    assert_eq!(ticks(&workers), [tick, others, others, others]);
    // The first is at work: the next looks out.
    let ring = scene.producer.ring();
    let sleepers = ring.core().layout.group(0) + group::SLEEPERS;
    assert!(ring.core().memory.cas(sleepers, 0b1111, 0b1110));
    assert_eq!(ticks(&workers[1..]), [tick, others, others]);
    drop(workers);
    let scene = Scene::sticky("sticky-ticks", 16);
    let mut workers = self::workers(&scene, 2);
    workers.iter_mut().for_each(Worker::arm);
    assert_eq!(ticks(&workers), [tick; 2]);
}
