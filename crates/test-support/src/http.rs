// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! An HTTP/1.1 test server that can inject faults.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// A server on a free loopback port, until the process ends. Each connection has a thread, which
/// ends with the connection.
#[derive(Debug, Clone)]
pub struct Server {
    address: String,
}

/// A request; its body is read on demand.
pub struct Request<'a> {
    /// The method.
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// Header names are in lower case.
    pub headers: BTreeMap<String, String>,
    body: io::Take<&'a mut dyn BufRead>,
}

/// Reaction to a request.
pub enum Reply {
    /// Respond, after reading the rest of the body.
    Answer(Answer),
    /// Send these raw bytes and close the connection.
    Raw(Vec<u8>),
    /// Close the connection.
    Close,
    /// Never respond.
    Hang,
}

/// A response. `Content-Length` is the size of the body unless set explicitly.
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Box<dyn Read + Send>,
    length: u64,
    cut: Option<u64>,
}

/// A response without headers and body.
pub fn answer(status: u16) -> Answer {
    Answer { status, headers: Vec::new(), body: Box::new(io::empty()), length: 0, cut: None }
}

/// A JSON response.
pub fn json(status: u16, body: &Value) -> Answer {
    answer(status).header("Content-Type", "application/json").body(body.to_string())
}

impl Answer {
    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let length = body.len() as u64;
        self.stream(length, io::Cursor::new(body))
    }

    /// Sets the body to `length` bytes from `body`.
    #[must_use]
    pub fn stream(mut self, length: u64, body: impl Read + Send + 'static) -> Self {
        self.body = Box::new(body);
        self.length = length;
        self
    }

    /// Closes the connection after this many bytes of the body.
    #[must_use]
    pub fn cut(mut self, after: u64) -> Self {
        self.cut = Some(after);
        self
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    /// Sends the response. Returns true if the connection stays open.
    fn send(self, is_head: bool, stream: &TcpStream) -> io::Result<bool> {
        let open = self.cut.is_none() && !self.has("connection");
        let has_length = self.has("content-length");
        // Head and small body go into one packet, to avoid the delayed-ACK stall.
        let mut out = BufWriter::with_capacity(64 << 10, stream);
        write!(out, "HTTP/1.1 {} Answer\r\n", self.status)?;
        for (name, value) in &self.headers {
            write!(out, "{name}: {value}\r\n")?;
        }
        if !has_length {
            write!(out, "Content-Length: {}\r\n", self.length)?;
        }
        out.write_all(b"\r\n")?;
        if !is_head {
            io::copy(&mut self.body.take(self.cut.unwrap_or(u64::MAX)), &mut out)?;
        }
        out.flush()?;
        Ok(open)
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

impl Request<'_> {
    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The query, decoded; the first value of each name.
    pub fn query(&self) -> BTreeMap<String, String> {
        let pairs = self.target.split_once('?').map_or("", |(_, query)| query).split('&').rev();
        let pairs = pairs.filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(name, value)| {
                (name.to_owned(), percent_decode_str(value).decode_utf8().unwrap().into_owned())
            })
            .collect()
    }

    /// The value of a header; `name` is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Reader of the remaining body.
    pub fn stream(&mut self) -> &mut impl Read {
        &mut self.body
    }

    /// Reads at most `limit` bytes of the body.
    pub fn read(&mut self, limit: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        // An aborted body is truncated.
        (&mut self.body).take(limit).read_to_end(&mut bytes).ok();
        bytes
    }

    /// Reads the whole body.
    pub fn body(&mut self) -> Vec<u8> {
        self.read(u64::MAX)
    }
}

impl Server {
    /// Starts a server that responds with the result of `handler`.
    pub fn start<R: Into<Reply>>(
        handler: impl Fn(&mut Request<'_>) -> R + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let handler = Arc::new(handler);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let handler = Arc::clone(&handler);
                thread::spawn(move || serve(&stream, &*handler).ok());
            }
        });
        Self { address }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Serves the requests of one connection in sequence.
fn serve<R: Into<Reply>>(
    mut stream: &TcpStream,
    handler: &dyn Fn(&mut Request<'_>) -> R,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while !reader.fill_buf()?.is_empty() {
        let mut request = head(&mut reader)?;
        let reply = handler(&mut request).into();
        let is_head = request.method == "HEAD";
        let open = match reply {
            Reply::Answer(answer) => {
                io::copy(request.stream(), &mut io::sink())?;
                answer.send(is_head, stream)?
            }
            Reply::Raw(bytes) => {
                stream.write_all(&bytes)?;
                false
            }
            Reply::Close => false,
            Reply::Hang => {
                io::copy(&mut reader, &mut io::sink())?;
                false
            }
        };
        if !open {
            break;
        }
    }
    Ok(())
}

fn head(reader: &mut dyn BufRead) -> io::Result<Request<'_>> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    Ok(Request { method, target, headers, body: reader.take(length) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends `request` and returns the response until the server closes the connection.
    fn call(server: &Server, request: &str) -> String {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_connection_serves_several_requests_and_reads_their_bodies() {
        let server = Server::start(|request| {
            let (path, digest) = (request.path().to_owned(), request.query().remove("digest"));
            let body = String::from_utf8(request.body()).unwrap();
            let host = request.header("host").unwrap_or_default();
            answer(200).body(format!("{} {path} {digest:?} {host} {body};", request.method))
        });
        let text = call(
            &server,
            "PUT /a?digest=sha256%3Aff&x=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody\
             HEAD /b HTTP/1.1\r\n\r\nGET /c HTTP/1.1\r\n\r\n",
        );
        let bodies: Vec<&str> = text.split("\r\n\r\n").skip(1).collect();
        assert!(bodies[0].starts_with("PUT /a Some(\"sha256:ff\") h body;HTTP/1.1 200"), "{text}");
        assert!(bodies[1].starts_with("HTTP/1.1 200"), "{text}");
        assert_eq!(bodies[2], "GET /c None  ;");
    }

    #[test]
    fn faults_close_the_connection_where_the_test_wants_it() {
        let server = Server::start(|request| match request.path() {
            "/cut" => answer(200).body("0123456789").cut(4).into(),
            "/raw" => Reply::Raw(b"nonsense".to_vec()),
            "/part" => {
                assert_eq!(request.read(2), b"bo");
                Reply::Close
            }
            _ => {
                answer(200).header("Connection", "close").stream(3, io::repeat(b'x').take(3)).into()
            }
        });
        let twice = |path: &str| format!("GET {path} HTTP/1.1\r\n\r\n").repeat(2);
        assert!(call(&server, &twice("/cut")).ends_with("Content-Length: 10\r\n\r\n0123"));
        assert_eq!(call(&server, &twice("/raw")), "nonsense");
        let close = call(&server, &twice("/"));
        assert!(
            close.ends_with("\r\n\r\nxxx") && close.matches("HTTP/1.1").count() == 1,
            "{close}"
        );
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(b"PUT /part HTTP/1.1\r\nContent-Length: 4\r\n\r\nbo").unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
}
