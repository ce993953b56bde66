//! Tables and properties of the splitter.

use proptest::prelude::*;

use super::*;

const A: &str = r#"{"eventVersion":"1.08","eventTime":"2023-07-10T11:42:24Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","eventID":"a","requestParameters":{"key":"}],{\"eventTime\":1"}}"#;
const B: &str = r#"{ "requestParameters": {"x": [{"y": {}}]}, "eventTime":"2023-07-10T11:42:25Z","eventSource":"iam.amazonaws.com","eventName":"ListUsers","eventID":"b"}"#;

struct Seen {
    records: Vec<String>,
    bad: Vec<(u64, u64, String)>,
    ending: Ending,
}

fn seen<R: Read>(mut splitter: Splitter<R>) -> Seen {
    let (mut records, mut bad) = (Vec::new(), Vec::new());
    let ending = splitter
        .run::<()>(&mut |piece| {
            match piece {
                Piece::Record { text, .. } => records.push(text.to_owned()),
                Piece::Bad { offset, length, reason, .. } => bad.push((offset, length, reason)),
            }
            Ok(())
        })
        .unwrap();
    Seen { records, bad, ending }
}

fn both(bytes: &[u8]) -> Seen {
    let whole = seen(Splitter::whole(bytes.to_vec(), None));
    let stream = seen(Splitter::streaming(bytes));
    assert_eq!((&whole.records, &whole.bad, whole.ending), (&stream.records, &stream.bad, stream.ending));
    whole
}

#[test]
fn every_wrapping() {
    for text in [
        format!(r#"{{"Records":[{A},{B}]}}"#),
        format!("\u{feff}{{\r\n \"Records\" : [\r\n{A} ,\r\n{B}\r\n] }}\r\n"),
        format!(r#"{{"nextToken":null,"meta":{{"Records":[1]}},"Records":[{A}],"x":[{{}}],"Records":[{B}],"y":"}}"}}"#),
        format!("[{A},{B}]"),
        format!("{A}\r\n{B}\r\n"),
        format!("{A}{B}"),
        format!(r#"{{"Records":[{A}]}}{{"Records":[]}}{{"Records":[{B}]}}"#),
        format!("[{A}]\n{B}"),
    ] {
        let got = both(text.as_bytes());
        assert_eq!(got.records, [A, B], "{text}");
        assert!(got.bad.is_empty() && got.ending == Ending::Whole, "{text}: {:?}", got.bad);
    }
}

#[test]
fn one_bad_record_costs_one_record() {
    let bytes = |text: String| text.into_bytes();
    let mut invalid = bytes(format!(r#"[{A},{{"eventID":"x"#));
    invalid.extend_from_slice(b"\xff\xfe\"},");
    invalid.extend_from_slice(format!("{B}]").as_bytes());
    for (name, text) in [
        ("no value", bytes(format!(r#"[{A},{{"eventTime":,"a":{{}}}},{B}]"#))),
        ("missing brace", bytes(format!(r#"{{"Records":[{A},{{"eventTime":1,"a":{{"b":1}},{B}]}}"#))),
        ("missing quote", bytes(format!(r#"{{"Records":[{A},{{"eventTime":"1,"a":{{}}}},{B}]}}"#))),
        ("extra brace", bytes(format!("[{A}}},{B}]"))),
        ("scalar", bytes(format!("[{A},17,{B}]"))),
        ("nested list", bytes(format!("[{A},[{{}}],{B}]"))),
        ("line cut", bytes(format!("{A}\n{{\"eventTime\":\"20\n{B}\n"))),
        ("line of text", bytes(format!("{A}\nhello, world\n{B}\n"))),
        ("text before", bytes(format!("hello {{world}}\n{A}\n{B}\n"))),
        ("invalid UTF-8", invalid),
        ("deep", bytes(format!("[{A},{}1{},{B}]", "{\"a\":".repeat(200), "}".repeat(200)))),
    ] {
        let got = both(&text);
        assert_eq!(got.records, [A, B], "{name}: {:?}", got.bad);
        assert_eq!(got.bad.len(), 1, "{name}: {:?}", got.bad);
        assert_eq!(got.ending, Ending::Whole, "{name}");
    }
}

#[test]
fn truncation_costs_the_tail() {
    let text = format!(r#"{{"Records":[{A},{B}]}}"#);
    for end in 1..text.len() {
        let got = both(&text.as_bytes()[..end]);
        let whole = if end >= text.len() - 2 { 2 } else { usize::from(end >= 12 + A.len()) };
        assert_eq!(got.records.len(), whole, "cut at {end}: {:?}", got.bad);
        assert_eq!(got.bad.len(), 1, "cut at {end}: {:?}", got.bad);
        assert_eq!(got.ending, Ending::Truncated, "cut at {end}: {:?}", got.bad);
    }
}

#[test]
fn what_is_no_log_is_one_row() {
    for text in ["# Readme\n\nSome text, with {braces}.\n", "\u{0}\u{1}\u{2}", "a,b\n1,2\n", ""] {
        let got = both(text.as_bytes());
        assert_eq!((got.records.len(), got.bad.len()), (0, 1), "{text:?}");
    }
    assert!(both(b"{\"Records\":[]}").bad.is_empty());
    assert!(both(b"[]").bad.is_empty());
}

#[test]
fn too_long_a_record_is_skipped_without_holding_it() {
    let long = format!(r#"{{"eventTime":"{}"}}"#, "x".repeat(50 << 20));
    let got = both(format!("[{A},{long},{B}]").as_bytes());
    assert_eq!(got.records, [A, B]);
    assert_eq!(got.bad.len(), 1);
    assert_eq!((got.bad[0].0, got.bad[0].1), (A.len() as u64 + 2, long.len() as u64));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is done to the bytes: no panic, stream and memory agree, and pieces neither overlap nor leave the
    /// file.
    #[test]
    fn mutations_never_break_it(edits in prop::collection::vec((any::<u16>(), any::<u8>(), 0..3u8), 1..6)) {
        let mut bytes = format!(r#"{{"Records":[{A},{B},{A}]}}"#).into_bytes();
        for (at, byte, kind) in edits {
            let at = usize::from(at) % bytes.len();
            match kind {
                0 => bytes[at] = byte,
                1 => { bytes.remove(at); }
                _ => bytes.insert(at, byte),
            }
        }
        let mut splitter = Splitter::whole(bytes.clone(), None);
        let mut last = 0u64;
        splitter.run::<()>(&mut |piece| {
            let (offset, length) = match piece {
                Piece::Record { offset, text, .. } => (offset, text.len() as u64),
                Piece::Bad { offset, length, .. } => (offset, length),
            };
            assert!(offset >= last && offset + length <= bytes.len() as u64);
            last = offset + length;
            Ok(())
        }).unwrap();
        both(&bytes);
    }
}
