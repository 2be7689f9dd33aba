//! A decoder in steady state takes nothing from the heap, whatever the encoding.
#![allow(unsafe_code, reason = "a counting allocator must implement an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use mixcord_event::{Decoder, Limits, Record, RecordMeta, atoms};

/// The system's allocator, counting per thread: the test harness has threads of its own.
struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that is ending has no counter any more, and nobody asks for it.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes to the system's allocator with the arguments as they came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps `alloc`'s contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from the system's allocator, through this one, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as for `dealloc`, and the caller keeps the contract on `size`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MESSAGE: &str = r#"{"t":"MESSAGE_CREATE","s":4711,"op":0,"d":{
    "id":"1175623482374918194","channel_id":"613425648685547545","guild_id":"613425648685547541",
    "content":"Grüße — \"quoted\" and 🦀","timestamp":"2026-11-19T09:14:21.412000+00:00","flags":0,
    "mentions":[],"mention_roles":["613426354628722689","613426354628722690"],"pinned":false,
    "edited_timestamp":null,"author":{"id":"302050872383242240","username":"ada","avatar":null},
    "embeds":[{"type":"rich","color":5814783,"fields":[{"name":"a","value":"b","inline":true}]}],
    "resolved":{"users":{"302050872383242240":{"id":"302050872383242240"},"7":{"id":"7"}}},
    "a_key_nobody_documents":1.5}}"#;

#[test]
fn a_decoder_in_steady_state_does_not_allocate() {
    let etf = etf(MESSAGE);
    let mut decoder = Decoder::new(Limits::default());
    let meta = RecordMeta::default();
    let decode_json = |decoder: &mut Decoder| {
        let mut frame = decoder.json(MESSAGE.as_bytes()).unwrap();
        frame.record(&meta).len()
    };
    let decode_etf = |decoder: &mut Decoder| {
        let mut frame = decoder.etf(&etf).unwrap();
        frame.record(&meta).len()
    };
    for _ in 0..3 {
        assert_eq!(decode_json(&mut decoder), decode_etf(&mut decoder));
    }
    assert_eq!(decoder.take_warnings().len(), 1);

    let before = COUNT.get();
    for _ in 0..10 {
        decode_etf(&mut decoder);
    }
    assert_eq!(COUNT.get() - before, 0, "ETF");
    let before = COUNT.get();
    for _ in 0..10 {
        decode_json(&mut decoder);
    }
    assert_eq!(COUNT.get() - before, 0, "JSON");
}

#[test]
fn reading_a_record_does_not_allocate() {
    let mut decoder = Decoder::new(Limits::default());
    let bytes = decoder.json(MESSAGE.as_bytes()).unwrap().record(&RecordMeta::default()).to_vec();
    let before = COUNT.get();
    let record = Record::parse(&bytes).unwrap();
    let author = record.data().get(atoms::AUTHOR).and_then(|author| author.get(atoms::ID));
    assert_eq!(author.and_then(|id| id.as_id()), Some(302_050_872_383_242_240));
    assert_eq!(COUNT.get() - before, 0);
}

/// Terms as eetf writes them.
fn etf(json: &str) -> Vec<u8> {
    fn term(value: &serde_json::Value) -> eetf::Term {
        use serde_json::Value;
        match value {
            Value::Null => eetf::Atom::from("nil").into(),
            Value::Bool(truth) => eetf::Atom::from(truth.to_string()).into(),
            Value::Number(number) => match number.as_i64() {
                Some(number) => eetf::BigInteger::from(number).into(),
                None => eetf::Float { value: number.as_f64().unwrap() }.into(),
            },
            Value::String(text) => eetf::Binary::from(text.as_bytes()).into(),
            Value::Array(items) => {
                eetf::List::from(items.iter().map(term).collect::<Vec<_>>()).into()
            }
            Value::Object(members) => {
                let map = members.iter().map(|(key, value)| {
                    (eetf::Term::from(eetf::Atom::from(key.as_str())), term(value))
                });
                eetf::Map { map: map.collect() }.into()
            }
        }
    }
    let mut bytes = Vec::new();
    term(&serde_json::from_str(json).unwrap()).encode(&mut bytes).unwrap();
    bytes
}
