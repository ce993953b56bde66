//! Signals, kills, locks, pipes, disks and permissions.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::*;
use crate::lake::record;

/// A folder of log files that make several commits: they are packed without compression, and a batch is planned by
/// what gzip usually saves. Most of their text is white space, which costs little to read.
fn many(place: &Place) -> PathBuf {
    const FILES: usize = 36;
    const RECORDS: usize = 700;
    const BLANKS: usize = 1_560_000;
    let folder = place.path("logs");
    fs::create_dir(&folder).unwrap();
    for file in 0..FILES {
        // Neighbours overlap, so that duplicates stand in different batches.
        let from = file * RECORDS * 9 / 10;
        let records: Vec<String> = (from..from + RECORDS).map(record).collect();
        let text = format!("{{\"Records\":[{}]}}{}", records.join(","), " ".repeat(BLANKS));
        let mut packer = libdeflater::Compressor::new(libdeflater::CompressionLvl::new(0).unwrap());
        let mut bytes = vec![0; packer.gzip_compress_bound(text.len())];
        let length = packer.gzip_compress(text.as_bytes(), &mut bytes).unwrap();
        fs::write(folder.join(format!("{file:04}.json.gz")), &bytes[..length]).unwrap();
    }
    folder
}

/// What a store says, in machine form: usage, every event id, coverage.
fn said(place: &Place, store: &str) -> [String; 3] {
    ["usage", "query run events_of_ip --param source_ip=192.0.2.3 --param limit=100000", "coverage"].map(|command| {
        let run = place.line(&format!("--store {store} {command} --as-of 2025-03-29 --format ndjson"));
        assert_eq!(run.code, Some(0), "{run:?}");
        assert!(run.stdout.lines().count() > 0, "{command}");
        run.stdout
    })
}

