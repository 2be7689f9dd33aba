//! The command line of every program: options, variables of the same names, a file of the same names, one line
//! for what is wrong, and what `--version` says.
//!
//! What wins, from strongest to weakest: option, environment variable, `--config` file, default.

mod file;
mod one_line;
mod pages;
mod units;

use std::ffi::OsString;
use std::path::Path;

use clap::{Args, Command, CommandFactory, FromArgMatches};

pub use one_line::one_line;
pub use units::{bytes, duration};

/// Why a program does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It was asked for a text alone: `--help`, `--version`, `--completions SHELL` or `--man-pages FOLDER`.
    Shown(String),
    /// Something is wrong; one line, or the help where there was nothing at all.
    Wrong(String),
}

/// Reads the options of `program` from these arguments (its own name first), the environment, and the file that
/// either names.
///
/// # Errors
/// What to show instead of running.
pub fn read<T: CommandFactory + FromArgMatches>(
    program: &str,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<T, Refused> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let mut command = T::command();
    if let Some(done) = pages::asked(&command, &arguments) {
        return Err(done.map_or_else(Refused::Wrong, Refused::Shown));
    }
    if let Some(path) = file::named_by(&arguments, std::env::var_os("MIXCORD_CONFIG")) {
        command = with_file(command, &path).map_err(Refused::Wrong)?;
    }
    let matches = command.try_get_matches_from(arguments);
    matches
        .and_then(|matches| T::from_arg_matches(&matches))
        .map_err(|error| refused(&error, program))
}

/// The same command, whose defaults are those of the file.
fn with_file(command: Command, path: &Path) -> Result<Command, String> {
    let wrong = |why: String| format!("--config {}: {why}", path.display());
    file::read(path).map_err(wrong)?.into_iter().try_fold(command, |command, (key, value)| {
        let name = key.replace('_', "-");
        if !knows(&command, &name) {
            return Err(wrong(format!("there is no option {key:?}")));
        }
        let text = file::as_text(&key, value).map_err(wrong)?;
        Ok(with_default(command, &name, &text))
    })
}

/// What is said on the command line alone.
const ONLY_TYPED: [&str; 3] = ["config", "help", "version"];

fn knows(command: &Command, name: &str) -> bool {
    let here = command.get_arguments().any(|arg| arg.get_long() == Some(name));
    !ONLY_TYPED.contains(&name) && (here || command.get_subcommands().any(|sub| knows(sub, name)))
}

fn with_default(mut command: Command, name: &str, text: &str) -> Command {
    let id = command
        .get_arguments()
        .find(|arg| arg.get_long() == Some(name))
        .map(|arg| arg.get_id().clone());
    if let Some(id) = id {
        // For as long as the process lives, which reads its options once.
        let text: &'static str = text.to_owned().leak();
        command = command.mut_arg(id, |arg| arg.required(false).default_value(text));
    }
    command.mut_subcommands(|sub| with_default(sub, name, text))
}

fn refused(error: &clap::Error, program: &str) -> Refused {
    use clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand as Nothing;
    match (error.use_stderr(), error.kind()) {
        (false, _) => Refused::Shown(error.render().to_string()),
        (true, Nothing) => Refused::Wrong(error.render().to_string().trim_end().to_owned()),
        (true, _) => Refused::Wrong(one_line(error, program)),
    }
}

/// The file that may hold options, for the help of every program.
#[derive(Debug, Clone, Args)]
pub struct ConfigFile {
    /// TOML file with options: the names here without the dashes, `instance = "prod"`
    #[arg(long = "config", value_name = "FILE", env = "MIXCORD_CONFIG", global = true)]
    path: Option<std::path::PathBuf>,
}

impl ConfigFile {
    /// The file, if one was named.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

/// What `--version` says behind the program's name: its version, the commit it was built from (`MIXCORD_COMMIT`
/// when that was set for the build), and the layouts it reads and writes.
#[must_use]
pub fn version(version: &str, layouts: &[(&str, u64)]) -> &'static str {
    let commit = option_env!("MIXCORD_COMMIT").filter(|commit| !commit.is_empty());
    let commit = commit.map(|commit| format!("commit {commit}"));
    let layouts = layouts.iter().map(|(what, layout)| format!("{what} layout {layout}"));
    let facts: Vec<_> = commit.into_iter().chain(layouts).collect();
    // For as long as the process lives, which builds its command line once.
    format!("{version} ({})", facts.join(", ")).leak()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        config: ConfigFile,
        #[arg(long, default_value = "mixcord", global = true)]
        instance: String,
        #[command(subcommand)]
        what: What,
    }

    #[derive(Debug, clap::Subcommand)]
    enum What {
        Tail {
            #[arg(long, value_delimiter = ',')]
            kind: Vec<String>,
            #[arg(long)]
            count: Option<u64>,
        },
        Ls {
            #[arg(long)]
            json: bool,
        },
    }

    fn read(file: &str, arguments: &[&str]) -> Result<Program, Refused> {
        let path = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(path.path(), file).expect("written");
        let config = path.path().to_str().expect("text");
        let all = ["x", "--config", config].into_iter().chain(arguments.iter().copied());
        super::read("x", all.map(OsString::from))
    }

    #[test]
    fn the_file_gives_defaults_to_commands_and_options_win() {
        let file = "instance = \"prod\"\nkind = [\"GAP\", \"READY\"]\ncount = 5\njson = true\n";
        let program = read(file, &["tail", "--count", "6"]).expect("fine");
        assert_eq!(program.instance, "prod");
        assert!(program.config.path().is_some());
        let What::Tail { kind, count } = program.what else { panic!("{program:?}") };
        assert_eq!((kind, count), (vec!["GAP".to_owned(), "READY".to_owned()], Some(6)));
        let program = read(file, &["ls", "--instance", "test"]).expect("fine");
        assert_eq!(program.instance, "test");
        assert!(matches!(program.what, What::Ls { json: true }));
    }

    #[test]
    fn what_is_wrong_in_the_file_is_one_line_without_what_stands_there() {
        for (file, about) in [
            ("colour = 1", "there is no option \"colour\""),
            ("config = \"other\"", "no option \"config\""),
            ("token = \"secret\"", "no option \"token\""),
            ("instance = \"secret", "line 1"),
            ("count = 1979-05-27", "count: expected"),
        ] {
            let Err(Refused::Wrong(said)) = read(file, &["ls"]) else { panic!("{file}") };
            assert!(said.contains(about) && said.contains("--config"), "{said}");
            assert!(said.lines().count() == 1 && !said.contains("secret"), "{said}");
        }
        let missing =
            super::read::<Program>("x", ["x", "--config=/no/such", "ls"].map(OsString::from));
        assert!(matches!(missing, Err(Refused::Wrong(said)) if said.contains("/no/such")));
    }

    #[test]
    fn texts_that_were_asked_for_are_told_from_complaints() {
        assert!(matches!(read("", &["--help"]), Err(Refused::Shown(_))));
        let Err(Refused::Wrong(said)) = read("", &["ls", "--jsn"]) else { panic!("refused") };
        assert!(said.contains("'--json'") && said.lines().count() == 1, "{said}");
    }

    #[test]
    fn the_version_names_layouts() {
        let said = version("1.2.3", &[("ring", 3), ("record", 1)]);
        assert!(
            said.starts_with("1.2.3 (") && said.ends_with("ring layout 3, record layout 1)"),
            "{said}"
        );
    }
}
