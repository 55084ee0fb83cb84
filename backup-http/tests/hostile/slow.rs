//! Clients that take their time.

use tokio::time::Instant;

use super::*;

/// Sends a byte at a time until the server has enough of it.
async fn drip(served: &Served, head: &[u8], byte: &[u8]) -> Duration {
    let stream = TcpStream::connect(served.address).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let started = Instant::now();
    let dripping = async {
        writing.write_all(head).await?;
        loop {
            writing.write_all(byte).await?;
            tokio::time::sleep(LIMIT / 20).await;
        }
        #[allow(unreachable_code)]
        Ok::<(), std::io::Error>(())
    };
    let mut answer = Vec::new();
    let closed = async {
        let _ = reading.read_to_end(&mut answer).await;
    };
    let ended = timeout(PATIENCE, async {
        tokio::select! {
            _ = dripping => {}
            () = closed => {}
        }
    });
    assert!(ended.await.is_ok(), "the server never had enough");
    assert!(!answer.starts_with(b"HTTP/1.1 2") && !answer.starts_with(b"HTTP/1.1 5"), "{}", shown(&answer));
    started.elapsed()
}

#[tokio::test]
async fn heads_and_bodies_that_drip_are_cut_while_others_are_served() {
    let served = serve().await;
    let line: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\nx: ";
    let body: &[u8] = b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 9000\r\n\r\n";
    let chunks: &[u8] = b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let unread: &[u8] = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9000\r\n\r\n";
    let (a, b, c, d, e, ()) = tokio::join!(
        drip(&served, b"G", b"E"),
        drip(&served, line, b"a"),
        drip(&served, body, b"a"),
        drip(&served, chunks, b"1\r\na\r\n"),
        drip(&served, unread, b"a"),
        async {
            for _ in 0..10 {
                served.is_well().await;
            }
        }
    );
    for taken in [a, b, c, d, e] {
        assert!(taken < LIMIT * 20, "{taken:?}");
    }
    served.is_well().await;
}

#[tokio::test]
async fn two_hundred_heads_that_never_end_do_not_keep_others_out() {
    let served = serve().await;
    let mut held = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nx: ").await.unwrap();
        held.push(stream);
    }
    served.is_well().await;
    for mut stream in held {
        let mut rest = Vec::new();
        let closed = stream.read_to_end(&mut rest);
        assert!(timeout(PATIENCE, closed).await.is_ok(), "never closed");
    }
}

#[tokio::test]
async fn a_download_that_nobody_reads_is_given_up() {
    let served = serve().await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(get_of("/download").as_bytes()).await.unwrap();
        stream.read_exact(&mut [0; 1000]).await.unwrap();
        clients.push(stream);
    }
    let started = Instant::now();
    while served.downloads.load(Ordering::SeqCst) > 0 {
        assert!(started.elapsed() < PATIENCE, "the streams are still open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for mut client in clients {
        // What was under way is still to be had, and then the connection ends before the announced length.
        let mut rest = [0; 65_536];
        let draining = async { while matches!(client.read(&mut rest).await, Ok(1..)) {} };
        assert!(timeout(PATIENCE, draining).await.is_ok(), "never closed");
    }
    served.is_well().await;
}

#[tokio::test]
async fn a_client_that_reads_slowly_is_not_one_that_reads_nothing() {
    let served = serve().await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(get_of("/download").as_bytes()).await.unwrap();
    let started = Instant::now();
    // As fast as it takes to empty the buffers of the system several times within the limit, and far below what is offered.
    let mut piece = vec![0; 4 << 20];
    while started.elapsed() < LIMIT * 6 {
        stream.read_exact(&mut piece).await.unwrap();
        tokio::time::sleep(LIMIT / 20).await;
    }
    assert_eq!(served.downloads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_half_closed_connection_is_answered_or_closed() {
    let served = serve().await;
    for request in [
        get_of("/"),
        get_of("/download"),
        "GET / HT".into(),
        "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nab".into(),
    ] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = [0; 65_536];
        let closing = async {
            let mut total = 0_u64;
            // A download that goes on is an answer.
            while let Ok(count @ 1..) = stream.read(&mut rest).await {
                total += count as u64;
                if total > 10_000_000 {
                    break;
                }
            }
        };
        assert!(timeout(PATIENCE, closing).await.is_ok(), "{request} is never closed");
        served.is_well().await;
    }
}
