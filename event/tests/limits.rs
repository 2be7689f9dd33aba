//! Limits are checked before memory is taken, and errors say what and where.

use mixcord_event::{DEPTH_MAX, DecodeError, DecodeErrorKind as Kind, Decoder, Limits};

const SMALL: Limits = Limits {
    frame_bytes: 1 << 16,
    inflated_bytes: 1 << 12,
    document_bytes: 1 << 12,
    elements: 100,
    depth: 8,
};

fn etf(term: &[u8]) -> DecodeError {
    let mut bytes = vec![131];
    bytes.extend_from_slice(term);
    Decoder::new(SMALL).document_from_etf(&bytes).expect_err("refused")
}

fn json(text: &str) -> DecodeError {
    Decoder::new(SMALL).document_from_json(text.as_bytes()).expect_err("refused")
}

/// The six bytes that abort the eetf crate, and their relatives: four billion elements announced.
#[test]
fn announced_counts_are_not_believed() {
    for tag in [105, 108, 116] {
        let error = etf(&[tag, 255, 255, 255, 255]);
        assert!(matches!(error.kind, Kind::Truncated | Kind::TooMany { .. }), "{tag}: {error}");
    }
    for tag in [109, 111] {
        assert_eq!(etf(&[tag, 255, 255, 255, 255]).kind, Kind::Truncated, "{tag}");
    }
    assert_eq!(etf(&[107, 255, 255, 1]).kind, Kind::Truncated);
    // Four gigabytes of zlib, announced in a message of ten bytes.
    let error = etf(&[80, 255, 255, 255, 255, 120, 156, 1, 0]);
    assert!(matches!(error.kind, Kind::InflatedTooLarge { .. }), "{error}");
}

#[test]
fn every_limit_holds_in_both_encodings() {
    let long = "x".repeat(5000);
    assert!(matches!(json(&format!("\"{long}\"")).kind, Kind::DocumentTooLarge(4096)));
    let mut term = vec![109, 0, 0, 19, 136];
    term.extend_from_slice(long.as_bytes());
    assert!(matches!(etf(&term).kind, Kind::DocumentTooLarge(4096)));

    let huge = "x".repeat(70_000);
    assert!(matches!(json(&format!("\"{huge}\"")).kind, Kind::TooLarge { limit: 65_536, .. }));

    let many = format!("[{}0]", "0,".repeat(100));
    assert!(matches!(json(&many).kind, Kind::TooMany { limit: 100, .. }), "{}", json(&many));
    let mut term = vec![108, 0, 0, 0, 101];
    term.extend_from_slice(&[106; 102]);
    assert!(matches!(etf(&term).kind, Kind::TooMany { len: 101, limit: 100 }));
    let mut term = vec![107, 0, 101];
    term.extend_from_slice(&[1; 101]);
    assert!(matches!(etf(&term).kind, Kind::TooMany { len: 101, limit: 100 }));
}

#[test]
fn depth_is_limited_in_both_encodings() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let mut decoder = Decoder::new(SMALL);
    decoder.document_from_json(nested(8).as_bytes()).unwrap();
    assert_eq!(json(&nested(9)).kind, Kind::Depth(8));

    let term = |depth: usize| {
        let mut bytes = vec![131];
        bytes.extend_from_slice(&[108, 0, 0, 0, 1].repeat(depth - 1));
        bytes.push(106);
        bytes.extend_from_slice(&[106].repeat(depth - 1));
        bytes
    };
    // The empty list inside counts as a container in JSON and as a value in ETF.
    decoder.document_from_etf(&term(8)).unwrap();
    assert_eq!(decoder.document_from_etf(&term(10)).unwrap_err().kind, Kind::Depth(8));

    // A limit beyond the format's is the format's: no stack is at risk on a small thread.
    let thread = std::thread::Builder::new().stack_size(512 * 1024).spawn(move || {
        let mut decoder = Decoder::new(Limits { depth: usize::MAX, ..Limits::default() });
        let deepest = decoder.document_from_json(nested(DEPTH_MAX).as_bytes()).unwrap();
        assert_eq!(deepest.to_json(), nested(DEPTH_MAX));
        assert!(deepest == deepest.clone());
        for depth in [DEPTH_MAX + 1, 10_000, 200_000] {
            let error = decoder.document_from_json(nested(depth).as_bytes()).unwrap_err();
            assert_eq!(error.kind, Kind::Depth(DEPTH_MAX));
            let maps = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
            assert!(decoder.document_from_json(maps.as_bytes()).is_err());
        }
        for depth in [DEPTH_MAX + 2, 10_000, 200_000] {
            assert!(decoder.document_from_etf(&term(depth)).is_err());
            assert!(decoder.document_from_etf(&[104, 1].repeat(depth)).is_err());
        }
    });
    thread.unwrap().join().unwrap();
}

