//! Backups as BR leaves them, by other hands: `protoc` writes the messages, `openssl` encrypts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use backup_core::testkit::note_secret;
use backup_core::{Digest, Secret};

use crate::br::config::{Encryption, EncryptionMethod};
use crate::br::meta::BACKUP_META;

pub(in crate::br) const CLUSTER: u64 = 7_190_238_473_829_104_857;
pub(in crate::br) const BACKUP_TS: u64 = 432_834_567_783_317_505;
pub(in crate::br) const EARLIER_TS: u64 = 432_834_000_000_000_000;

/// The files of one backup.
#[derive(Debug, Clone, Default)]
pub(in crate::br) struct Laid {
    pub(in crate::br) files: BTreeMap<String, Vec<u8>>,
    pub(in crate::br) encryption: Option<Encryption>,
}

/// True when the programs are there; says so otherwise.
pub(in crate::br) fn tools() -> bool {
    let missing: Vec<_> = ["protoc", "openssl"].into_iter().filter(|tool| !runs(tool)).collect();
    if missing.is_empty() {
        return true;
    }
    assert!(std::env::var("BACKUP_TEST_REAL").as_deref() != Ok("1"), "not installed: {missing:?}");
    println!("SKIPPED: not installed: {missing:?}");
    false
}

fn runs(tool: &str) -> bool {
    let argument = if tool == "openssl" { "version" } else { "--version" };
    Command::new(tool).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Bytes through a program.
fn pipe(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A message from its text form.
pub(in crate::br) fn encode(message: &str, text: &str) -> Vec<u8> {
    let fixtures = concat!("--proto_path=", env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    pipe("protoc", &[fixtures, &format!("--encode=backup.{message}"), "brpb.proto"], text.as_bytes())
}

fn openssl(encryption: &Encryption, iv: &[u8], plain: &[u8]) -> Vec<u8> {
    let method = match encryption.method {
        EncryptionMethod::Aes128Ctr => "-aes-128-ctr",
        EncryptionMethod::Aes192Ctr => "-aes-192-ctr",
        EncryptionMethod::Aes256Ctr => "-aes-256-ctr",
    };
    pipe("openssl", &["enc", method, "-K", encryption.key.expose(), "-iv", &hex::encode(iv)], plain)
}

/// Bytes as the text form has them.
pub(in crate::br) fn quoted(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "\\x{byte:02x}").unwrap();
        text
    })
}

pub(in crate::br) fn encryption(method: EncryptionMethod) -> Encryption {
    let key: String = (0..method.key_len()).map(|at| format!("{:02x}", (at * 37 + 11) % 256)).collect();
    note_secret(&key);
    Encryption { method, key: Secret::new(key) }
}

/// Bytes of an SST, or whatever; different for each seed.
pub(in crate::br) fn content(seed: usize) -> Vec<u8> {
    (0..2_000 + seed * 700).map(|at| (at * 31 + seed * 17 + at / 255) as u8).collect()
}

impl Laid {
    pub(in crate::br) fn encrypted(method: EncryptionMethod) -> Self {
        Self { encryption: Some(encryption(method)), ..Self::default() }
    }

    /// Lays down the SST `seed`; its `File`. Its sums are (2^seed, 10 x seed, 100 x seed).
    pub(in crate::br) fn sst(&mut self, seed: usize) -> String {
        let name = format!("{}/{}_{}_{}_write.sst", seed % 3 + 1, seed * 8, seed, "3a5b");
        let bytes = content(seed);
        let file = format!(
            "name: \"{name}\" sha256: \"{}\" start_key: \"t\\200\" end_key: \"u\" end_version: {BACKUP_TS} crc64xor: {} total_kvs: {} \
             total_bytes: {} cf: \"write\" size: {} later_number: 0.5 table_metas {{ physical_id: -4 }}",
            quoted(Digest::of(&bytes).as_bytes()),
            1_u64 << seed,
            seed * 10,
            seed * 100,
            bytes.len(),
        );
        self.files.insert(name, bytes);
        file
    }

    /// Lays down a `MetaFile`; the `File` that names it.
    pub(in crate::br) fn index(&mut self, name: &str, text: &str) -> String {
        self.lay(name, encode("MetaFile", text))
    }

