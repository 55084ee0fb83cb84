//! From a body to what a client asks for, in the order of checks of the original.

use std::collections::BTreeMap;

use backup_core::Secret;

use super::json::{Object, Unreadable, Value, misfit};
use super::names::{is_file_name, is_id, is_prefix};
use super::request::{Database, Destination, JobRequest, S3Destination, SwiftDestination, split_scheme};
use super::stage::Operation;

/// The longest value of a parameter, in bytes: the kernel's limit for one string of an environment.
const LONGEST_PARAMETER: usize = 128 << 10;
/// The longest of the other texts that become arguments of a script, in bytes.
const LONGEST_ARGUMENT: usize = 64 << 10;

/// What configuration says where a request does not.
#[derive(Debug, Clone)]
pub(super) struct Defaults {
    pub(super) s3_endpoint: String,
    pub(super) skip_storage: bool,
}

/// A body that could be decoded and has an id. It holds secrets, hence no `Debug`.
pub(super) struct Draft {
    operation: Operation,
    pub(super) id: String,
    compression: bool,
    encryption_key: String,
    skip_storage: bool,
    place: Place,
    prefix: String,
    filename: String,
    host: String,
    username: String,
    password: String,
    database: String,
    parameters: Vec<(String, String)>,
}

/// The fields of the destination type that was named; those of the other one are not even looked at.
enum Place {
    S3 {
        bucket: String,
        endpoint: String,
        key: String,
        secret: String,
        region: String,
        use_ssl: Option<bool>,
        skip_ssl: Option<bool>,
    },
    Swift {
        auth_url: String,
        domain: String,
        region: String,
        container: String,
        project: String,
        username: String,
        password: String,
    },
    Unknown,
}

/// Reads the id of a deletion.
pub(super) fn id_of(body: &[u8]) -> Result<String, Unreadable> {
    let text = String::from_utf8_lossy(body);
    let body = top(&text)?;
    checked_id(body.text("id")?)
}

fn top(text: &str) -> Result<Object<'_>, Unreadable> {
    let value = Value::first(text)?;
    match value.object() {
        Some(object) => object,
        None if value.is_null() => Ok(Object::default()),
        None => Err(misfit(value, "body", "object")),
    }
}

fn checked_id(id: String) -> Result<String, Unreadable> {
    match id.as_str() {
        "" => Err("id is empty".to_owned()),
        id if !is_id(id) => Err("id is invalid: 1 to 128 of A-Z, a-z, 0-9, '.', '_' and '-', not starting with a dot".to_owned()),
        _ => Ok(id),
    }
}

impl Draft {
    /// Decodes a body. Bytes that are no UTF-8 become replacement characters, as Go has it.
    pub(super) fn decode(operation: Operation, body: &[u8]) -> Result<Self, Unreadable> {
        let text = String::from_utf8_lossy(body);
        let body = top(&text)?;
        let destination = body.object("destination")?;
        let database = body.object(operation.as_str())?;
        let kind = destination.text("type")?;
        let draft = Self {
            operation,
            id: body.text("id")?,
            compression: body.flag("compression")?.unwrap_or_default(),
            encryption_key: body.text("encryption_key")?,
            skip_storage: destination.flag("skipStorage")?.unwrap_or_default(),
            place: Place::decode(&kind, &destination)?,
            prefix: destination.text("filenamePrefix")?,
            filename: match operation {
                Operation::Backup => String::new(),
                Operation::Restore => destination.text("filename")?,
            },
            host: database.text("host")?,
            username: database.text("username")?,
            password: database.text("password")?,
            database: database.text("database")?,
            parameters: parameters(&database)?,
        };
        checked_id(draft.id.clone())?;
        Ok(draft)
    }

