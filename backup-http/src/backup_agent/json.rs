//! JSON as leniently as Go's decoder reads it into structs: unknown keys, repeated keys (the last one counts), keys in any letter case,
//! `null` for "not given", and whatever follows the first value. Numbers keep the form in which they were written.

use serde::de::IgnoredAny;

/// Why a body cannot be read. The text is for the client.
pub(super) type Unreadable = String;

/// A JSON value whose syntax was checked, as its text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'a>(&'a str);

/// An object, or several of one name read as one.
#[derive(Debug, Clone, Default)]
pub(super) struct Object<'a>(Vec<(String, Value<'a>)>);

impl<'a> Value<'a> {
    /// The first value of `text`.
    pub(super) fn first(text: &'a str) -> Result<Self, Unreadable> {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
        match values.next() {
            None => Err("EOF".to_owned()),
            Some(Err(error)) if error.is_eof() => Err("unexpected EOF".to_owned()),
            Some(Err(error)) => Err(error.to_string()),
            Some(Ok(_)) => Ok(Self(text.get(..values.byte_offset()).unwrap_or_default().trim())),
        }
    }

    pub(super) fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// What it is, in words.
    pub(super) fn kind(self) -> &'static str {
        match self.0.as_bytes().first() {
            Some(b'{') => "object",
            Some(b'[') => "array",
            Some(b'"') => "string",
            Some(b't' | b'f') => "bool",
            Some(b'n') => "null",
            _ => "number",
        }
    }

    /// The text of a string; `None` for anything else.
    pub(super) fn string(self) -> Option<Result<String, Unreadable>> {
        (self.kind() == "string").then(|| serde_json::from_str(self.0).map_err(|error| error.to_string()))
    }

    /// As it was written.
    pub(super) fn written(self) -> &'a str {
        self.0
    }

    /// The items of an array; `None` for anything else.
    pub(super) fn items(self) -> Option<Vec<Self>> {
        (self.kind() == "array").then(|| parts(self.0).into_iter().map(|(_, value)| value).collect())
    }

    /// The members of an object; `None` for anything else.
    pub(super) fn object(self) -> Option<Result<Object<'a>, Unreadable>> {
        if self.kind() != "object" {
            return None;
        }
        let named = |(name, value): (Option<Self>, Self)| {
            let name = name.and_then(Self::string).unwrap_or_else(|| Ok(String::new()))?;
            Ok((name, value))
        };
        Some(parts(self.0).into_iter().map(named).collect::<Result<_, _>>().map(Object))
    }
}

impl<'a> Object<'a> {
    /// Every member, in order.
    pub(super) fn members(&self) -> impl Iterator<Item = (&str, Value<'a>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// The values given for `name`, in order.
    fn given(&self, name: &str) -> impl Iterator<Item = Value<'a>> {
        let wanted = |found: &str| found.eq_ignore_ascii_case(name);
        self.0.iter().filter(move |(found, value)| wanted(found) && !value.is_null()).map(|(_, value)| *value)
    }

    /// The last value of `name` that is not null.
    pub(super) fn value(&self, name: &str) -> Option<Value<'a>> {
        self.given(name).last()
    }

    /// A text; `""` when it is not given.
    pub(super) fn text(&self, name: &str) -> Result<String, Unreadable> {
        let mut text = String::new();
        for value in self.given(name) {
            text = value.string().ok_or_else(|| misfit(value, name, "string"))??;
        }
        Ok(text)
    }

    /// A truth, `None` when it is not given.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Unreadable> {
        let mut flag = None;
        for value in self.given(name) {
            flag = Some(value.written().parse().map_err(|_| misfit(value, name, "bool"))?);
        }
        Ok(flag)
    }

    /// An object; empty when it is not given. Given twice, the second adds to the first.
    pub(super) fn object(&self, name: &str) -> Result<Self, Unreadable> {
        let mut all = Self::default();
        for value in self.given(name) {
            all.0.extend(value.object().ok_or_else(|| misfit(value, name, "object"))??.0);
        }
        Ok(all)
    }
}

