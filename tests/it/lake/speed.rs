//! How fast ingest is, on resampled real records. Not run by default: `cargo nextest run --run-ignored only`.

use std::time::Instant;

use super::*;

/// User and system time of this process; 0 where /proc does not tell (ticks are hundredths on Linux).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> = stat.rsplit(')').next().unwrap_or("").split(' ').filter_map(|f| f.parse().ok()).collect();
    fields.get(10).zip(fields.get(11)).map_or(0.0, |(user, system)| (user + system) / 100.0)
}

#[test]
#[ignore = "a measurement, not a test"]
fn events_a_second() {
    let Some(source) = shared("invictus/CloudTrail") else { return };
    let wanted: usize = std::env::var("JITSCAN_SPEED_EVENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(200_000);
    let mut records = Vec::new();
    let mut paths: Vec<_> = std::fs::read_dir(source).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let document: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        records.extend(document["Records"].as_array().unwrap().iter().map(ToString::to_string));
    }
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    let (mut bytes, per_file) = (0usize, 1200);
    for file in 0..wanted.div_ceil(per_file) {
        let mut text = String::from("{\"Records\":[");
        for n in file * per_file..((file + 1) * per_file).min(wanted) {
            let copy = n / records.len();
            // Ids and days differ from copy to copy; all else is as it was.
            let record = records[n % records.len()]
                .replacen("\"eventID\":\"", &format!("\"eventID\":\"{copy:x}-"), 1)
                .replacen("\"eventTime\":\"2023-07-10T", &format!("\"eventTime\":\"2023-07-{:02}T", 1 + copy % 28), 1);
            if !text.ends_with('[') {
                text.push(',');
            }
            text.push_str(&record);
        }
        text.push_str("]}");
        bytes += text.len();
        std::fs::write(logs.join(format!("{file:06}.json.gz")), gz(&text)).unwrap();
    }
    let before = cpu_seconds();
    let start = Instant::now();
    let report = ingest(&folder.path().join("store"), &logs);
    let took = start.elapsed().as_secs_f64();
    // On a busy machine the processor time says more than the clock.
    println!("{:.1} µs of processor time an event", (cpu_seconds() - before) * 1e6 / wanted as f64);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("").to_owned();
    println!(
        "{:?}: {wanted} events, {} MB of JSON in {took:.2} s: {:.0} events/s, {:.0} MB/s; {peak}",
        counts(&report),
        bytes >> 20,
        wanted as f64 / took,
        bytes as f64 / took / 1e6
    );
    let start = Instant::now();
    ingest(&folder.path().join("store"), &logs);
    println!("again: {:.3} s", start.elapsed().as_secs_f64());
    let start = Instant::now();
    let got = Reader::open(&folder.path().join("store")).unwrap().usage(all_time()).unwrap().len();
    println!("usage: {got} rows in {:.3} s", start.elapsed().as_secs_f64());
}
