//! What is forwarded is never held: long bodies pass both ways through little memory.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use backup_core::testkit::free_port;
use backup_core::{Digest, Hasher};

use crate::openstack::OpenStack;
use crate::proxied::Region;
use crate::server::{Place, User};

const LONG: u64 = 256 << 20;
const PIECE: usize = 1 << 20;

/// Bytes of which no two pieces are the same.
fn pieces() -> impl Iterator<Item = Vec<u8>> {
    (0..LONG / PIECE as u64).map(|number| number.to_le_bytes().repeat(PIECE / 8))
}

fn expected() -> Digest {
    let mut hasher = Hasher::new();
    pieces().for_each(|piece| hasher.update(&piece));
    hasher.finish()
}

/// The head of a request or an answer.
fn head(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

fn send(stream: &mut TcpStream) {
    pieces().for_each(|piece| stream.write_all(&piece).unwrap());
}

fn receive(stream: &mut TcpStream) -> Digest {
    let (mut hasher, mut buffer, mut left) = (Hasher::new(), vec![0; PIECE], LONG);
    while left > 0 {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "{left} bytes did not come");
        hasher.update(&buffer[..count]);
        left -= count as u64;
    }
    hasher.finish()
}

/// A Cinder that takes and gives something long, and says what came. What else it is asked it does not know.
fn cinder(listener: TcpListener) -> mpsc::Receiver<Digest> {
    let (tell, came) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, tell) = (stream.unwrap(), tell.clone());
            std::thread::spawn(move || {
                let asked = head(&mut stream);
                if asked.starts_with("get /v3/volumes http/") {
                    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
                    stream.write_all(format!("{answer}content-length: {LONG}\r\n\r\n").as_bytes()).unwrap();
                    send(&mut stream);
                } else if asked.starts_with("post /v3/volumes http/") {
                    assert!(asked.contains(&format!("content-length: {LONG}\r\n")), "its length is not said: {asked}");
                    tell.send(receive(&mut stream)).unwrap();
                    stream.write_all(b"HTTP/1.1 202 Accepted\r\nx-of: a-test\r\ncontent-length: 0\r\n\r\n").unwrap();
                } else {
                    stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}").unwrap();
                }
            });
        }
    });
    came
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn long_bodies_pass_both_ways_and_take_no_memory() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let listener = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let mut region = Region::new().await;
    region.put("volumev3", &format!("http://{}/v3", listener.local_addr().unwrap())).await;
    let place =
        Place::new(&stack, "gateway: true\nlimits: { body-bytes: 300000000, body-read-timeout: 5m }\n").region(&region.name);
    let server = place.start();
    let demo = User::new(&stack, &server, "demo", "demo").await;
    let came = cinder(listener);
    let request = |method: &str, path: &str, length: u64| {
        let token = &demo.token;
        let mut stream = TcpStream::connect(("127.0.0.1", demo.port)).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: server\r\nx-auth-token: {token}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let idle = server.memory("VmRSS");
    let (mut down, mut up) = (request("GET", "/v1/block/volume", 0), request("POST", "/v1/volume", LONG));
    let down = tokio::task::spawn_blocking(move || {
        let head = head(&mut down);
        assert!(head.starts_with("http/1.1 200") && head.contains(&format!("content-length: {LONG}\r\n")), "{head}");
        receive(&mut down)
    });
    let up = tokio::task::spawn_blocking(move || {
        send(&mut up);
        let head = head(&mut up);
        assert!(head.starts_with("http/1.1 202") && head.contains("x-of: a-test\r\n"), "{head}");
    });
    assert_eq!(down.await.unwrap(), expected());
    up.await.unwrap();
    assert_eq!(came.recv().unwrap(), expected());
    let most = server.memory("VmHWM");
    assert!(most < idle + (32 << 20), "{most} bytes, and {idle} before");
    server.stop();
    region.remove().await;
}