    /// Refuses what is not complete or must not be, and fills in what is not given.
    pub(super) fn check(self, defaults: &Defaults) -> Result<JobRequest, String> {
        if matches!(self.place, Place::Unknown) {
            let title = self.operation.title();
            return Err(format!("{title} failed during body deserialization due to 'type not supported'"));
        }
        if let Some(missing) = self.missing() {
            return Err(missing);
        }
        self.refuse_harmful()?;
        let destination = self.place.destination(&self.prefix, defaults)?;
        Ok(JobRequest {
            operation: self.operation,
            id: self.id,
            compression: self.compression,
            encryption_key: self.encryption_key.into(),
            destination,
            skip_storage: self.skip_storage || defaults.skip_storage,
            filename: self.filename,
            database: Database {
                host: self.host,
                username: self.username,
                password: self.password.into(),
                name: self.database,
                parameters: self.parameters.into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
            },
        })
    }

    /// The words of the original for fields that are not there.
    fn missing(&self) -> Option<String> {
        let absent = |fields: &[(&str, &str)]| -> String {
            fields.iter().filter(|(_, value)| value.is_empty()).map(|(name, _)| format!(" {name}")).collect()
        };
        let mut place = match &self.place {
            Place::S3 { bucket, endpoint, key, secret, .. } => {
                let endpoint = if self.skip_storage { endpoint } else { "given" };
                absent(&[("authKey", key), ("authSecret", secret), ("bucket", bucket), ("endpoint", endpoint)])
            }
            Place::Swift { auth_url, domain, container, project, username, password, .. } => absent(&[
                ("authUrl", auth_url),
                ("domain", domain),
                ("container_name", container),
                ("project_name", project),
                ("username", username),
                ("password", password),
            ]),
            Place::Unknown => String::new(),
        };
        if self.operation == Operation::Restore {
            place += &absent(&[("filename", &self.filename)]);
        }
        let database = absent(&[
            ("database", &self.database),
            ("host", &self.host),
            ("password", &self.password),
            ("username", &self.username),
        ]);
        let mut text = absent(&[("encryption_key", &self.encryption_key)]);
        for (name, fields) in [("destination", place), (self.operation.as_str(), database)] {
            if !fields.is_empty() {
                text += &format!(" {name}({fields})");
            }
        }
        (!text.is_empty()).then(|| format!("body is missing essential fields:{text}"))
    }

    /// What would go where it must not, or could not be handed to a script.
    fn refuse_harmful(&self) -> Result<(), String> {
        if self.operation == Operation::Restore && !is_file_name(&self.filename) {
            return Err("destination.filename is invalid: it is a relative name without '..'".to_owned());
        }
        if !is_prefix(&self.prefix) {
            return Err("destination.filenamePrefix is invalid: it is a relative name without '..'".to_owned());
        }
        let db = self.operation.as_str();
        let arguments = [
            ("encryption_key".to_owned(), &self.encryption_key),
            (format!("{db}.host"), &self.host),
            (format!("{db}.username"), &self.username),
            (format!("{db}.password"), &self.password),
            (format!("{db}.database"), &self.database),
        ];
        for (name, value) in &arguments {
            if value.contains('\0') || value.len() > LONGEST_ARGUMENT {
                return Err(format!("{name} holds a zero byte or is longer than {LONGEST_ARGUMENT} bytes"));
            }
        }
        for (name, value) in self.place.texts() {
            if value.contains(char::is_control) || value.len() > LONGEST_ARGUMENT {
                return Err(format!("destination.{name} holds a control character or is longer than {LONGEST_ARGUMENT} bytes"));
            }
        }
        for (name, value) in &self.parameters {
            if value.contains('\0') || value.len() > LONGEST_PARAMETER {
                return Err(format!(
                    "the parameter {:?} holds a zero byte or is longer than {LONGEST_PARAMETER} bytes",
                    shown(name)
                ));
            }
        }
        Ok(())
    }
}

