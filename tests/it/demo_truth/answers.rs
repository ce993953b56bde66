//! The program's answers about the made-up organisation: what its commands print, and the days behind the numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;
use jitscan::cli::args::Cli;
use jitscan::cli::context::Context;
use jitscan::cli::pipeline::World;
use jitscan::demo::{DemoOptions, Fact, Sink, Truth, generate};
use jitscan::lake::Reader;
use jitscan::model::event::Outcome;
use jitscan::model::time::{Day, Timestamp};
use jitscan::usage::fold::{FactSource, SessionId, UsageRow};
use serde_json::Value;
use tempfile::TempDir;

/// One run of the main job, read from the outside.
pub struct Answers {
    dir: TempDir,
    pub truth: Truth,
    /// What `jitscan demo` says.
    pub summary: String,
    pub entitlements: Vec<Value>,
    /// (principal, action) → places in `entitlements`.
    rows_of: BTreeMap<(String, String), Vec<usize>>,
    pub usage: Vec<Value>,
    pub findings: Vec<Value>,
    pub coverage: Vec<Value>,
    /// Roster id → what the program calls the person.
    pub people: BTreeMap<String, String>,
    /// Days and sessions behind the printed numbers.
    pub world: World,
    /// Calls as stored, for those that are no IAM action.
    pub calls: Vec<UsageRow>,
    /// Stored events of KMS rotating keys by itself, with session and day.
    pub rotations: Vec<(SessionId, Day)>,
}

struct Nowhere;

impl Sink for Nowhere {
    fn file(&mut self, _path: &str, _bytes: &[u8]) -> std::io::Result<()> {
        Ok(())
    }
}

pub fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or("")
}

pub fn number(row: &Value, field: &str) -> u64 {
    row[field].as_u64().unwrap_or_else(|| panic!("{field} of {row}"))
}

