//! Links that go wrong, through the proxy.
