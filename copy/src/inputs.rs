//! Where the state of a copy goes on.

use std::io::Read;

use mixcord_blocks::{BlockError, BlockReader};
use mixcord_state::{InputPosition, Inputs, meta};

use crate::LoadError;
use crate::frame::{ANEW, END, FORMAT, FRAME_MAX, GONE, HEAD, VALUE, check_head, split_key};

/// How far the donor's shard rings are in a copy, all of which is read and checked.
///
/// # Errors
/// [`LoadError`], as [`load`](crate::load) would say it, but for what its end says of numbers.
pub fn inputs(source: impl Read) -> Result<Inputs, LoadError> {
    let mut blocks = BlockReader::new(source, FORMAT)?;
    let mut content = Vec::new();
    if blocks.frame(&mut content, FRAME_MAX)? != Some(HEAD) {
        return Err(LoadError::Wrong("it does not begin with a head"));
    }
    check_head(&content)?;
    let mut inputs = Inputs::new();
    loop {
        match blocks.frame(&mut content, FRAME_MAX)?.ok_or(BlockError::Cut)? {
            kind @ (VALUE | GONE) => {
                let (key, value) = split_key(&content)?;
                if meta::INPUTS.contains(key) {
                    let shard = meta::input_of(key);
                    match InputPosition::from_words(value).filter(|_| kind == VALUE) {
                        Some(input) => inputs.insert(shard, input),
                        None => inputs.remove(&shard),
                    };
                }
            }
            ANEW => inputs.clear(),
            END => break,
            _ => return Err(LoadError::Wrong("a frame is of no known kind")),
        }
    }
    match blocks.frame(&mut content, FRAME_MAX)? {
        None => Ok(inputs),
        Some(_) => Err(LoadError::Wrong("something follows its end")),
    }
}
