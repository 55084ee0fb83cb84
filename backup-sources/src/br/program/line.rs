//! A line of BR's log: `[time] [LEVEL] [file:line] [message] [key=value]…` (the "unified log format" of TiDB, an RFC of pingcap/tidb).

use std::borrow::Cow;

/// What one says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) level: Cow<'a, str>,
    pub(super) message: Cow<'a, str>,
    fields: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Line<'a> {
    /// Reads one; `None` for text that is none. Of a line that was cut, what is there.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (time, rest) = item(text)?;
        let (level, rest) = item(rest)?;
        let (file, rest) = item(rest)?;
        let (message, mut rest) = item(rest)?;
        if [&time, &level, &file].iter().any(|head| head.1.is_some()) {
            return None;
        }
        // Old versions say `took=3s` in a message without quotes, too.
        let mut line = Self { level: level.0, message: message.0, fields: Vec::new() };
        while let Some(((key, value), after)) = item(rest) {
            line.fields.extend(value.map(|value| (key, value)));
            rest = after;
        }
        Some(line)
    }

    /// The value of a field, by its name in lower case with hyphens; versions differ in how they write it.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let same = |key: &str| {
            key.len() == name.len()
                && key.bytes().zip(name.bytes()).all(|(a, b)| a.eq_ignore_ascii_case(&b) || (a == b' ' && b == b'-'))
        };
        self.fields.iter().find(|(key, _)| same(key)).map(|(_, value)| value.as_ref())
    }
}

type Item<'a> = (Cow<'a, str>, Option<Cow<'a, str>>);

/// The text or the pair in the next brackets.
fn item(text: &str) -> Option<(Item<'_>, &str)> {
    let inside = text.trim_start().strip_prefix('[')?;
    let (key, rest) = token(inside, &['=', ']']);
    let (value, rest) = match rest.strip_prefix('=') {
        Some(rest) => {
            let (value, rest) = token(rest, &[']']);
            (Some(value), rest)
        }
        None => (None, rest),
    };
    // A line that was cut ends without one.
    Some(((key, value), rest.strip_prefix(']').unwrap_or_default()))
}

/// Text in quotes, or up to one of `ends`.
fn token<'a>(text: &'a str, ends: &[char]) -> (Cow<'a, str>, &'a str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (token, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
        return (Cow::Borrowed(token), rest);
    };
    let mut plain = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (Cow::Owned(plain), quoted.get(at + 1..).unwrap_or_default()),
            '\\' => match chars.next().map(|(_, escaped)| escaped) {
                Some('n') => plain.push('\n'),
                Some('r') => plain.push('\r'),
                Some('t') => plain.push('\t'),
                Some(other) => plain.push(other),
                None => break,
            },
            char => plain.push(char),
        }
    }
    (Cow::Owned(plain), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_are_read_with_and_without_quotes() {
        let text = r#"[2023/02/10 05:20:39.147 +00:00] [INFO] [collector.go:69] ["Full Backup success summary"] [total-ranges=22] ["backup total regions"=2] [note="a \"b\" ]=[\n"] [BackupTS=439330705621123078] [Size=74346]"#;
        let line = Line::parse(text).unwrap();
        assert_eq!((&*line.level, &*line.message), ("INFO", "Full Backup success summary"));
        for (name, value) in
            [("backupts", "439330705621123078"), ("size", "74346"), ("backup-total-regions", "2"), ("note", "a \"b\" ]=[\n")]
        {
            assert_eq!(line.field(name), Some(value));
        }
        assert_eq!(line.field("total"), None);
    }

    #[test]
    fn wherever_a_line_is_cut_it_is_read_up_to_there_or_not_at_all() {
        let text =
            r#"[2023/02/10 05:20:39.147 +00:00] [INFO] [progress.go:160] [progress] [step="Full Backup"] [progress=17.12%]"#;
        assert_eq!(Line::parse(text).unwrap().field("progress"), Some("17.12%"));
        for at in 0..text.len() {
            if let Some(line) = Line::parse(&text[..at]) {
                assert!("progress".starts_with(&*line.message) && "17.12%".starts_with(line.field("progress").unwrap_or("")));
            }
        }
    }

    #[test]
    fn other_text_is_no_line() {
        for text in ["", "Detail BR log in /tmp/br.log", "[", "[a] [b]", "[k=v] [a] [b] [c]", "Error: [BR:PD:x]no"] {
            assert_eq!(Line::parse(text), None, "{text:?}");
        }
    }
}
