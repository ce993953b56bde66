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

/// Records of few shapes whose parts repeat, some of them odd.
fn records() -> Vec<String> {
    let identities = [r#"{"type":"A","n":[1,{"x":"}"}]}"#, r#"{"type":"A","n":2}"#, "null", "{}", r#""text""#];
    let tails =
        [r#""readOnly":true,"tlsDetails":{"a":"b"}"#, r#""readOnly": false ,"x":1"#, "", r#""eventID":"again""#];
    let mut out = Vec::new();
    for n in 0..120 {
        let (identity, tail) = (identities[n % 5], tails[(n / 3) % 4]);
        let space = if n % 7 == 0 { " " } else { "" };
        let code = if n % 11 == 0 { r#""errorCode":"X","# } else { "" };
        let comma = if tail.is_empty() { "" } else { "," };
        out.push(format!(
            r#"{{"eventVersion":"1.0{}","userIdentity":{identity},{space}"eventTime":"t{n}","eventSource":"s{}",{code}"requestParameters":{{"userIdentity":{n}}},"eventID":"{n}"{comma}{tail}{space}}}"#,
            n % 2,
            n % 3,
        ));
    }
    out
}

#[test]
fn runs_change_nothing_but_the_work() {
    let (mut known, mut plain) = (Tape::of_records(), Tape::default());
    let mut runs = 0;
    for text in records() {
        assert_eq!(known.parse(text.as_bytes(), usize::MAX), Ok(text.len()));
        assert_eq!(plain.parse(text.as_bytes(), usize::MAX), Ok(text.len()));
        let flat = |value: Value<'_>| {
            value.pairs().map(|(key, value)| (key.raw().to_owned(), value.raw().to_owned())).collect::<Vec<_>>()
        };
        let (a, b) = (known.root(&text), plain.root(&text));
        assert_eq!((flat(a), a.members().count()), (flat(b), b.members().count()), "{text}");
        for key in ["eventVersion", "userIdentity", "eventTime", "errorCode", "eventID", "readOnly", "x", "none"] {
            assert_eq!(a.get(key).map(Value::raw), b.get(key).map(Value::raw), "{text} {key}");
        }
        let again: Vec<(String, String)> = a
            .parts()
            .flat_map(|part| match part {
                Part::Member(key, value) => vec![(key.raw().to_owned(), value.raw().to_owned())],
                Part::Run(run) => {
                    runs += 1;
                    let member = |(key, _, at): (Value<'_>, Value<'_>, u32)| {
                        (key.raw().to_owned(), run.value(at).raw().to_owned())
                    };
                    run.members().map(member).collect()
                }
            })
            .collect();
        assert_eq!(again, flat(b));
        // Wherever the text ends, both say so.
        for end in (1..text.len()).step_by(13) {
            let cut = &text.as_bytes()[..end];
            assert_eq!(known.parse(cut, usize::MAX).is_err(), plain.parse(cut, usize::MAX).is_err(), "{text} {end}");
        }
    }
    assert!(runs > 200, "{runs}");
}

#[test]
fn a_record_that_is_too_long_is_so_within_a_run() {
    let mut tape = Tape::of_records();
    let text = records().remove(1);
    for _ in 0..3 {
        assert_eq!(tape.parse(text.as_bytes(), usize::MAX), Ok(text.len()));
        assert_eq!(tape.parse(text.as_bytes(), text.len() - 1).unwrap_err().kind, SyntaxKind::Long);
        assert_eq!(tape.parse(text.as_bytes(), 20).unwrap_err().kind, SyntaxKind::Long);
    }
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
