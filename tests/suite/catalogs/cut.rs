//! Somebody between a client and a service who passes everything on, and loses one answer when told to.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

/// Nothing is to be lost.
const IDLE: u8 = 0;
/// The next answer to a request with the words is lost.
const ARMED: u8 = 1;
/// The request has passed; its answer is lost.
const PASSED: u8 = 2;
/// It was lost.
const DONE: u8 = 3;

/// Passes bytes on from an address of its own.
pub(crate) struct Cut {
    /// Where it listens.
    pub(crate) address: String,
    state: Arc<AtomicU8>,
}

/// A stream of either kind.
trait Stream: Read + Write + Send + Sized + 'static {
    fn twin(&self) -> io::Result<Self>;
    fn close(&self);
}

impl Stream for TcpStream {
    fn twin(&self) -> io::Result<Self> {
        self.try_clone()
    }
    fn close(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

impl Stream for UnixStream {
    fn twin(&self) -> io::Result<Self> {
        self.try_clone()
    }
    fn close(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

impl Cut {
    /// Listens for a service at a TCP address or the path of a socket. An answer may be lost to a request that has one of
    /// the words.
    pub(crate) fn of(service: &str, words: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let state = Arc::new(AtomicU8::new(IDLE));
        let (service, shared) = (service.to_owned(), Arc::clone(&state));
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                if service.starts_with('/') {
                    pass(client, UnixStream::connect(&service).expect("the service listens"), words, &shared);
                } else {
                    pass(client, TcpStream::connect(&service).expect("the service listens"), words, &shared);
                }
            }
        });
        Self { address, state }
    }

    /// The next answer to a request with one of the words is lost.
    pub(crate) fn next(&self) {
        self.state.store(ARMED, Ordering::SeqCst);
    }

    /// Whether it was lost.
    pub(crate) fn is_done(&self) -> bool {
        self.state.load(Ordering::SeqCst) == DONE
    }
}

fn pass<S: Stream>(client: TcpStream, service: S, words: &'static [&'static str], state: &Arc<AtomicU8>) {
    let (mut from, mut to) = (client.twin().expect("it can be shared"), service.twin().expect("it can be shared"));
    let there = Arc::clone(state);
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let has = |word: &&str| buffer[..read].windows(word.len()).any(|part| part == word.as_bytes());
            if words.iter().any(has) {
                let _ = there.compare_exchange(ARMED, PASSED, Ordering::SeqCst, Ordering::SeqCst);
            }
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        to.close();
    });
    let (mut from, mut to, back) = (service, client, Arc::clone(state));
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if back.compare_exchange(PASSED, DONE, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                break;
            }
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        to.close();
        from.close();
    });
}
