//! What a run draws: another run each time, unless a variable says which one to repeat.

use uuid::Uuid;

/// A sequence that follows from its seed (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Draw(u64);

impl Draw {
    /// Another one each time, unless `variable` holds a seed. Says how to repeat it.
    #[allow(clippy::print_stderr, reason = "shown with the failure of a test")]
    pub(crate) fn from_environment(variable: &str) -> Self {
        let given = std::env::var(variable).ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0 >> 16);
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        eprintln!("replay: {variable}={seed} cargo nextest run -p bothways-tests {test}");
        Self(seed)
    }

    /// A sequence of its own that follows from this one.
    pub(crate) fn branch(&mut self) -> Self {
        Self(self.next())
    }

    /// Evenly below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// One of these; the first few are drawn more often than the others.
    pub(crate) fn one_of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let all = items.len() as u64;
        let bound = if self.below(4) == 0 { all.min(10) } else { all };
        &items[self.below(bound) as usize]
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// A number that a variable may set.
pub(crate) fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).ok().map_or(usual, |text| {
        text.replace('_', "").parse().unwrap_or_else(|_| panic!("{variable} is a number: {text}"))
    })
}
