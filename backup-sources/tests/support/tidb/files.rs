//! What BR leaves in a directory: the lock, the files of the TiKVs, `backupmeta` last. Protobuf by hand, by the numbers of
//! `brpb.proto`, so that it owes nothing to the code that reads it.

use backup_core::Digest;

/// Name and content.
pub type File = (String, Vec<u8>);

/// The files of a backup of the versions after `since` up to `backup_ts`, in the order in which BR writes them.
pub fn backup_files(count: usize, since: u64, backup_ts: u64) -> Vec<File> {
    let lock = b"DO NOT DELETE\nThis file exists to remind other backup jobs won't use this path".to_vec();
    let mut files = vec![("backup.lock".to_owned(), lock)];
    let mut meta = Message::default();
    meta.number(1, 7_051_234_567_890_123_456).bytes(2, b"\"7.5.0\"\n");
    for number in 0..count {
        let cf = if number % 2 == 0 { "write" } else { "default" };
        let name = format!("store1/{}-2-5f1a-{}-{cf}.sst", 40 + number, backup_ts >> 18);
        let content: Vec<u8> = (0..1_000 + number * 37).map(|at| u8::try_from((at * 7 + number) % 251).unwrap()).collect();
        let mut file = Message::default();
        file.bytes(1, name.as_bytes()).bytes(2, Digest::of(&content).as_bytes());
        file.bytes(3, &[b't', u8::try_from(number).unwrap()]).bytes(4, &[b't', u8::try_from(number + 1).unwrap()]);
        file.number(5, since).number(6, backup_ts).number(7, 77 + number as u64).number(8, 10).number(9, 900);
        file.bytes(10, cf.as_bytes()).number(11, content.len() as u64);
        meta.bytes(4, &file.0);
        files.push((name, content));
    }
    meta.number(5, since).number(6, backup_ts);
    let mut schema = Message::default();
    schema.bytes(1, br#"{"id":1,"db_name":{"O":"shop","L":"shop"}}"#).bytes(2, br#"{"id":2,"name":{"O":"orders","L":"orders"}}"#);
    meta.bytes(7, &schema.0).bytes(11, b"BR\nRelease Version: v7.5.0\n");
    files.push(("backupmeta".to_owned(), meta.0));
    files
}

#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn number(&mut self, field: u64, value: u64) -> &mut Self {
        // Proto3 leaves out what is zero.
        if value != 0 {
            self.varint(field << 3);
            self.varint(value);
        }
        self
    }

    fn bytes(&mut self, field: u64, value: &[u8]) -> &mut Self {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        self.0.push(u8::try_from(value).unwrap());
    }
}
