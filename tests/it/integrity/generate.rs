//! Makes chains of digests up and signs them, as CloudTrail does: hourly, an entry for every log, a hash and a
//! signature for the digest before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jitscan::model::time::Timestamp;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

use crate::lake::gz;

pub const BUCKET: &str = "example-trail-bucket";
const KEYS: [&[u8]; 2] =
    [include_bytes!("../data/digest-signing-1.pk8"), include_bytes!("../data/digest-signing-2.pk8")];

/// A key pair of AWS's, as it were. CloudTrail's fingerprints are MD5; any hexadecimal text serves here.
pub struct Signer {
    pair: RsaKeyPair,
    pub fingerprint: String,
}

impl Signer {
    pub fn new(number: usize) -> Self {
        let pair = RsaKeyPair::from_pkcs8(KEYS[number]).unwrap();
        let fingerprint = hex(digest(&SHA256, pair.public().as_ref()).as_ref().get(..16).unwrap());
        Self { pair, fingerprint }
    }

    pub fn sign(&self, text: &str) -> String {
        let mut out = vec![0; self.pair.public().modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut out).unwrap();
        hex(&out)
    }

    /// The public key in PKCS#1 form.
    pub fn public(&self) -> Vec<u8> {
        self.pair.public().as_ref().to_vec()
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// SubjectPublicKeyInfo around a PKCS#1 key of 2048 bits.
pub fn spki(pkcs1: &[u8]) -> Vec<u8> {
    assert_eq!(pkcs1.len(), 270);
    let head = [
        0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05,
        0x00, 0x03, 0x82, 0x01, 0x0f, 0x00,
    ];
    [&head[..], pkcs1].concat()
}

/// A chain to be made.
#[derive(Clone)]
pub struct Plan {
    pub account: &'static str,
    pub region: &'static str,
    pub trail: &'static str,
    pub home: &'static str,
    /// What stands before `AWSLogs`, with a slash at its end, or nothing.
    pub prefix: &'static str,
    pub organization: Option<&'static str>,
    pub backfill: bool,
    /// Which key signs.
    pub signer: usize,
    /// When the first digest begins.
    pub start: &'static str,
    pub hours: usize,
    /// Logs an hour.
    pub logs: usize,
    /// Hours without events.
    pub quiet: &'static [usize],
    /// Hours in which validation was off; the chain begins anew after them. Their logs are delivered all the same.
    pub off: std::ops::Range<usize>,
}

pub const PLAIN: Plan = Plan {
    account: "111122223333",
    region: "eu-west-1",
    trail: "main_trail",
    home: "eu-west-1",
    prefix: "",
    organization: None,
    backfill: false,
    signer: 0,
    start: "2024-03-01T20:01:31Z",
    hours: 8,
    logs: 2,
    quiet: &[3],
    off: 0..0,
};

/// One S3 object.
#[derive(Clone)]
pub struct Object {
    pub bytes: Vec<u8>,
    /// Metadata of a digest.
    pub metadata: Option<Value>,
}

/// A digest that was made, oldest first in its chain.
#[derive(Clone)]
pub struct Made {
    pub key: String,
    pub logs: Vec<String>,
    /// Its uncompressed content.
    pub content: Value,
    pub start: Timestamp,
    pub end: Timestamp,
}

/// A bucket with chains, and the keys that verify them.
pub struct Corpus {
    pub objects: BTreeMap<String, Object>,
    pub chains: Vec<(Plan, Vec<Made>)>,
    /// Logs that were delivered while validation was off.
    pub undigested: Vec<String>,
    pub keys: Value,
}

/// Which digests keep their metadata in a download.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sidecars {
    None,
    /// Those that no other digest holds the signature of.
    Newest,
}

impl Corpus {
    pub fn new(plans: &[Plan]) -> Self {
        let signers = [Signer::new(0), Signer::new(1)];
        let mut corpus =
            Self { objects: BTreeMap::new(), chains: Vec::new(), undigested: Vec::new(), keys: keys(&signers) };
        for plan in plans {
            let made = corpus.chain(plan, &signers[plan.signer]);
            corpus.chains.push((plan.clone(), made));
        }
        corpus
    }

