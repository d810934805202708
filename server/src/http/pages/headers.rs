//! What every page tells the browser: load nothing from elsewhere, run nothing that stands in the page, be in no frame.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::Response,
};

/// No script and no style stands in a page; both come from `/assets/` only.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// For what is taken away as a file: should a browser show it nevertheless, it shows it as nobody's.
const TAKEN: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

/// Other pages learn nothing of where somebody came from. Not `no-referrer`: with it a browser says `Origin: null` for our own
/// forms (Fetch, section 3.2), which the guard against foreign pages refuses.
const REFERRER: &str = "same-origin";

const ALWAYS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, REFERRER),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// Adds them. What says nothing of being kept is not kept: a page is of the moment.
pub(super) async fn guard(mut response: Response) -> Response {
    secure(response.headers_mut());
    let headers = response.headers_mut();
    if headers.contains_key(header::CONTENT_DISPOSITION) {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(TAKEN));
    }
    response
}

pub(super) fn secure(headers: &mut HeaderMap) {
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}
