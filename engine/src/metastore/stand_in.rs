//! A server that answers as a test tells it to, down to the last byte.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use skein_protocol::connection::{Authentication, HiveMetastore};
use thrift::protocol::{
    TBinaryInputProtocol, TBinaryOutputProtocol, TFieldIdentifier, TInputProtocol, TListIdentifier, TMessageIdentifier,
    TMessageType, TOutputProtocol, TStructIdentifier, TType,
};

/// What a test writes into an answer.
pub(super) type Output<'a> = TBinaryOutputProtocol<&'a mut Vec<u8>>;

/// What is done about a call.
pub(super) enum Reaction {
    /// These bytes are sent.
    Send(Vec<u8>),
    /// These bytes are sent, and the connection is closed.
    SendAndClose(Vec<u8>),
    /// Nothing, for ever.
    Silence,
}

/// Starts a server; `answer` gets each call's name and number.
pub(super) fn start(answer: impl FnMut(&str, i32) -> Reaction + Send + 'static) -> SocketAddr {
    serve(false, answer)
}

/// The same, where requests come in frames.
pub(super) fn serve(framed: bool, mut answer: impl FnMut(&str, i32) -> Reaction + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            while let Some((call, sequence)) = request(&stream, framed) {
                // Whoever asked may have hung up on a long answer.
                match answer(&call, sequence) {
                    Reaction::Send(bytes) => drop(stream.write_all(&bytes)),
                    Reaction::SendAndClose(bytes) => {
                        drop(stream.write_all(&bytes));
                        break;
                    }
                    Reaction::Silence => {
                        silent.push(stream.try_clone().unwrap());
                        break;
                    }
                }
            }
        }
    });
    address
}

/// Reads a call to its end.
fn request(stream: &TcpStream, framed: bool) -> Option<(String, i32)> {
    let mut input = TBinaryInputProtocol::new(stream, true);
    if framed {
        input.read_i32().ok()?;
    }
    let begin = input.read_message_begin().ok()?;
    input.skip(TType::Struct).ok()?;
    Some((begin.name, begin.sequence_number))
}

/// The configuration of a connection to `addresses`.
pub(super) fn config(addresses: &[SocketAddr]) -> HiveMetastore {
    HiveMetastore {
        uris: addresses.iter().map(|address| format!("thrift://{address}")).collect(),
        allowed_roots: vec!["/".to_owned()],
        authentication: Authentication::None,
        framed: false,
        storage: Default::default(),
        connect_seconds: 30,
        call_seconds: 60,
    }
}

/// A message whose struct `content` writes.
pub(super) fn message(kind: TMessageType, call: &str, sequence: i32, content: impl FnOnce(&mut Output<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut output = TBinaryOutputProtocol::new(&mut bytes, true);
    output.write_message_begin(&TMessageIdentifier::new(call, kind, sequence)).unwrap();
    structure(&mut output, content);
    bytes
}

/// The answer to a call: the result in field 0.
pub(super) fn reply(call: &str, sequence: i32, kind: TType, result: impl FnOnce(&mut Output<'_>)) -> Vec<u8> {
    message(TMessageType::Reply, call, sequence, |output| field(output, 0, kind, result))
}

/// The answer to a call: an exception.
pub(super) fn exception(call: &str, sequence: i32, number: i16, text: &str) -> Vec<u8> {
    message(TMessageType::Reply, call, sequence, |output| {
        field(output, number, TType::Struct, |output| structure(output, |output| text_field(output, 1, text)));
    })
}

/// A struct.
pub(super) fn structure(output: &mut Output<'_>, content: impl FnOnce(&mut Output<'_>)) {
    output.write_struct_begin(&TStructIdentifier::new("")).unwrap();
    content(output);
    output.write_field_stop().unwrap();
    output.write_struct_end().unwrap();
}

/// A field.
pub(super) fn field(output: &mut Output<'_>, number: i16, kind: TType, content: impl FnOnce(&mut Output<'_>)) {
    output.write_field_begin(&TFieldIdentifier::new("", kind, number)).unwrap();
    content(output);
    output.write_field_end().unwrap();
}

/// A text in a field.
pub(super) fn text_field(output: &mut Output<'_>, number: i16, text: &str) {
    field(output, number, TType::String, |output| output.write_string(text).unwrap());
}

/// A list of texts.
pub(super) fn texts(output: &mut Output<'_>, texts: &[&str]) {
    output.write_list_begin(&TListIdentifier::new(TType::String, i32::try_from(texts.len()).unwrap())).unwrap();
    for text in texts {
        output.write_string(text).unwrap();
    }
    output.write_list_end().unwrap();
}
