//! Live or test, by the key's prefix.

use bothways_mapping::connector::Auth;
use bothways_model::Mode;

/// Whether the key means real customers. Restricted keys (`rk_`) tell as secret keys (`sk_`) do.
pub fn of(auth: &Auth) -> Mode {
    let Auth::Bearer(key) = auth else { return Mode::Unknown };
    let key = key.expose();
    let starts = |prefixes: [&str; 2]| prefixes.iter().any(|prefix| key.starts_with(prefix));
    if starts(["sk_live_", "rk_live_"]) {
        Mode::Live
    } else if starts(["sk_test_", "rk_test_"]) {
        Mode::Test
    } else {
        Mode::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bothways_model::Secret;

    #[test]
    fn the_prefix_tells() {
        for (key, mode) in [
            ("sk_live_a", Mode::Live),
            ("rk_live_a", Mode::Live),
            ("sk_test_a", Mode::Test),
            ("rk_test_a", Mode::Test),
            ("sk_a", Mode::Unknown),
            ("pk_live_a", Mode::Unknown),
            ("sk_org_live_a", Mode::Unknown),
            ("", Mode::Unknown),
        ] {
            assert_eq!(of(&Auth::Bearer(Secret::new(key))), mode, "{key}");
        }
        assert_eq!(of(&Auth::None), Mode::Unknown);
    }
}
