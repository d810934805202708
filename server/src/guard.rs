//! Requests that a foreign web page makes a browser send are refused, whatever they ask for. The server listens on
//! loopback without identities, so every page that somebody has open could reach it: by a cross-site request, or under a
//! name of its own that it lets point to this machine (DNS rebinding).

use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::Core;

/// Refuses, or passes on.
pub(crate) async fn browsers(State(core): State<Core>, request: Request, next: Next) -> Response {
    let refused = host(&core, request.uri(), request.headers())
        .and_then(|host| origin(&host, request.headers()))
        .and_then(|()| site(request.method(), request.uri(), request.headers()));
    match refused {
        Ok(()) => next.run(request).await,
        Err(why) => forbidden(request.headers(), &why),
    }
}

/// The authority that the request is for.
fn host(core: &Core, uri: &Uri, headers: &HeaderMap) -> Result<Authority, String> {
    let given = match uri.authority() {
        Some(authority) => Some(authority.clone()),
        None => headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok()?.parse().ok()),
    };
    let Some(authority) = given else {
        return Err("the request names no host".to_owned());
    };
    if core.config.listen.ip().is_loopback()
        && !is_own(authority.host())
        && !core
            .config
            .public_hosts
            .iter()
            .any(|name| name.eq_ignore_ascii_case(authority.host()))
    {
        return Err(format!(
            "this server listens on loopback and does not answer for the host {:?}: use an IP address or localhost, or \
             start it with --public-host NAME for a reverse proxy",
            authority.host()
        ));
    }
    Ok(authority)
}

/// An IP address or localhost: names that nobody else can make point here.
fn is_own(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<std::net::IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost")
}

/// A request with an origin comes from a page of this server.
fn origin(host: &Authority, headers: &HeaderMap) -> Result<(), String> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let uri: Option<Uri> = origin.to_str().ok().and_then(|origin| origin.parse().ok());
    let same = uri.is_some_and(|origin| {
        let usual = match origin.scheme_str() {
            Some("http") => 80,
            Some("https") => 443,
            _ => return false,
        };
        let port = |authority: &Authority| authority.port_u16().unwrap_or(usual);
        origin
            .authority()
            .is_some_and(|other| other.host().eq_ignore_ascii_case(host.host()) && port(other) == port(host))
    });
    if same {
        Ok(())
    } else {
        Err(
            "requests of pages from elsewhere are refused: the request's Origin is not this server"
                .to_owned(),
        )
    }
}

/// What browsers say of themselves (W3C Fetch Metadata). A link from elsewhere may be followed to a page; nothing else
/// from elsewhere is answered. No page posts alerts.
fn site(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), String> {
    let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let webhook = uri.path().starts_with("/webhook/");
    if webhook
        && (headers.contains_key(header::ORIGIN) || said("sec-fetch-site").is_some_and(|s| s != "none"))
    {
        return Err(
            "alerts are not taken from web pages: the request has Origin or Sec-Fetch-Site".to_owned(),
        );
    }
    let elsewhere = matches!(said("sec-fetch-site"), Some("cross-site" | "same-site"));
    let followed = matches!(*method, Method::GET | Method::HEAD)
        && said("sec-fetch-mode") == Some("navigate")
        && said("sec-fetch-dest") == Some("document");
    if elsewhere && !followed {
        return Err("requests of pages from elsewhere are refused: see its Sec-Fetch-Site".to_owned());
    }
    Ok(())
}

/// To a gRPC client in its own words, to all others 403.
fn forbidden(headers: &HeaderMap, why: &str) -> Response {
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.filter(|value| value.as_bytes().starts_with(b"application/grpc"));
    match content_type {
        Some(content_type) => {
            let mut response = tonic::Status::permission_denied(why).into_http::<Body>();
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, content_type.clone());
            response
        }
        None => {
            let body = json!({ "error": "forbidden", "reason": why });
            (StatusCode::FORBIDDEN, Json(body)).into_response()
        }
    }
}
