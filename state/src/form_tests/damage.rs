//! Forms that cannot be, and those of a later release.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::{Store, member};
use crate::form::{SHAPED, SHORTENED};
use crate::shapes::SHAPES_MAX;
use crate::table::at;
use crate::tables::{MEMBERS, ROLES};
use crate::{Arena, Read, State, StoreError, format, meta};

const TIME: &str = "2020-01-11T10:00:21.008000+00:00";

/// P8, P11: bytes that cannot be and forms of a later release are errors, which say what to do.
#[test]
fn forms_that_cannot_be_are_errors() {
    let mut store = Store::new();
    for id in 1..=2 {
        store.put(MEMBERS.at(7, id), &[&member(9, "2020")]);
        store.put(MEMBERS.at(8, id), &[&member(9, TIME)]);
    }
    store.commit();
    let (good, short) = (store.form_of(MEMBERS.at(7, 2)), store.form_of(MEMBERS.at(8, 2)));
    let key = ROLES.at(1, 1);
    // As another program would write it: past the writer's own forms.
    let mut ask = |bytes: &[u8]| {
        let limits = mixcord_table::Limits { bytes_max: 64 << 20, step_bytes: 1 << 20 };
        store.writer = None;
        let path = store.dir.path().join(format::TABLE_FILE);
        let version = format::format_of_table(format::VERSION);
        let mut table = mixcord_table::FileWriter::open(&path, version, limits).unwrap();
        table.put(key.table().id(), at(key), &[bytes]).unwrap();
        table.commit([0, 0]).unwrap();
        drop(table);
        store.reopen();
        let (arena, state) = (Arena::default(), State::open(store.dir.path()).unwrap());
        let view = crate::View::new(&state.source, &arena);
        let read = view.get(key).map(|value| value.map(<[u8]>::to_vec));
        let written = store.writer().get(key, &arena).map(|value| value.map(<[u8]>::to_vec));
        assert_eq!(read.is_ok(), written.is_ok(), "{read:?} {written:?}");
        read
    };
    assert_eq!(ask(&good).unwrap(), Some(member(9, "2020")));
    for len in 1..good.len() {
        let error = ask(&good[..len]).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{len}: {error}");
    }
    assert_eq!(short[0], SHORTENED);
    assert_eq!(ask(&short).unwrap(), Some(member(9, TIME)));
    for len in 1..short.len() {
        let error = ask(&short[..len]).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{len}: {error}");
    }
    // What is told of its length is not so.
    for gain in (0..=u8::MAX).filter(|gain| *gain != short[3]) {
        let wrong = [&short[..3], &[gain], &short[4..]].concat();
        assert!(matches!(ask(&wrong).unwrap_err(), StoreError::Damaged { .. }), "{gain}");
    }
    // No form of before has short texts.
    let wrong = [&[SHAPED], &short[1..3], &short[4..]].concat();
    assert!(matches!(ask(&wrong).unwrap_err(), StoreError::Damaged { .. }));
    for form in [0x12, 0x1C] {
        let error = ask(&[form, 1, 2, 3]).unwrap_err();
        assert!(
            matches!(error, StoreError::UnknownForm { key: k, form: f } if (k, f) == (key, form))
        );
        assert!(error.to_string().contains("update this program"), "{error}");
    }
    // No shape has such a number, and of those that one may have nobody gave it.
    for number in [0xFFFF, SHAPES_MAX as u16 - 1, 1] {
        let [low, high] = number.to_le_bytes();
        let error = ask(&[SHAPED, low, high]).unwrap_err();
        let of_it = matches!(error, StoreError::Damaged { key } if key == meta::shape(number));
        assert!(of_it, "{number}: {error}");
    }
}

/// A shape that is missing is waited for while its batch may be on its way, and is damage where none is.
#[test]
fn a_shape_that_is_missing_is_damage_unless_its_batch_is_on_its_way() {
    let mut store = Store::new();
    let key = ROLES.at(1, 1);
    store.writer().put_stored(key, &[SHAPED, 1, 0]).unwrap();
    store.writer().commit((0, 0)).unwrap();
    let (arena, state) = (Arena::default(), State::open(store.dir.path()).unwrap());
    let look = || crate::View::new(&state.source, &arena).get(key).map(drop).unwrap_err();
    let is_damage = |error| matches!(error, StoreError::Damaged { key } if key == meta::shape(1));
    assert!(is_damage(look()));
    // As a writer leaves it that is killed in its batch: the last one whose slots are stored is that before.
    let table =
        File::options().write(true).open(store.dir.path().join(format::TABLE_FILE)).unwrap();
    let committed = state.source.batches().committed;
    table.write_all_at(&(committed - 1).to_le_bytes(), 256).unwrap();
    assert!(matches!(look(), StoreError::Unsettled));
    table.write_all_at(&committed.to_le_bytes(), 256).unwrap();
    assert!(is_damage(look()));
}
