//! Keys, and the folders that a download can have.

use std::fs;
use std::path::PathBuf;

use jitscan::integrity::{Kind, Options, PublicKeys, Status, verify};

use super::generate::{BUCKET, Corpus, PLAIN, Plan, Sidecars};
use super::{all, run};

#[test]
fn a_region_without_keys_is_inconclusive_and_the_other_valid() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = Corpus::new(&[PLAIN, Plan { region: "us-east-1", signer: 1, ..PLAIN }]);
    corpus.download(folder.path(), Sidecars::Newest);
    let mut keys = PublicKeys::default();
    keys.add(corpus.keys[0].to_string().as_bytes()).unwrap();
    let report = verify(&[folder.path().to_owned()], &keys, &all()).unwrap();
    for row in &report.rows {
        let want = if row.region == "us-east-1" { Status::KeyMissing } else { Status::Valid };
        assert_eq!(row.status, want, "{row:?}");
    }
    assert!(report.is_incomplete() && report.tampered() == 0);
    let report = verify(&[folder.path().to_owned()], &PublicKeys::default(), &all()).unwrap();
    assert!(report.rows.iter().all(|row| row.status == Status::KeyMissing));
    // A key that another region signs with does not count.
    let mut text = corpus.keys.to_string();
    text = text.replace("us-east-1", "eu-central-1");
    let mut keys = PublicKeys::default();
    keys.add(text.as_bytes()).unwrap();
    let report = verify(&[folder.path().to_owned()], &keys, &Options::default()).unwrap();
    let digest = report.rows.iter().find(|row| row.kind == Kind::Digest).unwrap();
    assert!(digest.detail.contains("another region"), "{digest:?}");
}

#[test]
fn without_keys_the_hashes_still_tell_what_was_changed() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = Corpus::small();
    let root = corpus.download(folder.path(), Sidecars::None);
    let made = &corpus.made(0)[4];
    let text = made.content.to_string().replace("\"SHA-256\"", "\"SHA-255\"");
    fs::write(root.join(&made.key), text).unwrap();
    let report = verify(&[folder.path().to_owned()], &PublicKeys::default(), &all()).unwrap();
    let accused: Vec<&str> = report
        .rows
        .iter()
        .filter(|row| row.status == Status::InvalidSignature)
        .map(|row| row.object.as_str())
        .collect();
    assert_eq!(accused, [format!("s3://{BUCKET}/{}", made.key)]);
}

#[test]
fn any_folders_above_and_any_place_to_begin() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = Corpus::whole();
    let root = corpus.download(&folder.path().join("a/b"), Sidecars::Newest);
    let whole = run(folder.path(), &corpus, Options::default());
    assert!(whole.rows.is_empty() && !whole.is_incomplete(), "{whole:#?}");
    for begin in ["AWSLogs", "org/logs/AWSLogs/o-abc123def4", "org/logs"] {
        let report = run(&root.join(begin), &corpus, Options::default());
        assert!(report.rows.is_empty() && !report.chains.is_empty(), "{begin}: {:#?}", report.rows);
    }
    // Digests and logs in two folders of the user's own naming, one within another download.
    let account = root.join("AWSLogs/111122223333");
    fs::rename(account.join("CloudTrail-Digest"), folder.path().join("digests")).unwrap();
    fs::rename(account.join("CloudTrail"), folder.path().join("logs")).unwrap();
    fs::rename(folder.path().join("a"), folder.path().join("rest")).unwrap();
    let report = run(folder.path(), &corpus, Options::default());
    assert!(report.rows.is_empty() && report.chains.len() == 5, "{:#?}", report.rows);
    let two: Vec<PathBuf> = ["logs", "digests"].map(|name| folder.path().join(name)).into();
    let report = verify(&two, &super::keys(&corpus), &Options::default()).unwrap();
    assert!(report.rows.is_empty() && report.chains.len() == 3, "{:#?}", report.rows);
}

#[test]
fn a_second_download_changes_nothing_and_is_verified_too() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = Corpus::small();
    corpus.download(&folder.path().join("monday"), Sidecars::None);
    let root = corpus.download(&folder.path().join("tuesday"), Sidecars::Newest);
    let report = run(folder.path(), &corpus, Options::default());
    assert!(report.rows.is_empty() && !report.is_incomplete(), "{:#?}", report.rows);
    fs::write(root.join(&corpus.made(0)[1].logs[0]), "x").unwrap();
    let report = run(folder.path(), &corpus, Options::default());
    let accused: Vec<&str> = report
        .rows
        .iter()
        .filter(|row| row.status == Status::LogHashMismatch)
        .map(|row| row.file.as_deref().unwrap())
        .collect();
    assert_eq!(accused, [root.join(&corpus.made(0)[1].logs[0]).to_str().unwrap()]);
}

#[test]
fn only_downloaded_days_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = Corpus::small();
    let root = corpus.download(folder.path(), Sidecars::Newest);
    for kind in ["CloudTrail", "CloudTrail-Digest"] {
        fs::remove_dir_all(root.join(format!("AWSLogs/111122223333/{kind}/eu-west-1/2024/03/01"))).unwrap();
    }
    let report = run(folder.path(), &corpus, Options::default());
    let statuses: Vec<Status> = report.rows.iter().map(|row| row.status).collect();
    assert_eq!(statuses, [Status::Gap], "{:#?}", report.rows);
    let from = Options { from: "2024-03-02".parse().ok(), ..Options::default() };
    let report = run(folder.path(), &corpus, from);
    assert!(report.rows.is_empty() && !report.is_incomplete(), "{:#?}", report.rows);
}
