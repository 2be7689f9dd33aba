use super::*;

fn parts<'a>(reason: &'a str, payload: &'a [u8]) -> Parts<'a> {
    let counts = Counts { failures: 200, deaths: 3 };
    let condition = Condition {
        kept: Kept::Dead,
        member: Some(63),
        counts,
        epoch: Epoch::of(4_000),
        revived: true,
        once: true,
    };
    let (position, key, order, tag, source) = (1 << 40, 2, 3, 4, 5);
    let (written_ms, lane) = (6, 8);
    Parts { condition, position, key, order, tag, source, written_ms, lane, reason, payload }
}

#[test]
fn what_is_encoded_is_parsed_and_no_bit_may_change() {
    let entry = parts("no such channel", b"payload").encode(7, 3);
    assert_eq!(parts("no such channel", b"payload").bytes(), entry.len() as u64);
    assert_eq!(entry.len() % 8, 0);
    let (head, body) = entry.split_first_chunk::<HEAD>().unwrap();
    let parsed = Head::parse(head, 7).unwrap();
    assert_eq!(parsed.bytes, entry.len() as u64);
    assert_eq!(parsed.condition, parts("", b"").condition);
    assert_eq!((parsed.position, parsed.lane, parsed.number), (1 << 40, 8, 3));
    assert_eq!(Head::parse(head, 8), None, "of another ring");
    assert_eq!(parsed.encode(7), *head);
    let expected = ("no such channel".to_owned(), b"payload".to_vec());
    assert_eq!(parsed.body(body), Some(expected));
    for bit in 0..HEAD * 8 {
        let mut broken = *head;
        broken[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Head::parse(&broken, 7), None, "bit {bit}");
    }
    for bit in 0..body.len() * 8 {
        let mut broken = body.to_vec();
        broken[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(parsed.body(&broken), None, "bit {bit}");
    }
}

#[test]
fn a_long_reason_is_cut_between_characters() {
    let entry = parts(&"ü".repeat(REASON_MAX), b"x").encode(7, 1);
    let (head, body) = entry.split_first_chunk::<HEAD>().unwrap();
    let (reason, payload) = Head::parse(head, 7).unwrap().body(body).unwrap();
    assert_eq!((reason.chars().count(), &payload[..]), (REASON_MAX / 2, &b"x"[..]));
}

#[test]
fn no_bit_of_a_change_may_change() {
    let change = Change { number: 9, condition: parts("", b"").condition };
    let bytes = change.encode(7);
    assert_eq!(Change::parse(&bytes, 7), Some(change));
    assert_eq!(Change::parse(&bytes, 8), None, "of another ring");
    for bit in 0..CHANGE * 8 {
        let mut broken = bytes;
        broken[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Change::parse(&broken, 7), None, "bit {bit}");
    }
}

#[test]
fn what_was_given_once_is_gone_with_its_member() {
    let once = Condition { kept: Kept::Out, ..parts("", b"").condition };
    assert_eq!(once.orphaned(true).kept, Kept::Gone);
    let again = Condition { once: false, ..once }.orphaned(true);
    assert_eq!((again.kept, again.member, again.counts.deaths), (Kept::Waiting, None, 4));
    let unproven = Condition { once: false, ..once }.orphaned(false);
    assert_eq!(unproven.counts.deaths, 3);
}
