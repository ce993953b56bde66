//! One chain of digests, judged from the newest to the oldest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rayon::prelude::*;

use crate::model::time::Timestamp;

use super::digest::{Digest, Previous, address};
use super::keys::PublicKeys;
use super::layout::{digest_name, name_of, stands_at};
use super::read::{MAX_DIGEST_BYTES, MAX_SIDECAR_BYTES, ReadError, read_small};
use super::sidecar::Sidecar;
use super::status::{Kind, Row, Status, Weight};
use super::tree::{FileId, Found, Tree};
use super::verify::Options;

/// Time between a digest's end and when the next one can be expected to be there: it covers an hour, and the AWS CLI
/// allows one more for delivery.
const NEXT_DIGEST_SECONDS: i64 = 2 * 3600;
/// What a digest covers ("CloudTrail digest file structure": hourly).
pub(super) const DIGEST_SECONDS: i64 = 3600;

/// What makes digests one chain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ChainId {
    pub account: String,
    pub region: String,
    pub trail: String,
    pub backfill: bool,
    pub home: String,
    pub organization: Option<String>,
}

/// What all chains share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    pub tree: &'a Tree,
    pub keys: &'a PublicKeys,
    pub options: &'a Options,
}

/// How far a digest's content can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// A signature verifies.
    Proven,
    /// There is no signature, or no key, to decide.
    Unsigned,
    /// It is not what CloudTrail delivered there, or could not be read.
    Broken,
}

/// What was found about a digest.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub status: Status,
    pub detail: String,
    pub trust: Trust,
    /// Inconclusive only because another digest was tampered with.
    pub follows: bool,
}

impl Verdict {
    fn new(status: Status, trust: Trust, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), trust, follows: false }
    }
}

/// A digest file of the chain.
#[derive(Debug)]
pub(super) struct Node<'t> {
    pub id: FileId,
    pub file: &'t Found,
    /// By its name.
    pub end: Timestamp,
    pub digest: Result<Digest, ReadFailure>,
    /// Paths of the sidecars of the file and its copies, and what they hold.
    sidecars: Vec<(String, Result<Sidecar, String>)>,
    /// Other files with the same content, rightly placed: a bucket can have been downloaded twice.
    copies: Vec<FileId>,
    /// Whether it speaks for the time that was asked for. Others are read for the signatures that they hold.
    pub wanted: bool,
}

/// Why a digest could not be read.
#[derive(Debug)]
pub(super) struct ReadFailure {
    status: Status,
    why: String,
}

/// A span that no valid digest speaks for.
#[derive(Clone, Debug)]
pub(super) struct Hole {
    pub from: Timestamp,
    pub to: Timestamp,
    /// Whether a digest was there and was deleted or changed.
    pub tampered: bool,
}

/// A chain, judged; its logs are not.
#[derive(Debug)]
pub(super) struct Judged<'t> {
    /// Newest first.
    pub nodes: Vec<Node<'t>>,
    /// One a node.
    pub verdicts: Vec<Verdict>,
    pub rows: Vec<Row>,
    pub holes: Vec<Hole>,
    /// The oldest digest, where the chain goes on before the files that are here.
    pub cut: Option<usize>,
}

/// Judges a chain. `listed` holds all of its files by the time in their name, oldest first.
pub(super) fn judge<'t>(scope: Scope<'t>, id: &ChainId, listed: &[(Timestamp, FileId)]) -> Judged<'t> {
    let nodes = load(scope, listed);
    let files = |node: &Node<'_>| [node.id].into_iter().chain(node.copies.clone()).collect::<Vec<FileId>>();
    let by_file =
        nodes.iter().enumerate().flat_map(|(at, node)| files(node).into_iter().map(move |id| (id, at))).collect();
    let mut walk = Walk {
        scope,
        id,
        listed,
        nodes: &nodes,
        by_file,
        claims: BTreeMap::new(),
        orphans: BTreeSet::new(),
        verdicts: Vec::new(),
        led_to: Vec::new(),
        rows: Vec::new(),
        holes: Vec::new(),
        cut: None,
    };
    for (at, node) in nodes.iter().enumerate() {
        let verdict = walk.verdict(at, node);
        walk.verdicts.push(verdict);
        walk.follow(at, node);
    }
    walk.strangers();
    walk.pointers();
    walk.ends();
    walk.digest_rows();
    let Walk { verdicts, rows, holes, cut, .. } = walk;
    Judged { nodes, verdicts, rows, holes, cut }
}

