//! HTTP in front of `signal`: router, CORS, pages, the library's own listener, and requests a host passes in.
