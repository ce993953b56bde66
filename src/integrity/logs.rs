//! The logs that the digests of a chain name.

use std::path::Path;

use rayon::prelude::*;

use crate::model::time::Timestamp;

use super::chain::{ChainId, Judged, Scope, Trust, Verdict};
use super::digest::{NamedLog, address};
use super::layout::{log_name, name_of};
use super::read::{Hash, ReadError, hash_log};
use super::status::{Kind, Row, Status};
use super::tree::FileId;

/// Files of a log's name at other places that are looked at, where its own place is empty. More is somebody's game.
const MAX_ELSEWHERE: usize = 16;

/// What became of the logs of a chain.
#[derive(Debug, Default)]
pub(super) struct Logs {
    pub rows: Vec<Row>,
    /// Files that a digest names which is not broken.
    pub named: Vec<FileId>,
    /// Files that a broken digest names.
    pub distrusted: Vec<FileId>,
}

/// A log and one of the files that stand at its place.
struct Task<'j> {
    log: &'j NamedLog,
    verdict: &'j Verdict,
    file: Option<FileId>,
}

/// Hashes the logs that a judged chain names.
pub(super) fn check(scope: Scope<'_>, id: &ChainId, judged: &Judged<'_>) -> Logs {
    let mut out = Logs::default();
    let mut tasks = Vec::new();
    for (at, (node, verdict)) in judged.nodes.iter().zip(&judged.verdicts).enumerate() {
        let Ok(digest) = &node.digest else { continue };
        for log in digest.logs.iter().filter(|_| node.wanted) {
            let files: Vec<FileId> = scope.tree.at(&log.key).collect();
            if verdict.trust == Trust::Broken {
                out.distrusted.extend(files);
            } else if files.is_empty() {
                if !is_outside(scope, log, judged.cut.filter(|cut| *cut == at).map(|_| digest.end)) {
                    tasks.push(Task { log, verdict, file: None });
                }
            } else {
                tasks.extend(files.into_iter().map(|file| Task { log, verdict, file: Some(file) }));
            }
        }
    }
    let checked: Vec<(Row, Option<FileId>)> = tasks.par_iter().map(|task| task.run(scope, id)).collect();
    for (row, file) in checked {
        out.named.extend(file);
        out.rows.push(row);
    }
    out
}

/// Whether a log that is not there need not be: it was delivered outside the asked time, or on a day before the first
/// of a download that begins with this digest.
fn is_outside(scope: Scope<'_>, log: &NamedLog, first: Option<Timestamp>) -> bool {
    let Some(name) = log_name(name_of(&log.key)) else { return false };
    let outside = !scope.options.touches(name.delivered, name.delivered.plus_seconds(60));
    outside || first.is_some_and(|end| name.delivered.day() < end.day())
}

impl Task<'_> {
    /// The row, and the file that the digest speaks of.
    fn run(&self, scope: Scope<'_>, id: &ChainId) -> (Row, Option<FileId>) {
        let mut row = id.row(Kind::Log);
        row.object = address(&self.log.bucket, &self.log.key);
        row.time = log_name(name_of(&self.log.key)).map(|name| name.delivered);
        let found = match self.file {
            Some(file) => Some(file),
            None => self.elsewhere(scope),
        };
        let file = found.and_then(|id| scope.tree.file(id));
        row.file = file.map(|file| file.path.clone());
        (row.status, row.detail) = match (self.file, file) {
            (Some(_), Some(file)) => self.compare(hash_log(Path::new(&file.path))),
            (None, Some(file)) => (Status::Moved, format!("it was found at {}", file.path)),
            _ => (Status::LogMissing, "its digest names it, and it is not there".to_owned()),
        };
        if row.status == Status::Valid && self.verdict.trust == Trust::Unsigned {
            row.status = self.verdict.status;
            row.detail = "it agrees with its digest, which is not proven itself".to_owned();
            row.follows = self.verdict.follows;
        } else if self.verdict.trust == Trust::Unsigned {
            row.detail.push_str("; the digest that says so is not proven itself");
        }
        (row, found)
    }

    fn compare(&self, read: Result<Hash, ReadError>) -> (Status, String) {
        match (read, self.log.hash) {
            (_, None) => (Status::Unreadable, "its digest names no SHA-256 hash of it".to_owned()),
            (Ok(hash), Some(named)) if hash == named => (Status::Valid, String::new()),
            (Ok(_), Some(_)) => (Status::LogHashMismatch, "its content is not what was digested".to_owned()),
            (Err(error @ ReadError::Broken(_)), _) => (Status::InvalidFormat, format!("it {error}")),
            (Err(error), _) => (Status::Unreadable, format!("it {error}")),
        }
    }

    /// A file of the same name and content at another place.
    fn elsewhere(&self, scope: Scope<'_>) -> Option<FileId> {
        let wanted = self.log.hash?;
        let mut files = scope.tree.named(name_of(&self.log.key)).take(MAX_ELSEWHERE);
        files.find(|(_, file)| hash_log(Path::new(&file.path)) == Ok(wanted)).map(|(id, _)| id)
    }
}
