//! Sends the webhooks that are due, many at a time, and reports what became of them. It also sees to what else falls due.

use crate::deliveries::Delivery;
use crate::server::{Sandbox, is_loopback_name, wait_for};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// Deliveries under way at once.
const SLOTS: usize = 32;
/// How long a receiver may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Sleeping longer than this gains nothing, and the clock may be moved meanwhile.
const LONGEST_NAP: Duration = Duration::from_secs(60);

/// Sends deliveries until `stop`.
pub(crate) async fn send_deliveries(sandbox: Sandbox, stop: watch::Receiver<bool>) {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(TIMEOUT)
        .build()
        .unwrap_or_default();
    let slots = Arc::new(Semaphore::new(SLOTS));
    loop {
        let free = slots.available_permits();
        let (batch, next) = sandbox.quietly(|stripe, now| {
            let batch = stripe.due_deliveries_up_to(free, now);
            let next = stripe.next_due().map(|due| (due - now).to_std().unwrap_or_default());
            (batch, next)
        });
        let next = next.into_iter().chain(sandbox.tick_salesforce()).min();
        for delivery in batch {
            let (client, sandbox) = (client.clone(), sandbox.clone());
            let Ok(permit) = slots.clone().try_acquire_owned() else { continue };
            tokio::spawn(async move {
                let id = delivery.id.clone();
                let status = post(&client, delivery).await;
                drop(permit);
                sandbox.with(|stripe, now| stripe.delivered(&id, status, now));
            });
        }
        // With every slot taken, the next report wakes this loop; until then nothing more can be sent.
        let busy = slots.available_permits() == 0;
        let nap = next.filter(|_| !busy).unwrap_or(LONGEST_NAP).min(LONGEST_NAP);
        tokio::select! {
            () = sandbox.woken() => {}
            () = tokio::time::sleep(nap) => {}
            () = wait_for(stop.clone()) => return,
        }
    }
}

/// Posts one delivery; the status, or none where there was no answer. A sandbox calls nobody but this machine.
async fn post(client: &reqwest::Client, delivery: Delivery) -> Option<u16> {
    let url =
        reqwest::Url::parse(&delivery.url).ok().filter(|url| url.host_str().is_some_and(is_loopback_name))?;
    let mut request = client.post(url).body(delivery.body);
    for (name, value) in delivery.headers {
        request = request.header(name, value);
    }
    request.send().await.ok().map(|response| response.status().as_u16())
}
