//! The command line itself: wrong usage, help, and which exit code wins.

use std::fs;
use std::time::{Duration, Instant};

use super::*;
use crate::lake::record;

#[test]
fn wrong_usage_is_2_and_says_what_was_expected() {
    let place = Place::new();
    for (line, said) in [
        ("", "Usage: jitscan"),
        ("scna", "unrecognized subcommand 'scna'"),
        ("usage --as-of yesterday", "`yesterday` is not a time; expected RFC 3339"),
        ("usage --as-of 2026-02-30", "`2026-02-30` is not a time"),
        ("usage --window 3m", "`3m` is not a span; expected a number and d, w or h"),
        ("usage --window 0d", "out of range"),
        ("usage --format xml", "possible values: table, json, ndjson, csv, md"),
        ("scan --fail-on bad", "expected info, low, medium, high or critical"),
        ("scan --severity bad", "expected info, low, medium, high or critical"),
        ("scan --threads 0", "expected 1 to 1024"),
        ("scan --threads 99999999", "expected 1 to 1024"),
        ("ingest cloudtrail", "<PATH>..."),
        ("lake prune", "--before <DATE>"),
        ("lake prune --before 2026-01-31T00:00:00Z", "is not a date; expected a day such as 2026-01-31"),
        ("lake prune --before 90d", "`90d` is not a date"),
        ("lake prune --before 2026-02-30 --yes", "`2026-02-30` is not a date"),
        ("ingest iam x --captured-at x", "is not a time"),
        ("report", "--soc2"),
        ("report --soc2 --formats pdf", "possible values: html, md"),
        ("query show nothing", "no query is called `nothing`; see `jitscan query list`"),
        ("query run nothing", "no query is called `nothing`"),
        ("query run bucket_reads --param bucket", "expected NAME=VALUE"),
        ("catalog action nosuch:Thing", "names no action"),
        ("catalog events", "--stdin"),
        ("--config absent.toml schema", "cannot read the configuration absent.toml"),
    ] {
        place.line(line).fails(2, said);
    }
    assert_eq!(fs::read_dir(place.dir.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn wrong_parameters_of_queries_are_2() {
    let place = Place::new();
    fs::write(place.path("log.json"), record(1)).unwrap();
    assert_eq!(place.line("ingest cloudtrail log.json").code, Some(0));
    for (line, said) in [
        ("query run bucket_reads", "needs the parameter `bucket`"),
        ("query run bucket_reads --param bucket=x --param bukket=y", "bukket"),
        ("query run dormant_principals --param days=many", "days"),
        ("query run events_of_ip --param source_ip=x --param since=yesterday", "since"),
        ("usage --action nosuch:Thing", "names no action"),
        ("findings show zzz", "no finding has an id that begins with `zzz`"),
    ] {
        place.line(line).fails(2, said);
    }
    // Values are values, not SQL.
    for value in ["'", "x';DROP", "$bucket", "%", "\u{0}", "a=b=c"] {
        let run =
            place.run(["query", "run", "bucket_reads", "--param", &format!("bucket={}", value.replace('\0', "0"))]);
        assert_eq!(run.code, Some(0), "{run:?}");
    }
}

#[test]
fn settings_that_are_not_known_are_refused() {
    let place = Place::new();
    for (text, said) in [
        ("\n\nbreakglass = []\n", "line 3: unknown field `breakglass`, expected `break_glass` or `regions`"),
        ("regions = 3\n", "line 1: invalid type"),
        ("regions = [\n", "is not valid"),
    ] {
        fs::write(place.path("jitscan.toml"), text).unwrap();
        place.line("schema").fails(2, said);
        fs::rename(place.path("jitscan.toml"), place.path("other.toml")).unwrap();
        place.line("schema --config other.toml").fails(2, "other.toml");
    }
    let mut command = place.command(["schema"]);
    let run: Run = command.env("JITSCAN_CONFIG", "other.toml").output().unwrap().into();
    run.fails(2, "other.toml");
    fs::write(place.path("other.toml"), [0xff, 0xfe]).unwrap();
    place.line("schema --config other.toml").fails(2, "valid UTF-8");
}

/// A role that may do everything, held by whoever assumes it: a finding of high severity at least.
pub const ADMINISTRATOR: &str = r#"{"UserDetailList":[],"GroupDetailList":[],"Policies":[],"RoleDetailList":[
    {"RoleName":"admin","RoleId":"AROAADMIN","Arn":"arn:aws:iam::111122223333:role/admin","Path":"/",
     "CreateDate":"2020-01-01T00:00:00Z","AssumeRolePolicyDocument":{"Version":"2012-10-17","Statement":[
       {"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole"}]},
     "InstanceProfileList":[],"AttachedManagedPolicies":[],"RolePolicyList":[{"PolicyName":"all","PolicyDocument":
       {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}}]}]}"#;

#[test]
fn exit_codes_and_which_of_them_wins() {
    let place = Place::new();
    fs::write(place.path("details.json"), ADMINISTRATOR).unwrap();
    fs::write(place.path("log.json"), record(1)).unwrap();
    fs::write(place.path("bad.json"), "{\"Records\":[{}]}").unwrap();
    assert_eq!(place.line("ingest iam details.json --captured-at 2025-03-01").code, Some(0));
    assert_eq!(place.line("ingest cloudtrail log.json").code, Some(0));
    for (line, code) in [
        ("scan", 0),
        ("scan --fail-on critical", 0),
        ("scan --fail-on high", 3),
        ("scan --fail-on HIGH", 3),
        ("scan --fail-on info", 3),
        // The filter of what is shown does not change what was found.
        ("scan --fail-on high --severity critical", 3),
        ("scan --strict", 4),
        ("scan --strict --fail-on high", 4),
        ("coverage", 0),
        ("coverage --strict", 4),
        ("report --soc2 --fail-on high", 3),
        ("report --soc2 --fail-on high --strict", 4),
        ("ingest cloudtrail bad.json", 4),
        ("ingest cloudtrail bad.json", 0),
        ("--store none scan --fail-on high --strict", 1),
        ("scan --fail-on high --strict --window x", 2),
        ("--store none --config none scan --fail-on high --strict", 2),
        ("--version", 0),
    ] {
        let run = place.line(&format!("{line} --as-of 2025-03-02"));
        assert_eq!(run.code, Some(code), "{line}: {run:?}");
    }
}

#[test]
fn help_of_every_command() {
    let place = Place::new();
    let mut open = vec![Vec::<String>::new()];
    let mut seen = 0;
    while let Some(path) = open.pop() {
        let run = place.run(path.iter().map(String::as_str).chain(["--help"]));
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{path:?}");
        assert!(
            run.stdout.contains(&format!("Usage: jitscan{}", path.iter().map(|p| format!(" {p}")).collect::<String>()))
        );
        seen += 1;
        let commands = run.stdout.split_once("\nCommands:\n").map_or("", |(_, rest)| rest);
        for line in commands.lines().take_while(|line| !line.is_empty()) {
            let name = line.split_whitespace().next().unwrap();
            if line.starts_with("  ") && !line.starts_with("   ") && name != "help" {
                open.push(path.iter().cloned().chain([name.to_owned()]).collect());
            }
        }
    }
    assert!(seen >= 25, "{seen} commands");
}

#[test]
fn starting_is_quick() {
    let place = Place::new();
    for line in ["--help", "catalog action s3:GetObject", "query list"] {
        let best = (0..5)
            .map(|_| {
                let start = Instant::now();
                assert_eq!(place.line(line).code, Some(0));
                start.elapsed()
            })
            .min()
            .unwrap();
        // Far above what it takes, so that a busy machine does not matter; the benches measure.
        assert!(best < Duration::from_millis(500), "{line}: {best:?}");
    }
}

#[test]
fn paths_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    let name = OsStr::from_bytes(b"l\xffg.json");
    fs::write(place.dir.path().join(name), record(1)).unwrap();
    let ingest = |store: &[u8]| {
        let [ingest, logs, format] = ["ingest", "cloudtrail", "--format=ndjson"].map(OsStr::new);
        place.run([OsStr::new("--store"), OsStr::from_bytes(store), ingest, logs, name, format])
    };
    let run = ingest(b"store");
    assert_eq!(run.code, Some(0), "{run:?}");
    let again = ingest(b"store");
    assert_eq!(counts(&again.rows())[0], 0); // Nobody could read a store of such a name: it is not made.
    let refused = ingest(b"st\xffre");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("name another folder"), "{refused:?}");
    assert!(!place.dir.path().join(OsStr::from_bytes(b"st\xffre")).exists());
}
