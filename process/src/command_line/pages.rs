//! What a package is made with: completions for shells, and man pages.

use std::ffi::OsString;
use std::path::Path;

use clap::{Command, ValueEnum as _};
use clap_complete::Shell;

/// Does what `--completions SHELL` and `--man-pages FOLDER` ask for where they come first; `None` where they do
/// not. Gives the text to print, or one line that says what is wrong.
pub(super) fn asked(command: &Command, arguments: &[OsString]) -> Option<Result<String, String>> {
    let option = arguments.get(1)?.to_str()?;
    let value = || arguments.get(2).and_then(|value| value.to_str());
    match option {
        "--completions" => Some(completions(command, value())),
        "--man-pages" => Some(man_pages(command, value())),
        _ => None,
    }
}

fn completions(command: &Command, shell: Option<&str>) -> Result<String, String> {
    let shell = shell.and_then(|shell| Shell::from_str(shell, true).ok());
    let shell = shell.ok_or("--completions wants bash, zsh, fish, elvish or powershell")?;
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command.clone(), name, &mut text);
    String::from_utf8(text).map_err(|error| error.to_string())
}

/// One page for the program and each of its commands.
fn man_pages(command: &Command, folder: Option<&str>) -> Result<String, String> {
    let folder = folder.ok_or("--man-pages wants a folder")?;
    clap_mangen::generate_to(command.clone(), Path::new(folder))
        .map_err(|error| format!("--man-pages {folder}: {error}"))?;
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(arguments: &[&str]) -> Option<Result<String, String>> {
        let command = Command::new("x").subcommand(Command::new("tail").about("Print events"));
        let arguments: Vec<_> =
            std::iter::once("x").chain(arguments.iter().copied()).map(OsString::from).collect();
        super::asked(&command, &arguments)
    }

    #[test]
    fn shells_are_told_what_can_be_typed() {
        for shell in ["bash", "zsh", "fish"] {
            let script = asked(&["--completions", shell]).expect("asked").expect("a script");
            assert!(script.contains("tail"), "{shell}: {script}");
        }
        assert!(asked(&["--completions", "tcsh"]).expect("asked").is_err());
        assert!(asked(&["--completions"]).expect("asked").is_err());
        assert!(asked(&["tail", "--completions"]).is_none() && asked(&[]).is_none());
    }

    #[test]
    fn there_is_a_page_for_the_program_and_each_command() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().to_str().expect("text");
        assert_eq!(asked(&["--man-pages", path]), Some(Ok(String::new())));
        let page = std::fs::read_to_string(folder.path().join("x-tail.1")).expect("a page");
        assert!(page.contains("Print events") && folder.path().join("x.1").exists(), "{page}");
        assert!(asked(&["--man-pages", "/no/such/folder"]).expect("asked").is_err());
    }
}
