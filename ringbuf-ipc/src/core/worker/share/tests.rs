use super::*;

/// Every number of partitions and members: all of them are somebody's, no two shares differ by more than one, and
/// one who comes takes from others only what it has.
#[test]
fn shares_are_equal_and_who_comes_moves_no_more_than_its_own() {
    for partitions in (0..=10).map(|log| 1 << log) {
        let shares = |members| -> Vec<u16> {
            (0..members).map(|before| quota(partitions, members, before)).collect()
        };
        for members in 1..=64_u16 {
            let now = shares(members);
            assert_eq!(now.iter().sum::<u16>(), partitions);
            assert!(now[0] - now[usize::from(members) - 1] <= 1);
            for newcomer in 0..=members {
                let mut then = shares(members + 1);
                let own = then.remove(usize::from(newcomer));
                let given: u16 = now.iter().zip(&then).map(|(now, then)| now - then).sum();
                assert_eq!(given, own, "no share grew, or this would be below it");
                assert!(now.iter().zip(&then).all(|(now, then)| now >= then));
            }
        }
    }
}
