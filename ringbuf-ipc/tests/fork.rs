//! A child without exec has copies of everything its parent holds, and no say in any of it. Programs that use
//! rings must not make such children; one that is made all the same and unwinds takes nothing away.

mod common;

use common::{Instance, one_partition, put};
use mixcord_ring::{GroupSpec, Limits, Producer, Start};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

#[test]
#[allow(unsafe_code)]
fn a_child_that_unwinds_lets_go_of_nothing() {
    let instance = Instance::new("fork");
    let bell = instance.namespace.bell().unwrap();
    let spec = GroupSpec::ephemeral("e").from(Start::Earliest);
    let mut producer =
        Producer::create(&instance.namespace, "r", one_partition(), &[], &bell).unwrap();
    let ring = producer.ring();
    let mut member = ring.join(&spec, &bell).unwrap();
    put(&mut producer, 1);
    producer.publish();
    let batch = member.take(Limits::default()).unwrap().unwrap();
    // SAFETY: the child drops two values and leaves.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            drop((batch, member));
            // SAFETY: it ends the child, without the parent's handlers.
            unsafe { nix::libc::_exit(0) }
        }
        ForkResult::Parent { child } => {
            assert!(matches!(waitpid(child, None).unwrap(), WaitStatus::Exited(_, 0)));
        }
    }
    // The partition is the parent's still, and the group is there.
    let mut other = ring.join(&spec, &bell).unwrap();
    assert!(other.take(Limits::default()).unwrap().is_none(), "the child let go of it");
    assert_eq!(ring.groups()[0].members, 2);
    drop(other);
    batch.ack();
    assert_eq!(member.lag(), 0);
    // And its bell is rung.
    let rung = ring.pressure().wakes;
    member.arm();
    put(&mut producer, 1);
    producer.publish();
    assert_eq!(ring.pressure().wakes, rung + 1, "the child took its parent's bell away");
}
