//! Style, script and icon, compiled in. Their addresses hold a digest of their content, so browsers keep them until they change.

use crate::access::Access;
use crate::api::{Path, Query};
use crate::problem::Problem;
use crate::routes::{Answer, Endpoint, Routes};
use axum::http::{HeaderName, Method, header};
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

const FILES: [(&str, &str, &str); 3] = [
    ("page.css", "text/css; charset=utf-8", include_str!("../../assets/page.css")),
    ("page.js", "text/javascript; charset=utf-8", include_str!("../../assets/page.js")),
    ("icon.svg", "image/svg+xml", include_str!("../../assets/icon.svg")),
];

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    for (_, _, content) in FILES {
        digest.update(content.as_bytes());
    }
    hex::encode(&digest.finalize()[..6])
});

pub(super) fn routes(routes: Routes) -> Routes {
    routes.add(
        Endpoint::new(Method::GET, "/assets/{file}", Access::Public, "Style, script and icon of the page")
            .query::<Asked>()
            .sends(200, Answer::Other("text/plain")),
        serve,
    )
}

/// The address of a file.
pub(super) fn url(file: &str) -> String {
    format!("/assets/{file}?v={}", *VERSION)
}

#[derive(Deserialize, JsonSchema)]
struct Asked {
    /// A digest of the content; with the present one, the answer may be kept for ever.
    v: Option<String>,
}

async fn serve(
    Path(file): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<([(HeaderName, &'static str); 2], &'static str), Problem> {
    let (_, media, content) = FILES
        .into_iter()
        .find(|(name, _, _)| *name == file)
        .ok_or_else(|| Problem::not_found("such file"))?;
    let present = asked.v.as_ref() == Some(&*VERSION);
    let keep = if present { "public, max-age=31536000, immutable" } else { "no-cache" };
    Ok(([(header::CONTENT_TYPE, media), (header::CACHE_CONTROL, keep)], content))
}
