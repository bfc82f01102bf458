//! The client against a server that answers rightly, wrongly, too much, too little, or not at all.

use std::net::TcpListener;
use std::sync::mpsc;

use skein_protocol::connection::HiveMetastore;
use skein_protocol::data_plane::Class;
use skein_protocol::problem::Code;
use thrift::protocol::{
    TBinaryInputProtocol, TInputProtocol, TListIdentifier, TMapIdentifier, TMessageType, TOutputProtocol, TType,
};

use super::stand_in::{self, Output, Reaction, config, exception, field, message, reply, structure, text_field, texts};
use super::wire::{fields, limits};
use super::{Column, MetastoreError, Session, objects};

fn databases(mut answer: impl FnMut(&str, i32) -> Vec<u8> + Send + 'static) -> Result<Vec<String>, MetastoreError> {
    let answer = move |call: &str, sequence| Reaction::Send(answer(call, sequence));
    Session::open(config(&[stand_in::start(answer)]).service())?.databases()
}

fn is_malformed<T>(answer: &Result<T, MetastoreError>) -> bool {
    matches!(answer, Err(MetastoreError::Malformed { .. }))
}

fn is_broken<T>(answer: &Result<T, MetastoreError>) -> bool {
    matches!(answer, Err(MetastoreError::Broken { .. }))
}

/// A table as a metastore sends it, with fields that nobody here knows.
fn table(output: &mut Output<'_>) {
    structure(output, |output| {
        text_field(output, 1, "plays");
        text_field(output, 3, "ann");
        field(output, 7, TType::Struct, |output| {
            structure(output, |output| {
                field(output, 1, TType::List, |output| {
                    output.write_list_begin(&TListIdentifier::new(TType::Struct, 1)).unwrap();
                    structure(output, |output| {
                        text_field(output, 1, "id");
                        text_field(output, 2, "int");
                        text_field(output, 3, "the number");
                    });
                });
                text_field(output, 2, "file:/wh/plays");
                field(output, 6, TType::I32, |output| output.write_i32(-1).unwrap());
                field(output, 7, TType::Struct, |output| {
                    structure(output, |output| {
                        text_field(output, 2, "a.Serde");
                        field(output, 3, TType::Map, |output| {
                            output.write_map_begin(&TMapIdentifier::new(TType::String, TType::String, 1)).unwrap();
                            output.write_string("field.delim").unwrap();
                            output.write_string(",").unwrap();
                        });
                    });
                });
            });
        });
        field(output, 900, TType::Map, |output| {
            output.write_map_begin(&TMapIdentifier::new(TType::I64, TType::List, 1)).unwrap();
            output.write_i64(7).unwrap();
            output.write_list_begin(&TListIdentifier::new(TType::Struct, 1)).unwrap();
            structure(output, |output| field(output, 1, TType::Bool, |output| output.write_bool(true).unwrap()));
        });
        text_field(output, 12, "EXTERNAL_TABLE");
    });
}

#[test]
fn a_table_is_read_by_the_numbers_of_its_fields_and_others_are_skipped() {
    let address = stand_in::start(|call, sequence| Reaction::Send(reply(call, sequence, TType::Struct, table)));
    let found =
        Session::open(config(&[address]).service()).unwrap().table(&"m.plays".parse().unwrap()).unwrap().unwrap();
    let id = Column { name: "id".to_owned(), type_text: "int".to_owned(), comment: Some("the number".to_owned()) };
    assert_eq!((found.owner.as_deref(), found.kind.as_str()), (Some("ann"), "EXTERNAL_TABLE"));
    assert_eq!(found.storage.columns, [id]);
    assert_eq!(found.storage.location.as_deref(), Some("file:/wh/plays"));
    assert_eq!(found.storage.serde_properties["field.delim"], ",");
    assert_eq!(found.view_text, None);
}

#[test]
fn an_answer_that_is_cut_off_anywhere_is_an_error() {
    let whole = reply("get_table", 1, TType::Struct, table);
    let (length, mut cut) = (whole.len(), 0);
    let address = stand_in::start(move |_, _| {
        cut += 1;
        Reaction::SendAndClose(whole[..cut - 1].to_vec())
    });
    for sent in 0..length {
        let answer = Session::open(config(&[address]).service()).unwrap().table(&"m.plays".parse().unwrap());
        assert!(is_broken(&answer), "{sent} bytes of {length}: {answer:?}");
    }
}

#[test]
fn a_damaged_answer_never_ends_in_a_panic() {
    let whole = reply("get_table", 1, TType::Struct, table);
    for at in 0..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            let mut input = TBinaryInputProtocol::with_config(&bytes[..], true, limits());
            if input.read_message_begin().is_ok() {
                let _ = fields(&mut input, |input, number, kind| match (number, kind) {
                    (0, TType::Struct) => objects::table(input).map(|_| true),
                    _ => Ok(false),
                });
            }
        }
    }
}

#[test]
fn sizes_that_no_answer_has_are_refused_before_anything_is_allocated() {
    let list = |size: i32| {
        move |output: &mut Output<'_>| {
            output.write_list_begin(&TListIdentifier::new(TType::String, size)).unwrap();
        }
    };
    let text = |size: i32| {
        move |output: &mut Output<'_>| {
            output.write_list_begin(&TListIdentifier::new(TType::String, 1)).unwrap();
            output.write_i32(size).unwrap();
        }
    };
    for size in [i32::MAX, -1, 20_000_000] {
        let listed = databases(move |call, sequence| reply(call, sequence, TType::List, list(size)));
        assert!(is_malformed(&listed), "{size} elements: {listed:?}");
    }
    for size in [i32::MAX, -1, 20_000_000] {
        let read = databases(move |call, sequence| reply(call, sequence, TType::List, text(size)));
        assert!(is_malformed(&read), "{size} bytes: {read:?}");
    }
}

