//! What travels on the socket: websocket frames, JSON and ETF messages, compression.

pub(crate) mod compress;
pub(crate) mod etf;
pub(crate) mod etf_read;
pub(crate) mod message;
pub(crate) mod websocket;

#[cfg(test)]
mod tests {
    //! Whatever a client sends is read or refused; nothing panics, and reading ends.

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::etf::EtfShape;
    use super::{etf, etf_read, websocket};
    use crate::value::{Val, obj};

    proptest! {
        #[test]
        fn any_bytes_are_a_term_or_an_error(mut bytes in vec(any::<u8>(), 0..200)) {
            bytes.insert(0, etf::VERSION);
            let _ = etf_read::read_term(&bytes);
        }

        #[test]
        fn tags_and_lengths_of_every_kind_are_a_term_or_an_error(
            parts in vec(
                (
                    prop::sample::select(vec![70_u8, 97, 98, 100, 104, 105, 106, 107, 108, 109, 110, 116, 119]),
                    vec(prop::sample::select(vec![0_u8, 1, 2, 255]), 0..5),
                ),
                0..40,
            ),
        ) {
            let mut bytes = vec![etf::VERSION];
            for (tag, length) in parts {
                bytes.push(tag);
                bytes.extend(length);
            }
            let _ = etf_read::read_term(&bytes);
        }

        #[test]
        fn any_bytes_are_frames_or_an_error(mut bytes in vec(any::<u8>(), 0..300)) {
            let mut before = bytes.len() + 1;
            while let Ok(Some(_)) = websocket::read_frame(&mut bytes) {
                prop_assert!(bytes.len() < before);
                before = bytes.len();
            }
        }

        #[test]
        fn what_the_mixed_shape_writes_is_read_back(number in any::<i64>(), text in ".{0,40}") {
            let value = Val::Obj(obj! {
                "list" => vec![1, 2, 3],
                "number" => number,
                "text" => text.clone(),
            });
            let mut bytes = vec![etf::VERSION];
            etf::write_term(&value, EtfShape::Mixed, &mut bytes);
            let read = etf_read::read_term(&bytes).expect("a term");
            prop_assert_eq!(
                read,
                serde_json::json!({"list": [1, 2, 3], "number": number, "text": text})
            );
        }
    }
}
