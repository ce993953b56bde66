//! A small deterministic generator, and ids derived from names.
//!
//! SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014): one 64-bit state, an
//! odd increment and a mixing function. Good enough for noise, the same on every machine, no dependency.
//! Ids of identities come from BLAKE3 over their names instead, so that the seed never changes who exists.

/// The alphabet of IAM unique ids and access key ids.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const HEX: &[u8; 16] = b"0123456789abcdef";
const ALNUM: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The stream named `label` of a seed: streams do not disturb each other.
    #[must_use]
    pub fn stream(seed: u64, label: &str) -> Self {
        let mut hash = blake3::Hasher::new();
        hash.update(&seed.to_le_bytes());
        hash.update(label.as_bytes());
        let mut first = [0u8; 8];
        for (to, from) in first.iter_mut().zip(hash.finalize().as_bytes()) {
            *to = *from;
        }
        Self(u64::from_le_bytes(first))
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound` (0 where the bound is 0). The bias is below 2^-32 for the bounds used here.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True in `percent` of cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of the items; none where there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let at = usize::try_from(self.below(items.len() as u64)).ok()?;
        items.get(at)
    }

    fn text(&mut self, alphabet: &[u8], length: usize) -> String {
        (0..length).filter_map(|_| self.pick(alphabet).map(|byte| char::from(*byte))).collect()
    }

    /// Lower-case hexadecimal digits.
    pub fn hex(&mut self, length: usize) -> String {
        self.text(HEX, length)
    }

    /// Letters and digits, as in the names of CloudTrail files.
    pub fn alnum(&mut self, length: usize) -> String {
        self.text(ALNUM, length)
    }

    /// A temporary access key id.
    pub fn access_key(&mut self) -> String {
        format!("ASIA{}", self.text(BASE32, 16))
    }

    /// A version 4 UUID.
    pub fn uuid(&mut self) -> String {
        uuid_text(self.next(), self.next())
    }
}

fn uuid_text(high: u64, low: u64) -> String {
    let high = (high & !0xF000) | 0x4000;
    let low = (low & !(0b11 << 62)) | (0b10 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xFFFF,
        high & 0xFFFF,
        low >> 48,
        low & 0xFFFF_FFFF_FFFF
    )
}

/// The stream that belongs to a name whatever the seed.
fn named(name: &str) -> Rng {
    Rng::stream(0, name)
}

/// An IAM unique id such as `AROA…`, fixed by the name.
#[must_use]
pub fn unique_id(prefix: &str, name: &str) -> String {
    format!("{prefix}{}", named(&format!("id {prefix} {name}")).text(BASE32, 17))
}

/// A long-term access key id, fixed by the name.
#[must_use]
pub fn long_term_key(name: &str) -> String {
    format!("AKIA{}", named(&format!("key {name}")).text(BASE32, 16))
}

/// Hexadecimal digits fixed by the name.
#[must_use]
pub fn named_hex(name: &str, length: usize) -> String {
    named(&format!("hex {name}")).hex(length)
}

/// Letters and digits fixed by the name.
#[must_use]
pub fn named_alnum(name: &str, length: usize) -> String {
    named(&format!("alnum {name}")).alnum(length)
}

/// A UUID fixed by the name.
#[must_use]
pub fn named_uuid(name: &str) -> String {
    named(&format!("uuid {name}")).uuid()
}

/// An address in the documentation ranges of RFC 5737, fixed by the name.
#[must_use]
pub fn named_address(name: &str) -> String {
    let mut rng = named(&format!("address {name}"));
    let net = rng.pick(&["192.0.2", "198.51.100", "203.0.113"]).copied().unwrap_or("192.0.2");
    format!("{net}.{}", rng.between(1, 254))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_stable_and_apart() {
        // The published first outputs of SplitMix64 for state 1234567.
        let mut rng = Rng(1_234_567);
        assert_eq!([rng.next(), rng.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
        assert_eq!(Rng::stream(7, "a").next(), Rng::stream(7, "a").next());
        assert_ne!(Rng::stream(7, "a").next(), Rng::stream(7, "b").next());
        assert_ne!(Rng::stream(7, "a").next(), Rng::stream(8, "a").next());
    }

    #[test]
    fn ids_have_the_shapes_of_aws() {
        assert_eq!(unique_id("AROA", "x").len(), 21);
        assert_eq!(long_term_key("x").len(), 20);
        let uuid = Rng::stream(1, "u").uuid();
        let digits = uuid.as_bytes();
        assert_eq!((uuid.len(), digits[14]), (36, b'4'));
        assert!(matches!(digits[19], b'8' | b'9' | b'a' | b'b'));
        assert_eq!(Rng::stream(1, "n").below(0), 0);
        assert_eq!(Rng::stream(1, "n").pick::<u8>(&[]), None);
    }
}
