//! The organisation that the records speak of: accounts, principals, and the sessions in which they act.

use crate::clock;
use crate::names::{HEX, MACHINE_AGENTS, PEOPLE, PEOPLE_AGENTS, UPPER, letters, name, pick};
use crate::prng::{Rng, hash};
use crate::template::{Caller, Template};

/// What a principal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Role of EC2 instances.
    Instance,
    /// Role of a Lambda function.
    Function,
    /// Role of ECS tasks.
    Task,
    /// Role of a pipeline, through OpenID Connect.
    Pipeline,
    /// Role assumed by programs of another account.
    Cross,
    /// Permission set of Identity Center.
    Sso,
    /// IAM user with a long-lived key.
    KeyUser,
    /// IAM user who signs in with MFA.
    MfaUser,
    /// The account's root user.
    Root,
}

impl Kind {
    /// Seconds for which a session lives; 0 where its key never changes.
    const fn life(self) -> i64 {
        match self {
            Self::Instance | Self::Task => 6 * 3600,
            Self::Function | Self::MfaUser => 12 * 3600,
            Self::Pipeline | Self::Cross | Self::Root => 3600,
            Self::Sso => 8 * 3600,
            Self::KeyUser => 0,
        }
    }

    /// Sessions side by side.
    const fn width(self) -> u64 {
        match self {
            Self::Instance | Self::Task => 4,
            Self::Pipeline | Self::Cross => 3,
            Self::Sso => 5,
            Self::Function => 2,
            Self::KeyUser | Self::MfaUser | Self::Root => 1,
        }
    }

    const fn human(self) -> bool {
        matches!(self, Self::Sso | Self::MfaUser | Self::Root)
    }
}

/// Whoever acts.
#[derive(Debug)]
pub struct Principal {
    pub kind: Kind,
    seed: u64,
    name: String,
    path: &'static str,
    unique: String,
    /// Templates of its calls, and the sums of their weights.
    templates: Vec<usize>,
    sums: Vec<u64>,
}

/// An account.
#[derive(Debug)]
pub struct Account {
    pub id: String,
    pub seed: u64,
    pub principals: Vec<Principal>,
}

/// The organisation.
#[derive(Debug)]
pub struct World {
    pub templates: Vec<Template>,
    pub accounts: Vec<Account>,
    pub account_sums: Vec<u64>,
    pub regions: Vec<&'static str>,
    pub region_sums: Vec<u64>,
    /// Calls of services and service events, and the sums of their weights.
    pub service_templates: Vec<usize>,
    pub service_sums: Vec<u64>,
}

/// A principal with the credentials of a while.
#[derive(Debug)]
pub struct Session<'w> {
    pub kind: &'static str,
    pub principal_id: String,
    pub arn: String,
    pub access_key: String,
    pub user_name: String,
    pub source_ip: String,
    pub user_agent: &'static str,
    /// `userIdentity` without its last brace.
    pub json: String,
    principal: &'w Principal,
}

impl Session<'_> {
    /// A template of this session's calls.
    pub fn template(&self, rng: &mut Rng) -> usize {
        self.principal.templates.get(rng.weighted(&self.principal.sums)).copied().unwrap_or(0)
    }
}

const REGIONS: [(&str, u64); 8] = [
    ("us-east-1", 620),
    ("eu-west-1", 200),
    ("us-west-2", 100),
    ("eu-central-1", 80),
    ("ap-southeast-1", 40),
    ("ap-northeast-1", 30),
    ("us-east-2", 30),
    ("ca-central-1", 20),
];

fn sums(weights: impl Iterator<Item = u64>) -> Vec<u64> {
    weights
        .scan(0u64, |sum, weight| {
            *sum += weight.max(1);
            Some(*sum)
        })
        .collect()
}

impl World {
    /// The organisation of a seed.
    ///
    /// # Errors
    /// When a template cannot be read.
    pub fn new(seed: u64, accounts: usize, regions: usize) -> Result<Self, String> {
        let templates = crate::template::load()?;
        let of = |keep: &dyn Fn(&Template) -> bool| -> Vec<usize> {
            templates.iter().enumerate().filter(|(_, t)| keep(t)).map(|(at, _)| at).collect()
        };
        let weights = |list: &[usize]| sums(list.iter().map(|at| templates.get(*at).map_or(0, |t| t.weight)));
        let session = of(&|t| t.caller == Caller::Session);
        let session_sums = weights(&session);
        let service_templates = of(&|t| t.caller != Caller::Session);
        let service_sums = weights(&service_templates);
        let accounts: Vec<Account> = (0..accounts.max(1))
            .map(|at| account(hash(&[seed, 10, at as u64]), &templates, &session, &session_sums))
            .collect();
        let kept: Vec<(&str, u64)> = REGIONS.iter().take(regions.clamp(1, REGIONS.len())).copied().collect();
        Ok(Self {
            account_sums: sums((1..=accounts.len() as u64).map(|rank| 1_000_000 / rank)),
            regions: kept.iter().map(|(name, _)| *name).collect(),
            region_sums: sums(kept.iter().map(|(_, weight)| *weight)),
            service_templates,
            service_sums,
            accounts,
            templates,
        })
    }
}

