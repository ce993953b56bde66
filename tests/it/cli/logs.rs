//! `logs verify`: what it prints, and its exit codes.

use std::collections::BTreeMap;
use std::fs;

use jitscan::integrity::Status;

use super::*;
use crate::integrity::generate::{Corpus, PLAIN, Plan, Sidecars};
use crate::lake::gz;

/// A download in `tree`, and keys.
fn place(corpus: &Corpus, sidecars: Sidecars) -> (Place, PathBuf) {
    let place = Place::new();
    let root = corpus.download(&place.path("tree"), sidecars);
    fs::write(place.path("keys.json"), corpus.keys.to_string()).unwrap();
    (place, root)
}

fn statuses(rows: &[Value]) -> BTreeMap<String, usize> {
    rows.iter().fold(BTreeMap::new(), |mut sums, row| {
        *sums.entry(format!("{} {}", row["kind"].as_str().unwrap(), row["status"].as_str().unwrap())).or_default() += 1;
        sums
    })
}

#[test]
fn exit_codes_and_which_of_them_wins() {
    let corpus = Corpus::whole();
    let (place, root) = place(&corpus, Sidecars::Newest);
    let verify = "logs verify tree --public-keys keys.json";
    let run = place.line(&format!("{verify} --format ndjson"));
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    assert_eq!(statuses(&run.rows()), [("chain valid".to_owned(), 5)].into());
    let rows = place.rows(&format!("{verify} --all"));
    let want = [("chain valid", 5), ("digest valid", 52), ("log valid", 88)].map(|(k, v)| (k.to_owned(), v));
    assert_eq!(statuses(&rows), want.into());
    assert!(!place.path("jitscan-store").exists(), "no store is made");

    // The keys that the store has serve as well.
    assert_eq!(place.line("ingest public-keys keys.json --quiet").code, Some(0));
    let run = place.line("logs verify tree --format ndjson");
    assert_eq!((run.code, statuses(&run.rows())), (Some(0), [("chain valid".to_owned(), 5)].into()), "{run:?}");

    let log = &corpus.made(0)[2].logs[0];
    fs::write(root.join(log), gz("{}")).unwrap();
    let run = place.line(&format!("{verify} --format json"));
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(run.stderr.contains("TAMPERING: 1 digests or logs were changed"), "{run:?}");
    let whole: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(whole["meta"]["gaps"][0]["kind"], "TAMPERING");
    assert_eq!(whole["rows"][0]["status"], "log-hash-mismatch");
    assert!(whole["rows"][0]["object"].as_str().unwrap().ends_with(log.as_str()));
    let chain = whole["rows"].as_array().unwrap().iter().find(|row| row["status"] == "tampered").unwrap();
    assert_eq!((&chain["logs"], &chain["logs_valid"], &chain["tampered"]), (&14.into(), &13.into(), &1.into()));

    // What is missing besides wins, but hides nothing.
    let sidecar = root.join(format!("{}.meta.json", corpus.made(3)[4].key));
    fs::remove_file(sidecar).unwrap();
    let run = place.line(verify);
    assert_eq!(run.code, Some(4), "{run:?}");
    assert!(run.stdout.contains("log-hash-mismatch") && run.stdout.contains("; 1 TAMPERED"), "{run:?}");
    assert!(run.stderr.contains("TAMPERING") && run.stderr.contains("incomplete"), "{run:?}");
    let quiet = place.line(&format!("{verify} --quiet"));
    assert_eq!((quiet.code, quiet.stderr.as_str()), (Some(4), ""));

    // Outside the asked time it is not looked at; the digests after it are.
    let run = place.line(&format!("{verify} --from 2024-03-02T02:01:31Z --to 2024-03-02T04:00:00Z --format ndjson"));
    assert_eq!(statuses(&run.rows()).get("log log-hash-mismatch"), None, "{run:?}");
}

