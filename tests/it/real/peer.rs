//! The two Stripes, by what both have in common: customers, and webhooks that are signed.

use crate::real::patience::{SOON, until};
use crate::real::program::{Process, free_port, python, sandbox};
use reqwest::{Client, Method};
use serde_json::Value as Json;
use std::path::Path;
use std::process::Command;

/// localstripe's own command listens everywhere and writes its store to a file on each change; this does neither.
const LOCALSTRIPE: &str = "\
import sys, localstripe.resources as r
r.Store.dump_to_disk = lambda s: None
from aiohttp import web
from localstripe.server import app
web.run_app(app, host='127.0.0.1', port=int(sys.argv[1]), access_log=None)";

/// How many requests the sandbox remembers: all of a long test.
const LOG: &str = "5000000";

/// The key that both accept.
pub(crate) const KEY: &str = "sk_test_kanarirealinput";

/// A Stripe in a process of its own.
pub(crate) struct Peer {
    url: String,
    client: Client,
    kind: Kind,
    _process: Process,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sandbox,
    Localstripe,
}

/// A customer as the service lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Customer {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) name: Option<String>,
    pub(crate) phone: Option<String>,
    /// Our stamp, if it bears one.
    pub(crate) stamp: Option<String>,
}

impl Peer {
    /// An empty sandbox.
    pub(crate) async fn sandbox(folder: &Path) -> Self {
        let mut command = Command::new(sandbox());
        command.args(["--listen", "127.0.0.1:0", "--log", LOG]);
        let mut process = Process::start("the sandbox", &mut command, folder.join("sandbox.log"));
        let url = process
            .hear("its address", |line| line.starts_with("http://127.0.0.1:").then(|| line.to_owned()))
            .await;
        Self { url, client: Client::new(), kind: Kind::Sandbox, _process: process }
    }

    /// An empty localstripe.
    pub(crate) async fn localstripe(folder: &Path) -> Self {
        let port = free_port();
        let mut command = Command::new(python());
        command.args(["-u", "-c", LOCALSTRIPE, &port.to_string()]);
        let mut process = Process::start(
            "localstripe (tests/run installs it into tests/.cache/venv)",
            &mut command,
            folder.join("localstripe.log"),
        );
        process.hear("that it listens", |line| line.contains("Running on").then_some(())).await;
        let url = format!("http://127.0.0.1:{port}");
        Self { url, client: Client::new(), kind: Kind::Localstripe, _process: process }
    }

    /// Where its API is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Has webhooks sent to `url` and returns the secret that signs them.
    pub(crate) async fn send_webhooks_to(&self, url: &str) -> String {
        match self.kind {
            Kind::Sandbox => {
                let fields = [("url", url), ("enabled_events[]", "*")];
                let endpoint = self.call(Method::POST, "/v1/webhook_endpoints", &fields).await;
                endpoint["secret"].as_str().expect("a secret").to_owned()
            }
            Kind::Localstripe => {
                let secret = "whsec_kanari_chosen_by_the_test";
                let fields = [("url", url), ("secret", secret)];
                self.send(Method::POST, "/_config/webhooks/bothways", &fields).await.expect("registered");
                secret.to_owned()
            }
        }
    }

    /// Creates a customer and returns its id.
    pub(crate) async fn create(&self, fields: &[(&str, &str)]) -> String {
        let customer = self.call(Method::POST, "/v1/customers", fields).await;
        customer["id"].as_str().expect("an id").to_owned()
    }

    /// Creates the customer with this number.
    pub(crate) async fn create_person(&self, number: usize) -> String {
        let (name, email) = (format!("Person {number}"), format!("person{number}@example.com"));
        self.create(&[("name", &name), ("email", &email)]).await
    }

    /// Changes a customer.
    pub(crate) async fn update(&self, id: &str, fields: &[(&str, &str)]) {
        self.call(Method::POST, &format!("/v1/customers/{id}"), fields).await;
    }

