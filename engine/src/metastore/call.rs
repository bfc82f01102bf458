//! One call: its request as bytes, its answer read to the end.
//!
//! In: a name, arguments, how the result is read. Out: the result, or why there is none.

use std::cell::Cell;
use std::io::{Read, Write};
use std::time::Instant;

use thrift::protocol::{
    TBinaryInputProtocol, TBinaryOutputProtocol, TFieldIdentifier, TInputProtocol, TListIdentifier, TMessageIdentifier,
    TMessageType, TOutputProtocol, TStructIdentifier, TType,
};
use thrift::transport::TBufferedReadTransport;

use super::channel::Channel;
use super::wire::{self, MAX_ANSWER_BYTES};
use super::{MetastoreError, Session};

/// Bytes that are read from the connection at once.
const READ_BYTES: usize = 64 << 10;

/// An argument with the number of its field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Argument<'a> {
    /// A text.
    Text(i16, &'a str),
    /// A number of 16 bits.
    Short(i16, i16),
    /// A list of texts.
    Texts(i16, &'a [String]),
    /// Yes or no.
    Flag(i16, bool),
    /// A struct.
    Struct(i16, &'a dyn Written),
}

/// A struct that can be written.
pub(super) trait Written: std::fmt::Debug {
    /// Writes its fields.
    fn fields(&self, output: &mut dyn TOutputProtocol) -> thrift::Result<()>;
}

/// Writes a struct whose fields `content` writes.
pub(super) fn structure(
    output: &mut dyn TOutputProtocol,
    content: impl FnOnce(&mut dyn TOutputProtocol) -> thrift::Result<()>,
) -> thrift::Result<()> {
    output.write_struct_begin(&TStructIdentifier::new(""))?;
    content(output)?;
    output.write_field_stop()?;
    output.write_struct_end()
}

impl Argument<'_> {
    fn write(&self, output: &mut dyn TOutputProtocol) -> thrift::Result<()> {
        let (number, kind) = match self {
            Self::Text(number, _) => (*number, TType::String),
            Self::Short(number, _) => (*number, TType::I16),
            Self::Texts(number, _) => (*number, TType::List),
            Self::Flag(number, _) => (*number, TType::Bool),
            Self::Struct(number, _) => (*number, TType::Struct),
        };
        output.write_field_begin(&TFieldIdentifier::new("", kind, number))?;
        match self {
            Self::Text(_, text) => output.write_string(text)?,
            Self::Short(_, value) => output.write_i16(*value)?,
            Self::Flag(_, value) => output.write_bool(*value)?,
            Self::Struct(_, value) => structure(output, |output| value.fields(output))?,
            Self::Texts(_, texts) => {
                let size = i32::try_from(texts.len()).expect("a page has some hundred names");
                output.write_list_begin(&TListIdentifier::new(TType::String, size))?;
                for text in *texts {
                    output.write_string(text)?;
                }
                output.write_list_end()?;
            }
        }
        output.write_field_end()
    }
}

/// What an answer is, once it could be read.
pub(super) enum Answer<T> {
    Result(T),
    /// An exception that the call declares: number of its field, message.
    Exception(i16, String),
    /// An exception of the protocol itself.
    Refused(thrift::ApplicationError),
}

#[cfg(any(test, feature = "fuzzing"))]
impl<T> Answer<T> {
    /// The result, if it is one.
    pub(super) fn found(self) -> Option<T> {
        if let Self::Result(found) = self { Some(found) } else { None }
    }
}

impl Session {
    /// Calls `name`. `read` reads the result, which is a `result_type`; the exception in field `declared` is one
    /// that the caller expects.
    pub(super) fn call<T>(
        &mut self,
        name: &'static str,
        arguments: &[Argument<'_>],
        declared: Option<i16>,
        result_type: TType,
        read: impl FnOnce(&mut dyn TInputProtocol) -> thrift::Result<T>,
    ) -> Result<T, MetastoreError> {
        self.sequence = self.sequence.wrapping_add(1);
        let left = Cell::new(MAX_ANSWER_BYTES);
        let answer = self.exchange(name, arguments, &left, result_type, read);
        let address = || self.address.to_string();
        match answer {
            Ok(Answer::Result(result)) => Ok(result),
            Ok(Answer::Exception(number, _)) if Some(number) == declared => Err(MetastoreError::Declared),
            Ok(Answer::Exception(_, why)) => Err(MetastoreError::Told { address: address(), call: name, why }),
            Ok(Answer::Refused(error)) if error.kind == thrift::ApplicationErrorKind::UnknownMethod => {
                Err(MetastoreError::UnknownCall { address: address(), call: name, why: error.message })
            }
            Ok(Answer::Refused(error)) => {
                Err(MetastoreError::Told { address: address(), call: name, why: error.message })
            }
            Err(thrift::Error::Transport(error)) if left.get() > 0 => {
                Err(MetastoreError::Broken { address: address(), call: name, why: error.message })
            }
            Err(thrift::Error::Transport(_)) => {
                let why = format!("it has more than {MAX_ANSWER_BYTES} bytes, or than its frame");
                Err(MetastoreError::Malformed { address: address(), call: name, why })
            }
            Err(error) => Err(MetastoreError::Malformed { address: address(), call: name, why: error.to_string() }),
        }
    }

    fn exchange<T>(
        &self,
        name: &str,
        arguments: &[Argument<'_>],
        left: &Cell<u64>,
        result_type: TType,
        read: impl FnOnce(&mut dyn TInputProtocol) -> thrift::Result<T>,
    ) -> thrift::Result<Answer<T>> {
        let mut channel = Channel { stream: &self.stream, until: Instant::now() + self.call_time, left };
        let mut request = request(name, self.sequence, arguments)?;
        if self.framed {
            let length = u32::try_from(request.len()).expect("a request names some hundred partitions");
            request = [&length.to_be_bytes()[..], &request].concat();
        }
        channel.write_all(&request)?;
        if self.framed {
            let mut length = [0; 4];
            channel.read_exact(&mut length)?;
            left.set(u64::from(u32::from_be_bytes(length)).min(MAX_ANSWER_BYTES));
        }
        let buffered = TBufferedReadTransport::with_capacity(READ_BYTES, channel);
        let mut input = TBinaryInputProtocol::with_config(buffered, true, wire::limits());
        let begin = input.read_message_begin()?;
        thrift::protocol::verify_expected_service_call(name, &begin.name)?;
        thrift::protocol::verify_expected_sequence_number(self.sequence, begin.sequence_number)?;
        if begin.message_type == TMessageType::Exception {
            let error = thrift::Error::read_application_error_from_in_protocol(&mut input)?;
            return Ok(Answer::Refused(error));
        }
        thrift::protocol::verify_expected_message_type(TMessageType::Reply, begin.message_type)?;
        let answer = result(&mut input, result_type, read)?;
        input.read_message_end()?;
        Ok(answer)
    }
}

fn request(name: &str, sequence: i32, arguments: &[Argument<'_>]) -> thrift::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut output = TBinaryOutputProtocol::new(&mut bytes, true);
    output.write_message_begin(&TMessageIdentifier::new(name, TMessageType::Call, sequence))?;
    structure(&mut output, |output| arguments.iter().try_for_each(|argument| argument.write(output)))?;
    output.write_message_end()?;
    Ok(bytes)
}

/// The result's struct: field 0 is the result, any other one an exception with its message in field 1.
pub(super) fn result<T>(
    input: &mut dyn TInputProtocol,
    result_type: TType,
    read: impl FnOnce(&mut dyn TInputProtocol) -> thrift::Result<T>,
) -> thrift::Result<Answer<T>> {
    let (mut read, mut answer) = (Some(read), None);
    wire::fields(input, |input, number, kind| {
        if number == 0 && kind == result_type {
            let Some(read) = read.take() else { return Ok(false) };
            answer = Some(Answer::Result(read(input)?));
            return Ok(true);
        }
        if number == 0 || kind != TType::Struct {
            return Ok(false);
        }
        let mut message = String::new();
        wire::fields(input, |input, number, kind| {
            if (number, kind) != (1, TType::String) {
                return Ok(false);
            }
            message = input.read_string()?;
            Ok(true)
        })?;
        answer = Some(Answer::Exception(number, message));
        Ok(true)
    })?;
    if answer.is_none() && result_type == TType::Void {
        answer = read.take().map(|read| read(input)).transpose()?.map(Answer::Result);
    }
    let none =
        || thrift::new_protocol_error(thrift::ProtocolErrorKind::InvalidData, "it has neither result nor exception");
    answer.ok_or_else(none)
}
