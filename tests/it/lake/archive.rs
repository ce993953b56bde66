//! `ingest --archive`, `--slim`, and files that are not what they were.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use jitscan::lake::Progress;

use super::*;

fn archived(store: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = fs::read_dir(store.join("archive"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    all.sort();
    all
}

#[test]
fn originals_are_kept_by_content() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (store, logs_folder) = (folder.path().join("store"), folder.path().join("logs"));
    logs(&logs_folder, 0..60, 10);
    fs::write(logs_folder.join("x.json"), record(100)).unwrap();
    fs::copy(logs_folder.join("x.json"), logs_folder.join("y.json")).unwrap();
    fs::copy(logs_folder.join("x.json"), logs_folder.join("z.log")).unwrap();
    let options = || IngestOptions { archive: true, batch_files: 3, ..options() };
    ingest_cloudtrail(&store, std::slice::from_ref(&logs_folder), &options(), &Quiet).unwrap();
    let kept = archived(&store);
    // Six packed files; x and y are one; z has another extension.
    assert_eq!(kept.len(), 8);
    for (name, bytes) in &kept {
        let (hash, extension) = name.split_once('.').unwrap();
        assert_eq!(hash, blake3::hash(bytes).to_hex().as_str());
        assert!(["json.gz", "json", "log"].contains(&extension), "{name}");
        let mode = fs::metadata(store.join("archive").join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // Another content under the same name: both are kept.
    fs::write(logs_folder.join("x.json"), record(101)).unwrap();
    ingest_cloudtrail(&store, std::slice::from_ref(&logs_folder), &options(), &Quiet).unwrap();
    assert_eq!(archived(&store).len(), 9);
    // Touched: nothing new.
    fs::File::options()
        .write(true)
        .open(logs_folder.join("y.json"))
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH)
        .unwrap();
    ingest_cloudtrail(&store, std::slice::from_ref(&logs_folder), &options(), &Quiet).unwrap();
    assert_eq!(archived(&store).len(), 9);
    assert_clean(&store);
    // A large file is copied in pieces, and named with its last part.
    let lines: String = (1000..4000).map(|n| record(n) + "\n").collect();
    fs::write(logs_folder.join("large.ndjson"), &lines).unwrap();
    let parts = IngestOptions { large_bytes: 1, batch_bytes: 400_000, ..options() };
    ingest_cloudtrail(&store, std::slice::from_ref(&logs_folder), &parts, &Quiet).unwrap();
    assert!(archived(&store).iter().any(|(name, bytes)| name.ends_with(".ndjson") && bytes == lines.as_bytes()));
    assert_clean(&store);
}

#[test]
fn slim_leaves_out_request_and_response() {
    let folder = tempfile::tempdir().unwrap();
    logs(&folder.path().join("logs"), 0..40, 10);
    let texts = |slim| {
        let store = folder.path().join(format!("store-{slim}"));
        let options = IngestOptions { slim, ..options() };
        ingest_cloudtrail(&store, &[folder.path().join("logs")], &options, &Quiet).unwrap();
        let mut bytes = 0;
        Reader::open(&store)
            .unwrap()
            .events(|row| bytes += row.event.request.len() + row.event.response.len())
            .unwrap();
        (bytes, contents(&store))
    };
    let (full, slim) = (texts(false), texts(true));
    assert!(full.0 > 1000 && slim.0 == 0);
    assert_eq!(full.1, slim.1, "facts and contents are the same");
    // What a slim store holds is known to a full one as the same events.
    let again = IngestOptions { slim: false, ..options() };
    fs::rename(folder.path().join("logs"), folder.path().join("moved")).unwrap();
    let report =
        ingest_cloudtrail(&folder.path().join("store-true"), &[folder.path().join("moved")], &again, &Quiet).unwrap();
    assert_eq!(counts(&report), (40, 0, 40, 0, 0));
}

#[test]
fn names_that_are_no_text_do_not_collide() {
    let folder = tempfile::tempdir().unwrap();
    let (store, logs_folder) = (folder.path().join("store"), folder.path().join("logs"));
    fs::create_dir(&logs_folder).unwrap();
    let names: [&[u8]; 7] =
        [b"a\xff.json", b"a\xfe.json", b"a\\xff.json", b"a\n.json", b"a\x1b[31m.json", b"-rf.json", b"..json"];
    for (n, name) in names.iter().enumerate() {
        fs::write(logs_folder.join(OsStr::from_bytes(name)), record(n)).unwrap();
    }
    let archive = IngestOptions { archive: true, ..options() };
    let report = ingest_cloudtrail(&store, std::slice::from_ref(&logs_folder), &archive, &Quiet).unwrap();
    assert_eq!(counts(&report), (7, 7, 0, 0, 0));
    let reader = Reader::open(&store).unwrap();
    let paths: Vec<String> = reader.files().unwrap().into_iter().map(|file| file.path).collect();
    assert_eq!(paths.len(), 7, "{paths:?}");
    assert!(
        paths.iter().any(|path| path.ends_with("a\\xff.json"))
            && paths.iter().any(|path| path.ends_with("a\\\\xff.json"))
    );
    drop(reader);
    assert_eq!(counts(&ingest(&store, &logs_folder)).0, 0, "every one of them is known again");
    assert_eq!(archived(&store).len(), 7);
    assert_clean(&store);
    // One changes: it is that one that is read again.
    fs::write(logs_folder.join(OsStr::from_bytes(b"a\xfe.json")), record(1) + "\n" + &record(50)).unwrap();
    assert_eq!(counts(&ingest(&store, &logs_folder)), (2, 1, 1, 0, 0));
}

/// Does something to a file once it was read, before its batch is committed.
struct Then<F>(PathBuf, F);

impl<F: Fn(&Path) + Sync> Progress for Then<F> {
    fn files_found(&self, _files: usize, _bytes: u64) {}
    fn file_done(&self, path: &Path, _bytes: u64) {
        if path == self.0 {
            (self.1)(path);
        }
    }
}

#[test]
fn a_file_that_grows_while_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (store, logs_folder) = (folder.path().join("store"), folder.path().join("logs"));
    fs::create_dir(&logs_folder).unwrap();
    let path = logs_folder.canonicalize().unwrap().join("a.json");
    fs::write(logs_folder.join("b.json"), record(500)).unwrap();
    for archive in [false, true] {
        let store = store.join(archive.to_string());
        let options = IngestOptions { archive, ..options() };
        fs::write(&path, record(1) + "\n").unwrap();
        let grow = Then(path.clone(), |path: &Path| {
            fs::write(path, record(1) + "\n" + &record(2) + "\n" + &record(3).chars().take(40).collect::<String>())
                .unwrap();
        });
        let report = ingest_cloudtrail(&store, std::slice::from_ref(&logs_folder), &options, &grow).unwrap();
        // What was read is there.
        assert_eq!(counts(&report), (2, 2, 0, 0, 0));
        assert!(report.sources[0].changing == 1 && report.is_incomplete());
        let complete = |store: &Path| {
            let files = Reader::open(store).unwrap().files().unwrap();
            files.into_iter().map(|file| file.complete).collect::<Vec<_>>()
        };
        assert_eq!(complete(&store), [false, true]);
        assert_clean(&store);
        // It is read again, and now ends in the middle.
        let report = ingest_cloudtrail(&store, std::slice::from_ref(&logs_folder), &options, &Quiet).unwrap();
        assert_eq!(counts(&report), (3, 1, 1, 0, 1));
        assert_eq!((report.sources[0].changing, report.sources[0].incomplete), (0, 1));
        fs::write(&path, record(1) + "\n" + &record(2) + "\n" + &record(3)).unwrap();
        let report = ingest_cloudtrail(&store, std::slice::from_ref(&logs_folder), &options, &Quiet).unwrap();
        assert_eq!(counts(&report), (3, 1, 2, 0, 0));
        assert_eq!(complete(&store), [true, true]);
        assert_eq!(contents(&store).events.len(), 4);
        // It changes back to what was read: the second look finds nothing new.
        let touch = Then(path.clone(), |path: &Path| {
            fs::File::options().write(true).open(path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        });
        fs::write(&path, record(1) + "\n" + &record(4)).unwrap();
        ingest_cloudtrail(&store, std::slice::from_ref(&logs_folder), &options, &touch).unwrap();
        assert_eq!(complete(&store), [false, true]);
        let report = ingest_cloudtrail(&store, std::slice::from_ref(&logs_folder), &options, &Quiet).unwrap();
        assert_eq!((counts(&report).0, report.is_incomplete()), (0, false));
        assert_eq!(complete(&store), [true, true]);
        if archive {
            // First, third and last content of the one, and the other; the content that was cut short, too.
            assert_eq!(archived(&store).len(), 4);
        }
        assert_clean(&store);
    }
}

#[test]
fn a_file_that_was_cut_short_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let (store, logs_folder) = (folder.path().join("store"), folder.path().join("logs"));
    fs::create_dir(&logs_folder).unwrap();
    let path = logs_folder.canonicalize().unwrap().join("a.json");
    let touch = |path: &Path| {
        fs::File::options().write(true).open(path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    };
    fs::write(&path, record(1) + "\n" + &record(2).chars().take(40).collect::<String>()).unwrap();
    let complete = || Reader::open(&store).unwrap().files().unwrap()[0].complete;
    // Touched while it is read, then not any more: read or not, it ends in the middle.
    ingest_cloudtrail(&store, std::slice::from_ref(&logs_folder), &options(), &Then(path, touch)).unwrap();
    assert!(!complete());
    assert_clean(&store);
    ingest(&store, &logs_folder);
    assert!(!complete());
    let manifest = rusqlite::Connection::open(store.join("manifest.sqlite")).unwrap();
    let status: String = manifest.query_row("SELECT status FROM files", [], |row| row.get(0)).unwrap();
    assert_eq!(status, "incomplete");
    assert_clean(&store);
}

#[test]
fn changed_files_at_scale() {
    let folder = tempfile::tempdir().unwrap();
    let (store, logs_folder) = (folder.path().join("store"), folder.path().join("logs"));
    let text = |range: std::ops::Range<usize>| range.map(|n| record(n) + "\n").collect::<String>();
    fs::create_dir(&logs_folder).unwrap();
    let put = |name: &str, bytes: &[u8]| fs::write(logs_folder.join(name), bytes).unwrap();
    for file in 0..300 {
        put(&format!("{file:03}.json"), text(file * 20..file * 20 + 10).as_bytes());
    }
    assert_eq!(counts(&ingest(&store, &logs_folder)), (3000, 3000, 0, 0, 0));
    for file in 0..300 {
        let (start, name) = (file * 20, format!("{file:03}.json"));
        match file % 3 {
            // Appended, replaced, cut short.
            0 => put(&name, text(start..start + 15).as_bytes()),
            1 => put(&name, text(start + 5..start + 20).as_bytes()),
            _ => put(&name, &gz(&text(start..start + 20))[..150]),
        }
    }
    let report = ingest(&store, &logs_folder);
    let (read, stored, duplicates, conflicts, quarantined) = counts(&report);
    assert!(read >= 3000 && stored >= 1500 && duplicates >= 1500 && conflicts == 0, "{report:?}");
    assert_eq!((report.sources[0].incomplete, quarantined), (100, 100));
    for file in (2..300).step_by(3) {
        put(&format!("{file:03}.json"), &gz(&text(file * 20..file * 20 + 20)));
    }
    ingest(&store, &logs_folder);
    let got = contents(&store);
    assert_eq!(got.events.len(), 100 * 15 + 100 * 20 + 100 * 20);
    assert!(got.events.values().all(|count| *count == 1));
    assert!(Reader::open(&store).unwrap().quarantine().unwrap().is_empty());
    let whole = folder.path().join("whole");
    fs::create_dir(folder.path().join("all")).unwrap();
    for file in 0..300 {
        let end = if file % 3 == 0 { 15 } else { 20 };
        fs::write(folder.path().join(format!("all/{file}.json")), text(file * 20..file * 20 + end)).unwrap();
    }
    ingest(&whole, &folder.path().join("all"));
    assert_eq!(got, contents(&whole));
}
