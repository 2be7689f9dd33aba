use super::*;

#[test]
fn a_lane_gives_its_records_in_order_and_ends() {
    let mut lanes = Lanes::new(8, 100);
    for key in [1, 2, 1, 1, 2] {
        lanes.push(key);
    }
    assert_eq!(lanes.records(1).collect::<Vec<_>>(), [100, 102, 103]);
    assert_eq!((lanes.pop_ready(), lanes.pop_ready()), (Some((1, 100)), Some((2, 101))));
    assert_eq!(lanes.drop_head(1), Some(102));
    assert_eq!(lanes.head(1), Some(102));
    assert_eq!((lanes.drop_head(1), lanes.drop_head(1)), (Some(103), None));
    assert_eq!((lanes.head(1), lanes.head(2)), (None, Some(101)));
}

#[test]
fn a_record_whose_slot_is_used_again_is_gone() {
    let mut lanes = Lanes::new(4, 0);
    for key in [7, 7, 8, 9] {
        lanes.push(key);
    }
    lanes.push(8);
    assert_eq!(lanes.records(7).collect::<Vec<_>>(), [1]);
    lanes.push(8);
    assert_eq!(lanes.head(7), None);
    assert_eq!(lanes.records(8).collect::<Vec<_>>(), [2, 4, 5]);
    assert_eq!(lanes.key_of(1), None);
    assert_eq!(lanes.key_of(5), Some(8));
}

#[test]
fn a_lane_is_in_one_queue_at_a_time() {
    let mut lanes = Lanes::new(8, 0);
    lanes.push(1);
    lanes.ready_last(1);
    assert_eq!(lanes.pop_ready(), Some((1, 0)));
    lanes.park(1);
    assert_eq!(lanes.pop_ready(), None);
    assert_eq!(lanes.pop_parked(), Some((1, 0)));
    lanes.own(1);
    lanes.park(2);
    assert_eq!(lanes.pop_parked(), None, "there is no such lane");
}

#[test]
fn what_is_out_is_known_until_it_comes_back_also_when_its_lane_goes_on_without_it() {
    let mut lanes = Lanes::new(4, 0);
    for key in [7, 7, 8] {
        lanes.push(key);
    }
    lanes.take_head(0, 7);
    lanes.take_head(2, 8);
    assert_eq!([0, 1, 2].map(|at| lanes.is_out(at)), [true, false, true]);
    assert_eq!(lanes.drop_head(7), Some(1), "set aside");
    assert_eq!([0, 1, 2].map(|at| lanes.is_out(at)), [true, false, true]);
    lanes.restart(2);
    assert_eq!([0, 1, 2].map(|at| lanes.is_out(at)), [true, false, true]);
    lanes.pass(0, 7);
    assert!(!lanes.give_back(2, 8));
    assert_eq!([0, 1, 2].map(|at| lanes.is_out(at)), [false; 3]);
}
/// Many keys, one after the other, of which few have records at a time: lanes are used again, and no record is
/// taken for one of the key that had its lane before.
#[test]
fn lanes_that_ended_are_used_again() {
    let mut lanes = Lanes::new(64, 0);
    let mut out = VecDeque::new();
    for key in 0..10_000 {
        lanes.push(key);
        let (found, position) = lanes.pop_ready().expect("that was just shown");
        assert_eq!((found, position), (key, u64::from(key)));
        lanes.take_head(position, key);
        out.push_back((position, key));
        if out.len() > 9 {
            let (position, key) = out.pop_front().expect("ten are out");
            assert_eq!((lanes.key_of(position), lanes.is_out(position)), (Some(key), true));
            lanes.pass(position, key);
            assert_eq!((lanes.key_of(position), lanes.head(key)), (None, None));
        }
    }
    assert!(lanes.lanes.len() <= 64, "{} lanes for ten records", lanes.lanes.len());
}