fn account(seed: u64, templates: &[Template], session: &[usize], session_sums: &[u64]) -> Account {
    let mut rng = Rng::new(&[seed]);
    let id = format!("{:012}", 100_000_000_000 + rng.below(899_999_999_999));
    let kinds = [
        (Kind::Instance, 5),
        (Kind::Function, 6),
        (Kind::Task, 4),
        (Kind::Pipeline, 2),
        (Kind::Cross, 2),
        (Kind::Sso, 3),
        (Kind::KeyUser, 3),
        (Kind::MfaUser, 2),
        (Kind::Root, 1),
    ];
    // Kinds in turn, so that the busiest principals of an account are of several kinds; root is the last.
    let mut order: Vec<(usize, Kind)> = kinds
        .iter()
        .flat_map(|(kind, n)| (0..*n).map(move |turn| (if *kind == Kind::Root { 99 } else { turn }, *kind)))
        .collect();
    order.sort_by_key(|(turn, _)| *turn);
    let principals = order
        .iter()
        .enumerate()
        .map(|(at, (_, kind))| principal(hash(&[seed, 20, at as u64]), *kind, templates, session, session_sums))
        .collect();
    Account { id, seed, principals }
}

fn principal(seed: u64, kind: Kind, templates: &[Template], session: &[usize], session_sums: &[u64]) -> Principal {
    let mut rng = Rng::new(&[seed]);
    // Programs do few things, people many.
    let many = if kind.human() { 40 + rng.below(80) } else { 6 + rng.below(26) };
    let mut own: Vec<usize> = (0..many).filter_map(|_| session.get(rng.weighted(session_sums)).copied()).collect();
    own.sort_unstable();
    own.dedup();
    let weight = |at: &usize| templates.get(*at).map_or(1, |t| t.weight);
    let sums = sums(own.iter().map(|at| weight(at).isqrt()));
    let base = clock::text(|out| name(seed, out));
    let name = match kind {
        Kind::Sso => {
            let set = pick(&mut rng, &["AdministratorAccess", "PowerUser", "ReadOnly", "Developer", "DataAnalyst"]);
            format!("AWSReservedSSO_{set}_{}", letters(&mut rng, HEX, 16))
        }
        Kind::KeyUser => format!("svc-{base}"),
        Kind::MfaUser => pick(&mut rng, &PEOPLE).to_owned(),
        _ => base,
    };
    let path = match kind {
        Kind::Sso => "aws-reserved/sso.amazonaws.com/",
        Kind::Function if rng.chance(0.3) => "service-role/",
        _ => "",
    };
    let prefix = if matches!(kind, Kind::KeyUser | Kind::MfaUser) { "AIDA" } else { "AROA" };
    let unique = format!("{prefix}{}", letters(&mut rng, UPPER, 17));
    Principal { kind, seed, name, path, unique, templates: own, sums }
}

impl Account {
    /// Somebody who acts at a time: the same sessions for every file of that while.
    pub fn session(&self, at: i64, rng: &mut Rng) -> Option<Session<'_>> {
        let hour = clock::civil(at).hour;
        let working = (8..19).contains(&hour) && clock::weekday(at) < 5;
        let weights = sums(self.principals.iter().enumerate().map(|(rank, p)| {
            let base = 10_000 / (rank as u64 + 1);
            match (p.kind, working) {
                (Kind::Root, _) => 2,
                (kind, true) if kind.human() => base * 2,
                (kind, false) if kind.human() => base / 6,
                _ => base,
            }
        }));
        let principal = self.principals.get(rng.weighted(&weights))?;
        let life = principal.kind.life();
        // Sessions of different principals do not all begin at midnight.
        let shift = if life == 0 { 0 } else { (principal.seed % life as u64) as i64 };
        let window = if life == 0 { 0 } else { (at + shift).div_euclid(life) };
        let began = window * life - shift;
        let side = rng.below(principal.kind.width());
        Some(principal.session(&self.id, window, began, side))
    }
}

