//! Invoices at localstripe, by the shipped documents, as far as it has them: it makes them of subscriptions alone.

use crate::real::installation::{Installation, PASSES_ALONE, looking};
use crate::real::patience::{SOON, until};
use crate::real::peer::Peer;

/// They come in with the row of the customer that they are of, and their memo goes out.
#[tokio::test]
async fn invoices_of_localstripe_come_in_and_their_memo_goes_out() {
    let mut installation = Installation::new(PASSES_ALONE);
    installation.add("invoices.yaml", |text| text);
    installation.add("stripe-invoices.yaml", |text| looking(&text, PASSES_ALONE));
    let peer = Peer::localstripe(installation.folder()).await;
    installation.connect(&peer);
    let customer = peer.create(&[("name", "Ada"), ("email", "ada@example.com")]).await;
    peer.create(&[("name", "Bea"), ("email", "bea@example.com")]).await;
    let paid = peer.subscribe(&customer).await;
    let _running = installation.run().await;
    let table = installation.table().await;
    let shown = async |id: &str| {
        let link = table.links().await.into_iter().find(|link| link.remote_id.as_deref() == Some(id));
        let row: i64 = link.and_then(|link| link.local_id)?.parse().ok()?;
        table.invoice(row).await.map(|invoice| (row, invoice))
    };
    let found = until("the paid one is a row", SOON, async || shown(&paid).await.ok_or("no row".into()));
    let (_, invoice) = found.await;
    let text = |text: &str| Some(text.to_owned());
    assert_eq!((invoice.email.as_str(), invoice.currency.as_str()), ("ada@example.com", "eur"));
    assert_eq!((invoice.status.as_str(), invoice.total), ("paid", text("10")));
    let draft = peer.draft_invoice(&customer, "first").await;
    let found = until("the draft is a row", SOON, async || shown(&draft).await.ok_or("no row".into()));
    let (row, invoice) = found.await;
    assert_eq!((invoice.email.as_str(), invoice.status.as_str()), ("ada@example.com", "draft"));
    assert_eq!((invoice.memo, invoice.total), (text("first"), text("29.99")));
    table.set_memo(row, "second").await;
    until("the memo goes out", SOON, async || match peer.invoice(&draft).await["description"].as_str() {
        Some("second") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(table.number("select count(*) from invoices").await, 2);
}
