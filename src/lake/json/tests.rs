//! The reader against what it should and should not take.

use super::*;

#[test]
fn agrees_with_serde_json_on_what_is_json() {
    for text in [
        "{}",
        "[]",
        "[1,]",
        "{,}",
        "{\"a\"}",
        "[01]",
        "[-]",
        "[1.]",
        "[1e]",
        "nul",
        "[nulx]",
        "\"\\x\"",
        "\"\\u12\"",
        "\"a\nb\"",
        "[1 2]",
        "{\"a\":1 \"b\":2}",
        "[tru",
        "{\"a\":",
        "[-0.5e+3, true, \"\\ud800x\"]",
        "",
        "  ",
        "[\"",
    ] {
        let mut tape = Tape::default();
        let ours = tape.parse(text.as_bytes(), usize::MAX);
        let lone_surrogate = text.contains("ud800");
        let theirs = serde_json::from_str::<serde_json::Value>(text).is_ok() || lone_surrogate;
        assert_eq!(ours.is_ok_and(|end| end == text.len()), theirs, "{text:?}: {ours:?}");
    }
    let deep = "[".repeat(1000);
    assert_eq!(Tape::default().parse(deep.as_bytes(), usize::MAX).unwrap_err().kind, SyntaxKind::Deep);
    assert_eq!(Tape::default().parse(b"[\"abcdef\"]", 4).unwrap_err().kind, SyntaxKind::Long);
}

#[test]
fn plain_runs_end_where_they_should() {
    for length in 0..70 {
        let text = vec![b'x'; length];
        assert_eq!(plain_run(&text), length);
        for at in 0..length {
            for special in [b'"', b'\\', 0, 0x1f, b'\n'] {
                let mut other = text.clone();
                other[at] = special;
                assert_eq!(plain_run(&other), at, "{length} {special}");
            }
            for plain in [0x20, 0x7f, 0x80, 0xff, b'!', b'#', b'[', b']'] {
                let mut other = text.clone();
                other[at] = plain;
                assert_eq!(plain_run(&other), length, "{at} {plain}");
            }
        }
    }
}

#[test]
fn a_known_identity_is_told_by_its_text() {
    let mut tape = Tape::of_records();
    let record = |identity: &str| format!(r#"{{"userIdentity":{identity},"a":{{"userIdentity":{{"x":1}}}},"b":2}}"#);
    for (identity, members) in [
        (r#"{"type":"A","n":1}"#, 2),
        (r#"{"type":"A","n":2}"#, 2),
        (r#"{"type":"A","n":1}"#, 0),
        ("null", 0),
        ("null", 0),
        (r#"{}"#, 0),
    ] {
        let text = record(identity);
        assert_eq!(tape.parse(text.as_bytes(), usize::MAX), Ok(text.len()));
        let root = tape.root(&text);
        let value = root.get("userIdentity").unwrap();
        assert_eq!((value.raw(), value.members().count()), (identity, members));
        assert_eq!(root.get("a").and_then(|a| a.get("userIdentity")).and_then(|i| i.get("x")).unwrap().raw(), "1");
        assert_eq!(root.get("b").unwrap().raw(), "2");
    }
    let cut = record(r#"{"type":"A","n":1}"#);
    assert!((1..cut.len()).all(|end| tape.parse(&cut.as_bytes()[..end], usize::MAX).is_err()));
}

#[test]
fn reads_members() {
    let text = r#" {"a":{"b":[1,"x",true]},"c":"q\"","d":"true"}"#;
    let mut tape = Tape::default();
    tape.parse(text.as_bytes(), usize::MAX).unwrap();
    let root = tape.root(text);
    let items: Vec<_> = root.get("a").unwrap().get("b").unwrap().elements().map(|v| v.lenient()).collect();
    assert_eq!(items, ["1", "x", "true"]);
    assert_eq!(root.get("c").unwrap().text().unwrap(), "q\"");
    assert_eq!(root.get("d").unwrap().boolean(), Some(true));
    assert!(root.get("a").unwrap().get("zz").is_none());
    assert_eq!(root.get("c").unwrap().members().count(), 0);
}
