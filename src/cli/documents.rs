//! Documents of the store: what kinds there are, how they are read, and the snapshot that they make.

use std::collections::BTreeMap;

use crate::collect::{self, CollectError, Content, FileKind, Loaded};
use crate::integrity::{KeysError, PublicKeys};
use crate::lake::{DocumentMeta, Reader};
use crate::model::defect::Parsed;
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use crate::model::trail::trail_arn;

use super::context::CommandError;

/// A kind of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    /// GetAccountAuthorizationDetails output.
    Iam,
    /// Credential report.
    CredentialReport,
    /// People.
    Roster,
    /// Organisation.
    Organization,
    /// Identity Center.
    IdentityCenter,
    /// Trails.
    Trails,
    /// Account settings.
    Account,
    /// Last accessed information.
    LastAccessed,
    /// Analyzers and their findings.
    AccessAnalyzer,
    /// Policies at resources.
    ResourcePolicies,
    /// Public keys of CloudTrail.
    PublicKeys,
}

impl DocumentKind {
    /// Name in the store and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Iam => "iam",
            Self::CredentialReport => "credential-report",
            Self::Roster => "roster",
            Self::Organization => "organization",
            Self::IdentityCenter => "identity-center",
            Self::Trails => "trails",
            Self::Account => "account",
            Self::LastAccessed => "last-accessed",
            Self::AccessAnalyzer => "access-analyzer",
            Self::ResourcePolicies => "resource-policies",
            Self::PublicKeys => "public-keys",
        }
    }

    /// The kind of a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Iam,
            Self::CredentialReport,
            Self::Roster,
            Self::Organization,
            Self::IdentityCenter,
            Self::Trails,
            Self::Account,
            Self::LastAccessed,
            Self::AccessAnalyzer,
            Self::ResourcePolicies,
            Self::PublicKeys,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == text)
    }

    /// Reads a document of this kind.
    ///
    /// # Errors
    /// When it is not one.
    pub fn read(self, bytes: &[u8], file: &str, captured_at: Timestamp) -> Result<Parsed<Content>, CollectError> {
        fn wrap<T>(parsed: Parsed<T>, content: impl FnOnce(T) -> Content) -> Parsed<Content> {
            Parsed { value: content(parsed.value), defects: parsed.defects }
        }
        Ok(match self {
            Self::Iam => wrap(collect::authorization_details(bytes, file, captured_at)?, Content::Iam),
            Self::CredentialReport => {
                wrap(collect::credential_report(bytes, file, captured_at)?, Content::CredentialReport)
            }
            Self::Roster => wrap(collect::roster(bytes, file)?, Content::Roster),
            Self::Organization => wrap(collect::organization(bytes, file, captured_at)?, Content::Organization),
            Self::IdentityCenter => wrap(collect::identity_center(bytes, file, captured_at)?, Content::IdentityCenter),
            Self::Trails => wrap(collect::trails(bytes, file, captured_at)?, Content::Trails),
            Self::Account => wrap(collect::account(bytes, file, captured_at)?, Content::Account),
            Self::LastAccessed => wrap(collect::last_accessed(bytes, file, captured_at)?, Content::LastAccessed),
            Self::AccessAnalyzer => wrap(collect::access_analyzer(bytes, file, captured_at)?, Content::AccessAnalyzer),
            Self::ResourcePolicies => {
                wrap(collect::resource_policies(bytes, file, captured_at)?, Content::ResourcePolicies)
            }
            Self::PublicKeys => {
                let malformed = |error: KeysError| CollectError::Malformed {
                    file: file.to_owned(),
                    reason: error.to_string(),
                    wanted: FileKind::PublicKeys,
                };
                PublicKeys::default().add(bytes).map_err(malformed)?;
                Parsed { value: Content::PublicKeys, defects: Vec::new() }
            }
        })
    }
}

/// The account that a document speaks for, where it is one.
#[must_use]
pub fn account_of(content: &Content) -> Option<String> {
    match content {
        Content::Iam(accounts) => match accounts.as_slice() {
            [one] => Some(one.account.to_string()),
            _ => None,
        },
        Content::CredentialReport(report) => Some(report.account.to_string()),
        Content::Account(details) => Some(details.account.to_string()),
        Content::AccessAnalyzer(one) => Some(one.account.to_string()),
        Content::ResourcePolicies(one) => Some(one.account.to_string()),
        Content::LastAccessed(accounts) => match accounts.as_slice() {
            [one] => Some(one.account.to_string()),
            _ => None,
        },
        Content::Trails(states) => {
            let mut accounts = states.iter().filter_map(|state| Some(trail_arn(&state.arn)?.2));
            let first = accounts.next()?;
            accounts.all(|account| account == first).then(|| first.to_owned())
        }
        Content::Organization(_) | Content::IdentityCenter(_) | Content::Roster(_) | Content::PublicKeys => None,
    }
}

/// The snapshot of a store, and what has to be said about its age.
#[derive(Debug)]
pub struct LoadedSnapshot {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Kinds (with their account) of which the store has only a state younger than the instant asked for.
    pub younger: Vec<String>,
}

/// Puts the snapshot together as it stood at `as_of`: of each kind and account the documents captured no later;
/// where there are none, the oldest later one, which is then named in `younger`.
///
/// # Errors
/// When the store cannot be read, or holds a document that this program cannot read.
pub fn load(reader: &Reader, as_of: Timestamp) -> Result<LoadedSnapshot, CommandError> {
    let mut groups: BTreeMap<(String, String), Vec<DocumentMeta>> = BTreeMap::new();
    for meta in reader.documents()? {
        groups.entry((meta.kind.clone(), meta.account.clone())).or_default().push(meta);
    }
    let mut loaded = Vec::new();
    let mut younger = Vec::new();
    for ((kind, account), mut metas) in groups {
        let Some(kind) = DocumentKind::parse(&kind) else { continue };
        if metas.iter().all(|meta| meta.captured_at > as_of) {
            let Some(oldest) = metas.iter().map(|meta| meta.captured_at).min() else { continue };
            metas.retain(|meta| meta.captured_at == oldest);
            let whose = if account.is_empty() { String::new() } else { format!(" of {account}") };
            younger.push(format!("{}{whose} as of {oldest}", kind.as_str()));
        } else {
            metas.retain(|meta| meta.captured_at <= as_of);
        }
        for meta in metas {
            let bytes = reader.document_bytes(&meta)?;
            let parsed = kind.read(&bytes, &meta.source, meta.captured_at)?;
            loaded.push(Loaded { hash: meta.hash.clone(), captured_at: meta.captured_at, parsed });
        }
    }
    Ok(LoadedSnapshot { snapshot: collect::assemble(loaded), younger })
}