fn start(place: &Place, line: &str) -> Child {
    place.command(line.split_whitespace()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Generations of a store: how many commits it has seen.
fn generations(place: &Place, store: &str) -> i64 {
    let path = place.path(store).join("manifest.sqlite");
    if !path.exists() {
        return 0;
    }
    let manifest = rusqlite::Connection::open(path).unwrap();
    manifest.query_row("SELECT count(*) FROM generations", [], |row| row.get(0)).unwrap_or(0)
}

#[test]
fn killed_at_any_point_the_next_run_completes() {
    let place = Place::new();
    many(&place);
    let begin = Instant::now();
    let whole = place.line("--store whole ingest cloudtrail logs --format ndjson");
    let took = begin.elapsed();
    assert_eq!(whole.code, Some(0), "{whole:?}");
    assert!(generations(&place, "whole") >= 2, "several commits: {}", generations(&place, "whole"));
    let want = said(&place, "whole");
    let mut halfway = 0;
    for point in 1..=6u32 {
        let store = format!("killed{point}");
        let mut child = start(&place, &format!("--store {store} ingest cloudtrail logs"));
        sleep(took * point / 8);
        signal(&child, "KILL");
        let status = child.wait().unwrap();
        let before = generations(&place, &store);
        halfway += usize::from(status.code().is_none() && before > 0);
        let again = place.line(&format!("--store {store} ingest cloudtrail logs --format ndjson"));
        assert_eq!(again.code, Some(0), "{point}: {again:?}");
        counts(&again.rows());
        assert_eq!(said(&place, &store), want, "killed at point {point}, after {before} commits");
    }
    println!("killed between two commits: {halfway} of 6");
}

#[test]
fn interrupted_and_terminated() {
    let place = Place::new();
    many(&place);
    let begin = Instant::now();
    assert_eq!(place.line("--store whole ingest cloudtrail logs").code, Some(0));
    let took = begin.elapsed();
    let want = said(&place, "whole");
    for name in ["INT", "TERM"] {
        let mut seen = false;
        for attempt in 0..6u32 {
            let store = format!("{name}{attempt}");
            let child = start(&place, &format!("--store {store} ingest cloudtrail logs --format ndjson"));
            sleep(took * (6 - attempt) / 12);
            signal(&child, name);
            let run: Run = child.wait_with_output().unwrap().into();
            let stored = if run.code == Some(1) {
                assert!(
                    run.stderr.contains("interrupted: what is in the store is complete; run the same command again")
                );
                counts(&run.rows())[1]
            } else {
                // Too early for the handler, or too late.
                assert!(matches!(run.code, None | Some(0)), "{run:?}");
                continue;
            };
            seen = true;
            let again = place.line(&format!("--store {store} ingest cloudtrail logs --format ndjson"));
            assert_eq!(again.code, Some(0), "{again:?}");
            let total = place.line("--store whole --format ndjson query run coverage_gaps --as-of 2025-03-29");
            assert_eq!(total.code, Some(0));
            assert!(stored + counts(&again.rows())[1] > 18_000);
            assert_eq!(said(&place, &store), want);
            break;
        }
        assert!(seen, "SIG{name} never came in time");
    }
}

#[test]
fn two_at_once() {
    let place = Place::new();
    many(&place);
    fs::write(place.path("one.json"), record(1_000_000)).unwrap();
    let mut first = start(&place, "ingest cloudtrail logs --threads 1");
    let lock = place.path("jitscan-store/writer.lock");
    let begin = Instant::now();
    while fs::metadata(&lock).map_or(0, |found| found.len()) == 0 {
        assert!(begin.elapsed() < Duration::from_secs(20));
        sleep(Duration::from_millis(2));
    }
    let second = place.line("ingest cloudtrail one.json");
    let holder = format!("is being written by process {} (", first.id());
    if first.try_wait().unwrap().is_none() || second.code == Some(1) {
        second.fails(1, &holder);
        assert!(second.stderr.contains("--wait"));
    } else {
        println!("skipped: the first ingest ended before the second began");
    }
    let waited = place.line("ingest cloudtrail one.json --wait --format ndjson");
    assert_eq!((waited.code, counts(&waited.rows())[0]), (Some(0), 1), "{waited:?}");
    assert_eq!(first.wait().unwrap().code(), Some(0), "the first went on undisturbed");
}

#[test]
fn a_waiting_ingest_can_be_stopped() {
    let place = Place::new();
    fs::write(place.path("one.json"), record(1)).unwrap();
    assert_eq!(place.line("ingest cloudtrail one.json").code, Some(0));
    let lock = fs::File::options().write(true).open(place.path("jitscan-store/writer.lock")).unwrap();
    lock.lock().unwrap();
    let child = start(&place, "ingest cloudtrail one.json --wait");
    sleep(Duration::from_millis(400));
    signal(&child, "TERM");
    let run: Run = child.wait_with_output().unwrap().into();
    run.fails(1, "stopped while waiting for the store");
}

/// A role with thousands of entitlements: more than a pipe holds.
fn large(place: &Place) {
    let details = r#"{"UserDetailList":[],"GroupDetailList":[],"Policies":[],"RoleDetailList":[
        {"RoleName":"admin","RoleId":"AROAADMIN","Arn":"arn:aws:iam::111122223333:role/admin","Path":"/",
         "CreateDate":"2020-01-01T00:00:00Z","AssumeRolePolicyDocument":{"Version":"2012-10-17","Statement":[]},
         "InstanceProfileList":[],"AttachedManagedPolicies":[],"RolePolicyList":[{"PolicyName":"all","PolicyDocument":
           {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}}]}]}"#;
    fs::write(place.path("details.json"), details).unwrap();
    assert_eq!(place.line("ingest iam details.json").code, Some(0));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let place = Place::new();
    large(&place);
    for format in ["table", "json", "ndjson", "csv", "md"] {
        let mut child = start(&place, &format!("entitlements --format {format}"));
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(!line.is_empty());
        drop(reader);
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""), "{format}");
    }
}

#[test]
fn a_full_stdout_is_an_error() {
    let Ok(full) = fs::File::options().write(true).open("/dev/full") else {
        println!("skipped: there is no /dev/full here");
        return;
    };
    let place = Place::new();
    large(&place);
    for line in ["entitlements --format csv", "schema", "query show quarantine"] {
        let child = place
            .command(line.split_whitespace())
            .stdout(full.try_clone().unwrap())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let run: Run = child.wait_with_output().unwrap().into();
        run.fails(1, "cannot write the output");
    }
}

