//! Places never overlap; what a start learns is what the writer knew.

use std::collections::HashMap;

use proptest::prelude::*;

use crate::heap::Heap;
use crate::layout::{CHUNK_UNITS, Place};
use crate::sizes::{CLASSES, class_for};

#[test]
fn classes_are_sorted_and_waste_little() {
    assert!(CLASSES.is_sorted());
    for units in 1..=1024u64 {
        let size = u64::from(CLASSES[usize::from(class_for(units).unwrap())]);
        assert!(size >= units && size - units <= units / 2, "{units} in {size}");
    }
    assert_eq!(class_for(1025), None);
    for size in CLASSES {
        assert!(CHUNK_UNITS % u64::from(size) <= CHUNK_UNITS / 12, "{size}");
    }
}

#[test]
fn a_place_outside_another_or_of_another_size_is_not_claimed() {
    let mut heap = Heap::new(1, 4);
    let unit = CHUNK_UNITS;
    assert!(heap.claim(Place::new(unit, 3)));
    assert!(!heap.claim(Place::new(unit, 3)), "twice");
    assert!(!heap.claim(Place::new(unit + 1, 3)), "across");
    assert!(!heap.claim(Place::new(unit + 8, 4)), "another size");
    assert!(!heap.claim(Place::new(0, 3)), "the header");
    assert!(!heap.claim(Place::new(4 * unit, 3)), "behind the end");
    assert!(!heap.claim(Place::new(2 * unit, 3 * unit)), "longer than the file");
    assert!(heap.claim(Place::new(2 * unit, 2 * unit)));
    assert!(!heap.claim_chunk(3), "a run's");
    assert!(!heap.claim(Place::new(unit, 0)), "nothing");
    assert!(!heap.give_back(Place::new(2 * unit, unit)), "half a run");
    assert!(!heap.give_back(Place::new(unit + 3, 3)), "not taken");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn places_never_overlap_and_a_rebuilt_heap_is_the_same(
        steps in proptest::collection::vec((any::<bool>(), 1u64..3000), 1..120)
    ) {
        let mut heap = Heap::new(2, 60);
        let mut taken: Vec<Place> = Vec::new();
        let mut owner: HashMap<u64, Place> = HashMap::new();
        for (take, units) in steps {
            if take || taken.is_empty() {
                let Some(place) = heap.take(units) else { continue };
                for unit in place.unit()..place.unit() + units {
                    prop_assert!((2 * CHUNK_UNITS..60 * CHUNK_UNITS).contains(&unit));
                    prop_assert_eq!(owner.insert(unit, place), None);
                }
                taken.push(place);
            } else {
                let place = taken.swap_remove(units as usize % taken.len());
                prop_assert!(heap.give_back(place));
                prop_assert!(!heap.give_back(place));
                owner.retain(|_, other| *other != place);
            }
        }
        let mut rebuilt = Heap::new(2, 60);
        for place in &taken {
            prop_assert!(rebuilt.claim(*place));
        }
        prop_assert_eq!(rebuilt.used_units(), heap.used_units());
        prop_assert_eq!(rebuilt.free_chunks(), heap.free_chunks());
        for place in taken {
            prop_assert!(heap.give_back(place) && rebuilt.give_back(place));
        }
        prop_assert_eq!((heap.used_units(), heap.free_chunks()), (0, 58));
    }
}
