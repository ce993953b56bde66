//! Days, hours, digests and what settles.

use super::*;

const ACCOUNT: &str = "111111111111";
const REGION: &str = "us-east-1";

fn key(region: &str, at: &str, category: EventCategory) -> CoverageKey {
    CoverageKey {
        account: ACCOUNT.into(),
        region: region.into(),
        hour: at.parse::<Timestamp>().unwrap().hour(),
        category,
    }
}

fn window() -> Window {
    Window::last_days("2026-03-04".parse().unwrap(), 3)
}

/// Management events of whole files at these times in us-east-1.
fn records(times: &[&str]) -> BTreeMap<CoverageKey, CoverageFact> {
    times.iter().map(|at| (key(REGION, at, EventCategory::Management), CoverageFact::whole(3))).collect()
}

/// Days as text.
fn days(days: &[Day]) -> String {
    days.iter().map(|day| day.to_string().split_off(5)).collect::<Vec<_>>().join(" ")
}

/// Before and after the window, so that neither end is dark.
const AROUND: [&str; 2] = ["2026-02-28T23:00:00Z", "2026-03-04T03:00:00Z"];

#[test]
fn days_hours_and_what_is_missing() {
    let mut cells = records(&["2026-03-01T05:00:00Z", "2026-03-03T23:00:00Z", AROUND[0], AROUND[1]]);
    cells.insert(key(REGION, "2026-03-02T23:00:00Z", EventCategory::Data), CoverageFact::whole(7));
    cells.insert(key("eu-west-1", "2026-02-28T23:00:00Z", EventCategory::Management), CoverageFact::whole(1));
    let coverage = Coverage::of(window(), &cells);
    assert_eq!(days(&coverage.missing_days(ACCOUNT, REGION)), "03-01 03-02 03-03", "a hole of 65 hours");
    assert_eq!(coverage.hours(ACCOUNT, REGION), 2);
    assert_eq!(coverage.hours_total(), 72);
    assert_eq!(coverage.data_events(ACCOUNT, REGION), 7);
    assert_eq!(coverage.missing_days(ACCOUNT, "eu-west-1").len(), 3);
    assert_eq!(coverage.regions(ACCOUNT).collect::<Vec<_>>(), [REGION]);
    let day = |text: &str| text.parse::<Timestamp>().unwrap().day();
    assert!(coverage.has_data(ACCOUNT, REGION, day("2026-03-02")));
    assert!(!coverage.has_data(ACCOUNT, REGION, day("2026-03-01")));
}

#[test]
fn exports_and_what_has_no_place_cover_nothing() {
    let daily = ["2026-03-01T05:00:00Z", "2026-03-02T05:00:00Z", "2026-03-03T05:00:00Z", AROUND[0], AROUND[1]];
    let whole = records(&daily);
    assert!(Coverage::of(window(), &whole).missing_days(ACCOUNT, REGION).is_empty());
    let exports: BTreeMap<CoverageKey, CoverageFact> =
        whole.keys().map(|key| (key.clone(), CoverageFact { count: 3, whole: 0 })).collect();
    let coverage = Coverage::of(window(), &exports);
    assert_eq!(days(&coverage.missing_days(ACCOUNT, REGION)), "03-01 03-02 03-03");
    assert_eq!((coverage.exported(), coverage.placeless()), (9, 0));
    assert_eq!(coverage.regions(ACCOUNT).collect::<Vec<_>>(), [REGION], "it is in use all the same");
    assert_eq!(coverage.settling(), None);
    // Copies that trail files bring count.
    let copies = exports.keys().map(|key| (key.clone(), CoverageFact { count: 3, whole: 1 })).collect();
    let coverage = Coverage::of(window(), &copies);
    assert_eq!((coverage.missing_days(ACCOUNT, REGION).len(), coverage.exported()), (0, 0));
    for blank in [|key: &mut CoverageKey| key.account.clear(), |key: &mut CoverageKey| key.region.clear()] {
        let place = |(key, fact): (&CoverageKey, &CoverageFact)| {
            let mut key = key.clone();
            blank(&mut key);
            (key, *fact)
        };
        let coverage = Coverage::of(window(), &whole.iter().map(place).collect());
        assert_eq!((coverage.placeless(), coverage.accounts().count()), (9, 0));
    }
}

