//! A message that is cut anywhere is cut short and nothing else: whoever has its rest may still read it.

mod tree;

use mixcord_event::{DecodeErrorKind, Decoder, Limits};
use proptest::prelude::*;

fn assert_every_part_is_cut_short(text: &[u8]) {
    let mut decoder = Decoder::new(Limits::default());
    assert!(decoder.json(text).is_ok(), "{}", String::from_utf8_lossy(text));
    for end in 0..text.len() {
        let error = decoder.json(&text[..end]).expect_err("cut");
        let part = String::from_utf8_lossy(&text[..end]);
        assert_eq!(error.kind, DecodeErrorKind::Truncated, "{part}: {error}");
    }
}

/// Everything that JSON has, cut at every byte.
#[test]
fn g35_json_cut_at_any_byte_is_cut_short() {
    assert_every_part_is_cut_short(
        r#" {"op" : 0, "s":7, "t":"TYPING_START", "d":{
            "numbers": [0, -0, -12, 1.5, -1.25e3, 2E+10, 3e-7, 0.0, 12345678901234567890, -9223372036854775808,
                        123456789012345678901234567890],
            "words": [true, false, null], "\u006bey": "\u00e9\ud83d\ude00 \ud83d \ude00", "es\"capes": "\\\/\b\f\n\r\t",
            "héllo": "wörld", "empty": [{}, [], ""], "__struct__": "Elixir", "id": "123", "guild_id": "41"}}"#
            .as_bytes(),
    );
}

/// What is wrong stays wrong, cut or not: it is not waited for.
#[test]
fn what_is_broken_before_the_cut_is_not_cut_short() {
    let mut decoder = Decoder::new(Limits::default());
    for broken in ["01", "-x", "1.x", "1ex", "1e+x", "-.", r#""\u12g"#, r#""\x"#, "nux", "00"] {
        let text = format!(r#"{{"op":0,"d":{broken}"#);
        let error = decoder.json(text.as_bytes()).expect_err("broken");
        assert!(matches!(error.kind, DecodeErrorKind::Json(_)), "{broken}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn g35_any_json_cut_anywhere_is_cut_short(data in tree::map(), cut in any::<prop::sample::Index>()) {
        let data = tree::json::plain(&data.last_wins());
        let text = serde_json::json!({"op": 0, "s": 1, "t": "X", "d": data}).to_string();
        let mut decoder = Decoder::new(Limits::default());
        prop_assert!(decoder.json(text.as_bytes()).is_ok());
        let error = decoder.json(&text.as_bytes()[..cut.index(text.len())]).expect_err("cut");
        prop_assert_eq!(error.kind, DecodeErrorKind::Truncated);
    }
}