/// Reads the digests of the asked time and the ones after it, which hold the signatures of the last ones.
fn load<'t>(scope: Scope<'t>, listed: &[(Timestamp, FileId)]) -> Vec<Node<'t>> {
    let Options { from, to, .. } = *scope.options;
    let first = from.map_or(0, |from| listed.partition_point(|(end, _)| *end <= from));
    let last = to.map_or(listed.len(), |to| {
        // A digest can be there twice, hence two more.
        listed.partition_point(|(end, _)| end.plus_seconds(-DIGEST_SECONDS) < to).saturating_add(2).min(listed.len())
    });
    let wanted = listed.get(first..last.max(first)).unwrap_or(&[]);
    let mut nodes: Vec<Node<'t>> = wanted.par_iter().filter_map(|(end, id)| node(scope, *id, *end)).collect();
    nodes.sort_by(|a, b| b.end.cmp(&a.end).then_with(|| a.file.path.cmp(&b.file.path)));
    let mut once: Vec<Node<'t>> = Vec::with_capacity(nodes.len());
    for node in nodes {
        match once.iter_mut().rev().take_while(|other| other.end == node.end).find(|other| other.is_copy_of(&node)) {
            Some(other) => {
                other.copies.push(node.id);
                other.sidecars.extend(node.sidecars);
            }
            None => once.push(node),
        }
    }
    once
}

impl Node<'_> {
    fn is_copy_of(&self, other: &Self) -> bool {
        let (Ok(one), Ok(two)) = (&self.digest, &other.digest) else { return false };
        let placed = |node: &Self, digest: &Digest| stands_at(node.file.relative(), &digest.key);
        one.hash == two.hash && placed(self, one) && placed(other, two)
    }
}

fn node<'t>(scope: Scope<'t>, id: FileId, named_end: Timestamp) -> Option<Node<'t>> {
    let file = scope.tree.file(id)?;
    let digest = read_digest(&file.path);
    let sidecars = scope.tree.sidecar(file).map(|sidecar| {
        let read = match read_small(Path::new(&sidecar.path), MAX_SIDECAR_BYTES) {
            Ok((text, _)) => Sidecar::parse(&text),
            Err(error) => Err(format!("it {error}")),
        };
        (sidecar.path.clone(), read)
    });
    // The content may be forged: it can make the span longer only.
    let hour = named_end.plus_seconds(-DIGEST_SECONDS);
    let start = digest.as_ref().map_or(hour, |digest| digest.start.min(hour));
    let wanted = scope.options.touches(start, named_end);
    let sidecars = sidecars.into_iter().collect();
    Some(Node { id, file, end: named_end, digest, sidecars, copies: Vec::new(), wanted })
}

/// Reads one digest file.
pub(super) fn read_digest(path: &str) -> Result<Digest, ReadFailure> {
    let (text, hash) = read_small(Path::new(path), MAX_DIGEST_BYTES).map_err(|error| ReadFailure {
        status: if matches!(error, ReadError::Io(_)) { Status::Unreadable } else { Status::InvalidFormat },
        why: format!("it {error}"),
    })?;
    Digest::parse(&text, hash).map_err(|why| ReadFailure { status: Status::InvalidFormat, why })
}

/// What a newer digest says of an older one.
struct Claim<'n> {
    by: usize,
    previous: &'n Previous,
    trust: Trust,
}

struct Walk<'w, 't> {
    scope: Scope<'t>,
    id: &'w ChainId,
    listed: &'w [(Timestamp, FileId)],
    nodes: &'w [Node<'t>],
    by_file: BTreeMap<FileId, usize>,
    /// Node → the newer ones that name it as their previous.
    claims: BTreeMap<usize, Vec<usize>>,
    /// Nodes whose next digest, which held their signature, is missing or broken.
    orphans: BTreeSet<usize>,
    verdicts: Vec<Verdict>,
    /// What a node's pointer to its previous one led to. It goes with the node, should that turn out to be forged.
    led_to: Vec<(usize, Option<Row>, Hole)>,
    rows: Vec<Row>,
    holes: Vec<Hole>,
    cut: Option<usize>,
}

