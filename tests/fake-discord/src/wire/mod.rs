//! What travels on the socket: websocket frames, JSON and ETF messages.

pub(crate) mod etf;
pub(crate) mod message;
pub(crate) mod websocket;

#[cfg(test)]
mod tests {
    //! Whatever a client sends is read or refused; nothing panics, and reading ends.

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::etf::EtfShape;
    use super::{etf, websocket};
    use crate::value::{Val, obj};

    proptest! {
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
            let mut bytes = vec![mixcord_wire::term::VERSION];
            etf::write_term(&value, EtfShape::Mixed, &mut bytes);
            let read = mixcord_wire::read_term(&bytes).expect("a term");
            prop_assert_eq!(
                read,
                serde_json::json!({"list": [1, 2, 3], "number": number, "text": text})
            );
        }
    }
}