/// What a compressed term inflates to is bounded by what it says, and that by the limit.
#[test]
fn compressed_terms_are_bounded() {
    use std::io::Write;
    let compress = |bytes: &[u8], announced: u32| {
        let mut out = vec![131, 80];
        out.extend_from_slice(&announced.to_be_bytes());
        let mut zlib = flate2::write::ZlibEncoder::new(out, flate2::Compression::best());
        zlib.write_all(bytes).unwrap();
        zlib.finish().unwrap()
    };
    let mut decoder = Decoder::new(SMALL);
    let text = |length: u32| {
        let mut term = vec![109];
        term.extend_from_slice(&length.to_be_bytes());
        term.resize(term.len() + length as usize, b'x');
        term
    };
    let fits = text(4000);
    decoder.document_from_etf(&compress(&fits, 4005)).unwrap();
    // A bomb that says it is small, one that says what it is, and two that end elsewhere.
    let bomb = vec![b'x'; 50 << 20];
    assert_eq!(decoder.document_from_etf(&compress(&bomb, 4000)).unwrap_err().kind, Kind::Inflate);
    let error = decoder.document_from_etf(&compress(&bomb, 50 << 20)).unwrap_err();
    assert!(matches!(error.kind, Kind::InflatedTooLarge { .. }));
    assert_eq!(decoder.document_from_etf(&compress(&fits, 4004)).unwrap_err().kind, Kind::Inflate);
    assert_eq!(decoder.document_from_etf(&compress(&fits, 4006)).unwrap_err().kind, Kind::Inflate);
    let mut cut = compress(&fits, 4005);
    cut.truncate(cut.len() - 6);
    assert_eq!(decoder.document_from_etf(&cut).unwrap_err().kind, Kind::Inflate);
    // No compressed term inside another.
    let inner = compress(&fits, 4005)[1..].to_vec();
    let outer = compress(&inner, inner.len() as u32);
    assert!(matches!(decoder.document_from_etf(&outer).unwrap_err().kind, Kind::Term(80)));
    // And after all that it still works.
    decoder.document_from_etf(&compress(&fits, 4005)).unwrap();
}

#[test]
fn errors_lead_to_the_place() {
    let message = r#"{"op":0,"t":"MESSAGE_CREATE","d":{"embeds":[{"title":"a"},{"title":tru}]}}"#;
    let error = Decoder::new(SMALL).json(message.as_bytes()).unwrap_err();
    assert_eq!(error.path, "d.embeds[1].title");
    assert!(matches!(error.kind, Kind::Json(_)));
    let at = message.find("tru}").unwrap();
    assert!((at..=at + 4).contains(&error.offset), "{error}");

    // op 0, d => #{user => #{id => <a port>}}
    let term = b"\x83t\0\0\0\x02w\x02opa\0w\x01dt\0\0\0\x01w\x04usert\0\0\0\x01w\x02idf";
    let error = Decoder::new(SMALL).etf(term).unwrap_err();
    assert_eq!((error.path.as_str(), error.kind), ("d.user.id", Kind::Term(102)));
    assert_eq!(error.offset, term.len() - 1);
}

#[test]
fn malformed_messages_are_named() {
    let mut decoder = Decoder::new(SMALL);
    let mut kind = |bytes: &[u8]| decoder.etf(bytes).unwrap_err().kind;
    assert_eq!(kind(b""), Kind::Truncated);
    assert_eq!(kind(b"\x82t\0\0\0\0"), Kind::Version(130));
    assert!(matches!(kind(b"\x83a\x01"), Kind::Envelope(_)));
    assert!(matches!(kind(b"\x83t\0\0\0\0"), Kind::Envelope(_)));
    assert!(matches!(kind(b"\x83t\0\0\0\x01w\x02opa\x0ax"), Kind::Trailing(1)));
    assert_eq!(kind(b"\x83t\0\0\0\x01w\x02op"), Kind::Truncated);
    let mut kind = |text: &str| decoder.json(text.as_bytes()).unwrap_err().kind;
    assert!(matches!(kind("[]"), Kind::Envelope(_)));
    assert!(matches!(kind("{}"), Kind::Envelope(_)));
    assert_eq!(kind("{\"op\":1"), Kind::Truncated);
    assert!(matches!(kind(""), Kind::Truncated | Kind::Envelope(_)));
    for text in
        ["{\"op\":01}", "{\"op\":1}}", "{\"op\":1,}", "{'op':1}", "nul", "{\"op\":\"\u{1}\"}"]
    {
        assert!(
            matches!(kind(text), Kind::Json(_) | Kind::Trailing(_) | Kind::Envelope(_)),
            "{text}"
        );
    }
    // A decoder that met all this still decodes.
    assert_eq!(decoder.json(br#"{"op":11}"#).unwrap().op(), 11);
    assert_eq!(decoder.etf(b"\x83t\0\0\0\x01w\x02opa\x0b").unwrap().op(), 11);
}

/// The service opcodes, in both encodings.
#[test]
fn what_is_no_dispatch_is_decoded_too() {
    let mut decoder = Decoder::new(SMALL);
    let hello = br#"{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":41250,"_trace":["x"]}}"#;
    let frame = decoder.json(hello).unwrap();
    assert_eq!((frame.op(), frame.seq(), frame.kind(), frame.name()), (10, None, None, None));
    assert_eq!(frame.data().get_str("heartbeat_interval").unwrap().as_u64(), Some(41_250));
    let frame = decoder
        .etf(b"\x83t\0\0\0\x04w\x02opa\x09w\x01dw\x04truew\x01sw\x03nilw\x01td\0\x03nil")
        .unwrap();
    assert_eq!((frame.op(), frame.seq(), frame.kind()), (9, None, None));
    assert_eq!(frame.data().as_bool(), Some(true));
    assert!(decoder.json(br#"{"op":11}"#).unwrap().data().is_null());
    assert!(decoder.json(br#"{"op":7,"d":null}"#).unwrap().data().is_null());
}
