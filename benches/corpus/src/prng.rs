//! Numbers that depend on nothing but the arguments: SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom
//! number generators", 2014).

/// A stream of numbers. Not for secrets.
#[derive(Clone, Debug)]
pub struct Rng(u64);

/// One number out of several, every bit of all of them in every bit of it.
pub fn hash(parts: &[u64]) -> u64 {
    parts.iter().fold(0x243f_6a88_85a3_08d3, |state, part| scramble(state ^ part.wrapping_add(GAMMA)))
}

/// One number out of a text.
pub fn hash_text(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

fn scramble(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Rng {
    /// A stream of its own for every list of numbers.
    pub fn new(parts: &[u64]) -> Self {
        Self(hash(parts))
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        scramble(self.0)
    }

    /// A number below `n`; 0 where `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// A number from 0 to 1, 1 excluded.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True in a share `p` of cases.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// A place in a list of sums of weights.
    pub fn weighted(&mut self, sums: &[u64]) -> usize {
        let at = self.below(sums.last().copied().unwrap_or(0));
        sums.partition_point(|sum| *sum <= at)
    }

    /// From `low` to `high`, every order of magnitude as likely as the next.
    pub fn log_uniform(&mut self, low: f64, high: f64) -> f64 {
        low * (high / low).powf(self.unit())
    }

    /// Appends `n` letters of an alphabet.
    pub fn letters(&mut self, alphabet: &[u8], n: usize, out: &mut Vec<u8>) {
        let size = alphabet.len() as u64;
        let mut left = n;
        while left > 0 {
            let mut bits = self.next();
            // Ten letters a number: 64 bits hold ten digits of base 64 and more of a smaller one.
            for _ in 0..left.min(10) {
                let wide = (u128::from(bits) * u128::from(size)) >> 64;
                out.push(alphabet.get(wide as usize).copied().unwrap_or(b'0'));
                bits = bits.wrapping_mul(size);
            }
            left -= left.min(10);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_fixed_and_within_bounds() {
        assert_eq!(Rng::new(&[1, 2]).next(), Rng::new(&[1, 2]).next());
        assert_ne!(Rng::new(&[1, 2]).next(), Rng::new(&[2, 1]).next());
        let mut rng = Rng::new(&[7]);
        let mut hits = [0u32; 3];
        for _ in 0..3000 {
            assert!(rng.below(10) < 10);
            hits[rng.weighted(&[1, 3, 6])] += 1;
        }
        assert!(hits[0] < hits[1] && hits[1] < hits[2], "{hits:?}");
        let mut out = Vec::new();
        rng.letters(b"ab", 2000, &mut out);
        let a = out.iter().filter(|b| **b == b'a').count();
        assert!(out.len() == 2000 && (900..1100).contains(&a), "{a}");
    }
}
