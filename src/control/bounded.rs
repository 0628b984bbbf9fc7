//! A listener with bounds: so many connections at a time, and so long for each of them.
//!
//! A client that sends its request slowly, or never, holds one place and not for ever. No limit of time for one read:
//! whoever sends an octet now and then would keep within it.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{self, Sleep};

/// Accepts a connection only when there is a place for it; until then it waits in the kernel's queue.
pub(super) struct Bounded {
    listener: TcpListener,
    places: Arc<Semaphore>,
    lifetime: Duration,
}

impl Bounded {
    /// At most `connections` at a time, each at most for `lifetime`.
    pub(super) fn new(listener: TcpListener, connections: usize, lifetime: Duration) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(connections)),
            lifetime,
        }
    }
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // The semaphore is never closed, which is the only way not to get a permit.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (stream, client) = Listener::accept(&mut self.listener).await;
        let end = Box::pin(time::sleep(self.lifetime));
        (
            Connection {
                stream,
                end,
                _place: place,
            },
            client,
        )
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that fails when its time is over, and then gives its place back.
pub(super) struct Connection {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Connection {
    /// The stream, or an error if the time is over; `context` is woken then at the latest.
    fn stream(&mut self, context: &mut Context<'_>) -> io::Result<Pin<&mut TcpStream>> {
        match self.end.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(Pin::new(&mut self.stream)),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream(context)?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.stream(context)?.poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream(context)?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);
    /// Long enough for a request on a busy machine.
    const LIFETIME: Duration = Duration::from_secs(1);

    async fn serve(connections: usize) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().route("/", get(|| async { "here" }));
        let bounded = Bounded::new(listener, connections, LIFETIME);
        tokio::spawn(async move { axum::serve(bounded, routes).await });
        address
    }

    async fn say(address: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    /// Everything until the server closes.
    async fn hear(mut stream: TcpStream) -> String {
        let mut octets = Vec::new();
        let read = time::timeout(PATIENCE, stream.read_to_end(&mut octets)).await;
        read.expect("the server closes").unwrap();
        String::from_utf8(octets).unwrap()
    }

    #[tokio::test]
    async fn a_client_that_never_ends_its_request_is_closed() {
        let address = serve(1).await;
        assert_eq!(hear(say(address, "GET / HTTP/1.1\r\nHost:").await).await, "");
        assert_eq!(hear(say(address, "").await).await, "");
    }

    #[tokio::test]
    async fn slow_clients_hold_up_the_others_for_their_lifetime_only() {
        let address = serve(2).await;
        let start = time::Instant::now();
        let _slow = [say(address, "GET").await, say(address, "").await];
        let answer = hear(say(address, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await).await;
        assert!(answer.ends_with("\r\n\r\nhere"), "{answer}");
        assert!(start.elapsed() >= LIFETIME, "the third waits for a place");
    }
}