/// A digest that begins at a time, with so many files, of which so many are in hand.
fn span(from: &str, hours: i64, (log_files, in_hand): (u64, u64)) -> DigestSpan {
    let from: Timestamp = from.parse().unwrap();
    DigestSpan {
        account: ACCOUNT.into(),
        region: REGION.into(),
        trail: String::new(),
        from,
        to: from.plus_seconds(hours * 3600),
        log_files,
        in_hand,
        management: 0,
        lost_from: None,
    }
}

#[test]
fn digests_prove_quiet_days_and_tell_gaps() {
    let cells = records(&["2026-03-01T05:00:00Z", "2026-03-03T02:00:00Z", AROUND[0], AROUND[1]]);
    let with = |spans: &[DigestSpan], known: Option<bool>| {
        let coverage = Coverage::of(window(), &cells).with_deliveries(spans, |_| known);
        (days(&coverage.missing_days(ACCOUNT, REGION)), coverage)
    };
    let whole = [span("2026-02-28T22:30:00Z", 80, (0, 0))];
    assert_eq!(with(&[], None).0, "03-02");
    let (missing, coverage) = with(&whole, Some(true));
    assert_eq!(missing, "");
    let day = "2026-03-02".parse::<Timestamp>().unwrap().day();
    assert_eq!(coverage.tally(ACCOUNT, REGION, day), Tally { empty: 24, total: 24, ..Tally::default() });
    // Nobody knows whether the trail records management events, or it does not.
    for (known, unproven) in [(None, 1), (Some(false), 0)] {
        let (missing, coverage) = with(&whole, known);
        assert_eq!((missing.as_str(), coverage.unproven().count()), ("03-02", unproven), "{known:?}");
    }
    // Its files in hand show it.
    let mut shown = vec![DigestSpan { management: 4, ..span("2026-02-28T21:30:00Z", 1, (2, 2)) }];
    shown.extend((0..80).map(|hour| DigestSpan {
        from: whole[0].from.plus_seconds(hour * 3600),
        to: whole[0].from.plus_seconds((hour + 1) * 3600),
        ..whole[0].clone()
    }));
    assert_eq!(with(&shown, None).0, "03-02", "for a day");
    shown.push(DigestSpan { management: 1, ..span("2026-03-04T06:30:00Z", 1, (1, 1)) });
    assert_eq!(with(&shown, None).0, "", "and up to the next");
    // The last hour of the day is not proven: late deliveries would lie in the next digest.
    let short = [span("2026-02-28T22:30:00Z", 48, (0, 0)), span("2026-03-02T23:00:00Z", 50, (0, 0))];
    assert_eq!(with(&short, Some(true)).0, "03-02");
    // Files that a digest names are not in hand, also where there are other records.
    for (from, (log_files, in_hand), want) in [
        ("2026-03-02T06:30:00Z", (2, 2), ""),
        ("2026-03-02T06:30:00Z", (2, 1), "03-02"),
        ("2026-03-01T05:30:00Z", (5, 1), "03-01"),
    ] {
        let mut spans = shown.clone();
        let at: Timestamp = from.parse().unwrap();
        spans.retain(|span| span.to <= at || span.from >= at.plus_seconds(3600));
        spans.push(DigestSpan { log_files, in_hand, ..span(from, 1, (0, 0)) });
        let (missing, coverage) = with(&spans, Some(true));
        assert!(missing.contains(want) && missing.is_empty() == want.is_empty(), "{from} {want}: {missing}");
        assert_eq!(coverage.tally_all(ACCOUNT, REGION).missing > 0, !want.is_empty(), "{from}");
    }
    // A region of which there are digests only is covered where they speak.
    let quiet = DigestSpan { region: "eu-west-3".into(), ..span("2026-02-28T20:00:00Z", 100, (0, 0)) };
    let coverage = Coverage::of(window(), &cells).with_deliveries(&[quiet], |_| Some(true));
    assert!(coverage.missing_days(ACCOUNT, "eu-west-3").is_empty());
    assert_eq!(coverage.regions(ACCOUNT).collect::<Vec<_>>(), ["eu-west-3", REGION]);
}

