//! What TiDB's refusals and a broken connection mean.

use backup_core::{Effect, Error};
use mysql_async::{DriverError, IoError, ServerError};

use super::super::{codes, failure};
use super::clean::Cleaner;

/// Codes of MySQL for a login that failed: wrong password, no password, an unknown or refused way to log in.
const LOGIN: [u16; 5] = [1045, 1251, 1524, 1698, 3118];
/// Codes for a right that is missing; 8121 is TiDB's own.
const DENIED: [u16; 7] = [1044, 1142, 1143, 1227, 1370, 3619, 8121];
/// Too many connections, and a server that shuts down.
const BUSY: [u16; 2] = [1040, 1053];
/// The statement is none that this TiDB knows.
const SYNTAX: u16 = 1064;
/// Somebody killed the statement.
const INTERRUPTED: u16 = 1317;

/// How a statement went wrong.
#[derive(Debug)]
pub(super) enum Fault {
    /// TiDB said no; the connection still stands.
    Refused { code: u16, error: Error },
    /// Nobody knows what TiDB did.
    Lost(Error),
}

impl Fault {
    pub(super) fn of(error: mysql_async::Error, address: &str, cleaner: &Cleaner) -> Self {
        match error {
            mysql_async::Error::Server(refusal) => {
                Self::Refused { code: refusal.code, error: refused(&refusal, address, cleaner) }
            }
            other => {
                let text = failure::shown(&cleaner.clean(&other.to_string()));
                let code = if of_tls(&other) { &codes::CONFIG } else { &codes::UNREACHABLE };
                Self::Lost(Error::new(code, format!("TiDB at {address}: {text}")))
            }
        }
    }

    /// The error of a statement that changes nothing.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Refused { error, .. } | Self::Lost(error) => error,
        }
    }

    /// Whether TiDB turned the statement down before it did anything.
    pub(super) fn before_the_start(code: u16) -> bool {
        LOGIN.contains(&code) || DENIED.contains(&code) || code == SYNTAX
    }
}

/// Whether the two sides do not agree on TLS: certificates, or that it is spoken at all.
fn of_tls(error: &mysql_async::Error) -> bool {
    match error {
        mysql_async::Error::Io(IoError::Tls(_)) | mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer) => true,
        mysql_async::Error::Io(IoError::Io(error)) => error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()),
        _ => false,
    }
}

fn refused(refusal: &ServerError, address: &str, cleaner: &Cleaner) -> Error {
    let text = cleaner.clean(&refusal.message);
    let of = |code| Error::new(code, failure::shown(&text));
    let error = match refusal.code {
        code if LOGIN.contains(&code) => of(&codes::LOGIN),
        code if DENIED.contains(&code) => of(&codes::DENIED),
        code if BUSY.contains(&code) => of(&codes::UNREACHABLE),
        SYNTAX => of(&codes::CONFIG),
        INTERRUPTED => of(&codes::ENDED),
        _ => failure::of(&text),
    };
    error.context(format!("TiDB at {address}, error {}", refusal.code))
}

/// The error for a task whose end nobody saw.
pub(super) fn unknown(text: String) -> Error {
    Error::new(&codes::UNREACHABLE, text).with_effect(Effect::Unknown)
}
