//! Numbers that a seed determines: splitmix64 (Steele, Lea, Flood 2014).

/// A generator. Two with the same seed say the same.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// By a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// By the variable `FIREHALL_SEED`, else by this one; prints which, so that a failure can be had again.
    #[must_use]
    pub fn printed(seed: u64) -> Self {
        let seed = std::env::var("FIREHALL_SEED")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(seed);
        eprintln!("FIREHALL_SEED={seed}");
        Self(seed)
    }

    /// From 0 to `bound` - 1; 0 for a bound of 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).checked_rem(bound).unwrap_or(0)
    }

    /// One of these.
    ///
    /// # Panics
    /// When there is none.
    pub fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let at = self.below(of.len() as u64);
        &of[usize::try_from(at).expect("an index")]
    }
}
