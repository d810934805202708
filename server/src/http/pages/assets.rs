//! What a browser loads beside the pages.

use ::pages::assets;
use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};

/// Its path has the hash of its content, so it never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// What browsers ask for beside an answer that is no page.
pub(super) async fn icon() -> Redirect {
    Redirect::temporary(&assets::url("icon.svg"))
}

pub(super) async fn serve(Path((version, name)): Path<(String, String)>) -> Response {
    match assets::find(&name).filter(|_| version == assets::version()) {
        Some(asset) => (
            [
                (header::CONTENT_TYPE, asset.media_type),
                (header::CACHE_CONTROL, FOR_EVER),
            ],
            asset.content,
        )
            .into_response(),
        // A page of another version of this server asks for it: what it names is gone, and a reload finds the new one.
        None => (
            StatusCode::NOT_FOUND,
            "no such asset in this version of the server: reload the page\n",
        )
            .into_response(),
    }
}
