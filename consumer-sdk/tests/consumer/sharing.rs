//! A busy group that gets another member.

use mixcord::Consumer;

use crate::rig::{Rig, next, numbers};

const GUILDS: u64 = 32;
const OUT: usize = 8;

/// The newcomer has work with the first event it asks for, though the other has all that it may have, and from then
/// on the two get what there is as they ask for it.
#[test]
fn a_second_member_of_a_busy_group_has_its_share_with_the_next_events() {
    let mut rig = Rig::new();
    let connect = |rig: &Rig| -> Consumer {
        let builder = rig.consumer().group("bot").from_earliest().concurrency(OUT);
        builder.connect_blocking().expect("connected")
    };
    let mut first = connect(&rig);
    for number in 0..6 {
        (0..GUILDS).for_each(|guild| rig.message(guild, number));
    }
    let mut of_first: Vec<_> = (0..OUT).map(|_| next(&mut first)).collect();
    let mut second = connect(&rig);
    let mut of_second: Vec<_> = (0..OUT).map(|_| next(&mut second)).collect();
    let guilds: std::collections::HashSet<_> =
        of_first.iter().chain(&of_second).map(|event| numbers(event).0).collect();
    assert_eq!(guilds.len(), 2 * OUT, "never two of one guild");
    let mut handled = [OUT, OUT];
    while handled.iter().sum::<usize>() < 6 * GUILDS as usize {
        for (index, consumer, out) in
            [(0, &mut first, &mut of_first), (1, &mut second, &mut of_second)]
        {
            if handled.iter().sum::<usize>() == 6 * GUILDS as usize {
                break;
            }
            if !out.is_empty() {
                out.remove(0).ack();
            }
            out.push(next(consumer));
            handled[index] += 1;
        }
    }
    assert!(handled[0].abs_diff(handled[1]) <= 1, "{handled:?}");
}
