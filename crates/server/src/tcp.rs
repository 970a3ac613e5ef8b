//! TCP ports: how they are opened, and how connections are taken from them.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// How long accepting pauses when the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Opens a port, before which the kernel may hold `backlog` connections until they are accepted.
///
/// # Errors
/// When it cannot be bound.
pub fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restart finds connections of its predecessor still ending.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(backlog)
}

/// Waits for the next connection. `failed` is told each time that the system has none to give, after which
/// there is a pause. Nothing is lost when the future is dropped.
pub async fn accept(
    listener: &TcpListener,
    mut failed: impl FnMut(&io::Error),
) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            // A socket on `::` takes IPv4 too, as an IPv6 address that maps it.
            Ok((stream, from)) => {
                return (
                    stream,
                    SocketAddr::new(from.ip().to_canonical(), from.port()),
                );
            }
            Err(error) => failed(&error),
        }
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ipv4_on_a_socket_of_both_families_comes_from_its_own_address() {
        let listener = listen("[::]:0".parse().unwrap(), 1).unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (_, from) = accept(&listener, |error| panic!("{error}")).await;
        assert_eq!(from, client.local_addr().unwrap());
    }
}