fn jitscan(dir: &TempDir, as_of: Timestamp, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_jitscan"))
        .args(args)
        .env("JITSCAN_STORE", dir.path().join("demo/store"))
        .env("JITSCAN_CONFIG", dir.path().join("demo/jitscan.toml"))
        .env("JITSCAN_AS_OF", as_of.day().to_string())
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

impl Answers {
    /// Runs the main job.
    pub fn get() -> Self {
        let truth = generate(DemoOptions::default(), &mut Nowhere).unwrap().truth;
        let dir = TempDir::new().unwrap();
        let demo = dir.path().join("demo");
        let output = Command::new(env!("CARGO_BIN_EXE_jitscan"))
            .args(["demo", "--quiet", "--output-dir"])
            .arg(&demo)
            .env_remove("JITSCAN_CONFIG")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let ask = |args: &[&str]| rows(&jitscan(&dir, truth.as_of, args));
        let (world, calls, rotations) = world(&demo, truth.as_of);
        let mut people = BTreeMap::new();
        for row in csv::Reader::from_path(demo.join("input/roster.csv")).unwrap().records() {
            let row = row.unwrap();
            let person = if row[2].is_empty() { row[0].to_owned() } else { row[2].to_lowercase() };
            people.insert(row[0].to_owned(), person);
        }
        let (entitlements, usage, coverage) = std::thread::scope(|scope| {
            let usage = scope.spawn(|| ask(&["usage", "--format", "ndjson"]));
            let coverage = scope.spawn(|| ask(&["coverage", "--format", "ndjson"]));
            let entitlements = ask(&["entitlements", "--format", "ndjson"]);
            (entitlements, usage.join().unwrap(), coverage.join().unwrap())
        });
        let mut rows_of: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
        for (at, row) in entitlements.iter().enumerate() {
            let key = (text(row, "principal").to_owned(), text(row, "action").to_owned());
            rows_of.entry(key).or_default().push(at);
        }
        Self {
            entitlements,
            rows_of,
            usage,
            findings: ask(&["findings", "list", "--format", "ndjson"]),
            coverage,
            summary: String::from_utf8(output.stdout).unwrap(),
            truth,
            people,
            world,
            calls,
            rotations,
            dir,
        }
    }

    /// Runs a named query.
    pub fn query(&self, name: &str, params: &[&str]) -> Vec<Value> {
        let mut args = vec!["query", "run", name, "--format", "ndjson"];
        for param in params {
            args.extend(["--param", param]);
        }
        rows(&jitscan(&self.dir, self.truth.as_of, &args))
    }

    pub fn fact(&self, id: &str) -> &Fact {
        self.truth.facts.iter().find(|fact| fact.id == id).unwrap()
    }

    /// The program's name of a person of the roster; empty for nobody.
    pub fn person(&self, id: &str) -> &str {
        self.people.get(id).map_or("", String::as_str)
    }

    pub fn account(&self, alias: &str) -> &str {
        &self.truth.accounts.iter().find(|(known, _)| known == alias).unwrap().1
    }

    /// The rows of `usage` of a principal and an action.
    pub fn used(&self, principal: &str, action: &str) -> Vec<&Value> {
        self.usage.iter().filter(|row| text(row, "principal") == principal && text(row, "action") == action).collect()
    }

    /// The rows of `entitlements` of a principal and an action.
    pub fn granted(&self, principal: &str, action: &str) -> Vec<&Value> {
        let places = self.rows_of.get(&(principal.to_owned(), action.to_owned()));
        places.into_iter().flatten().map(|at| &self.entitlements[*at]).collect()
    }

    /// The findings of a principal.
    pub fn found(&self, principal: &str) -> Vec<&Value> {
        self.findings.iter().filter(|row| text(row, "principal") == principal).collect()
    }

    /// Kinds of the findings of a principal, sorted.
    pub fn kinds(&self, principal: &str) -> BTreeSet<&str> {
        self.found(principal).into_iter().map(|row| text(row, "kind")).collect()
    }

    /// Days with an authorised call of the fact's actions on its resource by its principal, whoever acted.
    pub fn days(&self, fact: &Fact) -> BTreeSet<Day> {
        let catalog = self.world.catalog;
        let wanted: Vec<_> = fact.actions.iter().filter_map(|name| catalog.find(name)).collect();
        self.world
            .activity
            .rows
            .iter()
            .filter(|(key, _)| {
                *key.principal.arn == *fact.principal
                    && wanted.contains(&key.action)
                    && on(&key.resource, &fact.resource)
                    && (fact.person.is_empty() || key.person.is_empty() || *key.person == *self.person(&fact.person))
            })
            .flat_map(|(_, use_)| use_.days())
            .collect()
    }

    /// Calls as stored: (authorised or not by `outcome`, number, days).
    pub fn calls(&self, name: &str, of: impl Fn(&UsageRow) -> bool, outcome: Outcome) -> (u64, usize) {
        let rows = self.calls.iter().filter(|row| row.key.name == name && row.key.outcome == outcome && of(row));
        let mut days = BTreeSet::new();
        let mut count = 0;
        for row in rows {
            count += row.fact.count;
            days.insert(row.key.day);
        }
        (count, days.len())
    }
}

/// Whether a resource as recorded is the fact's, or lies in it: a secret's ARN ends in six random characters.
pub fn on(recorded: &str, wanted: &str) -> bool {
    recorded.strip_prefix(wanted).is_some_and(|rest| {
        wanted.is_empty() || rest.is_empty() || rest.starts_with('/') || (rest.starts_with('-') && rest.len() == 7)
    })
}

fn world(demo: &std::path::Path, as_of: Timestamp) -> (World, Vec<UsageRow>, Vec<(SessionId, Day)>) {
    let store: PathBuf = demo.join("store");
    let cli =
        Cli::try_parse_from(["jitscan", "--as-of", &as_of.to_string(), "--store", store.to_str().unwrap(), "coverage"])
            .unwrap();
    let context = Context {
        global: &cli.global,
        config: jitscan::cli::config::load(Some(&demo.join("jitscan.toml"))).unwrap(),
        now: as_of,
        stop: Arc::new(AtomicBool::new(false)),
        names: None,
    };
    let reader = Reader::open(&store).unwrap();
    let world = World::load(&context, &reader).unwrap();
    let calls = reader.usage(context.window()).unwrap();
    let mut rotations = Vec::new();
    reader
        .events(|row| {
            if row.event.name == "RotateKey" {
                rotations.push((row.session, row.event.time.day()));
            }
        })
        .unwrap();
    (world, calls, rotations)
}