    /// Subscribes a customer at localstripe to something of 10 euros a month, and returns the first invoice, which is paid.
    pub(crate) async fn subscribe(&self, customer: &str) -> String {
        let plan = [
            ("id", "monthly"),
            ("name", "m"),
            ("amount", "1000"),
            ("currency", "eur"),
            ("interval", "month"),
        ];
        self.call(Method::POST, "/v1/plans", &plan).await;
        let card = [
            ("type", "card"),
            ("card[number]", "4242424242424242"),
            ("card[exp_month]", "12"),
            ("card[exp_year]", "2099"),
            ("card[cvc]", "123"),
        ];
        let method = self.call(Method::POST, "/v1/payment_methods", &card).await;
        let method = method["id"].as_str().expect("an id");
        self.call(Method::POST, &format!("/v1/payment_methods/{method}/attach"), &[("customer", customer)])
            .await;
        self.update(customer, &[("invoice_settings[default_payment_method]", method)]).await;
        let items = [("customer", customer), ("items[0][plan]", "monthly")];
        let made = self.call(Method::POST, "/v1/subscriptions", &items).await;
        made["latest_invoice"].as_str().expect("an id").to_owned()
    }

    /// The draft of a subscriber's next invoice, with something of 19.99 euros on it.
    pub(crate) async fn draft_invoice(&self, customer: &str, memo: &str) -> String {
        let item = [("customer", customer), ("amount", "1999"), ("currency", "eur")];
        self.call(Method::POST, "/v1/invoiceitems", &item).await;
        let draft = [("customer", customer), ("description", memo)];
        let invoice = self.call(Method::POST, "/v1/invoices", &draft).await;
        invoice["id"].as_str().expect("an id").to_owned()
    }

    /// An invoice as the service shows it.
    pub(crate) async fn invoice(&self, id: &str) -> Json {
        self.call(Method::GET, &format!("/v1/invoices/{id}"), &[]).await
    }

    /// All customers.
    pub(crate) async fn customers(&self) -> Vec<Customer> {
        let mut all: Vec<Customer> = Vec::new();
        loop {
            let after = all.last().map(|last| format!("&starting_after={}", last.id)).unwrap_or_default();
            let page = self.call(Method::GET, &format!("/v1/customers?limit=100{after}"), &[]).await;
            let items = page["data"].as_array().expect("a list");
            all.extend(items.iter().map(read_customer));
            if page["has_more"] != true {
                return all;
            }
        }
    }

    /// Waits for the one customer with this e-mail that `fits`.
    pub(crate) async fn wait_for(
        &self,
        what: &str,
        email: &str,
        fits: impl Fn(&Customer) -> bool,
    ) -> Customer {
        until(what, SOON, async || {
            let all = self.customers().await;
            let found: Vec<&Customer> = all.iter().filter(|c| c.email == email).collect();
            match found.as_slice() {
                [one] if fits(one) => Ok((*one).clone()),
                other => Err(format!("{other:?}")),
            }
        })
        .await
    }

    /// What the sandbox says of itself below `/_sandbox`.
    pub(crate) async fn steer(&self, method: Method, path: &str, body: Option<Json>) -> Json {
        assert!(self.kind == Kind::Sandbox, "only the sandbox can be steered");
        let mut request = self.client.request(method, format!("{}/_sandbox{path}", self.url));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.expect("the sandbox answers");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        serde_json::from_str(&answer.text().await.expect("a text")).expect("JSON")
    }

    async fn call(&self, method: Method, path: &str, fields: &[(&str, &str)]) -> Json {
        let text = self.send(method, path, fields).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        serde_json::from_str(&text).expect("JSON")
    }

    async fn send(&self, method: Method, path: &str, fields: &[(&str, &str)]) -> Result<String, String> {
        let mut request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(KEY);
        if !fields.is_empty() {
            let form = reqwest::Url::parse_with_params("http://form/", fields).expect("fields");
            request = request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form.query().unwrap_or_default().to_owned());
        }
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| error.to_string())?;
        if status.is_success() { Ok(text) } else { Err(format!("{status} {text}")) }
    }
}

fn read_customer(item: &Json) -> Customer {
    let text = |name: &str| item[name].as_str().map(str::to_owned);
    Customer {
        id: text("id").expect("an id"),
        email: text("email").unwrap_or_default(),
        name: text("name"),
        phone: text("phone"),
        stamp: item["metadata"]["bothways"].as_str().map(str::to_owned),
    }
}