/// Go's words for a value of a wrong type.
pub(super) fn misfit(value: Value<'_>, name: &str, wanted: &str) -> Unreadable {
    format!("json: cannot unmarshal {} into field {name} of type {wanted}", value.kind())
}

/// The members of an object or the items of an array. The syntax was checked before.
fn parts(text: &str) -> Vec<(Option<Value<'_>>, Value<'_>)> {
    let mut parts = Vec::new();
    let (mut name, mut from, mut depth) = (None, 1, 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    let piece = |from: usize, to: usize| Value(text.get(from..to).unwrap_or_default().trim());
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b':' if depth == 1 => (name, from) = (Some(piece(from, at)), at + 1),
            b',' if depth == 1 => {
                parts.push((name.take(), piece(from, at)));
                from = at + 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && !piece(from, at).0.is_empty() {
                    parts.push((name.take(), piece(from, at)));
                }
            }
            _ => {}
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object<'_> {
        Value::first(text).unwrap().object().unwrap().unwrap()
    }

    #[test]
    fn the_last_of_repeated_keys_in_any_letter_case_counts_and_null_is_not_given() {
        let read = object(r#" {"ID": "a", "id" : "b,}{\"]", "Id": null, "x": [1, {"id": "no"}], "n": {"id": "no"} } trailing"#);
        assert_eq!(read.text("id").unwrap(), "b,}{\"]");
        assert_eq!(read.text("other").unwrap(), "");
        assert_eq!(object("{}").members().count(), 0);
        assert_eq!(object("{ }").members().count(), 0);
    }

    #[test]
    fn values_are_told_apart_and_keep_their_form() {
        let read = object(r#"{"a":[1e6, 2.0 ,-0,"t",true,null,[ ],{}],"b":true,"s":"A\n"}"#);
        let items = read.value("a").unwrap().items().unwrap();
        let written: Vec<_> = items.iter().map(|item| (item.kind(), item.written())).collect();
        assert_eq!(
            written,
            [
                ("number", "1e6"),
                ("number", "2.0"),
                ("number", "-0"),
                ("string", "\"t\""),
                ("bool", "true"),
                ("null", "null"),
                ("array", "[ ]"),
                ("object", "{}"),
            ]
        );
        assert_eq!(read.flag("B").unwrap(), Some(true));
        assert_eq!(read.text("s").unwrap(), "A\n");
        assert!(Value::first("[]").unwrap().items().unwrap().is_empty());
        assert!(Value::first("1").unwrap().object().is_none());
    }

    #[test]
    fn a_value_of_a_wrong_type_is_refused_also_when_a_right_one_follows() {
        let read = object(r#"{"a":1,"a":"x","b":"true","c":[],"d":"x"}"#);
        assert!(read.text("a").unwrap_err().contains("cannot unmarshal number into field a of type string"));
        assert!(read.flag("b").is_err() && read.object("c").is_err() && read.object("d").is_err());
    }

    #[test]
    fn an_object_given_twice_is_read_as_one() {
        let read = object(r#"{"d":{"a":"1","b":"2"},"D":{"B":"3"},"d":null}"#);
        let inner = read.object("d").unwrap();
        assert_eq!((inner.text("a").unwrap(), inner.text("b").unwrap()), ("1".into(), "3".into()));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for (text, why) in [("", "EOF"), ("  ", "EOF"), ("{\"a\":", "unexpected EOF"), ("{\"a\":1,}", "key must be a string")] {
            assert!(Value::first(text).unwrap_err().contains(why), "{text}: {:?}", Value::first(text));
        }
        for text in ["{a:1}", "{'a':1}", "nul", "{\"a\":01}", "{\"a\" 1}", "\u{feff}{}"] {
            assert!(Value::first(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nesting_without_end_costs_no_stack() {
        let deep = "[".repeat(500_000) + &"]".repeat(500_000);
        let text = format!("{{\"x\":{deep},\"id\":\"a\"}}");
        assert_eq!(object(&text).text("id").unwrap(), "a");
    }
}
