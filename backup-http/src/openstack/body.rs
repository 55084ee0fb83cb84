//! Bodies: read whole within a bound, and their fields taken as the original's framework takes them.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::StatusCode;
use backup_core::Bytes;
use futures::StreamExt;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use serde_json::{Map, Value, json};

use super::errors::Failure;

/// Bytes of a body of ours at most.
const LONGEST: usize = 256 * 1024;

/// A body that was read to its end, or is too long to be one of ours.
pub(super) enum Read {
    Whole(Bytes),
    /// As if it had not been read.
    Longer(Body),
}

/// Reads a body that may have to be passed on. At most [`LONGEST`] bytes are held.
pub(super) async fn read(body: Body) -> Result<Read, Failure> {
    let whole = HttpBody::size_hint(&body).exact();
    let mut stream = body.into_data_stream();
    let (mut head, mut length) = (Vec::new(), 0);
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|_| Failure::bad("The request body cannot be read!"))?;
        length += piece.len();
        head.push(piece);
        if length > LONGEST {
            let head = futures::stream::iter(head.into_iter().map(Ok));
            let body = Body::from_stream(head.chain(stream));
            return Ok(Read::Longer(match whole {
                Some(left) => Body::new(OfLength { body, left }),
                None => body,
            }));
        }
    }
    Ok(Read::Whole(head.concat().into()))
}

/// A body whose length was said: it is said again where it is passed on.
struct OfLength {
    body: Body,
    left: u64,
}

impl HttpBody for OfLength {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            self.left = self.left.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
        }
        frame
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// The body of a request, as the object that it holds below `root`.
pub(super) async fn object(request: Request, root: &str) -> Result<Fields, Failure> {
    below(&value(request).await?, root)
}

/// The body of a request of ours.
pub(super) async fn value(request: Request) -> Result<Value, Failure> {
    let limited = http_body_util::Limited::new(request.into_body(), LONGEST);
    let bytes = match limited.collect().await {
        Ok(read) => read.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "The request body is too large!"));
        }
        Err(_) => return Err(Failure::bad("The request body cannot be read!")),
    };
    parse(&bytes)
}

/// # Errors
/// 422 for what is no JSON.
fn parse(bytes: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(bytes).map_err(|error| {
        let place = if bytes.is_empty() { json!(["body"]) } else { json!(["body", error.column()]) };
        match bytes.is_empty() {
            true => Failure::shape(vec![fault("missing", &place, "Field required")]),
            false => Failure::shape(vec![fault("json_invalid", &place, "JSON decode error")]),
        }
    })
}

/// The object under a key of the object that `value` has to be.
pub(super) fn below(value: &Value, root: &str) -> Result<Fields, Failure> {
    let refused = |kind, place, text| Err(Failure::shape(vec![fault(kind, &place, text)]));
    const NO_OBJECT: &str = "Input should be a valid dictionary or object to extract fields from";
    match value.as_object().map(|object| object.get(root)) {
        None => refused("model_attributes_type", json!(["body"]), NO_OBJECT),
        Some(None) => refused("missing", json!(["body", root]), "Field required"),
        Some(Some(Value::Object(fields))) => {
            Ok(Fields { place: vec![json!("body"), json!(root)], given: fields.clone(), faults: Vec::new() })
        }
        Some(Some(_)) => refused("model_attributes_type", json!(["body", root]), NO_OBJECT),
    }
}

fn fault(kind: &str, place: &Value, text: &str) -> Value {
    json!({ "type": kind, "loc": place, "msg": text })
}

/// The fields of an object. Those that nobody asks for are ignored.
pub(super) struct Fields {
    place: Vec<Value>,
    given: Map<String, Value>,
    faults: Vec<Value>,
}

impl Fields {
    fn fault(&mut self, kind: &str, name: &str, text: &str) {
        let mut place = self.place.clone();
        place.push(json!(name));
        self.faults.push(fault(kind, &Value::Array(place), text));
    }

    /// Whether it was given at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// A text that has to be there.
    pub(super) fn required(&mut self, name: &str) -> String {
        if !self.has(name) {
            self.fault("missing", name, "Field required");
        }
        self.text(name)
    }

    /// A text, empty when absent.
    pub(super) fn text(&mut self, name: &str) -> String {
        match self.given.remove(name) {
            None => String::new(),
            Some(Value::String(text)) => text,
            Some(_) => {
                self.fault("string_type", name, "Input should be a valid string");
                String::new()
            }
        }
    }

    /// A number, `None` when absent.
    pub(super) fn number(&mut self, name: &str) -> Option<i64> {
        let given = self.given.remove(name)?;
        let number = match &given {
            Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            Value::String(text) => text.trim().parse().ok(),
            Value::Bool(yes) => Some(i64::from(*yes)),
            _ => None,
        };
        if number.is_none() {
            self.fault("int_parsing", name, "Input should be a valid integer");
        }
        number
    }

    /// A truth value, false when absent.
    pub(super) fn flag(&mut self, name: &str) -> bool {
        let Some(given) = self.given.remove(name) else { return false };
        let flag = match &given {
            Value::Bool(yes) => Some(*yes),
            Value::String(text) => truth(text),
            Value::Number(number) => match number.as_f64() {
                Some(0.0) => Some(false),
                Some(1.0) => Some(true),
                _ => None,
            },
            _ => None,
        };
        if flag.is_none() {
            self.fault("bool_parsing", name, "Input should be a valid boolean, unable to interpret input");
        }
        flag.unwrap_or_default()
    }

    /// A list, empty when absent.
    pub(super) fn list(&mut self, name: &str) -> Vec<Value> {
        match self.given.remove(name) {
            None => Vec::new(),
            Some(Value::Array(list)) => list,
            Some(_) => {
                self.fault("list_type", name, "Input should be a valid list");
                Vec::new()
            }
        }
    }

    /// An object, empty when absent.
    pub(super) fn map(&mut self, name: &str) -> Map<String, Value> {
        match self.given.remove(name) {
            None => Map::new(),
            Some(Value::Object(map)) => map,
            Some(_) => {
                self.fault("dict_type", name, "Input should be a valid dictionary");
                Map::new()
            }
        }
    }

    /// # Errors
    /// 422 with all that was wrong.
    pub(super) fn end(self) -> Result<(), Failure> {
        match self.faults.is_empty() {
            true => Ok(()),
            false => Err(Failure::shape(self.faults)),
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "it is whole and within 53 bits")]
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
}

/// A truth value as the original's framework reads it.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
        _ => None,
    }
}
