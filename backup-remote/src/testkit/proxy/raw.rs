//! Connections whose bytes mean nothing to the proxy.

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::link::{self, Link};
use super::rules::Hits;
use super::valve::Valve;
use super::{Ending, Harm};

pub(super) async fn carry(client: TcpStream, upstream: &str, up: Option<(Harm, Hits)>, down: Option<(Harm, Hits)>) {
    let Some(mut server) = Link::connect(upstream).await else { return link::reset(client) };
    let mut client = Link::new(client);
    let ended = tokio::try_join!(
        pass(&mut client.reader, &mut server.writer, Valve::new(up)),
        pass(&mut server.reader, &mut client.writer, Valve::new(down)),
    );
    let ending = ended.err().unwrap_or(Ending::Close);
    client.end(ending);
    server.end(ending);
}

async fn pass(
    from: &mut (impl AsyncBufRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut valve: Valve,
) -> Result<(), Ending> {
    loop {
        valve.border().await?;
        let data = from.fill_buf().await.map_err(|_| Ending::Reset)?;
        if data.is_empty() {
            return to.shutdown().await.map_err(|_| Ending::Reset);
        }
        let mut piece = data[..valve.room(data.len())].to_vec();
        valve.alter(&mut piece);
        to.write_all(&piece).await.map_err(|_| Ending::Reset)?;
        from.consume(piece.len());
        valve.passed(piece.len()).await;
    }
}