impl Principal {
    fn session(&self, account: &str, window: i64, began: i64, side: u64) -> Session<'_> {
        let mut rng = Rng::new(&[self.seed, 30, window as u64, side]);
        let mut lasting = Rng::new(&[self.seed, 31, side]);
        let agents: &[&'static str] = if self.kind.human() { &PEOPLE_AGENTS } else { &MACHINE_AGENTS };
        let user_agent = pick(if self.kind.human() { &mut rng } else { &mut lasting }, agents);
        let source_ip = if self.kind.human() || self.kind == Kind::Pipeline {
            let octets = [rng.below(40) + 80, rng.below(256), rng.below(256), rng.below(254) + 1];
            octets.map(|n| n.to_string()).join(".")
        } else {
            format!("10.{}.{}.{}", self.seed % 200, lasting.below(64), lasting.below(254) + 1)
        };
        let name = match self.kind {
            Kind::Instance => format!("i-0{}", letters(&mut lasting, HEX, 16)),
            Kind::Function => self.name.clone(),
            Kind::Task => letters(&mut rng, HEX, 32),
            Kind::Pipeline => "GitHubActions".to_owned(),
            Kind::Cross => format!("botocore-session-{}", began + rng.below(900) as i64),
            Kind::Sso => format!(
                "{}@example.com",
                PEOPLE.get(((self.seed >> 8) + side * 5) as usize % PEOPLE.len()).copied().unwrap_or("x")
            ),
            Kind::KeyUser | Kind::MfaUser | Kind::Root => String::new(),
        };
        let temporary = format!("ASIA{}", letters(&mut rng, UPPER, 16));
        let created = clock::text(|out| clock::iso(began + rng.below(120) as i64, out));
        let who = Who { principal: self, account, name: &name, created: &created };
        let (kind, principal_id, arn, access_key, user_name, json) = match self.kind {
            Kind::KeyUser | Kind::MfaUser | Kind::Root => who.user(&temporary, &mut lasting),
            _ => who.role(&temporary),
        };
        Session { kind, principal_id, arn, access_key, user_name, source_ip, user_agent, json, principal: self }
    }
}

/// Type, principal id, ARN, access key, user name, and the JSON of an identity.
type Parts = (&'static str, String, String, String, String, String);

struct Who<'a> {
    principal: &'a Principal,
    account: &'a str,
    name: &'a str,
    created: &'a str,
}

impl Who<'_> {
    fn user(&self, temporary: &str, lasting: &mut Rng) -> Parts {
        let Self { principal, account, created, .. } = self;
        let root = principal.kind == Kind::Root;
        let (kind, id) = if root { ("Root", (*account).to_owned()) } else { ("IAMUser", principal.unique.clone()) };
        let arn = match root {
            true => format!("arn:aws:iam::{account}:root"),
            false => format!("arn:aws:iam::{account}:user/{}", principal.name),
        };
        let signed_in = principal.kind != Kind::KeyUser;
        let key = if signed_in { temporary.to_owned() } else { format!("AKIA{}", letters(lasting, UPPER, 16)) };
        let user = if root { String::new() } else { principal.name.clone() };
        let mut json = format!(
            r#"{{"type":"{kind}","principalId":"{id}","arn":"{arn}","accountId":"{account}","accessKeyId":"{key}""#
        );
        if !root {
            json += &format!(r#","userName":"{user}""#);
        }
        if signed_in {
            json += &format!(
                r#","sessionContext":{{"sessionIssuer":{{}},"webIdFederationData":{{}},"attributes":{{"creationDate":"{created}Z","mfaAuthenticated":"true"}}}}"#
            );
        }
        (kind, id, arn, key, user, json)
    }

    fn role(&self, key: &str) -> Parts {
        let Self { principal: Principal { kind, name: role, path, unique, .. }, account, name, created } = self;
        let id = format!("{unique}:{name}");
        let arn = format!("arn:aws:sts::{account}:assumed-role/{role}/{name}");
        let federation = match kind {
            Kind::Pipeline => format!(
                r#"{{"federatedProvider":"arn:aws:iam::{account}:oidc-provider/token.actions.githubusercontent.com","attributes":{{}}}}"#
            ),
            _ => "{}".to_owned(),
        };
        let delivery = if *kind == Kind::Instance { r#","ec2RoleDelivery":"2.0""# } else { "" };
        let json = format!(
            r#"{{"type":"AssumedRole","principalId":"{id}","arn":"{arn}","accountId":"{account}","accessKeyId":"{key}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"{unique}","arn":"arn:aws:iam::{account}:role/{path}{role}","accountId":"{account}","userName":"{role}"}},"webIdFederationData":{federation},"attributes":{{"creationDate":"{created}Z","mfaAuthenticated":"false"}}{delivery}}}"#
        );
        ("AssumedRole", id, arn, key.to_owned(), String::new(), json)
    }
}
