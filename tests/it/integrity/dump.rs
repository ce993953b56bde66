//! Writes the downloads of every scenario out, for AWS's own validator: see tests/wire/digests.py.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::generate::{BUCKET, put};
use super::scenarios::scenarios;

/// With `JITSCAN_DUMP_CHAINS=DIR`: DIR/NAME/tree with the bucket's folder in it, keys.json, and about.json with the
/// metadata that S3 has of each digest, the chains and the asked time.
#[test]
fn dump() {
    let Some(out) = std::env::var_os("JITSCAN_DUMP_CHAINS").map(PathBuf::from) else { return };
    for scenario in scenarios() {
        let folder = out.join(scenario.name.replace([' ', ','], "-"));
        if folder.exists() {
            std::fs::remove_dir_all(&folder).unwrap();
        }
        let root = scenario.corpus.download(&folder.join("tree"), scenario.sidecars);
        (scenario.act)(&root, &scenario.corpus);
        let metadata: Map<String, Value> = (scenario.corpus.objects.iter())
            .filter_map(|(key, object)| Some((key.clone(), object.metadata.clone()?)))
            .collect();
        let chains: Vec<Value> = (scenario.corpus.chains.iter())
            .map(|(plan, made)| {
                json!({"account": plan.account, "region": plan.region, "trail": plan.trail, "home": plan.home,
                    "prefix": plan.prefix, "organization": plan.organization, "backfill": plan.backfill,
                    "start": made.first().unwrap().start, "end": made.last().unwrap().end})
            })
            .collect();
        let about = json!({"name": scenario.name, "bucket": BUCKET, "metadata": metadata, "chains": chains,
            "from": scenario.options.from, "to": scenario.options.to});
        put(&folder.join("about.json"), about.to_string().as_bytes());
        put(&folder.join("keys.json"), scenario.corpus.keys.to_string().as_bytes());
    }
}
