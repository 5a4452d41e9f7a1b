//! The contract suite: every promise in the traits' doc comments, checked against any store.
//!
//! A store implements [`Bench`] (itself, plus another program that writes the same tables) and calls [`crate::store_contract!`] with
//! an expression that makes a fresh one; each check becomes a test of its own name.

pub mod brakes;
pub mod claims;
pub mod composite;
pub mod credentials;
pub mod deletes;
pub mod intake;
pub mod interleave;
pub mod keys;
mod kit;
pub mod leases;
pub mod operator;
pub mod pairs;
pub mod parking;
pub mod relay;
pub mod row_part;
pub mod rows;
pub mod signals;
pub mod sweep;
pub mod waiting;

pub use kit::{catalogs, seats};

use crate::Store;
use async_trait::async_trait;
use bothways_model::{LocalId, Record};

/// A store under test, with the tables of [`catalogs`], and another program that writes them. Beyond its catalog, the table
/// `customers` has: unique `email`, default `basic` for `level`, and a trigger that trims `name` and refuses the name `forbidden`.
#[async_trait]
pub trait Bench: Send + Sync {
    /// The store.
    fn store(&self) -> &dyn Store;
    /// `INSERT`.
    async fn insert(&self, catalog: &str, fields: Record) -> LocalId;
    /// `UPDATE`.
    async fn update(&self, catalog: &str, id: &LocalId, fields: Record);
    /// `DELETE`.
    async fn delete(&self, catalog: &str, id: &LocalId);
    /// `REPLACE`, without `recursive_triggers`.
    async fn replace(&self, catalog: &str, fields: Record) -> LocalId;
    /// Updates the key.
    async fn rekey(&self, catalog: &str, old: &LocalId, new: &LocalId);
    /// Swaps two keys through a third, in one transaction.
    async fn swap(&self, catalog: &str, a: &LocalId, b: &LocalId, spare: &LocalId);
    /// Removes a row that no trigger sees.
    async fn lose(&self, catalog: &str, id: &LocalId);
    /// Puts something in a customer's `balance` that is not a decimal.
    async fn spoil(&self, id: &LocalId);
}

/// The checks of keys of several columns, as [`crate::store_contract!`] makes tests of the others; `$make` gives a [`Bench`] whose only
/// table is that of [`seats`], with unique `badge`.
#[macro_export]
macro_rules! composite_contract {
    ($make:expr) => {
        $crate::store_contract! { @each $make;
            composite {
                rows_are_told_apart_by_every_part, pages_follow_the_whole_key, changes_are_captured_by_the_whole_key,
                links_follow_a_changed_part, replaced_rows_are_known, the_engine_writes_whole_keys
            }
        }
    };
}

