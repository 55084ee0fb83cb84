//! Text of a client, made safe for a log line.

use std::fmt::Write;

/// At most `limit` characters of `text`; what is not visible ASCII, and the escaping backslash itself, as `\xNN`.
pub(crate) fn escaped(text: &str, limit: usize) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let plain = byte.is_ascii_graphic() && byte != b'\\';
        let width = if plain { 1 } else { 4 };
        if out.len() + width > limit {
            out.push_str("...");
            break;
        }
        if plain {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}
