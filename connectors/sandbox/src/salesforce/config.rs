//! What a sandbox Salesforce is started with.

use super::custom_field::CustomField;
use chrono::TimeDelta;

/// The settings of one organisation.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// All identifiers and tokens follow from it, as for Stripe.
    pub seed: u64,
    /// The organisation's id of 18 characters; none makes one from the seed.
    pub organization: Option<String>,
    /// Whether the organisation calls itself a sandbox, which is Salesforce's word for a test mode.
    pub is_sandbox: bool,
    /// Where clients are told to send their requests, as My Domain is; none says what they were sent to.
    pub instance_url: Option<String>,
    /// The connected app's consumer key.
    pub client_id: String,
    /// The connected app's consumer secret.
    pub client_secret: String,
    /// The user whom the app acts for.
    pub username: String,
    /// The app's RSA key that signs JWT bearer assertions: the public key in PEM (`BEGIN PUBLIC KEY`). None refuses the flow.
    pub jwt_public_key: Option<String>,
    /// How long an access token is good for without being used, as an organisation's session timeout.
    pub session_lifetime: TimeDelta,
    /// Whether each refresh hands out a new refresh token and kills the old one.
    pub rotates_refresh_tokens: bool,
    /// Rows in one page of a query's result.
    pub page_size: usize,
    /// Requests let through in any 24 hours.
    pub daily_requests: u64,
    /// Ids that `getUpdated` and `getDeleted` return at most; more is EXCEEDED_ID_LIMIT.
    pub replication_ids: usize,
    /// How far the replication calls stay behind now, as they do while transactions are under way.
    pub replication_lag: TimeDelta,
    /// Fields that the organisation has added.
    pub custom_fields: Vec<CustomField>,
    /// How many requests the log keeps; the totals count all.
    pub log_limit: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 0,
            organization: None,
            is_sandbox: true,
            instance_url: None,
            client_id: "bothways_app".into(),
            client_secret: "bothways_app_secret".into(),
            username: "sync@sandbox.example".into(),
            jwt_public_key: None,
            session_lifetime: TimeDelta::hours(2),
            rotates_refresh_tokens: true,
            page_size: 2_000,
            daily_requests: 100_000,
            replication_ids: 600_000,
            replication_lag: TimeDelta::zero(),
            custom_fields: vec![
                CustomField::stamp("Account", "Bothways_Id__c"),
                CustomField::stamp("Contact", "Bothways_Id__c"),
                CustomField::key("Contact", "Legacy_Key__c"),
            ],
            log_limit: 100_000,
        }
    }
}
