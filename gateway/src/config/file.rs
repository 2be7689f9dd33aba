//! The file of `--config`: the options' names as keys of a TOML table.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Command;
use toml::Value;

use super::ConfigError;

/// No configuration is larger.
const BYTES_MAX: u64 = 1 << 20;

/// The file that the arguments name, or else the environment.
pub(super) fn named_by(arguments: &[OsString], environment: Option<OsString>) -> Option<PathBuf> {
    let mut arguments = arguments.iter().skip(1);
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        if text == "--config" {
            return arguments.next().map(PathBuf::from);
        }
        if let Some(path) = text.strip_prefix("--config=") {
            return Some(PathBuf::from(path));
        }
    }
    environment.filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The options in the file, as text for the command line's own parsers.
pub(super) fn read(path: &Path, command: &Command) -> Result<Vec<(String, String)>, ConfigError> {
    let wrong = |why: String| ConfigError::File { path: path.display().to_string(), why };
    let size = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if size > BYTES_MAX {
        return Err(wrong(format!("larger than {BYTES_MAX} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    // The parser's own message, without the excerpt, which could show a secret.
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
        wrong(format!("line {line}: {}", error.message().lines().next().unwrap_or_default()))
    })?;
    table
        .into_iter()
        .map(|(key, value)| {
            let name = key.replace('_', "-");
            let id = command
                .get_arguments()
                .find(|arg| arg.get_long() == Some(&name))
                .map(|arg| arg.get_id().to_string())
                .filter(|id| !matches!(id.as_str(), "config" | "help" | "version"))
                .ok_or_else(|| wrong(format!("there is no option {key:?}")))?;
            let text = as_text(&key, value).map_err(wrong)?;
            Ok((id, text))
        })
        .collect()
}

fn as_text(key: &str, value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Array(items) => {
            let items: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            items.map(|items| items.join(",")).ok_or_else(|| format!("{key}: expected texts"))
        }
        table @ Value::Table(_) => {
            serde_json::to_string(&table).map_err(|error| format!("{key}: {error}"))
        }
        Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {
            Err(format!("{key}: expected text, a number, a list or a table"))
        }
    }
}
