//! A stored page cursor, and the answer to the page that it leads to. Both may have been written by anybody: a cursor comes from a database
//! that others can write, an answer from a service that may be taken over. No request may ever leave for another origin.

use super::{parts, service, text};
use bothways_connector::{Operation, Outcome, PageCursor, Step};
use bothways_model::{ErrorClass, Response};
use url::Url;

pub fn run(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let [cursor, link, body] = parts(text);
    for name in service::PAGED {
        let resource = service::resource(service::paged(), name);
        follow(&*resource, Some(PageCursor(cursor.to_owned())), link, body);
        follow(&*resource, None, link, body);
    }
}

fn follow(resource: &dyn bothways_connector::Resource, cursor: Option<PageCursor>, link: &str, body: &str) {
    let mut cursor = cursor;
    // The answer's own cursor is followed, so that what a service says is used as what was stored.
    for _ in 0..3 {
        let mut exchange = match resource.start(Operation::List { page: cursor.clone() }) {
            Ok(exchange) => exchange,
            Err(failure) => {
                assert_eq!(
                    failure.class,
                    ErrorClass::Expired,
                    "a cursor that cannot be used starts again from the top"
                );
                return;
            }
        };
        let answer = Response {
            status: 200,
            headers: vec![("link".into(), link.to_owned())],
            body: body.as_bytes().to_vec(),
        };
        let outcome = match exchange.next(None) {
            Step::Call(call) => {
                let url = Url::parse(&call.request.url).expect("a request has a URL");
                assert_eq!(url.origin().ascii_serialization(), service::PAGED_ORIGIN, "{url}");
                assert!(url.username().is_empty() && url.password().is_none(), "{url}");
                match exchange.next(Some(answer)) {
                    Step::Done(outcome) => outcome,
                    Step::Call(_) | Step::Renew(_) => panic!("a page takes one call"),
                }
            }
            Step::Done(outcome) => outcome,
            Step::Renew(_) => panic!("this service has no tokens"),
        };
        match outcome {
            Outcome::Page(page) if page.next.is_some() => {
                assert_ne!(page.next, cursor, "the next page is the same page");
                cursor = page.next;
            }
            _ => return,
        }
    }
}
