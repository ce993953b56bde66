//! Whatever byte of whatever file is changed, it is caught, and that file alone is accused.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::sync::OnceLock;

use jitscan::integrity::{Row, Status, Weight};
use proptest::prelude::*;

use super::generate::{BUCKET, Corpus, PLAIN, Plan, Sidecars};
use super::{all, of_weight, run};

/// A download and its digests and logs. One for all cases of a test: what is changed is put back.
fn world() -> &'static (tempfile::TempDir, PathBuf, Corpus, Vec<String>) {
    static WORLD: OnceLock<(tempfile::TempDir, PathBuf, Corpus, Vec<String>)> = OnceLock::new();
    WORLD.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let backfill = Plan { backfill: true, hours: 3, logs: 1, quiet: &[], ..PLAIN };
        let corpus = Corpus::new(&[Plan { hours: 5, ..PLAIN }, backfill]);
        let root = corpus.download(folder.path(), Sidecars::Newest);
        let files = corpus.objects.keys().cloned().collect();
        (folder, root, corpus, files)
    })
}

/// The content of a file of exactly one gzip member, or of one that is none.
fn content(bytes: &[u8]) -> Option<Vec<u8>> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Some(bytes.to_vec());
    }
    let mut out = Vec::new();
    let mut gzip = flate2::bufread::GzDecoder::new(bytes);
    gzip.read_to_end(&mut out).ok()?;
    gzip.into_inner().is_empty().then_some(out)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_changed_byte_is_caught(file in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), flip in 1..=255u8) {
        let (folder, root, corpus, files) = world();
        let key = file.get(files);
        let before = &corpus.objects[key].bytes;
        let mut bytes = before.clone();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        fs::write(root.join(key), &bytes).unwrap();
        let report = run(folder.path(), corpus, all());
        fs::write(root.join(key), before).unwrap();
        let accused = of_weight(&report, Weight::Tampering);
        if content(&bytes) == content(before) {
            // Time stamps and such in the gzip header.
            prop_assert_eq!(accused, []);
        } else {
            let names: Vec<&str> = accused.iter().map(|(_, object)| object.rsplit('/').next().unwrap()).collect();
            prop_assert_eq!(names, [key.rsplit('/').next().unwrap()], "byte {} of {}: {:?}", at, key, accused);
        }
        prop_assert!(!report.is_incomplete(), "byte {} of {}", at, key);
    }

    /// The same of the content itself, since gzip's checksum catches most of the above.
    #[test]
    fn any_changed_byte_of_the_content_is_caught(file in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), flip in 1..=255u8) {
        let (folder, root, corpus, files) = world();
        let key = file.get(files);
        let before = &corpus.objects[key].bytes;
        let mut bytes = content(before).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        fs::write(root.join(key), &bytes).unwrap();
        let report = run(folder.path(), corpus, all());
        fs::write(root.join(key), before).unwrap();
        let accused = of_weight(&report, Weight::Tampering);
        let names: Vec<&str> = accused.iter().map(|(_, object)| object.rsplit('/').next().unwrap()).collect();
        let address = format!("s3://{BUCKET}/{key}");
        let keyless = |row: &Row| row.object == address && row.status == Status::KeyMissing;
        if report.rows.iter().any(keyless) {
            // The newest digest, with a key that nobody has: all that can be said of it.
            prop_assert!(accused.is_empty() && report.is_incomplete());
        } else {
            prop_assert_eq!(names, [key.rsplit('/').next().unwrap()], "byte {} of {}: {:?}", at, key, accused);
            prop_assert!(!report.is_incomplete(), "byte {} of {}", at, key);
        }
    }

    /// A digest without a signature is never called valid, and what it falsely says accuses something.
    #[test]
    fn a_changed_digest_without_a_signature_is_never_valid(at in any::<prop::sample::Index>(), flip in 1..=255u8) {
        let folder = tempfile::tempdir().unwrap();
        let corpus = &world().2;
        let root = corpus.download(folder.path(), Sidecars::None);
        let key = &corpus.made(0)[4].key;
        let mut bytes = content(&corpus.objects[key].bytes).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        fs::write(root.join(key), &bytes).unwrap();
        let report = run(folder.path(), corpus, all());
        let digest = report.rows.iter().find(|row| row.file.as_deref() == root.join(key).to_str()).unwrap();
        prop_assert!(digest.status != Status::Valid);
        let older = format!("s3://{BUCKET}/{}", corpus.made(0)[3].key);
        let accused = of_weight(&report, Weight::Tampering);
        let others: Vec<_> = accused.iter().filter(|(_, object)| {
            *object != older && !object.ends_with(key) && !corpus.made(0)[4].logs.iter().any(|log| object.ends_with(log))
        }).filter(|(status, _)| !matches!(status, Status::DigestMissing | Status::LogMissing | Status::Moved)).collect();
        prop_assert!(others.is_empty(), "byte {}: {:?}", at, others);
    }
}