    /// Lays down a file of metadata; the `File` that names it.
    pub(in crate::br) fn lay(&mut self, name: &str, plain: Vec<u8>) -> String {
        let iv: Vec<u8> = (0..16).map(|at| at * 7 + name.len() as u8).collect();
        let (sha256, size) = (quoted(Digest::of(&plain).as_bytes()), plain.len());
        let (stored, iv) = match &self.encryption {
            Some(encryption) => (openssl(encryption, &iv, &plain), quoted(&iv)),
            None => (plain, String::new()),
        };
        self.files.insert(name.to_owned(), stored);
        format!("name: \"{name}\" sha256: \"{sha256}\" size: {size} cipher_iv: \"{iv}\"")
    }

    /// Lays down `backupmeta` and the lock of BR.
    #[must_use]
    pub(in crate::br) fn finish(mut self, text: &str) -> Self {
        let plain = encode("BackupMeta", text);
        let iv = *b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe";
        let stored = match &self.encryption {
            Some(encryption) => [iv.to_vec(), openssl(encryption, &iv, &plain)].concat(),
            None => plain,
        };
        self.files.insert(BACKUP_META.into(), stored);
        self.files.insert("backup.lock".into(), b"DO NOT DELETE".to_vec());
        self
    }

    /// A whole V1 backup with three SSTs and two tables.
    pub(in crate::br) fn v1(mut self, more: &str) -> Self {
        let files: String = (1..=3).map(|seed| format!("files {{ {} }}\n", self.sst(seed))).collect();
        self.finish(&format!("{}{files}{}{more}", head(), schemas("schemas")))
    }

    /// The same as V2: two leaves of files, one of them behind another index, one of tables, and statistics in a file.
    pub(in crate::br) fn v2(mut self, more: &str) -> Self {
        let (one, two, three) = (self.sst(1), self.sst(2), self.sst(3));
        let deep = self.index("backupmeta.datafile.000000002", &format!("data_files {{ {three} }} later_text: \"x\""));
        let near = self.index(
            "backupmeta.datafile.000000001",
            &format!("data_files {{ {one} }} backup_ranges {{ start_key: \"a\" files {{ {two} }} }} meta_files {{ {deep} }}"),
        );
        let stats =
            self.lay("backupmeta.schema.stats.000000001", b"statistics of a table".to_vec()).replace("size:", "size_ori:");
        let tables = schemas("schemas").replacen("tiflash", &format!("stats_index {{ {stats} }} tiflash"), 1);
        let tables = self.index("backupmeta.schema.000000003", &tables);
        let ddls = self.index("backupmeta.ddl.000000004", "ddls: \"{}\"");
        let text = format!(
            "{}version: 1 file_index {{ meta_files {{ {near} }} }} schema_index {{ meta_files {{ {tables} }} }} ddl_indexes {{ meta_files \
             {{ {ddls} }} }} {more}",
            head()
        );
        self.finish(&text)
    }
}

fn head() -> String {
    format!(
        "cluster_id: {CLUSTER} cluster_version: \"\\\"6.5.0\\\"\\n\" end_version: {BACKUP_TS} br_version: \"BR\\nRelease Version: \
         v6.5.0\\n\" new_collations_enabled: \"True\" backup_result: \"ok\" raw_ranges {{ start_key: \"a\" }} later_number: 300 later_word: 7 \
         later_long_word: 9 later_text: \"later\" later_message {{ name: \"not a file of the backup\" }} backup_size: 123456\n"
    )
}

/// Two tables and an empty database, whose sums are those of the SSTs 1 to 3.
fn schemas(field: &str) -> String {
    format!(
        "{field} {{ db: \"{{}}\" table: \"{{\\\"id\\\":1}}\" crc64xor: 6 total_kvs: 30 total_bytes: 300 tiflash_replicas: 1 later_word: 1 }}\n\
         {field} {{ db: \"{{}}\" table: \"{{\\\"id\\\":2}}\" crc64xor: 8 total_kvs: 30 total_bytes: 300 stats: \"{{}}\" stats_index {{ \
         inline_data: \"short\" }} }}\n{field} {{ db: \"{{\\\"empty\\\":1}}\" }}\n"
    )
}
