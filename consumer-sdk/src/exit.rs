//! How a program ends.

use std::error::Error as StdError;
use std::process::ExitCode;

use crate::{Error, commands};

/// What a program ends with whose configuration is wrong (`EX_CONFIG`): whoever starts it again the same way
/// gets the same. `scripts/run.sh` does not, and systemd can be told so (`RestartPreventExitStatus=78`).
pub const EXIT_CONFIG: u8 = 78;

/// The exit code of a `main`: 0, or 1 with the error and its causes in one line on standard error, or
/// [`EXIT_CONFIG`] where the error, or a cause of it, is one of configuration
/// ([`Error::is_configuration`]).
///
/// ```no_run
/// use mixcord::{Consumer, Event};
///
/// #[tokio::main]
/// async fn main() -> std::process::ExitCode {
///     mixcord::exit(run().await)
/// }
///
/// async fn run() -> Result<(), mixcord::Error> {
///     let consumer = Consumer::builder().group("bot").stop_on_signals().connect().await?;
///     consumer.run(|event: Event| async move { println!("{}", event.name()) }).await
/// }
/// ```
pub fn exit<E: Into<Box<dyn StdError + Send + Sync>>>(result: Result<(), E>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    let error = error.into();
    eprintln!("error: {}", crate::run::told(&*error));
    code_of(&*error)
}

fn code_of(error: &(dyn StdError + 'static)) -> ExitCode {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let ours = error.downcast_ref::<Error>().is_some_and(Error::is_configuration);
        let command = error.downcast_ref::<commands::Error>();
        if ours || command.is_some_and(commands::Error::is_configuration) {
            return ExitCode::from(EXIT_CONFIG);
        }
        cause = error.source();
    }
    ExitCode::FAILURE
}

impl From<Error> for ExitCode {
    /// As [`exit`] does, without a word.
    fn from(error: Error) -> Self {
        code_of(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the bot could not start")]
    struct Around(#[source] Error);

    fn text(code: ExitCode) -> String {
        format!("{code:?}")
    }

    #[test]
    fn a_configuration_error_is_78_wherever_it_is_and_all_others_1() {
        let config = text(ExitCode::from(78));
        assert_eq!(text(exit(Err(Error::NoGroup))), config);
        assert_eq!(text(exit(Err(Around(Error::NoGroup)))), config);
        let boxed: Box<dyn StdError + Send + Sync> = Box::new(Error::NoGroup);
        assert_eq!(text(exit(Err(boxed))), config);
        let command = commands::Error::Invalid("no".to_owned());
        assert_eq!(text(exit(Err(command))), config);
        assert_eq!(text(exit(Err("a text"))), text(ExitCode::FAILURE));
        let io = Error::Io { doing: "x", source: std::io::ErrorKind::Other.into() };
        assert_eq!(text(exit(Err(io))), text(ExitCode::FAILURE));
        assert_eq!(text(exit(Ok::<(), Error>(()))), text(ExitCode::SUCCESS));
    }
}
