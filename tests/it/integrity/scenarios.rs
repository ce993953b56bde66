//! Every kind of tampering: it is caught, with the right class and file, and nothing else is accused.

use std::fs;
use std::path::Path;

use jitscan::integrity::{Options, Status, Weight};
use serde_json::Value;

use super::generate::{BUCKET, Corpus, PLAIN, Plan, Sidecars, Signer, content, digest_key, put, sha256, signature};
use super::{all, of_weight, open_ends, run};
use crate::lake::gz;

/// What is done to a download, and what must be said of it.
pub struct Scenario {
    pub name: &'static str,
    pub corpus: Corpus,
    pub sidecars: Sidecars,
    pub options: Options,
    /// Changes the download; gives what must be accused, as (status, object).
    pub act: fn(&Path, &Corpus) -> Vec<(Status, String)>,
    /// Statuses that are left open and do not follow from the tampering.
    pub open: &'static [Status],
}

fn address(key: &str) -> String {
    format!("s3://{BUCKET}/{key}")
}

fn path(root: &Path, key: &str) -> String {
    root.join(key).display().to_string()
}

/// Rewrites a digest with the content changed, by whoever has no key.
fn rewrite(root: &Path, key: &str, content: &Value, change: impl FnOnce(&mut Value)) {
    let mut content = content.clone();
    change(&mut content);
    put(&root.join(key), &gz(&content.to_string()));
}

fn scenario(name: &'static str, act: fn(&Path, &Corpus) -> Vec<(Status, String)>) -> Scenario {
    Scenario { name, corpus: Corpus::small(), sidecars: Sidecars::Newest, options: all(), act, open: &[] }
}

/// Digests and logs as they were delivered.
fn untouched() -> Vec<Scenario> {
    let off = Plan { region: "us-east-1", signer: 1, hours: 12, off: 4..7, quiet: &[], ..PLAIN };
    let span = |from: &str, to: &str| Options { from: from.parse().ok(), to: to.parse().ok(), keep_valid: true };
    let nothing: fn(&Path, &Corpus) -> Vec<(Status, String)> = |_, _| Vec::new();
    vec![
        Scenario { corpus: Corpus::whole(), ..scenario("whole", nothing) },
        Scenario {
            corpus: Corpus::whole(),
            options: span("2024-03-01T20:01:31Z", "2024-03-02T02:00:00Z"),
            ..scenario("whole within a span", nothing)
        },
        Scenario {
            sidecars: Sidecars::None,
            open: &[Status::NewestUnsigned, Status::NewestUnsigned, Status::NewestUnsigned],
            ..scenario("no metadata was kept", nothing)
        },
        Scenario {
            corpus: Corpus::new(std::slice::from_ref(&off)),
            open: &[
                Status::Gap,
                Status::NotDigested,
                Status::NotDigested,
                Status::NotDigested,
                Status::NotDigested,
                Status::NotDigested,
                Status::NotDigested,
            ],
            ..scenario("validation was off for three hours", nothing)
        },
        Scenario {
            corpus: Corpus::new(&[off]),
            options: span("2024-03-02T03:30:00Z", "2024-03-02T08:00:00Z"),
            ..scenario("validation was off before the span", nothing)
        },
        Scenario {
            options: span("2024-03-01T18:00:00Z", "2024-03-02T09:00:00Z"),
            open: &[Status::Gap, Status::Gap],
            ..scenario("the span is longer than the chain", nothing)
        },
        Scenario {
            open: &[Status::Gap],
            ..scenario("the oldest digests were not downloaded", |root, corpus| {
                for made in &corpus.made(0)[..3] {
                    fs::remove_file(root.join(&made.key)).unwrap();
                    for log in &made.logs {
                        fs::remove_file(root.join(log)).unwrap();
                    }
                }
                Vec::new()
            })
        },
        Scenario {
            open: &[
                Status::NewestUnsigned,
                Status::NewestUnsigned,
                Status::NewestUnsigned,
                Status::NotDigested,
                Status::NotDigested,
            ],
            ..scenario("the newest digest was not downloaded", |root, corpus| {
                fs::remove_file(root.join(&corpus.made(0)[7].key)).unwrap();
                Vec::new()
            })
        },
        scenario("stored uncompressed", |root, corpus| {
            for key in corpus.objects.keys() {
                let text =
                    std::io::read_to_string(flate2::read::GzDecoder::new(fs::File::open(root.join(key)).unwrap()));
                fs::write(root.join(key), text.unwrap()).unwrap();
            }
            Vec::new()
        }),
    ]
}