/// Makes one `#[tokio::test]` for every check; `$make` is an async expression that gives a fresh [`Bench`].
#[macro_export]
macro_rules! store_contract {
    ($make:expr) => {
        $crate::store_contract! { @each $make;
            brakes {
                the_limit_counts_this_batch, two_at_once_do_not_pass_together,
                what_was_done_before_the_window_does_not_count, an_approval_names_its_set_and_is_spent,
                what_nobody_wants_is_forgotten, deletes_count_what_is_to_come, deletes_within_a_share_do_not_lower_it,
                the_pass_behind_a_signal_is_known, what_a_pass_found_stays_its_own, history_names_who_approved,
                what_is_withheld_of_a_row_follows_its_key, nothing_is_remembered_of_a_row_that_has_moved,
                a_row_of_another_pair_is_another
            }
            claims {
                inserts_an_already_leased_link, is_unique_among_live_links, ignores_closed_links,
                is_lost_when_another_live_link_gets_the_id, is_lost_within_one_batch,
                moves_an_id_from_one_link_to_another_in_one_batch, lost_after_the_row_part_leaves_nothing,
                keeps_the_link_when_only_the_lease_changes, waits_until_the_id_is_nobody_elses, of_what_is_new_are_lost_to_closed_links,
                of_what_was_seen_are_lost_to_what_was_seen_since
            }
            leases {
                take_leases_and_gives_everything, stale_tokens_change_nothing, tokens_are_never_reused,
                a_released_token_is_stale, an_expired_token_nobody_took_still_counts, folds_both_sides_of_a_link,
                a_leased_link_requeues_without_an_attempt, ended_leases_give_everything_back, taken_rows_are_not_due_before_the_lease_ends,
                lease_takes_one_link, release_needs_the_token, takes_oldest_first_and_only_the_pairs_asked,
                numbers_intents_for_ever, closed_links_still_answer, take_has_no_link_for_new_records, ended_leases_leave_backoffs_alone,
                repeated_units_happen_once
            }
            signals {
                coalesce_and_raise_the_generation, wait_for_their_moment, never_postpone_due_work,
                done_removes_the_row, done_with_a_newer_generation_stays_due, again_waits_unless_signalled,
                an_attempt_backs_off_even_if_signalled, whoever_is_late_puts_nothing_off, next_due_is_the_earliest, work_is_found_by_record
            }
            parking {
                parks_and_replans_on_a_signal, replay_starts_over, a_decision_ends_what_failed_before,
                dismiss_drops_only_parked_work, a_retried_plan_stays_parked, groups_park_and_clear, lists_by_pair_and_reason
            }
            relay {
                reaches_every_durable_pair, claims_entries_once, coalesces_updates_but_not_deletes, lists_rows_to_delete,
                facts_survive_signals, tells_when_a_row_was_changed, facts_can_be_dealt_with_on_the_way, moves_links_with_their_keys, swaps_keys_as_a_set,
                a_taken_over_id_is_not_deleted_with_the_old_row, a_taken_over_id_without_a_link_has_no_facts,
                replaced_rows_are_hinted, take_sees_keys_as_they_are, drained_says_what_is_left,
                changed_wakes_for_other_programs, ids_are_compared_by_bytes, moves_match_keys,
                lost_rows_leave_no_fact, take_knows_of_the_deletes_of_its_rows
            }
            row_part {
                sees_the_newest_row, inserts_and_reads_back, inserts_with_the_engines_key, updates_and_rebases,
                archives_and_restores, deletes_the_row, a_refused_row_keeps_the_confirmation, a_refused_row_parks_its_work,
                a_refused_row_does_not_disturb_the_batch, a_refusal_by_the_table_itself_is_one,
                aborts_without_a_trace, an_unreadable_row_is_refused, several_units_for_one_link,
                many_inserts_keep_their_records, engine_writes_are_captured,
                leaves_a_row_alone_that_may_be_another, sends_nothing_for_a_row_that_may_be_another
            }
            credentials {
                one_caller_gets_the_turn, a_grant_is_kept_for_everybody, a_turn_that_ends_is_given_again,
                a_refusal_lasts_until_the_operator_supplies_another, what_was_supplied_before_starts_nothing_anew,
                a_late_grant_stands, what_a_person_fetched_replaces_all,
                keys_are_changed_in_place
            }
            deletes { intents_close_and_reopen_nothing, prune_keeps_what_counts }
            sweep { finds_forgotten_intents, finds_waiting_choices, finds_withheld_rows, leaves_work_alone }
            waiting { is_due_once_the_link_is_there, is_due_at_once_if_the_link_is_there_by_now, is_not_due_for_less,
                is_not_due_for_a_record_that_is_missed, is_due_once_the_row_is_there_without_its_record,
                is_due_at_once_if_somebody_else_has_seen_more, parked_work_that_waits_is_parked_no_more
            }
            keys {
                groups_hold_both_sides, newer_observations_win, say_who_is_linked, list_unlinked_groups_in_pages,
                are_limited, linked_drops_the_content
            }
            intake {
                accepts_each_event_once, tells_what_events_were_about, commits_pages_with_their_cursor,
                cursors_come_and_go
            }
            pairs {
                are_durable, keep_their_account, count_what_status_shows, pause_and_resume, hold_what_must_not_go_out
            }
            operator { audits_newest_first, pages_through_history, keeps_a_secret, keeps_tokens, erases_a_person, erases_what_let_go_of_its_row }
            rows {
                are_written_and_captured, change_only_what_was_expected, page_in_key_order, search_finds_text_in_any_case, say_what_is_unreadable,
                refuse_what_the_table_refuses, name_unknown_catalogs, links_answer_in_order,
                say_what_they_hold, are_found_by_what_they_hold
            }
        }
    };
    (@each $make:expr; $($module:ident { $($check:ident),* $(,)? })*) => {
        $(mod $module {
            #[allow(unused_imports)]
            use super::*;
            $(#[tokio::test]
            async fn $check() {
                let bench = $make.await;
                $crate::contract::$module::$check(&bench).await;
            })*
        })*
    };
}
