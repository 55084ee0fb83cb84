//! HTTP connections: one request after the other.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, sink};
use tokio::net::TcpStream;

use super::body::{self, Stop};
use super::head::{Framing, Head, RequestHead};
use super::link::Link;
use super::rules::Hits;
use super::seen::{Place, Tally};
use super::valve::Valve;
use super::{Ending, Harm, Reply, RequestFault, Shared};

pub(super) async fn serve(client: TcpStream, shared: &Shared) {
    let (mut client, mut server) = (Link::new(client), None);
    let ending = loop {
        if let Err(ending) = one(&mut client, &mut server, shared).await {
            break ending;
        }
    };
    client.end(ending);
    if let Some(server) = server {
        server.end(ending);
    }
}

/// One request and its answer; an error is how the connection ends.
async fn one(client: &mut Link, server: &mut Option<Link>, shared: &Shared) -> Result<(), Ending> {
    next(client, server).await?;
    let head = Head::read(&mut client.reader).await.map_err(|_| Ending::Reset)?.and_then(RequestHead::new);
    let request = head.ok_or(Ending::Close)?;
    let fault = shared
        .requests
        .decide(|rule| (rule.method.is_empty() || rule.method == request.method) && request.target.contains(&rule.target));
    let place = shared.log.add(&request, fault.is_some());
    let mut faults = Faults::default();
    if let Some((fault, hits)) = fault {
        match fault {
            RequestFault::Delay(time) => {
                hits.count();
                tokio::time::sleep(time).await;
            }
            RequestFault::Hold(gate) => {
                hits.count();
                gate.pass().await;
            }
            RequestFault::Reset => {
                hits.count();
                return Err(Ending::Reset);
            }
            RequestFault::BlackHole => {
                hits.count();
                return swallow(client).await;
            }
            RequestFault::Answer(reply) => {
                hits.count();
                return answer(client, &request, reply, shared, place).await;
            }
            RequestFault::LoseAnswer => faults.lose = Some(hits),
            RequestFault::WrongLength(by) => faults.length = Some((by, hits)),
            RequestFault::RequestBody(harm) => faults.up = Some((harm, hits)),
            RequestFault::AnswerBody(harm) => faults.down = Some((harm, hits)),
        }
    }
    if server.is_none() {
        *server = Link::connect(&shared.upstream).await;
    }
    let server = server.as_mut().ok_or(Ending::Reset)?;
    pass(client, server, &request, faults, shared, place).await
}

/// Waits for the next request, unless the server ends the connection first.
async fn next(client: &mut Link, server: &mut Option<Link>) -> Result<(), Ending> {
    let gone = async {
        match server {
            Some(server) => matches!(server.reader.fill_buf().await, Ok([]) | Err(_)),
            None => std::future::pending().await,
        }
    };
    let first = tokio::select! {
        biased;
        first = client.reader.fill_buf() => first,
        true = gone => return Err(Ending::Close),
    };
    match first {
        Ok([]) => Err(Ending::Close),
        Ok(_) => Ok(()),
        Err(_) => Err(Ending::Reset),
    }
}

/// What is done to a request that is passed on.
#[derive(Default)]
struct Faults {
    up: Option<(Harm, Hits)>,
    down: Option<(Harm, Hits)>,
    lose: Option<Hits>,
    length: Option<(i64, Hits)>,
}

async fn pass(
    client: &mut Link,
    server: &mut Link,
    request: &RequestHead,
    faults: Faults,
    shared: &Shared,
    place: Place,
) -> Result<(), Ending> {
    server.writer.write_all(&request.head.to_bytes()).await.map_err(|_| Ending::Reset)?;
    shared.log.change(place, |seen| seen.passed_on = true);
    let Faults { up, down, lose, length } = faults;
    let upload = async {
        let (mut valve, mut tally) = (Valve::new(up), Tally::default());
        body::pass(&mut client.reader, &mut server.writer, request.framing(), &mut valve, &mut |data| tally.add(data)).await?;
        whole(tally, shared, place);
        Ok(())
    };
    let download = download(&mut server.reader, &mut client.writer, request, Valve::new(down), lose, length, shared, place);
    tokio::pin!(upload, download);
    let (mut sent, mut ended) = (false, false);
    let keep = loop {
        tokio::select! {
            biased;
            up = &mut upload, if !ended => {
                ended = true;
                match up {
                    Ok(()) => sent = true,
                    Err(Stop::Wanted(ending)) => return Err(ending),
                    Err(Stop::Sender) => return Err(Ending::Close),
                    // The server takes no more, but may still say why.
                    Err(Stop::Receiver) => {}
                }
            }
            down = &mut download => break down?,
        }
    };
    if keep && sent && !request.head.closes() { Ok(()) } else { Err(Ending::Close) }
}