#[test]
fn digests_show_whose_files_are_here() {
    let cells = records(&["2026-03-01T05:00:00Z"]);
    let hours = |files: (u64, u64)| -> Vec<DigestSpan> {
        let start: Timestamp = "2026-02-28T22:00:00Z".parse().unwrap();
        (0..80).map(|hour| span(&start.plus_seconds(hour * 3600).to_string(), 1, files)).collect()
    };
    let mut lost = hours((1, 1));
    lost[30].in_hand = 0;
    let mut hole = hours((1, 1));
    hole.remove(30);
    let end = hours((1, 1))[..60].to_vec();
    for (spans, want) in [(hours((1, 1)), true), (hours((0, 0)), false), (lost, false), (end, false), (hole, false)] {
        let coverage = Coverage::of(window(), &cells).with_deliveries(&spans, |_| None);
        assert_eq!(coverage.in_hand(ACCOUNT, ""), want);
    }
    // Of another region's logs nothing tells whose they are.
    let mut both = cells.clone();
    both.extend(cells.iter().map(|(key, fact)| (CoverageKey { region: "elsewhere".into(), ..key.clone() }, *fact)));
    assert!(!Coverage::of(window(), &both).with_deliveries(&hours((1, 1)), |_| None).in_hand(ACCOUNT, ""));
}

#[test]
fn the_last_hours_settle() {
    let settling = |newest: &str| {
        let cells = records(&["2026-03-01T05:00:00Z", "2026-03-02T05:00:00Z", newest]);
        let coverage = Coverage::of(window(), &cells);
        (coverage.settling().map(|span| span.to_string()).unwrap_or_default(), coverage)
    };
    let (span, coverage) = settling("2026-03-03T23:50:00Z");
    assert_eq!(span, "2026-03-03T22:00:00Z to 2026-03-04T00:00:00Z");
    assert_eq!(days(&coverage.settling_days()), "03-03");
    assert!(days(&coverage.blind_days(ACCOUNT, REGION)).ends_with("03-03"));
    assert_eq!(settling("2026-03-02T10:00:00Z").0, "2026-03-02T09:00:00Z to 2026-03-02T11:00:00Z");
    assert_eq!(settling("2026-03-04T02:00:00Z").0, "");
}

#[test]
fn hours_with_records_or_proven_empty() {
    let coverage = Coverage::of(window(), &records(&["2026-03-02T05:00:00Z"]));
    let hour = |text: &str| text.parse::<Timestamp>().unwrap().hour();
    for (from, to, want) in [
        ("2026-03-02T05:00:00Z", "2026-03-02T06:00:00Z", (1, true)),
        // Around the only record nothing shows that logs were delivered.
        ("2026-03-02T04:30:00Z", "2026-03-02T08:00:00Z", (1, false)),
        ("2026-03-02T06:00:00Z", "2026-03-02T08:00:00Z", (0, false)),
        ("2026-03-02T06:00:00Z", "2026-03-02T05:00:00Z", (0, false)),
    ] {
        assert_eq!(coverage.known_within(ACCOUNT, REGION, hour(from), hour(to)), want, "{from}");
    }
}

#[test]
fn runs_of_days() {
    let day = |text: &str| text.parse::<Timestamp>().unwrap().day();
    let days = [day("2026-01-01"), day("2026-01-02"), day("2026-01-05")];
    assert_eq!(show_days(&days), "2026-01-01..2026-01-02, 2026-01-05 (3 days)");
    assert_eq!(show_days(&days[..1]), "2026-01-01 (1 day)");
}
