//! Bodies on their way through.

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};

use super::Ending;
use super::head::Framing;
use super::valve::Valve;

/// Why a body went no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Its sender ended the connection.
    Sender,
    /// Its receiver did.
    Receiver,
    /// The test wants it.
    Wanted(Ending),
}

/// Passes a body on in the frames in which it comes; `look` sees its bytes as they came.
pub(super) async fn pass<R, W>(
    from: &mut R,
    to: &mut W,
    framing: Framing,
    valve: &mut Valve,
    look: &mut (impl FnMut(&[u8]) + Send),
) -> Result<(), Stop>
where
    R: AsyncBufRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    match framing {
        Framing::Length(bytes) => span(from, to, Some(bytes), false, valve, look).await?,
        Framing::UntilClose => span(from, to, None, false, valve, look).await?,
        Framing::Chunked => loop {
            let size = line(from).await?;
            let digits = size.split(|byte| !byte.is_ascii_hexdigit()).next().unwrap_or_default();
            let size = u64::from_str_radix(&String::from_utf8_lossy(digits), 16).map_err(|_| Stop::Sender)?;
            if size == 0 {
                valve.border().await.map_err(Stop::Wanted)?;
                write(to, b"0\r\n").await?;
                break;
            }
            span(from, to, Some(size), true, valve, look).await?;
            line(from).await?;
        },
    }
    valve.border().await.map_err(Stop::Wanted)?;
    if framing == Framing::Chunked {
        loop {
            let trailer = line(from).await?;
            write(to, &trailer).await?;
            if trailer.iter().all(u8::is_ascii_whitespace) {
                break;
            }
        }
    }
    to.flush().await.map_err(|_| Stop::Receiver)
}

/// Passes `left` bytes on, or all when it is `None`.
async fn span<R, W>(
    from: &mut R,
    to: &mut W,
    mut left: Option<u64>,
    chunked: bool,
    valve: &mut Valve,
    look: &mut (impl FnMut(&[u8]) + Send),
) -> Result<(), Stop>
where
    R: AsyncBufRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    while left != Some(0) {
        valve.border().await.map_err(Stop::Wanted)?;
        let data = from.fill_buf().await.map_err(|_| Stop::Sender)?;
        if data.is_empty() {
            return if left.is_none() { Ok(()) } else { Err(Stop::Sender) };
        }
        let most = left.map_or(data.len(), |left| usize::try_from(left).unwrap_or(usize::MAX).min(data.len()));
        let mut piece = data[..valve.room(most)].to_vec();
        look(&piece);
        valve.alter(&mut piece);
        if chunked {
            write(to, format!("{:x}\r\n", piece.len()).as_bytes()).await?;
        }
        write(to, &piece).await?;
        if chunked {
            write(to, b"\r\n").await?;
        }
        from.consume(piece.len());
        left = left.map(|left| left - piece.len() as u64);
        valve.passed(piece.len()).await;
    }
    Ok(())
}

async fn line(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Vec<u8>, Stop> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line).await.map_err(|_| Stop::Sender)?;
    if line.last() == Some(&b'\n') { Ok(line) } else { Err(Stop::Sender) }
}

async fn write(to: &mut (impl AsyncWrite + Unpin), data: &[u8]) -> Result<(), Stop> {
    to.write_all(data).await.map_err(|_| Stop::Receiver)
}
