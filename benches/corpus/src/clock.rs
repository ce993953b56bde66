//! Times as CloudTrail writes them, in seconds since the epoch, UTC.

/// Seconds of a day.
pub const DAY: i64 = 86_400;

/// A time, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    pub year: i64,
    pub month: u32,
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
}

/// Takes a time apart (Hinnant, "chrono-compatible low-level date algorithms").
pub fn civil(seconds: i64) -> Civil {
    let (days, rest) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    Civil {
        year: year_of_era + era * 400 + i64::from(month <= 2),
        month: month as u32,
        day: (of_year - (153 * shifted_month + 2) / 5 + 1) as u32,
        hour: (rest / 3600) as u32,
        minute: (rest / 60 % 60) as u32,
        second: (rest % 60) as u32,
    }
}

/// The seconds of a date such as `2026-09-16`, at midnight.
pub fn parse_date(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let mut next = || parts.next()?.parse::<i64>().ok();
    let (year, month, day) = (next()?, next()?, next()?);
    if !(1970..=2999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let at = (era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468) * DAY;
    (i64::from(civil(at).day) == day).then_some(at)
}

fn digits(value: u32, out: &mut Vec<u8>) {
    out.push(b'0' + (value / 10 % 10) as u8);
    out.push(b'0' + (value % 10) as u8);
}

/// `2026-09-16T08:15:00`, without the zone.
pub fn iso(seconds: i64, out: &mut Vec<u8>) {
    let at = civil(seconds);
    date(&at, b'-', out);
    for (mark, part) in [(b'T', at.hour), (b':', at.minute), (b':', at.second)] {
        out.push(mark);
        digits(part, out);
    }
}

/// `2026-09-16` or `2026/09/16`.
pub fn date(at: &Civil, mark: u8, out: &mut Vec<u8>) {
    digits((at.year / 100) as u32, out);
    digits((at.year % 100) as u32, out);
    out.push(mark);
    digits(at.month, out);
    out.push(mark);
    digits(at.day, out);
}

/// `Sep 16, 2026 8:15:00 AM`, as some services write dates of responses.
pub fn spelled(seconds: i64, out: &mut Vec<u8>) {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let at = civil(seconds);
    let month = MONTHS.get(at.month.saturating_sub(1) as usize).copied().unwrap_or("Jan");
    let hour = if at.hour.is_multiple_of(12) { 12 } else { at.hour % 12 };
    let half = if at.hour < 12 { "AM" } else { "PM" };
    out.extend_from_slice(
        format!("{month} {}, {} {hour}:{:02}:{:02} {half}", at.day, at.year, at.minute, at.second).as_bytes(),
    );
}

/// Monday is 0.
pub fn weekday(seconds: i64) -> i64 {
    (seconds.div_euclid(DAY) + 3).rem_euclid(7)
}

/// A text made by one of the writers here.
pub fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_round_trip() {
        for (date, weekday_of, shown) in
            [("2026-09-16", 2, "Sep 16, 2026 12:00:00 AM"), ("2024-02-29", 3, "Feb 29, 2024 12:00:00 AM")]
        {
            let at = parse_date(date).unwrap();
            assert_eq!(text(|out| iso(at, out)), format!("{date}T00:00:00"));
            assert_eq!(text(|out| spelled(at, out)), shown);
            assert_eq!(weekday(at), weekday_of);
        }
        assert_eq!(parse_date("2023-02-29"), None);
        assert_eq!(parse_date("x"), None);
    }
}
