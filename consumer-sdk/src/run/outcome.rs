use std::error::Error;

/// What a handler returns: nothing, or a `Result` whose error says why the event is to be given again.
///
/// Any error will do that is one of Rust's (`anyhow` and its like included), or a text. It is shown with the whole
/// chain of its causes.
pub trait Outcome {
    /// Why the event is not handled; `None` when it is.
    fn failure(self) -> Option<String>;
}

impl Outcome for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> Outcome for Result<(), E> {
    fn failure(self) -> Option<String> {
        self.err().map(|error| told(&*error.into()))
    }
}

/// The error and its causes, `a: b: c`. A cause that the one before it told already is not told again.
pub(crate) fn told(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.ends_with(&text) {
            told.push_str(": ");
            told.push_str(&text);
        }
        cause = error.source();
    }
    told
}