impl Place {
    fn decode(kind: &str, fields: &Object<'_>) -> Result<Self, Unreadable> {
        Ok(match kind {
            "S3" => Self::S3 {
                bucket: fields.text("bucket")?,
                endpoint: fields.text("endpoint")?,
                key: fields.text("authKey")?,
                secret: fields.text("authSecret")?,
                region: fields.text("region")?,
                use_ssl: fields.flag("useSSL")?,
                skip_ssl: fields.flag("skipSSL")?,
            },
            "SWIFT" => Self::Swift {
                auth_url: fields.text("authUrl")?,
                domain: fields.text("domain")?,
                region: fields.text("region")?,
                container: fields.text("container_name")?,
                project: fields.text("project_name")?,
                username: fields.text("username")?,
                password: fields.text("password")?,
            },
            _ => Self::Unknown,
        })
    }

    fn texts(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::S3 { bucket, endpoint, key, secret, region, .. } => {
                vec![("bucket", bucket), ("endpoint", endpoint), ("authKey", key), ("authSecret", secret), ("region", region)]
            }
            Self::Swift { auth_url, domain, region, container, project, username, password } => vec![
                ("authUrl", auth_url),
                ("domain", domain),
                ("region", region),
                ("container_name", container),
                ("project_name", project),
                ("username", username),
                ("password", password),
            ],
            Self::Unknown => Vec::new(),
        }
    }

    fn destination(self, prefix: &str, defaults: &Defaults) -> Result<Destination, String> {
        // It is shown to whoever polls, and kept.
        let with_credentials = |url: &str| url.contains('@');
        let prefix = prefix.to_owned();
        match self {
            Self::S3 { bucket, endpoint, key, secret, region, use_ssl, skip_ssl } => {
                let endpoint = if endpoint.is_empty() { defaults.s3_endpoint.clone() } else { endpoint };
                if with_credentials(&endpoint) {
                    return Err("destination.endpoint is invalid: it holds credentials".to_owned());
                }
                let by_scheme = || split_scheme(&endpoint).map(|(scheme, _)| scheme == "https");
                let tls = use_ssl.or(skip_ssl.map(|skip| !skip)).or_else(by_scheme).unwrap_or_default();
                let (access_key, secret_key) = (key.into(), secret.into());
                Ok(Destination::S3(S3Destination { endpoint, tls, region, bucket, prefix, access_key, secret_key }))
            }
            Self::Swift { auth_url, domain, region, container, project, username, password } => {
                if with_credentials(&auth_url) {
                    return Err("destination.authUrl is invalid: it holds credentials".to_owned());
                }
                let password = password.into();
                Ok(Destination::Swift(SwiftDestination {
                    auth_url,
                    domain,
                    region,
                    container,
                    project,
                    prefix,
                    username,
                    password,
                }))
            }
            Self::Unknown => Err("type not supported".to_owned()),
        }
    }
}

/// Names and values of `parameters`: an array of flat objects, or one such object. The last one of a name counts.
fn parameters(database: &Object<'_>) -> Result<Vec<(String, String)>, Unreadable> {
    let Some(value) = database.value("parameters") else { return Ok(Vec::new()) };
    let objects = match (value.items(), value.object()) {
        (Some(items), _) => items,
        (None, Some(_)) => vec![value],
        (None, None) => return Err(misfit(value, "parameters", "array")),
    };
    let mut all = BTreeMap::new();
    for item in objects {
        if item.is_null() {
            continue;
        }
        let object = item.object().ok_or_else(|| misfit(item, "parameters", "object"))??;
        for (name, value) in object.members() {
            let text = match value.kind() {
                "string" => value.string().unwrap_or_else(|| Ok(String::new()))?,
                // As Go prints what is not there.
                "null" => "<nil>".to_owned(),
                "object" | "array" => {
                    return Err(format!("the parameter {:?} is nested: only simple types can be used", shown(name)));
                }
                _ => value.written().to_owned(),
            };
            all.insert(name.to_owned(), text);
        }
    }
    Ok(all.into_iter().collect())
}

/// The beginning of a name that a client chose, for a message.
fn shown(name: &str) -> String {
    name.chars().take(80).collect()
}