fn logs() -> Vec<Scenario> {
    vec![
        scenario("a log was changed", |root, corpus| {
            let key = &corpus.made(0)[2].logs[1];
            put(&root.join(key), &gz(r#"{"Records":[]}"#));
            vec![(Status::LogHashMismatch, address(key))]
        }),
        scenario("a log of the newest digest was changed", |root, corpus| {
            let key = &corpus.made(0)[7].logs[0];
            put(&root.join(key), &gz(r#"{"Records":[]}"#));
            vec![(Status::LogHashMismatch, address(key))]
        }),
        scenario("a log was cut in half", |root, corpus| {
            let key = &corpus.made(0)[2].logs[1];
            let bytes = &corpus.objects[key].bytes;
            put(&root.join(key), &bytes[..bytes.len() / 2]);
            vec![(Status::InvalidFormat, address(key))]
        }),
        scenario("the end of a log was cut", |root, corpus| {
            let key = &corpus.made(0)[2].logs[1];
            let bytes = &corpus.objects[key].bytes;
            put(&root.join(key), &bytes[..bytes.len() - 5]);
            vec![(Status::InvalidFormat, address(key))]
        }),
        scenario("records were appended to a log", |root, corpus| {
            let key = &corpus.made(0)[2].logs[1];
            put(&root.join(key), &[corpus.objects[key].bytes.clone(), gz(r#"{"Records":[]}"#)].concat());
            vec![(Status::InvalidFormat, address(key))]
        }),
        scenario("a log was deleted", |root, corpus| {
            let key = &corpus.made(0)[5].logs[0];
            fs::remove_file(root.join(key)).unwrap();
            vec![(Status::LogMissing, address(key))]
        }),
        scenario("a log was moved to another day", |root, corpus| {
            let key = &corpus.made(0)[5].logs[0];
            let elsewhere = root.join(key.replace("2024/03/02", "2024/03/09"));
            fs::create_dir_all(elsewhere.parent().unwrap()).unwrap();
            fs::rename(root.join(key), elsewhere).unwrap();
            vec![(Status::Moved, address(key))]
        }),
        Scenario {
            open: &[Status::NotDigested],
            ..scenario("a log was renamed", |root, corpus| {
                let key = &corpus.made(0)[5].logs[0];
                fs::rename(root.join(key), root.join(key.replace(".json.gz", "x.json.gz"))).unwrap();
                vec![(Status::LogMissing, address(key))]
            })
        },
        scenario("two logs changed places", |root, corpus| {
            let [one, two] = [&corpus.made(0)[1].logs[0], &corpus.made(0)[4].logs[1]];
            put(&root.join(one), &corpus.objects[two].bytes);
            put(&root.join(two), &corpus.objects[one].bytes);
            vec![(Status::LogHashMismatch, address(one)), (Status::LogHashMismatch, address(two))]
        }),
        Scenario {
            open: &[Status::NotDigested],
            ..scenario("a log was put there", |root, corpus| {
                let key = corpus.made(0)[1].logs[0].replace(".json.gz", "x.json.gz");
                put(&root.join(key), &gz(r#"{"Records":[]}"#));
                Vec::new()
            })
        },
    ]
}

fn digests() -> Vec<Scenario> {
    vec![
        scenario("a hash in a digest was changed with the log", |root, corpus| {
            let made = &corpus.made(0)[4];
            put(&root.join(&made.logs[0]), &gz(r#"{"Records":[]}"#));
            let hash = sha256(br#"{"Records":[]}"#);
            rewrite(root, &made.key, &made.content, |content| content["logFiles"][0]["hashValue"] = hash.into());
            vec![(Status::InvalidSignature, address(&made.key))]
        }),
        scenario("a log was deleted and taken out of its digest", |root, corpus| {
            let made = &corpus.made(0)[4];
            fs::remove_file(root.join(&made.logs[0])).unwrap();
            rewrite(root, &made.key, &made.content, |c| drop(c["logFiles"].as_array_mut().unwrap().remove(0)));
            vec![(Status::InvalidSignature, address(&made.key))]
        }),
        scenario("the newest digest was changed", |root, corpus| {
            let made = &corpus.made(0)[7];
            rewrite(root, &made.key, &made.content, |content| content["logFiles"] = Value::Array(Vec::new()));
            vec![(Status::InvalidSignature, address(&made.key))]
        }),
        scenario("the oldest digest was changed", |root, corpus| {
            let made = &corpus.made(0)[0];
            rewrite(root, &made.key, &made.content, |content| content["awsAccountId"] = "1".into());
            vec![(Status::InvalidSignature, address(&made.key))]
        }),
        scenario("a digest points past its previous one, which was deleted", |root, corpus| {
            let [older, gone, made] = [&corpus.made(0)[3], &corpus.made(0)[4], &corpus.made(0)[5]];
            fs::remove_file(root.join(&gone.key)).unwrap();
            rewrite(root, &made.key, &made.content, |content| {
                content["previousDigestS3Object"] = older.key.clone().into();
                content["previousDigestHashValue"] = sha256(older.content.to_string().as_bytes()).into();
                content["previousDigestSignature"] = gone.content["previousDigestSignature"].clone();
            });
            vec![(Status::InvalidSignature, address(&made.key))]
        }),
        scenario("a digest was signed anew with another key", |root, corpus| {
            let made = &corpus.made(0)[7];
            let mut changed = made.content.clone();
            changed["logFiles"] = Value::Array(Vec::new());
            let text = changed.to_string();
            put(&root.join(&made.key), &gz(&text));
            let signature = signature(&Signer::new(1), &changed, &text);
            put(&root.join(format!("{}.meta.json", made.key)), format!(r#"{{"signature":"{signature}"}}"#).as_bytes());
            vec![(Status::InvalidSignature, address(&made.key))]
        }),
        scenario("the signature in the metadata was changed", |root, corpus| {
            let made = &corpus.made(0)[7];
            let file = root.join(format!("{}.meta.json", made.key));
            let text = fs::read_to_string(&file).unwrap();
            let signature = corpus.objects[&made.key].metadata.as_ref().unwrap()["signature"].as_str().unwrap();
            let first = if signature.starts_with('0') { "1" } else { "0" };
            fs::write(file, text.replace(signature, &format!("{first}{}", signature.get(1..).unwrap()))).unwrap();
            vec![(Status::InvalidSignature, address(&made.key))]
        }),
        scenario("a digest was put between two others", |root, corpus| {
            let made = &corpus.made(0)[4];
            let end = made.end.plus_seconds(-600);
            let key = digest_key(&PLAIN, end);
            let forged = content(&PLAIN, &Signer::new(0), (made.start, end), &key, None, &[]);
            put(&root.join(&key), &gz(&forged.to_string()));
            vec![(Status::InvalidSignature, address(&key))]
        }),
        scenario("a digest is no gzip", |root, corpus| {
            let key = &corpus.made(0)[4].key;
            put(&root.join(key), b"\x1f\x8bnot gzip");
            vec![(Status::InvalidFormat, address(key))]
        }),
        scenario("a digest is no digest", |root, corpus| {
            let key = &corpus.made(0)[4].key;
            put(&root.join(key), &gz("{}"));
            vec![(Status::InvalidFormat, address(key))]
        }),
        scenario("bytes follow a digest", |root, corpus| {
            let key = &corpus.made(0)[4].key;
            put(&root.join(key), &[corpus.objects[key].bytes.clone(), vec![0]].concat());
            vec![(Status::InvalidFormat, address(key))]
        }),
        scenario("a digest is a bomb", |root, corpus| {
            let key = &corpus.made(0)[4].key;
            put(&root.join(key), &gz(&" ".repeat(65 << 20)));
            vec![(Status::InvalidFormat, address(key))]
        }),
    ]
}

fn places() -> Vec<Scenario> {
    let backfilled = || Corpus::new(&[PLAIN, Plan { backfill: true, hours: 4, logs: 1, quiet: &[], ..PLAIN }]);
    vec![
        scenario("a digest was deleted", |root, corpus| {
            let key = &corpus.made(0)[4].key;
            fs::remove_file(root.join(key)).unwrap();
            vec![(Status::DigestMissing, address(key))]
        }),
        scenario("three digests in a row were deleted, with their logs", |root, corpus| {
            for made in &corpus.made(0)[3..6] {
                fs::remove_file(root.join(&made.key)).unwrap();
                made.logs.iter().for_each(|log| fs::remove_file(root.join(log)).unwrap());
            }
            vec![(Status::DigestMissing, address(&corpus.made(0)[5].key))]
        }),
        Scenario {
            options: Options { from: "2024-03-01T20:30:00Z".parse().ok(), ..all() },
            ..scenario("the oldest digests of the asked time were deleted", |root, corpus| {
                for made in &corpus.made(0)[..3] {
                    fs::remove_file(root.join(&made.key)).unwrap();
                }
                vec![(Status::DigestMissing, address(&corpus.made(0)[2].key))]
            })
        },
        Scenario {
            corpus: backfilled(),
            ..scenario("a backfill digest was deleted", |root, corpus| {
                let key = &corpus.made(1)[1].key;
                fs::remove_file(root.join(key)).unwrap();
                vec![(Status::DigestMissing, address(key))]
            })
        },
        Scenario {
            corpus: backfilled(),
            ..scenario("a backfill digest was changed", |root, corpus| {
                let made = &corpus.made(1)[2];
                rewrite(root, &made.key, &made.content, |content| content["oldestEventTime"] = Value::Null);
                vec![(Status::InvalidSignature, address(&made.key))]
            })
        },
        scenario("a digest was moved to another day", |root, corpus| {
            let key = &corpus.made(0)[5].key;
            let elsewhere = key.replace("2024/03/02", "2024/03/01");
            fs::create_dir_all(root.join(&elsewhere).parent().unwrap()).unwrap();
            fs::rename(root.join(key), root.join(&elsewhere)).unwrap();
            vec![(Status::Moved, path(root, &elsewhere))]
        }),
        scenario("a digest was put in the place of another", |root, corpus| {
            let [one, two] = [&corpus.made(0)[3].key, &corpus.made(0)[5].key];
            put(&root.join(two), &corpus.objects[one].bytes);
            vec![(Status::Moved, path(root, two))]
        }),
        scenario("a digest was renamed", |root, corpus| {
            let key = &corpus.made(0)[5].key;
            let renamed = key.replace("_main_trail_", "-");
            fs::rename(root.join(key), root.join(&renamed)).unwrap();
            vec![(Status::DigestMissing, address(key)), (Status::Moved, path(root, &renamed))]
        }),
        scenario("a digest names another bucket", |root, corpus| {
            let made = &corpus.made(0)[4];
            rewrite(root, &made.key, &made.content, |content| content["digestS3Bucket"] = "other-bucket".into());
            vec![(Status::Moved, path(root, &made.key))]
        }),
    ]
}

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    [untouched(), logs(), digests(), places()].into_iter().flatten().collect()
}

#[test]
fn each_is_caught_and_nothing_else_is_accused() {
    for scenario in scenarios() {
        let folder = tempfile::tempdir().unwrap();
        let root = scenario.corpus.download(folder.path(), scenario.sidecars);
        let mut want = (scenario.act)(&root, &scenario.corpus);
        want.sort();
        let report = run(folder.path(), &scenario.corpus, scenario.options);
        let name = scenario.name;
        assert_eq!(of_weight(&report, Weight::Tampering), want, "{name}");
        let mut open: Vec<Status> = open_ends(&report).iter().map(|row| row.status).collect();
        open.sort();
        assert_eq!(open, scenario.open, "{name}: {:#?}", open_ends(&report));
        assert_eq!(report.tampered(), want.len() as u64, "{name}");
        assert_eq!(report.is_incomplete(), !scenario.open.is_empty(), "{name}");
        if want.is_empty() && scenario.open.is_empty() {
            assert!(report.rows.iter().all(|row| row.status == Status::Valid), "{name}");
        }
        let from_below = run(&root, &scenario.corpus, scenario.options);
        assert_eq!(of_weight(&from_below, Weight::Tampering), want, "{name}, from the bucket's folder");
    }
}

#[test]
fn the_whole_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = Corpus::whole();
    corpus.download(folder.path(), Sidecars::Newest);
    let report = run(folder.path(), &corpus, Options::default());
    assert_eq!(report.rows, []);
    let sums: Vec<(u64, u64, u64, u64)> =
        report.chains.iter().map(|c| (c.digests, c.digests_valid, c.logs, c.logs_valid)).collect();
    assert_eq!(sums, [(8, 8, 14, 14), (4, 4, 4, 4), (30, 30, 54, 54), (5, 5, 8, 8), (5, 5, 8, 8)]);
    let spans: Vec<String> = report.chains.iter().map(|c| c.to.unwrap().to_string()).collect();
    assert_eq!(spans[2], "2024-03-03T02:01:31Z");
    assert_eq!(report.chains[3].organization.as_deref(), Some("o-abc123def4"));
}
