//! The statements it understands, read as TiDB's parser and Go's `net/url` read them.

use std::collections::BTreeMap;

/// A BACKUP or RESTORE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub backup: bool,
    pub url: Url,
    /// `RATE_LIMIT`, `CONCURRENCY`, `CHECKSUM`, `LAST_BACKUP`.
    pub options: BTreeMap<String, String>,
}

/// A storage URL, taken apart and decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    pub scheme: String,
    pub host: String,
    pub path: String,
    pub parameters: BTreeMap<String, String>,
    /// As `SHOW BACKUPS` shows it: without the query where the scheme has parameters.
    pub destination: String,
}

/// `None` for a statement that is no BACKUP or RESTORE, an error for one that cannot be parsed.
pub fn order(sql: &str) -> Option<Result<Order, String>> {
    let (backup, rest) = match (sql.strip_prefix("BACKUP DATABASE * TO "), sql.strip_prefix("RESTORE DATABASE * FROM ")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return None,
    };
    Some(parse(backup, rest).ok_or_else(|| format!("You have an error in your SQL syntax near '{rest}'")))
}

/// `BRIEStmt.SecureText`: the text for the process list.
pub fn redacted(sql: &str) -> String {
    let quoted: Vec<&str> = sql.splitn(3, '\'').collect();
    let [before, url, after] = quoted[..] else { return sql.to_owned() };
    let Some((base, query)) = url.split_once('?').filter(|_| url.starts_with("s3:")) else { return sql.to_owned() };
    let pair = |pair: &str| match pair.split_once('=') {
        Some((name @ ("access-key" | "secret-access-key" | "session-token"), _)) => format!("{name}=xxxxxx"),
        _ => pair.to_owned(),
    };
    format!("{before}'{base}?{}'{after}", query.split('&').map(pair).collect::<Vec<_>>().join("&"))
}

fn parse(backup: bool, rest: &str) -> Option<Order> {
    let (literal, mut rest) = literal(rest)?;
    let mut options = BTreeMap::new();
    while !rest.trim_start().is_empty() {
        let (name, value) = rest.trim_start().split_once(" = ")?;
        let end = value.find(' ').unwrap_or(value.len());
        let (value, mut after) = value.split_at(end);
        match name {
            "RATE_LIMIT" => after = after.strip_prefix(" MB/SECOND")?,
            "CONCURRENCY" => {}
            "LAST_BACKUP" if backup => {}
            "CHECKSUM" if value == "TRUE" || value == "FALSE" => {}
            _ => return None,
        }
        if name != "CHECKSUM" {
            value.parse::<u64>().ok()?;
        }
        options.insert(name.to_owned(), value.to_owned());
        rest = after;
    }
    Some(Order { backup, url: url(&literal)?, options })
}

/// A string literal in single quotes, with the escapes of the default `sql_mode`.
fn literal(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.strip_prefix('\'')?.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' if chars.peek().is_some_and(|(_, next)| *next == '\'') => {
                chars.next();
                out.push('\'');
            }
            '\'' => return Some((out, &text[at + 2..])),
            '\\' => match chars.next()?.1 {
                'n' => out.push('\n'),
                'r' => out.push('\r'),
                't' => out.push('\t'),
                '0' => out.push('\0'),
                'b' => out.push('\u{8}'),
                'Z' => out.push('\u{1a}'),
                other => out.push(other),
            },
            other => out.push(other),
        }
    }
    None
}

/// `storage.ParseRawURL` and `ExtractQueryParameters`.
fn url(raw: &str) -> Option<Url> {
    let raw = raw.replace('+', "%2B");
    if raw.chars().any(|c| c.is_control() || c == ' ') {
        return None;
    }
    let raw = raw.split('#').next()?;
    let (base, query) = raw.split_once('?').unwrap_or((raw, ""));
    let (scheme, rest) = base.split_once("://")?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut parameters = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        parameters.insert(decode(name)?.to_lowercase().replace('_', "-"), decode(value)?);
    }
    let shown = if scheme == "local" || scheme == "file" { raw } else { base };
    Some(Url { scheme: scheme.into(), host: host.into(), path: decode(path)?, parameters, destination: shown.into() })
}

fn decode(text: &str) -> Option<String> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}
