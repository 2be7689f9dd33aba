//! What clap says of wrong options, as a program of Mixcord says everything that ends it: on one line.

/// The explanation of an error without its usage text: what is wrong, what it may have meant, and where more
/// is told.
///
/// ```
/// let program = clap::Command::new("x").arg(clap::arg!(--shards <N>));
/// let error = program.try_get_matches_from(["x", "--shard", "2"]).unwrap_err();
/// let line = "unexpected argument '--shard' found (a similar argument exists: '--shards') (see x --help)";
/// assert_eq!(mixcord_process::command_line::one_line(&error, "x"), line);
/// ```
pub fn one_line(error: &clap::Error, program: &str) -> String {
    let text = error.render().to_string();
    let mut lines = text.lines().map(str::trim);
    let paragraph: Vec<_> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let mut said = paragraph.join(" ").trim_start_matches("error: ").to_owned();
    if let Some(tip) = lines.find_map(|line| line.strip_prefix("tip: ")) {
        said.push_str(&format!(" ({tip})"));
    }
    format!("{said} (see {program} --help)")
}

#[cfg(test)]
mod tests {
    use clap::{Command, arg};

    use super::*;

    fn said(arguments: &[&str]) -> String {
        let program = Command::new("x")
            .arg(arg!(--mode <MODE>).value_parser(["fast", "slow"]))
            .arg(arg!(--count <N>).value_parser(clap::value_parser!(u32)))
            .arg(arg!(--name <NAME>).required(true));
        let all = std::iter::once("x").chain(arguments.iter().copied());
        one_line(&program.try_get_matches_from(all).expect_err("refused"), "x")
    }

    #[test]
    fn what_is_wrong_and_what_is_right_stand_on_one_line() {
        for (arguments, parts) in [
            (&["--mod", "fast"][..], &["'--mod'", "(a similar argument exists: '--mode')"][..]),
            (&["--mode", "fas"], &["'fas'", "possible values: fast, slow", "'fast'"]),
            (&["--count", "many"], &["'many'", "--count", "invalid digit"]),
            (&["--count", "1"], &["not provided", "--name <NAME>"]),
        ] {
            let line = said(arguments);
            assert!(parts.iter().all(|part| line.contains(part)), "{line}");
            assert!(line.ends_with(" (see x --help)") && !line.contains("error:"), "{line}");
            assert!(line.lines().count() == 1 && !line.contains("Usage"), "{line}");
        }
    }
}