    /// Every kind of chain.
    pub fn whole() -> Self {
        let far = Plan { region: "us-east-1", signer: 1, hours: 30, quiet: &[3, 4, 28], ..PLAIN };
        let backfill = Plan { backfill: true, hours: 4, logs: 1, quiet: &[], ..PLAIN };
        let member = Plan {
            account: "444455556666",
            trail: "org",
            prefix: "org/logs/",
            organization: Some("o-abc123def4"),
            hours: 5,
            ..PLAIN
        };
        Self::new(&[PLAIN, far, backfill, member.clone(), Plan { account: "777788889999", ..member }])
    }

    /// One chain, for what happens to single files.
    pub fn small() -> Self {
        Self::new(&[PLAIN])
    }

    fn chain(&mut self, plan: &Plan, signer: &Signer) -> Vec<Made> {
        let start: Timestamp = plan.start.parse().unwrap();
        let mut made: Vec<Made> = Vec::new();
        let mut previous: Option<(String, String, String)> = None;
        for hour in 0..plan.hours {
            let from = start.plus_seconds(3600 * hour as i64);
            let to = from.plus_seconds(3600);
            let count = if plan.quiet.contains(&hour) { 0 } else { plan.logs };
            let logs: Vec<Value> = (0..count).map(|at| self.log(plan, from, at)).collect();
            if plan.off.contains(&hour) {
                self.undigested.extend(logs.iter().map(|log| log["s3Object"].as_str().unwrap().to_owned()));
                previous = None;
                continue;
            }
            let key = digest_key(plan, to);
            let content = content(plan, signer, (from, to), &key, previous.as_ref(), &logs);
            let text = content.to_string();
            let signature = signature(signer, &content, &text);
            let mut metadata = json!({"signature": signature, "signature-algorithm": "SHA256withRSA"});
            if plan.backfill {
                metadata["backfill-generation-timestamp"] = json!(to.plus_days(2).to_string());
            }
            self.objects.insert(key.clone(), Object { bytes: gz(&text), metadata: Some(metadata) });
            previous = Some((key.clone(), sha256(text.as_bytes()), signature));
            let logs = logs.iter().map(|log| log["s3Object"].as_str().unwrap().to_owned()).collect();
            made.push(Made { key, logs, content, start: from, end: to });
        }
        made
    }

    /// Delivers a log and gives its entry for the digest.
    fn log(&mut self, plan: &Plan, from: Timestamp, at: usize) -> Value {
        let delivered = from.plus_seconds(420 + 1200 * at as i64);
        let unique =
            sha256(format!("{}{}{delivered}{at}{}", plan.trail, plan.region, plan.backfill).as_bytes()).split_off(48);
        let minute: String = stamp(delivered).chars().take(13).collect();
        let key = format!(
            "{}/CloudTrail/{}/{}/{}_CloudTrail_{}_{minute}Z_{unique}.json.gz",
            base(plan),
            plan.region,
            day(delivered),
            plan.account,
            plan.region,
        );
        // The first of an hour holds an event of the hour before: delivered late.
        let event = delivered.plus_seconds(if at == 0 { -3000 } else { -300 });
        let record = json!({"eventVersion": "1.09", "eventID": unique, "eventTime": event.to_string(),
            "eventName": "ListBuckets", "awsRegion": plan.region, "recipientAccountId": plan.account});
        let text = json!({"Records": [record]}).to_string();
        self.objects.insert(key.clone(), Object { bytes: gz(&text), metadata: None });
        json!({"s3Bucket": BUCKET, "s3Object": key, "hashValue": sha256(text.as_bytes()), "hashAlgorithm": "SHA-256",
            "newestEventTime": event.to_string(), "oldestEventTime": event.to_string()})
    }

    /// Downloads the bucket into a folder; gives the folder that holds its objects.
    pub fn download(&self, folder: &Path, sidecars: Sidecars) -> PathBuf {
        let root = folder.join(BUCKET);
        for (key, object) in &self.objects {
            put(&root.join(key), &object.bytes);
        }
        if sidecars == Sidecars::Newest {
            for (plan, made) in &self.chains {
                for (at, one) in made.iter().enumerate() {
                    if made.get(at + 1).is_none_or(|next| next.content["previousDigestSignature"].is_null()) {
                        self.sidecar(&root, &one.key);
                    }
                }
                assert!(!made.is_empty(), "{}", plan.trail);
            }
        }
        root
    }

