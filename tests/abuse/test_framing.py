"""Where a request ends must mean one thing to everybody on its way: both HTTP ports refuse what programs
read in different ways (RFC 9112 section 11.2), and answer nothing that is hidden behind it."""

import re
import socket

import pytest

from abuse.connections import split

HIDDEN = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
HEAD = b"POST / HTTP/1.1\r\n"
ROWS = {
    "no host": HEAD + b"Content-Length: 0\r\n\r\n",
    "no host beside a target with one": b"GET http://h/ HTTP/1.1\r\nX-A: a\r\n\r\n",
    "two hosts": HEAD + b"Host: a\r\nHost: b\r\nContent-Length: 0\r\n\r\n",
    "a bare LF": HEAD + b"Host: h\nContent-Length: 0\r\n\r\n",
    "bare LFs alone": b"POST / HTTP/1.1\nHost: h\nContent-Length: 0\n\n",
    "a length twice": HEAD + b"Host: h\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "two lengths": HEAD + b"Host: h\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "a list of lengths": HEAD + b"Host: h\r\nContent-Length: 0, 0\r\n\r\n",
    "a signed length": HEAD + b"Host: h\r\nContent-Length: +0\r\n\r\n",
    "length and chunks": HEAD
    + b"Host: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two codings": HEAD + b"Host: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "an unknown coding": HEAD + b"Host: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a folded line": HEAD + b"Host: h\r\nX-A: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "a blank before the colon": HEAD + b"Host: h\r\nContent-Length : 0\r\n\r\n",
    "a chunk length with a sign": HEAD
    + b"Host: h\r\nTransfer-Encoding: chunked\r\n\r\n+0\r\n\r\n",
}


def answers(address, request, is_all=True):
    """The statuses of all that is answered until the other side closes; `is_all` tells it that no more comes,
    and then it need not answer all that did."""
    with socket.create_connection(split(address), timeout=30) as link:
        link.sendall(request)
        if is_all:
            link.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while piece := link.recv(65_536):
                received += piece
        except ConnectionResetError:
            pass
    return re.findall(rb"HTTP/1\.1 (\d{3})", received)


@pytest.mark.parametrize("port", ["api", "admin"])
@pytest.mark.parametrize("row", ROWS)
def test_a_request_that_ends_in_two_ways_is_refused_with_what_is_behind_it(shared, port, row):
    told = answers(shared.ready[port], ROWS[row] + HIDDEN)
    assert b"200" not in told, "what was hidden behind it was answered"
    # The admin port asks for the token before it reads a body, and then refuses the frame of that.
    if port == "admin" and "chunk" in row and told[:1] == [b"401"]:
        del told[0]
    assert told in ([b"400"], [])


@pytest.mark.parametrize("port", ["api", "admin"])
def test_plain_requests_in_a_row_are_answered(shared, port):
    chunked = HEAD + b"Host: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    for plain in (HIDDEN, chunked):
        assert len(answers(shared.ready[port], plain + last, is_all=False)) == 2
