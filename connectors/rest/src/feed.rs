//! Events pulled.

use crate::answer::{self, malformed};
use crate::conversation::{Conversation, Reader};
use crate::core::Core;
use crate::event;
use crate::paging::{self, Seen};
use crate::place::Place;
use crate::request::{Draft, Slots};
use bothways_connector::{EventPage, Exchange, Feed, FeedQuery, Outcome, Step, answer_date};
use bothways_mapping::connector::{Events, TimeFormat};
use bothways_model::{Event, Failure, Response};
use std::sync::Arc;

pub(crate) struct RestFeed {
    core: Arc<Core>,
    events: Arc<Events>,
}

impl RestFeed {
    /// `None` if the document has no feed.
    pub(crate) fn new(core: &Arc<Core>) -> Option<Self> {
        let events = core.spec().events.as_ref().filter(|events| events.feed.is_some())?;
        Some(Self { core: Arc::clone(core), events: Arc::new(events.clone()) })
    }

    fn begin(&self, query: &FeedQuery) -> Result<Box<dyn Exchange>, Failure> {
        let feed = self.events.feed.as_ref().ok_or_else(|| malformed("the document has no feed"))?;
        let place = query.page.as_ref().map(Place::read).transpose()?;
        let format = self.events.at.as_ref().map_or(TimeFormat::Iso8601, |at| at.format);
        let since = format.write(&query.since);
        let offset = paging::offset(&feed.call, place.as_ref());
        let slots = Slots { since: Some(&since), offset, event_types: &query.types, ..Slots::default() };
        let mut draft = Draft::new(&self.core, &feed.call, &slots)?;
        paging::ask(&mut draft, &feed.call, &self.core.site, place.as_ref())?;
        let request = draft.finish();
        let (core, events, asked) = (Arc::clone(&self.core), Arc::clone(&self.events), request.url.clone());
        let reader: Reader =
            Box::new(move |answer| match read(&core, &events, &asked, place.as_ref(), &answer) {
                Ok(page) => Outcome::Events(page),
                Err(failure) => Outcome::Failed(failure),
            });
        Ok(Conversation::start(&self.core, request, false, reader))
    }
}

fn read(
    core: &Core,
    events: &Events,
    asked: &str,
    place: Option<&Place>,
    answer: &Response,
) -> Result<EventPage, Failure> {
    let Some(feed) = &events.feed else { return Err(malformed("the document has no feed")) };
    if !answer.is_success() {
        return Err(answer::failure(core, answer));
    }
    let mut body = answer::some_json(answer)?;
    let read = |item| event::read(core.spec(), events, item, &event::Origin::default());
    let page: Vec<Event> = feed.call.items.items(&body).into_iter().map(read).collect();
    let seen = Seen {
        answer,
        body: &body,
        asked,
        place,
        count: page.len(),
        first: page.first().map(|event| event.id.as_str()),
    };
    let next = paging::next(&feed.call, &core.site, &seen)?;
    // What is no list at all must not pass for an empty one.
    answer::items(&feed.call.items, &mut body)?;
    Ok(EventPage { events: page, next: next.and_then(|place| place.cursor()), date: answer_date(answer) })
}

impl Feed for RestFeed {
    fn start(&self, query: &FeedQuery) -> Box<dyn Exchange> {
        self.begin(query).unwrap_or_else(|failure| Box::new(Refused(Some(failure))))
    }

    fn types(&self, resource: &str) -> Vec<String> {
        self.core.spec().event_types(resource)
    }
}

/// An exchange that is over before anything is sent.
struct Refused(Option<Failure>);

impl Exchange for Refused {
    fn next(&mut self, _: Option<Response>) -> Step {
        let failure = self.0.take().unwrap_or_else(|| malformed("the exchange was driven out of turn"));
        Step::Done(Outcome::Failed(failure))
    }
}
