#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skein_protocol::fuzzing::batch_answer(bytes));