/// Passes the answer on; whether the connection may be used again after it.
#[allow(clippy::too_many_arguments, reason = "one step of one function, taken out for its length")]
async fn download(
    server: &mut (impl tokio::io::AsyncBufRead + Unpin + Send),
    client: &mut (impl tokio::io::AsyncWrite + Unpin + Send),
    request: &RequestHead,
    mut valve: Valve,
    lose: Option<Hits>,
    length: Option<(i64, Hits)>,
    shared: &Shared,
    place: Place,
) -> Result<bool, Ending> {
    let mut head = loop {
        let head = Head::read(server).await.map_err(|_| Ending::Reset)?.ok_or(Ending::Close)?;
        if !matches!(head.status(), Some(100..=199)) {
            break head;
        }
        client.write_all(&head.to_bytes()).await.map_err(|_| Ending::Close)?;
    };
    let framing = head.answer_framing(&request.method);
    shared.log.change(place, |seen| seen.status = head.status());
    let stopped = |stop| match stop {
        Stop::Wanted(ending) => ending,
        Stop::Sender | Stop::Receiver => Ending::Close,
    };
    if let Some(hits) = lose {
        body::pass(server, &mut sink(), framing, &mut valve, &mut |_| {}).await.map_err(stopped)?;
        hits.count();
        return Err(Ending::Reset);
    }
    let wrong = match length {
        Some((by, hits)) if head.change_length(by) => {
            hits.count();
            true
        }
        _ => false,
    };
    client.write_all(&head.to_bytes()).await.map_err(|_| Ending::Close)?;
    body::pass(server, client, framing, &mut valve, &mut |_| {}).await.map_err(stopped)?;
    Ok(!wrong && framing != Framing::UntilClose && !head.closes())
}

/// Answers in the server's place.
async fn answer(client: &mut Link, request: &RequestHead, reply: Reply, shared: &Shared, place: Place) -> Result<(), Ending> {
    // Who waits for `100 Continue` sends nothing before the answer.
    let early = reply.early || request.head.expects_continue();
    if !early {
        let mut tally = Tally::default();
        let mut look = |data: &[u8]| tally.add(data);
        let read = body::pass(&mut client.reader, &mut sink(), request.framing(), &mut Valve::new(None), &mut look).await;
        read.map_err(|_| Ending::Close)?;
        whole(tally, shared, place);
    }
    shared.log.change(place, |seen| seen.status = Some(reply.status));
    let mut bytes = format!("HTTP/1.1 {} As told\r\n", reply.status);
    for (name, value) in &reply.headers {
        bytes.push_str(&format!("{name}: {value}\r\n"));
    }
    bytes.push_str(&format!("content-length: {}\r\n{}\r\n", reply.body.len(), if early { "connection: close\r\n" } else { "" }));
    let mut bytes = bytes.into_bytes();
    if request.method != "HEAD" {
        bytes.extend_from_slice(&reply.body);
    }
    client.writer.write_all(&bytes).await.map_err(|_| Ending::Close)?;
    if !early {
        return Ok(());
    }
    let _ = client.writer.shutdown().await;
    // Closed before the rest is read, the connection would be reset, and the answer might be lost.
    swallow(client).await
}

fn whole(tally: Tally, shared: &Shared, place: Place) {
    let (bytes, digest) = tally.finish();
    shared.log.change(place, |seen| (seen.bytes, seen.digest) = (Some(bytes), Some(digest)));
}

/// Reads until the client ends the connection.
async fn swallow(client: &mut Link) -> Result<(), Ending> {
    loop {
        match client.reader.fill_buf().await {
            Ok([]) | Err(_) => return Err(Ending::Close),
            Ok(data) => {
                let bytes = data.len();
                client.reader.consume(bytes);
            }
        }
    }
}
