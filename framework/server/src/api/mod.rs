//! The JSON API: records, operations, events, health.

mod brakes;
mod catalogs;
mod extract;
mod health;
mod history;
mod mappings;
mod parked;
mod revert;
mod shapes;

pub(crate) use extract::{Path, Query};
pub(crate) use health::healthy;
pub(crate) use history::{HistoryQuery, explanations, page_of};
pub(crate) use mappings::request_pass;
pub(crate) use shapes::{HistoryEntry, history_entry};

use crate::routes::Routes;

/// All routes of the API.
pub(crate) fn routes(routes: Routes) -> Routes {
    let routes = catalogs::routes(routes);
    let routes = mappings::routes(routes);
    let routes = parked::routes(routes);
    let routes = brakes::routes(routes);
    let routes = history::routes(routes);
    let routes = revert::routes(routes);
    let routes = crate::live::routes(routes);
    health::routes(routes)
}
