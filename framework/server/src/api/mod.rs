//! The JSON API: records, operations, events, health.

mod audit;
mod brakes;
mod catalogs;
mod conflicts;
mod explain;
mod extract;
mod health;
mod history;
mod mappings;
mod parked;
mod plan_places;
mod plans;
mod revert;
mod shapes;
mod to_its_end;

pub(crate) use conflicts::{WantedSet, resolve_all};
pub(crate) use explain::{explanations, word};
pub(crate) use extract::{Path, Query};
pub(crate) use health::healthy;
pub(crate) use history::{HistoryQuery, page_of};
pub(crate) use mappings::request_pass;
pub(crate) use plan_places::PlanPlaces;
pub(crate) use plans::{apply_plan_of, totals_in_words};
pub(crate) use revert::{FieldBody as RevertFieldBody, ItemBody as RevertItemBody, RevertBody, reverted};
pub(crate) use shapes::{HistoryEntry, history_entry};

use crate::routes::Routes;

/// All routes of the API.
pub(crate) fn routes(routes: Routes) -> Routes {
    let routes = catalogs::routes(routes);
    let routes = mappings::routes(routes);
    let routes = parked::routes(routes);
    let routes = conflicts::routes(routes);
    let routes = brakes::routes(routes);
    let routes = history::routes(routes);
    let routes = audit::routes(routes);
    let routes = explain::routes(routes);
    let routes = revert::routes(routes);
    let routes = plans::routes(routes);
    let routes = crate::live::routes(routes);
    health::routes(routes)
}
