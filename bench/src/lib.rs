//! What the measuring programs share: a crowd of lean WHEP viewers, servers to put under it, a feed, and the accounting.
//!
//! A run is three processes: the program itself (it only gives orders and computes), a server ([`servers`]) and the
//! viewers with the feed ([`crowd`], [`feed`]). The two children are this very executable again ([`child`]), so CPU and
//! memory of a server are those of a process that does nothing else.

pub mod browser;
pub mod child;
pub mod crowd;
pub mod feed;
pub mod host;
pub mod ingest;
pub mod link;
pub mod plot;
pub mod report;
pub mod run;
pub mod servers;
