//! Events pushed: is a delivery genuine, and what does it tell.

use crate::answer;
use crate::core::Core;
use crate::event;
use crate::signature::Scheme;
use bothways_connector::{Rejected, Unverified, Verified, Webhook};
use bothways_mapping::connector::Verify;
use bothways_model::{Event, Failure, Secret, Timestamp};
use serde_json::Value as Json;
use std::sync::Arc;
use subtle::{Choice, ConstantTimeEq};

pub(crate) struct RestWebhook {
    core: Arc<Core>,
    proof: Proof,
    path: String,
    challenge: Option<String>,
}

enum Proof {
    None,
    Signature(Scheme),
    Token { header: String, values: Vec<Secret> },
}

impl RestWebhook {
    /// `None` if the document has no webhook, or one of its secrets is not set.
    pub(crate) fn new(core: &Arc<Core>) -> Option<Self> {
        let webhook = core.resolved.webhook.as_ref()?;
        let proof = match &webhook.verify {
            Verify::None => Proof::None,
            Verify::Token { header, values } => {
                Proof::Token { header: header.clone(), values: values.clone() }
            }
            hmac @ Verify::Hmac { .. } => Proof::Signature(Scheme::of(hmac)?),
        };
        core.spec().events.as_ref()?;
        let (path, challenge) = (webhook.path.clone(), webhook.challenge.clone());
        Some(Self { core: Arc::clone(core), proof, path, challenge })
    }
}

impl Webhook for RestWebhook {
    fn verify(&self, delivery: Unverified, now: Timestamp) -> Result<Verified, Rejected> {
        match &self.proof {
            Proof::None => {}
            Proof::Signature(scheme) => scheme.check(&delivery, now)?,
            Proof::Token { header, values } => {
                let given = delivery.header(header).ok_or(Rejected::Unsigned)?.as_bytes();
                // An unset secret never matches, not even an empty header.
                let equal = |v: &Secret| {
                    Choice::from(u8::from(!v.expose().is_empty())) & v.expose().as_bytes().ct_eq(given)
                };
                let genuine = values.iter().fold(Choice::from(0), |any, value| any | equal(value));
                if !bool::from(genuine) {
                    return Err(Rejected::Mismatch);
                }
            }
        }
        Ok(delivery.vouch())
    }

    fn decode(&self, delivery: &Verified) -> Result<Vec<Event>, Failure> {
        let spec = self.core.spec();
        let events = spec.events.as_ref().ok_or_else(|| answer::malformed("the document has no events"))?;
        let body: Json = serde_json::from_slice(&delivery.delivery().body)
            .map_err(|_| answer::malformed("the delivery is not JSON"))?;
        let items = events.each.items(&body);
        let from = event::Origin { headers: &delivery.delivery().headers, of: items.len() };
        Ok(items.into_iter().map(|item| event::read(spec, events, item, &from)).collect())
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn challenge(&self) -> Option<&str> {
        self.challenge.as_deref()
    }

    fn is_unsigned(&self) -> bool {
        matches!(self.proof, Proof::None)
    }
}
