//! Values of typed condition operators: numbers, dates, addresses.
//!
//! A text that is none of its type matches nothing. Source: IAM User Guide, "IAM JSON policy elements: Condition
//! operators".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A number as policies write it: digits with an optional sign, fraction and exponent.
#[must_use]
pub fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    // Rust also reads `inf` and `NaN`, which are no numbers here.
    if !plain || !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // A number beyond what can be compared is none.
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A date as nanoseconds since 1970: ISO 8601 in the forms of the W3C profile, or seconds since 1970.
///
/// Four digits are a year; more are seconds.
#[must_use]
pub fn date(text: &str) -> Option<i128> {
    const NANOS: i128 = 1_000_000_000;
    let text = text.trim();
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.len() != 4 {
        return text.parse::<i64>().ok().map(|seconds| i128::from(seconds) * NANOS);
    }
    let day = |date: jiff::civil::Date| Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_nanosecond());
    match text.len() {
        4 => day(format!("{text}-01-01").parse().ok()?),
        7 => day(format!("{text}-01").parse().ok()?),
        10 => day(text.parse().ok()?),
        _ => {
            if let Ok(instant) = text.parse::<jiff::Timestamp>() {
                return Some(instant.as_nanosecond());
            }
            // Without an offset it is UTC.
            let civil: jiff::civil::DateTime = text.parse().ok()?;
            Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_nanosecond())
        }
    }
}

/// A range of addresses in CIDR notation, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    first: IpAddr,
    last: IpAddr,
}

impl Network {
    /// Reads one; host bits do not matter.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (address, length) = match text.split_once('/') {
            Some((address, length)) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                (address, Some(length.parse::<u32>().ok()?))
            }
            Some(_) => return None,
            None => (text, None),
        };
        match address.parse::<IpAddr>().ok()? {
            IpAddr::V4(address) => {
                let length = length.unwrap_or(32);
                let host = if length > 32 { return None } else { u32::MAX.checked_shr(length).unwrap_or(0) };
                let bits = u32::from(address);
                Some(Self { first: Ipv4Addr::from(bits & !host).into(), last: Ipv4Addr::from(bits | host).into() })
            }
            IpAddr::V6(address) => {
                let length = length.unwrap_or(128);
                let host = if length > 128 { return None } else { u128::MAX.checked_shr(length).unwrap_or(0) };
                let bits = u128::from(address);
                Some(Self { first: Ipv6Addr::from(bits & !host).into(), last: Ipv6Addr::from(bits | host).into() })
            }
        }
    }

    /// Whether the address lies in it; never across the two versions of the protocol.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, self.last, address) {
            (IpAddr::V4(first), IpAddr::V4(last), IpAddr::V4(address)) => (first..=last).contains(&address),
            (IpAddr::V6(first), IpAddr::V6(last), IpAddr::V6(address)) => (first..=last).contains(&address),
            _ => false,
        }
    }

    /// Its ends and the addresses next to them.
    #[must_use]
    pub fn edges(&self) -> Vec<IpAddr> {
        let (before, after) = match (self.first, self.last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => (
                u32::from(first).checked_sub(1).map(|bits| IpAddr::V4(bits.into())),
                u32::from(last).checked_add(1).map(|bits| IpAddr::V4(bits.into())),
            ),
            (IpAddr::V6(first), IpAddr::V6(last)) => (
                u128::from(first).checked_sub(1).map(|bits| IpAddr::V6(bits.into())),
                u128::from(last).checked_add(1).map(|bits| IpAddr::V6(bits.into())),
            ),
            _ => (None, None),
        };
        [before, Some(self.first), Some(self.last), after].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (text, want) in [
            ("10", Some(10.0)),
            (" -2.5", Some(-2.5)),
            ("1e3", Some(1000.0)),
            ("inf", None),
            ("NaN", None),
            ("", None),
            (".", None),
            ("0x10", None),
            ("1,000", None),
        ] {
            assert_eq!(number(text), want, "{text}");
        }
    }

    #[test]
    fn dates() {
        let second = 1_000_000_000i128;
        for (text, want) in [
            ("1970-01-01T00:00:01Z", Some(second)),
            ("1970-01-01T01:00:01+01:00", Some(second)),
            ("1970-01-01T00:00:00.5Z", Some(second / 2)),
            ("1970-01-02", Some(86_400 * second)),
            ("1970-01-01T00:00Z", Some(0)),
            ("1970-01-01T00:00:01", Some(second)),
            ("1970", Some(0)),
            ("1970-02", Some(31 * 86_400 * second)),
            ("1585699200", Some(1_585_699_200 * second)),
            ("1", Some(second)),
            ("2020-13-01", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(date(text), want, "{text}");
        }
    }

    #[test]
    fn networks() {
        for (network, address, want) in [
            ("10.0.0.0/8", "10.255.255.255", true),
            ("10.1.2.3/8", "10.0.0.0", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("203.0.113.7", "203.0.113.7", true),
            ("203.0.113.7/32", "203.0.113.8", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("::/0", "2001:db8::1", true),
            ("::/0", "10.0.0.1", false),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(Network::parse(network).unwrap().contains(address), want, "{network} {address}");
        }
        for text in ["10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/+8", "x"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
        assert_eq!(Network::parse("0.0.0.0/0").unwrap().edges().len(), 2);
        assert_eq!(Network::parse("10.0.0.0/8").unwrap().edges().len(), 4);
    }
}
