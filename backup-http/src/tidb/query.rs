//! What a list is asked for: in the query, or in the body of the `GET`.

use backup_core::Bytes;
use serde::de::DeserializeOwned;

use super::dto::QueryBody;
use super::errors::{Failure, MARSHAL, PARAMETER};
use super::id::RecordId;
use super::records::Filter;

/// Records of a page unless it is said.
const SIZE: i64 = 10;

/// Records of a page at most.
const LONGEST: i64 = 1000;

/// A list that is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query {
    /// `None` when nothing can be chosen: no record has such an id.
    pub(super) filter: Option<Filter>,
    pub(super) page: u64,
    pub(super) size: u64,
}

/// A body of JSON.
///
/// # Errors
/// 10004.
pub(super) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    // The error's own text could repeat what the client sent.
    let unreadable = |error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        MARSHAL.because(format!("the body is not the JSON that is expected: line {line}, column {column}"))
    };
    serde_json::from_slice(body).map_err(unreadable)
}

impl Query {
    /// Reads both; what the query says wins.
    ///
    /// # Errors
    /// 10004 for what is no number, 10001 for what is out of range.
    pub(super) fn read(pairs: &[(String, String)], body: &Bytes) -> Result<Self, Failure> {
        let body: QueryBody = if body.is_empty() { QueryBody::default() } else { decode(body)? };
        let text = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let text = |name: &str| text(name).filter(|value| !value.is_empty());
        let number = |name: &str, given: Option<i64>| match text(name) {
            Some(value) => value.parse::<i64>().map(Some).map_err(|_| MARSHAL.because(format!("{name} is no number"))),
            None => Ok(given),
        };
        let within = |name: &str, value: i64, most: i64| match u64::try_from(value) {
            Ok(value @ 1..) if i64::try_from(value).is_ok_and(|value| value <= most) => Ok(value),
            _ => Err(PARAMETER.because(format!("{name} is {value}; it is from 1 to {most}"))),
        };
        let (from, until) = (number("startTime", body.start_time)?, number("endTime", body.end_time)?);
        let (page, size) = (number("page", body.page)?, number("pageSize", body.page_size)?);
        let (page, size) = (within("page", page.unwrap_or(1), i64::MAX)?, within("pageSize", size.unwrap_or(SIZE), LONGEST)?);
        let given = |name: &str, value: Option<String>| text(name).map(str::to_owned).or(value).filter(|value| !value.is_empty());
        let id = given("backupId", body.backup_id).map(|id| RecordId::parse(&id));
        let active = |time: Option<i64>| time.filter(|time| *time > 0);
        let filter =
            Filter { cluster: given("clusterId", body.cluster_id), id: id.flatten(), from: active(from), until: active(until) };
        Ok(Self { filter: (id != Some(None)).then_some(filter), page, size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str, body: &str) -> Result<Query, Failure> {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let pairs: Vec<_> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Query::read(&pairs, &Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn the_query_wins_over_the_body_and_defaults_are_those_of_the_contract() {
        let found = read("", "").unwrap();
        assert_eq!((found.page, found.size, found.filter), (1, 10, Some(Filter::default())));
        let found = read("clusterId=a&page=2", r#"{"clusterId":"b","page":3,"pageSize":4,"startTime":5,"endTime":0}"#).unwrap();
        assert_eq!((found.page, found.size), (2, 4));
        let filter = found.filter.unwrap();
        assert_eq!((filter.cluster.as_deref(), filter.from, filter.until), (Some("a"), Some(5), None));
        assert_eq!(read("backupId=x", "").unwrap().filter, None);
        assert_eq!(read("page=9223372036854775807&pageSize=1000", "").unwrap().page, u64::try_from(i64::MAX).unwrap());
    }

    #[test]
    fn what_is_no_number_and_what_is_out_of_range_are_told_apart() {
        for query in ["page=x", "pageSize=1.5", "startTime=now", "endTime=99999999999999999999", "page=+-1"] {
            assert!(read(query, "").unwrap_err().is(MARSHAL), "{query}");
        }
        for query in ["page=0", "page=-1", "pageSize=0", "pageSize=1001", "pageSize=-5"] {
            assert!(read(query, "").unwrap_err().is(PARAMETER), "{query}");
        }
        for body in ["x", "[]", r#"{"page":"1"}"#, r#"{"page":1} x"#, r#"{"clusterId":5}"#] {
            assert!(read("", body).unwrap_err().is(MARSHAL), "{body}");
        }
    }
}
