//! How often everything that can go wrong went wrong. A kind that never fires proves nothing, so each is counted and a long run must
//! have seen all of them.

use std::collections::BTreeMap;

/// Every kind that a run of many seeds must have fired, by name.
pub const KINDS: &[&str] = &[
    // Processes.
    "process_killed",
    "process_stopped",
    "frozen_beyond_lease",
    "clock_jump",
    "clock_wrong",
    "takeover_at_start",
    // The database.
    "database_busy",
    "serialization_failure",
    "commit_outcome_unknown",
    "disk_full",
    // The queue.
    "nudge_lost",
    "nudge_duplicated",
    "nudge_late",
    // The way to the service.
    "connection_refused",
    "lost_request",
    "lost_answer",
    "slow_answer",
    "late_request",
    "late_request_after_takeover",
    "answer_after_takeover",
    "unfinished",
    "duplicate",
    // What the service answers.
    "saved_error500",
    "error500",
    "unavailable503",
    "unauthorized401",
    "forbidden403",
    "rate_limited429",
    "lock_timeout429",
    "key_in_use409",
    "truncated_body",
    "html_body",
    "hidden_field",
    "other_account",
    "lower_cases",
    "automation",
    // Lists and feeds.
    "stale_list",
    "empty_list",
    "page_repeated",
    "page_skipped",
    "event_visible_late",
    "equal_stamps",
    "created_mid_walk",
    "removed_mid_walk",
    // Events.
    "event_not_generated",
    "event_version",
    "event_unknown",
    "delivery_duplicated",
    "delivery_reordered",
    "delivery_lost",
    "delivery_delayed",
    "delivery_to_nobody",
    "secret_rolled",
    // References.
    "moved_to_another",
    "waited_for_a_link",
    // Invoices.
    "invoice_finalized",
    "invoice_advanced",
    "amount_changed",
    "final_invoice_refused",
    // Salesforce.
    "late_visible",
    "left_alone",
    "stamps_made_equal",
    "stamps_equal_at_page_edge",
    "row_locked",
    "invalid_session401",
    "sessions_ended",
    "request_limit403",
    "changed_since412",
    "newest_decided",
    "hidden_records",
    "records_merged",
    "recycle_bin_emptied",
    "delete_log_purged",
    "records_restored",
    "token_renewed",
    "token_lost",
    "consented_anew",
    // What goes together at Salesforce.
    "read_together",
    "created_together",
    "updated_together",
    "no_answer_for_many",
    "died_among_many",
    "row_refused",
    "result_missing",
    // Brakes.
    "brake_withheld",
    "brake_approved",
    // Users.
    "rows_in_bulk",
    "records_in_bulk",
    "edited_while_down",
    "edited_when_read",
    "same_email",
    "row_id_reused",
    "key_updated",
    "keys_swapped",
    "unmapped_edit",
    // The archive.
    "archived_by_engine",
    "archived_by_user",
    "taken_out_of_archive",
    "taken_out_without_record",
    "linked_again",
    "archived_row_edited",
    "archived_row_deleted",
    "operator_paused",
    "operator_resolved",
    "operator_replayed",
    "operator_reverted",
];

/// Counts by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters(BTreeMap<String, u64>);

impl Counters {
    /// Counts one.
    pub fn count(&mut self, kind: &str) {
        self.add(kind, 1);
    }

    /// Counts several.
    pub fn add(&mut self, kind: &str, times: u64) {
        if times > 0 {
            *self.0.entry(kind.to_owned()).or_default() += times;
        }
    }

    /// How often this fired.
    pub fn of(&self, kind: &str) -> u64 {
        self.0.get(kind).copied().unwrap_or(0)
    }

    /// Adds another run's counts.
    pub fn merge(&mut self, other: &Counters) {
        for (kind, times) in &other.0 {
            self.add(kind, *times);
        }
    }

    /// All that fired, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(kind, times)| (kind.as_str(), *times))
    }

    /// Kinds that must fire and never did.
    pub fn silent(&self) -> Vec<&'static str> {
        KINDS.iter().copied().filter(|kind| self.of(kind) == 0).collect()
    }
}