#[test]
fn an_answer_of_another_kind_or_to_another_question_is_refused() {
    let numbers = |output: &mut Output<'_>| {
        output.write_list_begin(&TListIdentifier::new(TType::I32, 1)).unwrap();
        output.write_i32(1).unwrap();
    };
    let none = |output: &mut Output<'_>| texts(output, &[]);
    assert!(is_malformed(&databases(move |call, sequence| reply(call, sequence, TType::List, numbers))));
    assert!(is_malformed(&databases(move |call, sequence| reply(call, sequence + 1, TType::List, none))));
    assert!(is_malformed(&databases(move |_, sequence| reply("get_table", sequence, TType::List, none))));
    assert!(is_malformed(&databases(|call, sequence| message(TMessageType::Reply, call, sequence, |_| ()))));
    assert!(is_malformed(&databases(|_, _| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())));
}

#[test]
fn exceptions_are_told_and_a_missing_table_is_none() {
    let told = databases(|call, sequence| exception(call, sequence, 1, "the database is away"));
    let failure = told.unwrap_err().into_failure();
    assert_eq!((failure.code(), failure.class), (Code::CatalogUnavailable, Class::Transient));
    assert!(failure.problem.why.contains("the database is away"), "{failure:?}");
    let address = stand_in::start(|call, sequence| Reaction::Send(exception(call, sequence, 2, "m.plays")));
    assert_eq!(Session::open(config(&[address]).service()).unwrap().table(&"m.plays".parse().unwrap()), Ok(None));
    let unknown = databases(|call, sequence| {
        message(TMessageType::Exception, call, sequence, |output| {
            text_field(output, 1, "Invalid method name");
            field(output, 2, TType::I32, |output| output.write_i32(1).unwrap());
        })
    });
    assert!(matches!(&unknown, Err(MetastoreError::UnknownCall { .. })), "{unknown:?}");
}

#[test]
fn who_does_not_answer_in_time_or_hangs_up_is_asked_again_later() {
    let silent = config(&[stand_in::start(|_, _| Reaction::Silence)]);
    let silent = HiveMetastore { call_seconds: 1, ..silent };
    let answer = Session::open(silent.service()).unwrap().databases();
    assert!(is_broken(&answer), "{answer:?}");
    let address = stand_in::start(|_, _| Reaction::SendAndClose(Vec::new()));
    let answer = Session::open(config(&[address]).service()).unwrap().databases();
    assert!(is_broken(&answer), "{answer:?}");
    assert_eq!(answer.unwrap_err().into_failure().class, Class::Transient);
}

#[test]
fn the_next_address_is_tried_where_nobody_listens() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let address = stand_in::start(|call, sequence| {
        Reaction::Send(reply(call, sequence, TType::List, |output| texts(output, &["a", "b"])))
    });
    assert_eq!(Session::open(config(&[free, address]).service()).unwrap().databases().unwrap(), ["a", "b"]);
    let failure = Session::open(config(&[free, free]).service()).unwrap_err().into_failure();
    assert_eq!((failure.code(), failure.class), (Code::CatalogUnavailable, Class::Transient));
    assert_eq!(failure.problem.why.matches(&free.to_string()).count(), 2, "{failure:?}");
}

#[test]
fn framed_answers_are_read_and_never_past_their_frame() {
    let framed = |missing: usize| {
        let address = stand_in::serve(true, move |call, sequence| {
            let mut bytes = reply(call, sequence, TType::List, |output| texts(output, &["a"]));
            let length = u32::try_from(bytes.len() - missing).unwrap();
            bytes = [&length.to_be_bytes()[..], &bytes].concat();
            Reaction::Send(bytes)
        });
        let config = HiveMetastore { framed: true, ..config(&[address]) };
        Session::open(config.service()).unwrap().databases()
    };
    assert_eq!(framed(0).unwrap(), ["a"]);
    assert!(is_malformed(&framed(1)));
}

#[test]
fn twenty_thousand_partitions_come_in_forty_pages() {
    const PARTITIONS: usize = 20_000;
    const PAGE: usize = 500;
    let names: Vec<String> = (0..PARTITIONS).map(|number| format!("k={number}")).collect();
    let (asked, calls) = mpsc::channel();
    let mut page = 0;
    let address = stand_in::start(move |call, sequence| {
        asked.send(call.to_owned()).unwrap();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        Reaction::Send(match call {
            "get_partition_names" => reply(call, sequence, TType::List, |output| texts(output, &all)),
            _ => reply(call, sequence, TType::List, |output| {
                let size = i32::try_from(PAGE).unwrap();
                output.write_list_begin(&TListIdentifier::new(TType::Struct, size)).unwrap();
                for name in &all[page * PAGE..][..PAGE] {
                    structure(output, |output| field(output, 1, TType::List, |output| texts(output, &[name])));
                }
                page += 1;
            }),
        })
    });
    let mut values = Vec::new();
    let mut session = Session::open(config(&[address]).service()).unwrap();
    session.partitions(&"m.plays".parse().unwrap(), |partition| values.extend(partition.values)).unwrap();
    assert_eq!(values.len(), PARTITIONS);
    assert_eq!((values[0].as_str(), values[PARTITIONS - 1].as_str()), ("k=0", "k=19999"));
    let calls: Vec<String> = calls.try_iter().collect();
    assert_eq!(calls[0], "get_partition_names");
    assert_eq!(calls[1..], ["get_partitions_by_names"; 40]);
}
