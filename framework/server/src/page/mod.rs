//! placeholder
use crate::access::Caller;
use crate::app::App;
use crate::problem::Problem;
use crate::routes::Routes;
use axum::response::{IntoResponse, Response};

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
}
pub(crate) async fn failure(_: &App, _: Option<&Caller>, problem: &Problem) -> Response {
    problem.clone().into_response()
}