impl<'w, 't> Walk<'w, 't> {
    fn claims_on(&self, at: usize) -> Vec<Claim<'w>> {
        let by = self.claims.get(&at).map_or(&[][..], Vec::as_slice);
        by.iter()
            .filter_map(|&by| {
                let previous = self.nodes.get(by)?.digest.as_ref().ok()?.previous.as_ref()?;
                Some(Claim { by, previous, trust: self.verdicts.get(by)?.trust })
            })
            .collect()
    }

    fn verdict(&mut self, at: usize, node: &'w Node<'t>) -> Verdict {
        let digest = match &node.digest {
            Ok(digest) => digest,
            Err(failure) => return Verdict::new(failure.status, Trust::Broken, failure.why.clone()),
        };
        if !stands_at(node.file.relative(), &digest.key) {
            return Verdict::new(Status::Moved, Trust::Broken, format!("it says that it is {}", digest.address()));
        }
        let all = self.claims_on(at);
        let names_it = |claim: &&Claim<'_>| claim.previous.names(digest);
        let claims: Vec<&Claim<'_>> = all.iter().filter(names_it).collect();
        if claims.is_empty()
            && let Some(other) = all.iter().find(|claim| claim.trust != Trust::Broken)
        {
            let named = address(&other.previous.bucket, &other.previous.key);
            let detail = format!("it says that it is {}, the next digest says that {named} is here", digest.address());
            return Verdict::new(Status::Moved, Trust::Broken, detail);
        }
        // A backfill digest is signed when it is made, long after it ends; only its sidecar says when.
        let signed_at = if self.id.backfill {
            node.sidecars.iter().find_map(|(_, sidecar)| sidecar.as_ref().ok()?.generated)
        } else {
            Some(digest.end)
        };
        match self.scope.keys.find(&digest.fingerprint, &self.id.region, signed_at) {
            Ok(key) => self.weigh(at, node, digest, &claims, |signature| key.verifies(&digest.signed, signature)),
            Err(why) => without_key(why, digest, &claims),
        }
    }

    /// Weighs every signature that there is for a digest. One that verifies proves it. One that does not is held
    /// against the digest only where what holds the signature is itself beyond doubt, or there is no other reading.
    fn weigh(
        &mut self,
        at: usize,
        node: &Node<'t>,
        digest: &Digest,
        claims: &[&Claim<'_>],
        verifies: impl Fn(&str) -> bool,
    ) -> Verdict {
        let beside: Vec<bool> =
            node.sidecars.iter().filter_map(|(_, sidecar)| Some(verifies(&sidecar.as_ref().ok()?.signature))).collect();
        // (claim, its signature verifies, its hash is that of the content)
        let said: Vec<(&Claim<'_>, bool, Option<bool>)> = claims
            .iter()
            .map(|claim| {
                let signature = claim.previous.signature.as_deref().is_some_and(&verifies);
                (*claim, signature, claim.previous.hash.map(|hash| hash == digest.hash))
            })
            .collect();
        let proven = beside.contains(&true) || said.iter().any(|(_, signature, _)| *signature);
        let against = |trust: Trust| {
            said.iter()
                .filter(move |(claim, signature, hash)| claim.trust == trust && (!signature || *hash == Some(false)))
        };
        let refuted = against(Trust::Proven).next().is_some();
        let mut doubted = false;
        let mut liars = Vec::new();
        for (claim, signature, hash) in against(Trust::Unsigned) {
            if proven || *signature || *hash == Some(true) {
                liars.push(claim.by);
            } else {
                doubted = true;
            }
        }
        let robbed = against(Trust::Broken).next().is_some() || !liars.is_empty() || self.orphans.contains(&at);
        for by in liars {
            self.accuse(by);
        }
        let trust = if proven && !refuted { Trust::Proven } else { Trust::Broken };
        if beside.contains(&false) {
            let also = if trust == Trust::Proven { ", although another does" } else { "" };
            Verdict::new(
                Status::InvalidSignature,
                trust,
                format!("the signature in its .meta.json does not verify{also}"),
            )
        } else if refuted {
            let detail = "it is not what the next digest, which is valid, says of it";
            Verdict::new(Status::InvalidSignature, trust, detail)
        } else if proven {
            Verdict::new(Status::Valid, trust, "")
        } else if doubted {
            let detail = "its signature in the next digest, which is not proven itself, does not verify";
            Verdict::new(Status::InvalidSignature, trust, detail)
        } else {
            Verdict { follows: robbed, ..Verdict::new(Status::NewestUnsigned, Trust::Unsigned, unsigned(robbed)) }
        }
    }

    /// An unproven digest whose words about its previous one are false.
    fn accuse(&mut self, by: usize) {
        if let Some(verdict) = self.verdicts.get_mut(by) {
            let detail = "what it says of the digest before it is not so";
            *verdict = Verdict::new(Status::InvalidSignature, Trust::Broken, detail);
        }
    }

    /// Looks where a digest points: claims on the previous one, gaps and deleted digests.
    fn follow(&mut self, at: usize, node: &Node<'t>) {
        let trust = self.verdicts.get(at).map_or(Trust::Broken, |verdict| verdict.trust);
        let Ok(digest) = &node.digest else {
            self.orphans.insert(at + 1);
            return;
        };
        let mut found = false;
        let mut before = None;
        if let Some(previous) = &digest.previous {
            for file in self.scope.tree.at(&previous.key) {
                found = true;
                if let Some(&older) = self.by_file.get(&file).filter(|older| **older > at) {
                    let claims = self.claims.entry(older).or_default();
                    if !claims.contains(&at) {
                        claims.push(at);
                    }
                    let older = self.nodes.get(older).and_then(|node| node.digest.as_ref().ok());
                    before = older.filter(|older| previous.is(older)).map(|older| older.end).or(before);
                }
            }
        }
        if trust == Trust::Broken {
            self.orphans.insert(at + 1);
            return;
        }
        match (&digest.previous, before) {
            (None, _) => self.starts(at, digest),
            (Some(previous), _) if !found => self.missing(at, digest, previous),
            (Some(_), Some(before)) if before < digest.start && !self.id.backfill => {
                self.gap(at, digest, before, format!("no digest speaks for {before} to {}", digest.start));
            }
            _ => {}
        }
    }

    /// The end of the newest digest in the tree that is older than this one.
    fn older_end(&self, at: usize) -> Option<Timestamp> {
        let own = self.nodes.get(at)?.end;
        self.listed.iter().rev().map(|(end, _)| *end).find(|end| *end < own)
    }

    /// A starting digest: the chain begins here, or begins anew.
    fn starts(&mut self, at: usize, digest: &Digest) {
        let from = self.scope.options.from;
        let start = digest.start;
        match self.older_end(at) {
            Some(end) if from.is_none_or(|from| end > from) => {
                let detail = format!("the chain begins anew: validation or logging was off from {end} to {start}");
                self.gap(at, digest, end, detail);
            }
            _ => {
                if let Some(from) = from.filter(|from| *from < start && !self.id.backfill) {
                    self.gap(
                        at,
                        digest,
                        from,
                        format!("the chain begins at {start}; no digest speaks for the time before"),
                    );
                }
            }
        }
    }

    /// The previous digest is not there.
    fn missing(&mut self, at: usize, digest: &Digest, previous: &Previous) {
        let ended = digest_name(name_of(&previous.key)).map_or(digest.start, |name| name.end);
        let from = self.scope.options.from;
        if from.is_some_and(|from| ended <= from) {
            return;
        }
        let older = self.older_end(at);
        let Some(since) = older.or(from) else {
            self.cut = Some(at);
            let detail = "the chain goes on before the oldest digest that is here; --from says from when it matters";
            self.gap(at, digest, ended, detail.to_owned());
            return;
        };
        self.orphans.insert(at + 1);
        let hole = Hole { from: since, to: digest.start, tampered: true };
        // One that stands somewhere else has a row of its own.
        let moved = self.nodes.iter().any(|node| node.digest.as_ref().is_ok_and(|digest| previous.names(digest)));
        let row = (!moved && self.scope.options.touches(since, digest.start)).then(|| {
            let detail = format!("the digest after it names it; no digest is left for {since} to {}", digest.start);
            let object = address(&previous.bucket, &previous.key);
            Row { status: Status::DigestMissing, object, time: Some(ended), detail, ..self.id.row(Kind::Digest) }
        });
        self.led_to.push((at, row, hole));
    }

    fn gap(&mut self, at: usize, digest: &Digest, from: Timestamp, detail: String) {
        let asked = self.scope.options.touches(from, digest.start.max(from.plus_seconds(1)));
        let row = asked.then(|| {
            let object = digest.address();
            Row { status: Status::Gap, object, time: Some(from), detail, ..self.id.row(Kind::Digest) }
        });
        self.led_to.push((at, row, Hole { from, to: digest.start, tampered: false }));
    }

    fn pointers(&mut self) {
        for (at, row, hole) in std::mem::take(&mut self.led_to) {
            if self.verdicts.get(at).is_some_and(|verdict| verdict.trust != Trust::Broken) {
                self.rows.extend(row);
                self.holes.push(hole);
            }
        }
    }

    /// Digests without a signature that nothing points to, in a time for which there is a proven digest: no chain of
    /// CloudTrail's passes by its own digests. Backfill digests speak for any time.
    fn strangers(&mut self) {
        if self.id.backfill {
            return;
        }
        let proven: Vec<&Digest> = (self.nodes.iter().zip(&self.verdicts))
            .filter(|(_, verdict)| verdict.trust == Trust::Proven)
            .filter_map(|(node, _)| node.digest.as_ref().ok())
            .collect();
        for (at, (node, verdict)) in self.nodes.iter().zip(&mut self.verdicts).enumerate() {
            let Ok(digest) = &node.digest else { continue };
            let overlaps =
                |other: &&Digest| other.start < digest.end && digest.start < other.end && other.key != digest.key;
            if verdict.status == Status::NewestUnsigned && !self.claims.contains_key(&at) && proven.iter().any(overlaps)
            {
                let detail = "a valid digest speaks for the same time, and the chain passes this one by";
                *verdict = Verdict::new(Status::InvalidSignature, Trust::Broken, detail);
            }
        }
    }

    /// The asked time after the newest digest.
    fn ends(&mut self) {
        let Options { from, to, .. } = *self.scope.options;
        if self.id.backfill {
            return;
        }
        let Some((newest, file)) = self.listed.last().copied() else { return };
        let asked = to.or(from.filter(|from| newest <= *from).map(|from| from.plus_seconds(NEXT_DIGEST_SECONDS + 1)));
        if asked.is_some_and(|asked| newest.plus_seconds(NEXT_DIGEST_SECONDS) < asked) {
            let object = self.scope.tree.file(file).map(|file| file.path.clone()).unwrap_or_default();
            let detail = format!("the newest digest ends at {newest}; no digest speaks for the time after");
            self.row(Status::Gap, object.clone(), Some(object), Some(newest), detail, false);
        }
    }

    fn digest_rows(&mut self) {
        for (at, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.wanted) {
            let Some(verdict) = self.verdicts.get(at).cloned() else { continue };
            let object = match &node.digest {
                Ok(digest) if verdict.status != Status::Moved => Some(digest.address()),
                Ok(_) => None,
                Err(_) => self.claims_on(at).first().map(|c| address(&c.previous.bucket, &c.previous.key)),
            };
            let path = node.file.path.clone();
            if verdict.trust == Trust::Broken && verdict.status.weight() == Weight::Tampering {
                // Nothing says for how long it spoke; older ones can have been deleted with it.
                let hour = node.end.plus_seconds(-DIGEST_SECONDS);
                let from = self.older_end(at).map_or(hour, |older| older.min(hour));
                self.holes.push(Hole { from, to: node.end, tampered: true });
            }
            let object = object.unwrap_or_else(|| path.clone());
            self.row(verdict.status, object, Some(path.clone()), Some(node.end), verdict.detail, verdict.follows);
            for (sidecar, why) in node.sidecars.iter().filter_map(|(path, read)| Some((path, read.as_ref().err()?))) {
                let detail = format!("it is not used: {why}");
                self.row(Status::Unreadable, sidecar.clone(), Some(sidecar.clone()), Some(node.end), detail, false);
            }
        }
    }

    fn row(
        &mut self,
        status: Status,
        object: String,
        file: Option<String>,
        time: Option<Timestamp>,
        detail: String,
        follows: bool,
    ) {
        self.rows.push(Row { status, object, file, time, detail, follows, ..self.id.row(Kind::Digest) });
    }
}

/// A digest whose key is not at hand: the hashes in newer digests still tell whether it was changed.
fn without_key(mut why: String, digest: &Digest, claims: &[&Claim<'_>]) -> Verdict {
    let says = |claim: &&&Claim<'_>, same: bool| claim.previous.hash.is_some_and(|hash| (hash == digest.hash) == same);
    let sound = || claims.iter().filter(|claim| claim.trust != Trust::Broken);
    if sound().any(|claim| says(&claim, false)) {
        let detail = "its content is not what the next digest says of it; its key was not given";
        return Verdict::new(Status::InvalidSignature, Trust::Broken, detail);
    }
    if sound().any(|claim| claim.trust == Trust::Proven && says(&claim, true)) {
        why.push_str("; the next digest, which is valid, names its hash");
    }
    Verdict::new(Status::KeyMissing, Trust::Unsigned, why)
}

/// Why there is no signature.
fn unsigned(robbed: bool) -> &'static str {
    if robbed {
        "the digest after it, which held its signature, is missing or not valid"
    } else {
        "no digest after it holds its signature; save it as NAME.meta.json with `aws s3api head-object`"
    }
}

impl ChainId {
    /// A row about nothing yet.
    pub(super) fn row(&self, kind: Kind) -> Row {
        Row {
            account: self.account.clone(),
            region: self.region.clone(),
            trail: Some(self.trail.clone()),
            backfill: self.backfill,
            time: None,
            kind,
            object: String::new(),
            file: None,
            status: Status::Valid,
            detail: String::new(),
            follows: false,
        }
    }
}
