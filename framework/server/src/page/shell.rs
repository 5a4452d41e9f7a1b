//! The layout around every page.

use super::assets;
use crate::access::Caller;
use crate::app::App;

/// Up to this many waiting items are counted.
const COUNTED: usize = 100;

/// What the layout shows.
pub(super) struct Shell {
    pub(super) title: String,
    pub(super) active: &'static str,
    pub(super) csrf: String,
    /// Items that wait for a person.
    pub(super) waiting: usize,
    /// How much brakes withhold that nobody has approved.
    pub(super) withheld: u64,
    /// Whether there is a demo page.
    pub(super) demo: bool,
    /// Whether nobody has to log in.
    pub(super) open: bool,
    /// Whether it is known who looks.
    pub(super) known: bool,
    /// Whether the page follows changes.
    pub(super) live: bool,
    pub(super) style: String,
    pub(super) script: String,
    pub(super) icon: String,
}

impl Shell {
    /// For somebody who was let in.
    pub(super) async fn of(app: &App, caller: &Caller, title: &str, active: &'static str) -> Self {
        // A page that reports that the database fails must not fail for it.
        let waiting = app.operations.parked(None, None, COUNTED).await.map_or(0, |items| items.len());
        let brakes = app.operations.brakes().await.unwrap_or_default();
        Self {
            active,
            csrf: caller.csrf.clone().unwrap_or_default(),
            waiting,
            withheld: brakes.iter().map(|brake| brake.open).sum(),
            demo: app.beside.is_some(),
            open: app.settings.open,
            known: true,
            live: true,
            ..Self::stranger(title)
        }
    }

    /// For somebody nobody knows yet.
    pub(super) fn stranger(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            active: "",
            csrf: String::new(),
            waiting: 0,
            withheld: 0,
            demo: false,
            open: false,
            known: false,
            live: false,
            style: assets::url("page.css"),
            script: assets::url("page.js"),
            icon: assets::url("icon.svg"),
        }
    }

    /// A page that does not follow changes.
    pub(super) fn still(mut self) -> Self {
        self.live = false;
        self
    }
}
