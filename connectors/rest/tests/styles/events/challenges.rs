//! Services that ask, when they are told of our address, whether we want their deliveries.
//!
//! Meta and YouTube ask by GET (`hub.challenge`), Microsoft Graph by POST (`validationToken`); both want the value back as plain text. How it is
//! given back is the hooks server's part, which tests it.

use crate::support::connect;
use bothways_connector::Connector;

#[test]
fn name_their_parameter() {
    let document = |challenge: &str| {
        format!(
            "connector: graph\nvars: {{ hook: {{ secret: true }} }}\nhttp: {{ base_url: \"https://graph.example\" }}\n\
             events: {{ id_of: $.resourceData.id, each: \"$.value[*]\", webhook: {{ {challenge} verify: {{ token: {{ header: X-Token, value: \"${{hook}}\" }} }} }} }}\n\
             resources: {{ users: {{ id: $.id, get: \"GET /users/{{id}}\", events: {{ \"*\": upsert }} }} }}\n"
        )
    };
    let asks = connect(&document("challenge: { query: validationToken },"), &[("GRAPH_HOOK", "s")]);
    assert_eq!(asks.webhook().and_then(|webhook| webhook.challenge()), Some("validationToken"));
    let silent = connect(&document(""), &[("GRAPH_HOOK", "s")]);
    assert_eq!(silent.webhook().and_then(|webhook| webhook.challenge()), None);
    // While the secret is unset the webhook is off, and so is its answer.
    assert!(connect(&document("challenge: { query: validationToken },"), &[]).webhook().is_none());
}