    /// Writes the sidecar of an object, as `aws s3api head-object` prints it.
    pub fn sidecar(&self, root: &Path, key: &str) {
        let head = json!({"AcceptRanges": "bytes", "ContentType": "application/json",
            "Metadata": self.objects[key].metadata.as_ref().unwrap()});
        put(&root.join(format!("{key}.meta.json")), head.to_string().as_bytes());
    }

    /// The digests of a chain, oldest first.
    pub fn made(&self, chain: usize) -> &[Made] {
        &self.chains[chain].1
    }
}

pub fn put(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// The content of a digest, in the order of AWS's sample.
pub fn content(
    plan: &Plan,
    signer: &Signer,
    (from, to): (Timestamp, Timestamp),
    key: &str,
    previous: Option<&(String, String, String)>,
    logs: &[Value],
) -> Value {
    let times = |name: &'static str| logs.iter().filter_map(move |log| log[name].as_str().map(str::to_owned));
    json!({
        "awsAccountId": plan.account,
        "digestStartTime": from.to_string(),
        "digestEndTime": to.to_string(),
        "digestS3Bucket": BUCKET,
        "digestS3Object": key,
        "digestPublicKeyFingerprint": signer.fingerprint,
        "digestSignatureAlgorithm": "SHA256withRSA",
        "newestEventTime": times("newestEventTime").max(),
        "oldestEventTime": times("oldestEventTime").min(),
        "previousDigestS3Bucket": previous.map(|_| BUCKET),
        "previousDigestS3Object": previous.map(|(key, ..)| key),
        "previousDigestHashValue": previous.map(|(_, hash, _)| hash),
        "previousDigestHashAlgorithm": previous.map(|_| "SHA-256"),
        "previousDigestSignature": previous.map(|(.., signature)| signature),
        "logFiles": logs,
    })
}

/// The signature of a digest.
pub fn signature(signer: &Signer, content: &Value, text: &str) -> String {
    signer.sign(&format!(
        "{}\n{}/{}\n{}\n{}",
        content["digestEndTime"].as_str().unwrap(),
        content["digestS3Bucket"].as_str().unwrap(),
        content["digestS3Object"].as_str().unwrap(),
        sha256(text.as_bytes()),
        content["previousDigestSignature"].as_str().unwrap_or("null"),
    ))
}

fn base(plan: &Plan) -> String {
    let organization = plan.organization.map(|id| format!("{id}/")).unwrap_or_default();
    format!("{}AWSLogs/{organization}{}", plan.prefix, plan.account)
}

pub fn digest_key(plan: &Plan, end: Timestamp) -> String {
    let Plan { account, region, trail, home, .. } = plan;
    let tail = if plan.backfill { "_backfill" } else { "" };
    format!(
        "{}/CloudTrail-Digest/{region}/{}/{account}_CloudTrail-Digest_{region}_{trail}_{home}_{}Z{tail}.json.gz",
        base(plan),
        day(end),
        stamp(end),
    )
}

/// `2024/03/01`.
fn day(at: Timestamp) -> String {
    at.to_string().get(..10).unwrap().replace('-', "/")
}

/// `20240301T200131`.
fn stamp(at: Timestamp) -> String {
    at.to_string().get(..19).unwrap().replace(['-', ':'], "")
}

/// The output of `aws cloudtrail list-public-keys`; the second key is in SubjectPublicKeyInfo form.
fn keys(signers: &[Signer; 2]) -> Value {
    use base64::Engine;
    let encode = |der: &[u8]| base64::engine::general_purpose::STANDARD.encode(der);
    let entry = |signer: &Signer, der: &[u8]| {
        json!({"Value": encode(der), "Fingerprint": signer.fingerprint,
            "ValidityStartTime": "2024-02-20T00:00:00+00:00", "ValidityEndTime": 1_711_929_600.0})
    };
    json!([
        {"Region": "eu-west-1", "PublicKeyList": [entry(&signers[0], &signers[0].public())]},
        {"Region": "us-east-1", "PublicKeyList": [entry(&signers[1], &spki(&signers[1].public()))]},
    ])
}
