//! Makes a corpus: groups of files side by side, each group by itself and always the same.

use std::path::{Path, PathBuf};

use libdeflater::{CompressionLvl, Compressor};
use rayon::prelude::*;

use crate::clock;
use crate::plan::{self, File, Sizes};
use crate::plant::{self, Planted, Shares};
use crate::prng::Rng;
use crate::render::{self, About};
use crate::template::{Caller, Template};
use crate::truth::{Fact, Truth, Who};
use crate::world::{Session, World};

/// Share of bursts that are calls of services and service events.
const SERVICE_SHARE: f64 = 0.07;
/// Chance that a call is of the same kind as the one before in its burst, and that a burst goes on.
const SAME_CALL: f64 = 0.6;
const SAME_BURST: f64 = 0.88;
/// Records of a file for each session in it, and sessions of a file at most.
const EVENTS_A_SESSION: u64 = 30;
const SESSIONS: u64 = 40;
/// Seconds before delivery in which a file's records happened.
const WINDOW: u64 = 840;
/// As zlib's usual level, which CloudTrail's files come close to.
const GZIP_LEVEL: i32 = 6;

/// What to make.
#[derive(Clone, Debug)]
pub struct Order {
    pub out: PathBuf,
    pub seed: u64,
    pub events: u64,
    pub start: i64,
    pub days: u64,
    pub accounts: usize,
    pub regions: usize,
    pub sizes: Sizes,
    pub shares: Shares,
}

/// Records of a file that is being made.
#[derive(Debug, Default)]
struct Draft {
    text: Vec<u8>,
    ends: Vec<usize>,
    /// Copies and bad records that go in among them.
    extra: Vec<Vec<u8>>,
}

/// Writes a corpus; returns what is in it.
///
/// # Errors
/// When a file cannot be written.
pub fn generate(order: &Order) -> Result<Truth, String> {
    let world = World::new(order.seed, order.accounts, order.regions)?;
    let groups = plan::plan(&world, order.seed, order.events, order.start, order.days, order.sizes);
    groups
        .par_iter()
        .map_init(Press::new, |press, files| {
            let mut group = Group { order, world: &world, files, truth: Truth::default() };
            group.make(press)?;
            Ok(group.truth)
        })
        .try_reduce(Truth::default, |a, b| Ok(a.merge(b)))
}

struct Group<'a> {
    order: &'a Order,
    world: &'a World,
    files: &'a [File],
    truth: Truth,
}

/// A record that was just made, and all it takes to make it again.
pub struct Made<'a> {
    pub template: &'a Template,
    pub about: About<'a>,
    /// As it was before the record.
    pub rng: Rng,
    pub text: &'a [u8],
}

