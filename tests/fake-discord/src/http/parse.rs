//! Reading HTTP/1.1 requests: only what clients of Discord send, with every size bounded.

const HEAD_MAX: usize = 16 * 1024;
const BODY_MAX: usize = 1024 * 1024;

/// A request with its whole body.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Path and parameters as they came.
    pub(crate) target: String,
    /// Name and value of each parameter, decoded.
    pub(crate) query: Vec<(String, String)>,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    http_1_0: bool,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
    }

    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|param| param.0 == name).map(|param| param.1.as_str())
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.param(name)?.parse().ok()
    }

    fn header_has(&self, name: &str, token: &str) -> bool {
        self.header(name).is_some_and(|value| {
            value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token))
        })
    }

    pub(crate) fn is_upgrade(&self) -> bool {
        self.header_has("upgrade", "websocket")
    }

    /// The body as JSON: the whole of it, or the field `payload_json` of a form.
    pub(crate) fn json(&self) -> Result<serde_json::Value, super::Response> {
        let malformed =
            |_| super::Response::error(400, 50109, "The request body contains invalid JSON.");
        if !self.is_multipart() {
            return serde_json::from_slice(&self.body).map_err(malformed);
        }
        let part = self.parts().find(|part| part.name == "payload_json");
        let empty = || Ok(serde_json::Value::Object(serde_json::Map::new()));
        part.map_or_else(empty, |part| serde_json::from_slice(part.content).map_err(malformed))
    }

    /// Name and size of each file in a form.
    pub(crate) fn multipart_files(&self) -> Vec<(String, usize)> {
        let files = self.parts().filter_map(|part| Some((part.filename?, part.content.len())));
        files.take(10).collect()
    }

    fn is_multipart(&self) -> bool {
        self.header("content-type").is_some_and(|kind| kind.starts_with("multipart/form-data"))
    }

    fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let boundary = self
            .header("content-type")
            .filter(|_| self.is_multipart())
            .and_then(|kind| kind.split("boundary=").nth(1)?.split(';').next())
            .map(|boundary| format!("--{}", boundary.trim().trim_matches('"')));
        let mut rest = boundary.is_some().then_some(&self.body[..]);
        std::iter::from_fn(move || {
            let boundary = boundary.as_deref()?.as_bytes();
            let body = rest?;
            let end = find(body, boundary);
            rest = end.map(|end| &body[end + boundary.len()..]);
            Some(&body[..end.unwrap_or(body.len())])
        })
        .filter_map(Part::read)
    }

    pub(crate) fn wants_close(&self) -> bool {
        self.header_has("connection", "close")
            || (self.http_1_0 && !self.header_has("connection", "keep-alive"))
    }
}

/// One field of a form.
struct Part<'a> {
    name: String,
    filename: Option<String>,
    content: &'a [u8],
}

impl<'a> Part<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let end = find(bytes, b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        let content = &bytes[end + 4..];
        let value = |key: &str| {
            let after = head.split(key).nth(1)?;
            Some(after.split('"').next()?.to_owned())
        };
        Some(Self {
            name: value(" name=\"")?,
            filename: value(" filename=\""),
            content: content.strip_suffix(b"\r\n").unwrap_or(content),
        })
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|part| part == wanted)
}

/// Whether a client waits to be told to send its body.
pub(crate) fn expects_continue(input: &[u8]) -> bool {
    input.ends_with(b"\r\n\r\n")
        && input.to_ascii_lowercase().windows(20).any(|part| part == b"expect: 100-continue")
}

/// Takes the first whole request out of `input`. An error is the status to answer with.
pub(crate) fn take_request(input: &mut Vec<u8>) -> Result<Option<Request>, u16> {
    let Some(head_length) = input.windows(4).position(|part| part == b"\r\n\r\n") else {
        return if input.len() > HEAD_MAX { Err(431) } else { Ok(None) };
    };
    if head_length > HEAD_MAX {
        return Err(431);
    }
    let head = std::str::from_utf8(&input[..head_length]).map_err(|_| 400_u16)?;
    let mut request = parse_head(head).ok_or(400_u16)?;
    let start = head_length + 4;
    let chunked = request.header_has("transfer-encoding", "chunked");
    let end = if chunked {
        match take_chunks(&input[start..])? {
            Some((body, used)) => {
                request.body = body;
                start + used
            }
            None => return Ok(None),
        }
    } else {
        let length: usize = match request.header("content-length") {
            Some(length) => length.trim().parse().map_err(|_| 400_u16)?,
            None => 0,
        };
        if length > BODY_MAX {
            return Err(413);
        }
        let Some(body) = input.get(start..start + length) else { return Ok(None) };
        request.body = body.to_vec();
        start + length
    };
    input.drain(..end);
    Ok(Some(request))
}

fn parse_head(head: &str) -> Option<Request> {
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target, version) = (first.next()?, first.next()?, first.next()?);
    if !version.starts_with("HTTP/1.") {
        return None;
    }
    // Some clients name the whole address.
    let target = match target.split_once("://") {
        Some((_, rest)) => rest.find(['/', '?']).map_or("/", |at| &rest[at..]),
        None => target,
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method: method.to_owned(),
        path: decode(path),
        target: target.to_owned(),
        http_1_0: version == "HTTP/1.0",
        ..Request::default()
    };
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        request.query.push((decode(name), decode(value)));
    }
    for line in lines {
        let (name, value) = line.split_once(':')?;
        request.headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    Some(request)
}

/// The body of a chunked request and the bytes it took; none while it is incomplete.
fn take_chunks(mut rest: &[u8]) -> Result<Option<(Vec<u8>, usize)>, u16> {
    let whole = rest.len();
    let mut body = Vec::new();
    loop {
        let Some(line) = rest.windows(2).position(|part| part == b"\r\n") else { return Ok(None) };
        let size = std::str::from_utf8(&rest[..line]).map_err(|_| 400_u16)?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| 400_u16)?;
        if body.len().saturating_add(size) > BODY_MAX {
            return Err(413);
        }
        let Some(chunk) = rest.get(line + 2..line + 2 + size) else { return Ok(None) };
        body.extend_from_slice(chunk);
        let Some(after) = rest.get(line + 2 + size + 2..) else { return Ok(None) };
        rest = after;
        if size == 0 {
            return Ok(Some((body, whole - rest.len())));
        }
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_requests_or_an_error(
            parts in vec(
                prop_oneof![
                    Just(b"GET /a%2?x=%zz&y HTTP/1.1\r\n".to_vec()),
                    Just(b"Content-Length: 3\r\n".to_vec()),
                    Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
                    Just(b"\r\n".to_vec()),
                    Just(b"5\r\n".to_vec()),
                    vec(any::<u8>(), 0..12),
                ],
                0..12,
            ),
        ) {
            let mut bytes = parts.concat();
            let mut before = bytes.len() + 1;
            while let Ok(Some(_)) = take_request(&mut bytes) {
                prop_assert!(bytes.len() < before);
                before = bytes.len();
            }
        }
    }
}
