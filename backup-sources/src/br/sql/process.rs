//! The statements that a TiDB server works on, by its process list. It alone tells that something works: `SHOW BACKUPS` forgets tasks that
//! work (`clearTask`, tidb#47505), and calls a step canceled that only ended early (`brieTaskProgress.Close`).

use mysql_async::Row;

use super::super::place::Place;
use super::rows::{number, text};
use super::statement::Kind;

/// Who this connection is, and where it ends.
pub(super) const WHO: &str = "SELECT CONNECTION_ID() AS ID, @@hostname AS SERVER_HOST, @@port AS SERVER_PORT";
/// What works on the server. In one statement with the server's name, as a proxy may move a connection between two; our own row is among
/// them, so that there is always one. Without the right PROCESS a user sees what is his.
pub(super) const LIST: &str = "SELECT @@hostname AS SERVER_HOST, @@port AS SERVER_PORT, ID, USER, INFO FROM INFORMATION_SCHEMA.PROCESSLIST \
                               WHERE INFO LIKE 'BACKUP %' OR INFO LIKE 'RESTORE %' OR ID = CONNECTION_ID()";

/// Which TiDB server of those behind an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server(String, String);

impl Server {
    pub(super) fn read(rows: &[Row]) -> Option<Self> {
        let row = rows.first()?;
        Some(Self(text(row, "SERVER_HOST")?, text(row, "SERVER_PORT")?))
    }
}

/// The connection's number, and the server that gave it.
pub(super) fn who(rows: &[Row]) -> Option<(u64, Server)> {
    Some((number(rows.first()?, "ID")?, Server::read(rows)?))
}

/// A BACKUP or RESTORE that a server works on, or that waits there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Process {
    pub(super) connection: u64,
    pub(super) user: String,
    pub(super) kind: Kind,
    /// `None` where it could not be read from the text.
    pub(super) place: Option<Place>,
}

impl Process {
    /// `None` for other statements.
    pub(super) fn read(row: &Row) -> Option<Self> {
        let statement = text(row, "INFO")?;
        let (kind, place) = parse(&statement)?;
        Some(Self { connection: number(row, "ID")?, user: text(row, "USER").unwrap_or_default(), kind, place })
    }
}

/// TiDB shows the statement written anew, its credentials struck out (`BRIEStmt.SecureText`).
fn parse(statement: &str) -> Option<(Kind, Option<Place>)> {
    let (verb, rest) = statement.trim_start().split_once(char::is_whitespace)?;
    let kind = Kind::ALL.into_iter().find(|kind| verb.eq_ignore_ascii_case(kind.verb()))?;
    // Without the names of databases and tables, in which quotes may stand.
    let plain: String = rest.split('`').step_by(2).collect();
    let literal = plain.find(['\'', '"']).and_then(|at| {
        let (quote, text) = plain.get(at..)?.split_at_checked(1)?;
        text.split(quote).next()
    });
    Some((kind, literal.filter(|url| !url.is_empty()).map(Place::shown)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_read_from_the_statement_without_its_parameters() {
        let place = |url: &str| Some(Place::shown(url));
        for (statement, expected) in [
            ("BACKUP DATABASE * TO 'local:///srv/a%20b'", Some((Kind::Backup, place("local:///srv/a%20b")))),
            (
                "RESTORE DATABASE * FROM 's3://b/p?access-key=xxxxxx&x=y' RATE_LIMIT = 1 MB/SECOND",
                Some((Kind::Restore, place("s3://b/p"))),
            ),
            ("backup table `it's`.`t` to \"s3://b/p\"", Some((Kind::Backup, place("s3://b/p")))),
            ("BACKUP DATABASE * TO ''", Some((Kind::Backup, None))),
            ("SELECT 'BACKUP DATABASE * TO \\'s3://b/p\\''", None),
            ("BACKUPS", None),
        ] {
            assert_eq!(parse(statement), expected, "{statement}");
        }
    }
}
