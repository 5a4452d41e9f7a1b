//! Users edit both sides while answers are lost, requests fail and the engine is killed: whatever happens, both sides end in step,
//! nothing is doubled, and every value is one that a user wrote last on one of the sides. Seeds are drawn in order; a failure prints
//! its seed, and `BOTHWAYS_SOAK_FROM=<seed> BOTHWAYS_SOAK_SEEDS=1` replays it alone.

use crate::harness::{Setup, World};
use bothways_connector_sandbox::{Action, Fault};
use bothways_model::{LocalId, Method, RemoteId};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// A small generator, so that a seed means the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn fault(dice: &mut Dice) -> Fault {
    let action = match dice.roll(13) {
        0 => Action::LostRequest,
        1 => Action::LostAnswer,
        2 => Action::Duplicate,
        3 => Action::SavedError500 { executed: true },
        4 => Action::SavedError500 { executed: false },
        5 => Action::Error500,
        6 => Action::Unavailable503,
        7 => Action::RateLimited429 { retry_after: 1 },
        8 => Action::LockTimeout429,
        9 => Action::KeyInUse409,
        10 => Action::TruncatedBody,
        11 => Action::HtmlBody,
        _ => Action::SlowAnswer { millis: 45_000 },
    };
    let method = if dice.roll(3) == 0 { Method::Get } else { Method::Post };
    Fault::next(action).on(method, "/v1/customers")
}

/// What each side's users wrote last, by email (which nobody changes), for `name` and `phone`.
#[derive(Default)]
struct Written {
    local: BTreeMap<(String, &'static str), String>,
    remote: BTreeMap<(String, &'static str), String>,
}

async fn live(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let winner = ["local", "remote"][dice.roll(2) as usize];
    let policies = format!("conflicts: {{ winner: {winner} }}\nsync: {{ feed: 10s, reconcile: never }}");
    let mut world = World::new(Setup { seed, ..Setup::with(&policies) }).await;
    let mut written = Written::default();
    let mut count = 0;
    for step in 0..(20 + dice.roll(40)) {
        let value = format!("v{step}");
        let field = ["name", "phone"][dice.roll(2) as usize];
        match dice.roll(12) {
            0 | 1 => {
                count += 1;
                let email = format!("l{count}@example.com");
                world.insert(&[("email", &email), (field, &value)]);
                written.local.insert((email, field), value);
            }
            2 | 3 => {
                count += 1;
                let email = format!("r{count}@example.com");
                world.remote_create(json!({ "email": email, field: value }));
                written.remote.insert((email, field), value);
            }
            4..=6 => {
                let rows = world.rows().await;
                if !rows.is_empty() {
                    let row = &rows[dice.roll(rows.len() as u64) as usize];
                    let id: LocalId = row.id.clone();
                    let email = world.local(&id, "email").await.unwrap();
                    world.update(&id, &[(field, &value)]);
                    written.local.insert((email, field), value);
                }
            }
            7..=9 => {
                let customers = world.customers();
                if !customers.is_empty() {
                    let customer = &customers[dice.roll(customers.len() as u64) as usize];
                    let id = RemoteId(customer["id"].as_str().unwrap().to_owned());
                    world.remote_update(&id, json!({ field: value }));
                    written.remote.insert((customer["email"].as_str().unwrap().to_owned(), field), value);
                }
            }
            10 => world.fault(fault(&mut dice)),
            _ => {
                world.kill();
                if dice.roll(2) == 0 {
                    tokio::time::sleep(Duration::from_millis(dice.roll(300_000))).await;
                }
                world.restart().await;
            }
        }
        if dice.roll(3) == 0 {
            tokio::time::sleep(Duration::from_millis(dice.roll(400))).await;
        }
    }
    world.stripe().clear_faults();
    tokio::time::sleep(Duration::from_secs(600)).await;
    world.settle().await;
    assert!(world.parked().await.is_empty(), "seed {seed}: {:#?}", world.parked().await);
    world.assert_in_step().await;
    assert_eq!(world.customers().len(), count as usize, "seed {seed}: nothing lost, nothing doubled");
    for row in world.rows().await {
        let email = world.local(&row.id, "email").await.unwrap();
        for field in ["name", "phone"] {
            let key = (email.clone(), field);
            let now = world.local(&row.id, field).await;
            let allowed = [written.local.get(&key), written.remote.get(&key)];
            let unwritten = allowed.iter().all(|a| a.is_none());
            assert!(
                (unwritten && now.is_none()) || allowed.contains(&now.as_ref()),
                "seed {seed}: {field} of {email} is {now:?}, last written were {allowed:?}"
            );
        }
    }
}

#[test]
fn users_faults_and_kills_leave_both_sides_in_step() {
    let from = setting("BOTHWAYS_SOAK_FROM", 1);
    let seeds = setting("BOTHWAYS_SOAK_SEEDS", 60);
    for seed in from..from + seeds {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(live(seed))));
        assert!(
            lived.is_ok(),
            "seed {seed} failed; replay: BOTHWAYS_SOAK_FROM={seed} BOTHWAYS_SOAK_SEEDS=1 cargo nextest run -p bothways-engine soak"
        );
    }
}
