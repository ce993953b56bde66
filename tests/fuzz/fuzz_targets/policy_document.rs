//! Policy documents of every kind: parsing, printing, and what follows from a parsed document.
#![no_main]

use jitscan_fuzz::catalog::Catalog;
use jitscan_fuzz::check;
use jitscan_fuzz::decide::compile::Compiler;
use jitscan_fuzz::policy::compile::compile;
use jitscan_fuzz::policy::{Version, ActionMatch, DocumentKind, PolicyDocument, ResourceMatch};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

const KINDS: [DocumentKind; 4] =
    [DocumentKind::Identity, DocumentKind::ServiceControl, DocumentKind::Trust, DocumentKind::Resource];
const ACTIONS: [&str; 6] =
    ["s3:GetObject", "s3:PutObject", "iam:PassRole", "ec2:DescribeTags", "kms:Decrypt", "sts:AssumeRole"];
const RESOURCES: [&str; 4] =
    ["*", "arn:aws:s3:::acme/k:x", "arn:aws:iam::111122223333:role/app", "arn:aws:kms:eu-west-1:1:key/a"];

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    jitscan_fuzz::mutate::json(data, size, max_size, seed)
});

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for kind in KINDS {
        match PolicyDocument::parse(text, kind) {
            Err(error) => assert!(!error.to_string().is_empty() && !error.reason.is_empty()),
            Ok(document) => look(text, kind, &document),
        }
    }
    // A service control policy has the elements of an identity policy.
    let [identity, service, ..] = KINDS.map(|kind| PolicyDocument::parse(text, kind).ok());
    check!("kinds", identity == service, "{identity:?} and {service:?}");
});

fn look(text: &str, kind: DocumentKind, document: &PolicyDocument) {
    let printed = jitscan_fuzz::print::document(document);
    let again = PolicyDocument::parse(&printed, kind);
    // Patterns print in the language of 2012; a document of the older one is not the same afterwards.
    let old = document.version == Version::V2008;
    check!("document-print", old || again.as_ref() == Ok(document), "{printed} is {again:?}, and was {document:?}");
    check!("compiles", Compiler::new(Catalog::get()).document(text, kind).is_ok(), "{text}");
    let catalog = Catalog::get();
    for statement in &document.statements {
        let _ = statement.resources.to_string();
        for condition in &statement.conditions {
            assert!(!condition.to_string().is_empty());
        }
        let compiled = compile(&statement.actions, catalog);
        let wanted = matches!(statement.actions, ActionMatch::Action(_));
        for name in ACTIONS {
            let Some(id) = catalog.find(name) else { continue };
            let named = statement.actions.patterns().iter().any(|pattern| pattern.glob().matches(name)) == wanted;
            check!("actions", compiled.set.contains(id) == named, "{:?} on {name}", statement.actions);
        }
        resources(statement.resources.clone(), document);
    }
}

fn resources(mine: ResourceMatch, document: &PolicyDocument) {
    check!("covers-itself", mine.covers(&mine) || matches!(mine, ResourceMatch::NotResource(_)), "{mine}");
    for other in document.statements.iter().map(|statement| &statement.resources) {
        let (covers, overlaps) = (mine.covers(other), mine.overlaps(other));
        check!("overlap-symmetric", overlaps == other.overlaps(&mine), "{mine} and {other}");
        // Variables make both sides uncertain, and what an implied resource is, only the carrier of the policy knows.
        let plain = |list: &ResourceMatch| *list != ResourceMatch::Implied && !list.to_string().contains("${");
        if !plain(&mine) || !plain(other) {
            continue;
        }
        for resource in RESOURCES {
            let (in_mine, in_other) = (mine.may_match(resource), other.may_match(resource));
            check!("resource-covers", !covers || !in_other || in_mine, "{mine} covers {other} but not {resource}");
            check!("resource-overlaps", overlaps || !in_mine || !in_other, "{mine} and {other} both hold {resource}");
        }
    }
}