#[test]
fn what_may_not_be_read_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    fs::create_dir_all(place.path("logs/closed")).unwrap();
    fs::write(place.path("logs/closed/x.json"), record(1)).unwrap();
    fs::write(place.path("logs/good.json"), record(2)).unwrap();
    fs::write(place.path("logs/secret.json"), record(3)).unwrap();
    let mode = |name: &str, mode: u32| {
        fs::set_permissions(place.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("logs/closed", 0o000);
    mode("logs/secret.json", 0o000);
    let restore = || {
        mode("logs/closed", 0o700);
        mode("logs/secret.json", 0o600);
    };
    // The superuser reads anything, unless it lays that right down.
    let superuser = fs::read_dir(place.path("logs/closed")).is_ok();
    let run = |args: &[&str]| -> Option<Run> {
        if !superuser {
            return Some(place.run(args));
        }
        let mut command = Command::new("setpriv");
        command.arg("--bounding-set=-dac_override,-dac_read_search").arg(env!("CARGO_BIN_EXE_jitscan")).args(args);
        // As `Place` runs it: nothing of the caller's environment, but where `setpriv` is.
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let output = command.env_clear().env("PATH", paths).current_dir(place.dir.path()).output().ok()?;
        (!String::from_utf8_lossy(&output.stderr).starts_with("setpriv")).then(|| output.into())
    };
    let Some(first) = run(&["ingest", "cloudtrail", "logs", "--format", "json"]) else {
        restore();
        println!("skipped: setpriv cannot take the superuser's rights away");
        return;
    };
    let direct = run(&["ingest", "cloudtrail", "logs/closed"]).unwrap();
    let document = run(&["ingest", "iam", "logs/secret.json"]).unwrap();
    restore();
    assert_eq!(first.code, Some(4), "{first:?}");
    for name in ["logs/closed", "logs/secret.json"] {
        assert!(first.stderr.contains(&format!("{name}: Permission denied")), "{first:?}");
    }
    let whole: Value = serde_json::from_str(&first.stdout).unwrap();
    assert_eq!(whole["rows"][0]["stored"], 1);
    assert_eq!(whole["meta"]["gaps"].as_array().unwrap().len(), 2, "{whole}");
    assert!(matches!(direct.code, Some(1 | 4)) && direct.stderr.contains("Permission denied"), "{direct:?}");
    document.fails(1, "logs/secret.json: Permission denied");
    // Readable now: the same command completes.
    let again = place.line("ingest cloudtrail logs --format ndjson");
    assert_eq!((again.code, counts(&again.rows())), (Some(0), [2, 2, 0, 0]));
}

#[test]
fn a_full_disk() {
    let place = Place::new();
    many(&place);
    fs::create_dir(place.path("disk")).unwrap();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(place.path("disk")).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("skipped: mounting a small tmpfs needs the superuser");
        return;
    }
    fs::write(place.path("one.json"), record(1)).unwrap();
    let outcome = std::panic::catch_unwind(|| {
        assert_eq!(place.line("--store disk/s ingest cloudtrail one.json").code, Some(0));
        let full = place.line("--store disk/s ingest cloudtrail logs");
        full.fails(1, "no space left");
        assert!(full.stderr.contains("the store stays at its last complete generation"), "{full:?}");
        let run = place.line("--store disk/s usage --as-of 2025-03-29 --format ndjson");
        assert_eq!((run.code, run.rows().len()), (Some(0), 1), "{run:?}");
        let grown = Command::new("mount").args(["-o", "remount,size=256m"]).arg(place.path("disk")).output().unwrap();
        assert!(grown.status.success());
        assert_eq!(place.line("--store disk/s ingest cloudtrail logs").code, Some(0));
        assert_eq!(place.line("--store whole ingest cloudtrail logs").code, Some(0));
        assert_eq!(said(&place, "disk/s"), said(&place, "whole"));
    });
    let _ = Command::new("umount").arg(place.path("disk")).output();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}