impl Group<'_> {
    fn make(&mut self, press: &mut Press) -> Result<(), String> {
        let mut drafts = Vec::new();
        let mut planted = Vec::new();
        for file in self.files {
            let (draft, more) = self.draft(file)?;
            drafts.push(draft);
            planted.push(more);
        }
        // What goes elsewhere: copies to the next file of the same account and region, or to one of their own.
        let mut again = Draft::default();
        let mut others: Vec<(usize, Draft)> = Vec::new();
        for (at, more) in planted.into_iter().enumerate() {
            let next = (at + 1) % self.files.len().max(1);
            let target = if self.files.len() > 1 { drafts.get_mut(next) } else { None };
            target.unwrap_or(&mut again).extra.extend(more.copies);
            if let Some(draft) = drafts.get_mut(at) {
                draft.extra.extend(more.here);
            }
            for (account, copy) in more.elsewhere {
                match others.iter_mut().find(|(known, _)| *known == account) {
                    Some((_, draft)) => draft.extra.push(copy),
                    None => others.push((account, Draft { extra: vec![copy], ..Draft::default() })),
                }
            }
        }
        for (file, draft) in self.files.iter().zip(&drafts) {
            self.write(file, draft, 0, press)?;
        }
        if let Some(last) = self.files.last() {
            let later = File { delivered: last.delivered + 300, ..*last };
            if !again.extra.is_empty() {
                self.write(&later, &again, 1, press)?;
            }
            for (account, draft) in &others {
                self.write(&File { account: *account, ..later }, draft, 2, press)?;
            }
        }
        Ok(())
    }

    /// The records of a file as they happened, and what is planted from them.
    fn draft(&mut self, file: &File) -> Result<(Draft, Planted), String> {
        let world = self.world;
        let account = world.accounts.get(file.account).ok_or("no such account")?;
        let region = world.regions.get(file.region).copied().ok_or("no such region")?;
        let mut rng = Rng::new(&[self.order.seed, 50, file.number]);
        let wanted = (file.events / EVENTS_A_SESSION + 1).min(SESSIONS);
        let sessions: Vec<Session<'_>> =
            (0..wanted).filter_map(|_| account.session(file.delivered, &mut rng)).collect();
        let nobody = account.session(file.delivered, &mut rng).ok_or("an account without principals")?;
        let (mut draft, mut planted) = (Draft::default(), Planted::default());
        let (mut burst, mut session, mut template, mut time) = (false, &nobody, 0usize, 0i64);
        for _ in 0..file.events {
            if !burst {
                time = file.delivered - 60 - rng.below(WINDOW) as i64;
                let service = rng.chance(SERVICE_SHARE);
                // The first sessions of a file are its busiest.
                let at = (rng.unit() * rng.unit() * sessions.len() as f64) as usize;
                session = sessions.get(at).filter(|_| !service).unwrap_or(&nobody);
                template = self.template(service, session, region, &mut rng);
            } else if !rng.chance(SAME_CALL) {
                let service = world.templates.get(template).is_some_and(|t| t.caller != Caller::Session);
                template = self.template(service, session, region, &mut rng);
            }
            burst = rng.chance(SAME_BURST);
            time = (time + rng.below(2) as i64).min(file.delivered - 30);
            let kind = world.templates.get(template).ok_or("no such template")?;
            let number = draft.ends.len() as u64;
            let own = Rng::new(&[self.order.seed, 60, file.number, number]);
            let mut marks = Rng::new(&[self.order.seed, 61, file.number, number]);
            let event_id = clock::text(|out| render::uuid(&mut marks, out));
            let shared = self.sharing(kind, file, &mut marks);
            let shared_id = shared.as_ref().map(|_| clock::text(|out| render::uuid(&mut marks, out)));
            let about = About {
                account: &account.id,
                account_seed: account.seed,
                region,
                time,
                session,
                event_id: &event_id,
                recipient: &account.id,
                shared: shared_id.as_deref().unwrap_or(""),
                identity: None,
            };
            let from = draft.text.len();
            render::render(kind, &about, &mut own.clone(), &mut draft.text);
            draft.ends.push(draft.text.len());
            self.truth.events += 1;
            self.truth.store(&fact(kind, &about), &who(kind, &about));
            let made = Made { template: kind, about, rng: own, text: draft.text.get(from..).unwrap_or(&[]) };
            plant::plant(
                &made,
                shared.map(|at| (at, world)),
                &self.order.shares,
                &mut marks,
                &mut planted,
                &mut self.truth,
            )?;
        }
        Ok((draft, planted))
    }

    /// A template for a caller, one that the region has.
    fn template(&self, service: bool, session: &Session<'_>, region: &str, rng: &mut Rng) -> usize {
        let world = self.world;
        let mut at = 0;
        for _ in 0..8 {
            at = match service {
                true => world.service_templates.get(rng.weighted(&world.service_sums)).copied().unwrap_or(0),
                false => session.template(rng),
            };
            if region == "us-east-1" || world.templates.get(at).is_some_and(|t| !t.global) {
                break;
            }
        }
        at
    }

    /// The other account that gets a copy of a call.
    /// Which it is hangs on the account and region: such ties are lasting, and so a group makes one more file, not many.
    fn sharing(&self, template: &Template, file: &File, rng: &mut Rng) -> Option<usize> {
        let others = self.world.accounts.len();
        let may = template.caller == Caller::Session && template.via.is_empty() && others > 1;
        if !may || !rng.chance(self.order.shares.shared) {
            return None;
        }
        let tie = Rng::new(&[self.order.seed, 80, file.account as u64, file.region as u64]).below(others as u64 - 1);
        Some((file.account + 1 + tie as usize) % others)
    }

    fn write(&mut self, file: &File, draft: &Draft, kind: u64, press: &mut Press) -> Result<(), String> {
        let account = self.world.accounts.get(file.account).ok_or("no such account")?;
        let region = self.world.regions.get(file.region).copied().ok_or("no such region")?;
        let mut rng = Rng::new(&[self.order.seed, 70, file.number, kind, file.account as u64]);
        let places = draft.ends.len() as u64 + 1;
        let mut extra: Vec<(u64, &[u8])> =
            draft.extra.iter().map(|text| (rng.below(places), text.as_slice())).collect();
        extra.sort_by_key(|(place, _)| *place);
        press.json.clear();
        press.json.extend_from_slice(b"{\"Records\":[");
        let (mut from, mut extra) = (0, extra.into_iter().peekable());
        for (place, end) in draft.ends.iter().map(|end| Some(*end)).chain([None]).enumerate() {
            while let Some((_, text)) = extra.next_if(|(at, _)| *at == place as u64) {
                press.add(text);
            }
            if let Some(end) = end {
                press.add(draft.text.get(from..end).unwrap_or(&[]));
                from = end;
            }
        }
        press.json.extend_from_slice(b"]}");
        let at = clock::civil(file.delivered);
        let day = clock::text(|out| clock::date(&at, b'/', out));
        let mark =
            clock::text(|out| rng.letters(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 16, out));
        let folder = self.order.out.join("AWSLogs").join(&account.id).join("CloudTrail").join(region).join(&day);
        let name = format!(
            "{}_CloudTrail_{region}_{}T{:02}{:02}Z_{mark}.json.gz",
            account.id,
            day.replace('/', ""),
            at.hour,
            at.minute
        );
        self.truth.files += 1;
        self.truth.json_bytes += press.json.len() as u64;
        self.truth.gzip_bytes += press.write(&folder, &name)?;
        Ok(())
    }
}