/// A chain of which nothing is of the asked time is not called valid, and where that is so of all, nothing was verified.
#[test]
fn a_time_of_which_nothing_is_there() {
    let corpus = Corpus::whole();
    let (place, _) = place(&corpus, Sidecars::Newest);
    let run = place.line("logs verify tree --public-keys keys.json --to 2020-01-01 --format json");
    let whole: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(statuses(whole["rows"].as_array().unwrap()), [("chain none".to_owned(), 5)].into());
    assert_eq!(whole["rows"][0]["detail"], "none of its digests is of the time that is asked about");
    assert_eq!(run.code, Some(4), "{run:?}");
    assert!(run.stderr.contains("no digest is of the time that is asked about"), "{run:?}");
}

#[test]
fn what_cannot_be_done() {
    let corpus = Corpus::small();
    let (place, _) = place(&corpus, Sidecars::None);
    fs::write(place.path("bad.json"), "{\"PublicKeyList\":[{\"Fingerprint\":\"00\"}]}").unwrap();
    fs::create_dir(place.path("empty")).unwrap();
    for (line, code, said) in [
        ("logs", 2, "Usage: jitscan logs"),
        ("logs verify", 2, "<PATH>..."),
        ("logs verify tree --from yesterday", 2, "is not a time"),
        ("logs verify tree --from 2024-03-02 --to 2024-03-01", 2, "is not before --to"),
        ("logs verify nowhere", 1, "nowhere: No such file"),
        ("logs verify tree --public-keys nowhere", 1, "nowhere: No such file"),
        ("logs verify tree --public-keys bad.json", 1, "bad.json: not the output of `aws cloudtrail list-public-keys`"),
    ] {
        place.line(line).fails(code, said);
    }
    let run = place.line("logs verify empty");
    assert_eq!(run.code, Some(4), "nothing was verified: {run:?}");
    assert!(run.stderr.contains("no digest files below empty"), "{run:?}");
    let run = place.line("logs verify tree");
    assert_eq!(run.code, Some(4));
    assert!(run.stderr.contains("no public keys were given"), "{run:?}");
}

#[test]
fn the_help_names_every_status() {
    let run = Place::new().line("logs verify --help");
    assert_eq!(run.code, Some(0));
    for status in Status::ALL {
        assert!(run.stdout.contains(status.as_str()), "{}", status.as_str());
    }
}

#[test]
fn the_same_whatever_the_threads_and_keys_in_folders() {
    let off = Plan { region: "us-east-1", signer: 1, off: 2..4, ..PLAIN };
    let corpus = Corpus::new(&[PLAIN, off]);
    let (place, root) = place(&corpus, Sidecars::None);
    fs::remove_file(root.join(&corpus.made(0)[2].logs[0])).unwrap();
    fs::create_dir(place.path("keys")).unwrap();
    for (at, region) in ["eu", "us"].iter().enumerate() {
        fs::write(place.path(&format!("keys/{region}.json")), corpus.keys[at].to_string()).unwrap();
    }
    let seen: std::collections::BTreeSet<(Option<i32>, String)> = ["1", "2", "4"]
        .iter()
        .flat_map(|threads| {
            ["--public-keys keys", "--public-keys keys/us.json --public-keys keys/eu.json"].map(|keys| {
                let run = place.line(&format!("logs verify tree {keys} --all --threads {threads} --format csv"));
                (run.code, run.stdout)
            })
        })
        .collect();
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[test]
fn names_cannot_steer_the_terminal_and_pipes_are_not_read() {
    let corpus = Corpus::small();
    let (place, root) = place(&corpus, Sidecars::Newest);
    let folder = root.join("AWSLogs/111122223333/CloudTrail/eu-west-1/2024/03/01");
    fs::write(folder.join("\u{1b}[31mred.json.gz"), "x").unwrap();
    let made =
        Command::new("mkfifo").arg(folder.join("111122223333_CloudTrail_eu-west-1_20240301T2101Z_x.json.gz")).status();
    assert!(made.unwrap().success());
    let run = place.line("logs verify tree --public-keys keys.json");
    assert_eq!(run.code, Some(4), "{run:?}");
    assert!(!run.stdout.contains('\u{1b}') && run.stdout.contains("\\u{1b}[31mred"), "{run:?}");
}
