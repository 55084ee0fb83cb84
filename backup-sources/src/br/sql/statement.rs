//! The statements that are sent.

use backup_core::store::ExternalLocation;
use backup_core::{Error, Result};

use super::super::codes;
use super::super::config::Encryption;
use super::super::executor::Order;
use super::super::place;

/// What BR is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Backup,
    Restore,
}

impl Kind {
    /// Both.
    pub(super) const ALL: [Self; 2] = [Self::Backup, Self::Restore];

    /// How its statement begins.
    pub(super) fn verb(self) -> &'static str {
        match self {
            Self::Backup => "BACKUP",
            Self::Restore => "RESTORE",
        }
    }

    /// What lists its tasks.
    pub(super) fn show(self) -> &'static str {
        match self {
            Self::Backup => "SHOW BACKUPS",
            Self::Restore => "SHOW RESTORES",
        }
    }
}

/// The URL of a location, credentials included.
pub(super) fn url(location: &ExternalLocation) -> Result<String> {
    place::url(&location.url, location.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

/// The statement for an order. Its only literal is a URL, which holds neither quote nor backslash: no `sql_mode` changes what arrives.
pub(super) fn text(kind: Kind, order: &Order) -> Result<String> {
    refuse_encryption(order.encryption.as_ref())?;
    let url = url(&order.location)?;
    let mut sql = match kind {
        Kind::Backup => format!("BACKUP DATABASE * TO '{url}'"),
        Kind::Restore => format!("RESTORE DATABASE * FROM '{url}'"),
    };
    if let Some(limit) = order.tuning.rate_limit {
        sql.push_str(&format!(" RATE_LIMIT = {limit} MB/SECOND"));
    }
    if let Some(threads) = order.tuning.concurrency {
        sql.push_str(&format!(" CONCURRENCY = {threads}"));
    }
    if let Some(checksum) = order.tuning.checksum {
        sql.push_str(if checksum { " CHECKSUM = TRUE" } else { " CHECKSUM = FALSE" });
    }
    if let (Kind::Backup, Some(since)) = (kind, order.since) {
        sql.push_str(&format!(" LAST_BACKUP = {since}"));
    }
    Ok(sql)
}

/// TiDB reads a key from a file of its own alone, and only since 8.0: a key of the configuration cannot get there.
pub(super) fn refuse_encryption(encryption: Option<&Encryption>) -> Result<()> {
    match encryption {
        None => Ok(()),
        Some(_) => Err(Error::new(
            &codes::CONFIG,
            "`encryption` needs the executor `br`: the statement BACKUP takes no key, only the name of a file on the TiDB server",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::config::{EncryptionMethod, Tuning};
    use super::super::super::tso::Tso;
    use super::*;

    fn order() -> Order {
        Order { location: ExternalLocation::new("file:///srv/b"), since: None, tuning: Tuning::default(), encryption: None }
    }

    #[test]
    fn what_is_unset_is_left_to_br() {
        assert_eq!(text(Kind::Backup, &order()).unwrap(), "BACKUP DATABASE * TO 'local:///srv/b'");
        assert_eq!(text(Kind::Restore, &order()).unwrap(), "RESTORE DATABASE * FROM 'local:///srv/b'");
    }

    #[test]
    fn what_is_set_is_said() {
        let mut order = order();
        order.since = Some(Tso(7));
        order.tuning = Tuning { rate_limit: Some(9), concurrency: Some(4), checksum: Some(true) };
        let options = " RATE_LIMIT = 9 MB/SECOND CONCURRENCY = 4 CHECKSUM = TRUE";
        assert_eq!(
            text(Kind::Backup, &order).unwrap(),
            format!("BACKUP DATABASE * TO 'local:///srv/b'{options} LAST_BACKUP = 7")
        );
        assert_eq!(text(Kind::Restore, &order).unwrap(), format!("RESTORE DATABASE * FROM 'local:///srv/b'{options}"));
    }

    #[test]
    fn a_key_is_refused_rather_than_left_out() {
        let mut order = order();
        order.encryption = Some(Encryption { method: EncryptionMethod::Aes128Ctr, key: "00".repeat(16).into() });
        assert_eq!(text(Kind::Backup, &order).unwrap_err().code().name, "br.config");
    }
}