/// A record as it is counted.
pub fn fact<'a>(template: &'a Template, about: &About<'a>) -> Fact<'a> {
    Fact {
        account: about.recipient,
        region: about.region,
        category: &template.category,
        source: &template.source,
        name: &template.name,
        time: about.time,
        call: template.call,
        denied: template.denied,
    }
}

/// Whose record it is, as it stands in it.
pub fn who(template: &Template, about: &About<'_>) -> Who {
    let session = about.session;
    match template.caller {
        Caller::Session => Who {
            kind: session.kind.to_owned(),
            principal_id: session.principal_id.clone(),
            arn: session.arn.clone(),
            account: about.account.to_owned(),
            access_key: session.access_key.clone(),
            invoked_by: template.via.clone(),
        },
        Caller::Service => {
            Who { kind: "AWSService".to_owned(), invoked_by: template.service.clone(), ..Who::default() }
        }
        Caller::Event => {
            Who { account: about.account.to_owned(), invoked_by: template.service.clone(), ..Who::default() }
        }
    }
}

/// Text and gzip of one file after the other.
struct Press {
    json: Vec<u8>,
    gzip: Vec<u8>,
    compressor: Compressor,
}

impl Press {
    fn new() -> Self {
        let level = CompressionLvl::new(GZIP_LEVEL).unwrap_or_default();
        Self { json: Vec::new(), gzip: Vec::new(), compressor: Compressor::new(level) }
    }

    fn add(&mut self, record: &[u8]) {
        if self.json.last() != Some(&b'[') {
            self.json.push(b',');
        }
        self.json.extend_from_slice(record);
    }

    fn write(&mut self, folder: &Path, name: &str) -> Result<u64, String> {
        self.gzip.resize(self.compressor.gzip_compress_bound(self.json.len()), 0);
        let fail = |e: &dyn std::fmt::Display| format!("{}: {e}", folder.join(name).display());
        let length = self.compressor.gzip_compress(&self.json, &mut self.gzip).map_err(|e| fail(&e))?;
        std::fs::create_dir_all(folder).map_err(|e| fail(&e))?;
        std::fs::write(folder.join(name), self.gzip.get(..length).unwrap_or(&[])).map_err(|e| fail(&e))?;
        Ok(length as u64)
    }
}
