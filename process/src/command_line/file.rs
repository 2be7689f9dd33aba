//! The file of `--config`: the options' names as keys of a TOML table.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use toml::Value;

/// No configuration is larger.
const BYTES_MAX: u64 = 1 << 20;

/// The file that the arguments name, or else the environment.
pub(super) fn named_by(arguments: &[OsString], environment: Option<OsString>) -> Option<PathBuf> {
    let mut arguments = arguments.iter().skip(1).take_while(|argument| *argument != "--");
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

/// What stands in the file.
pub(super) fn read(path: &Path) -> Result<toml::Table, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > BYTES_MAX {
        return Err(format!("larger than {BYTES_MAX} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    // The parser's own message, without the excerpt, which could show a secret.
    text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
        format!("line {line}: {}", error.message().lines().next().unwrap_or_default())
    })
}

/// A value as text for the command line's own parsers.
pub(super) fn as_text(key: &str, value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Boolean(is_so) => Ok(is_so.to_string()),
        Value::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(item).collect();
            items
                .map(|items| items.join(","))
                .ok_or_else(|| format!("{key}: expected texts or numbers"))
        }
        table @ Value::Table(_) => {
            serde_json::to_string(&table).map_err(|error| format!("{key}: {error}"))
        }
        Value::Datetime(_) => {
            Err(format!("{key}: expected text, a number, true, false, a list or a table"))
        }
    }
}

fn item(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}
