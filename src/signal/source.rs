//! What `/whep/<id>` plays: a process's egress, an ingest, or one simulcast layer of it.

use std::sync::Arc;

use ::http::{Response, StatusCode};
use bytes::Bytes;

use super::problem::problem;
use super::whep::no_media;
use super::{Request, Signal, route};
use crate::stream::layers::NoLayer;
use crate::stream::{IngestPoint, Stream};

/// Characters of an unknown name that are said again.
const NAME_MAX: usize = 64;

/// The answer instead of the media.
type Refusal = Box<Response<Bytes>>;

/// What a player asked for.
pub(super) struct Source {
    stream: Arc<Stream>,
    layer: Option<(Arc<IngestPoint>, String)>,
}

/// The process's egress; with WHIP_DIRECT what is published under the id, where it has no egress or `?source=ingest` says
/// so, and of that the layer `&rid=` names.
pub(super) fn find(signal: &Signal, request: &Request, id: &str) -> Result<Source, Refusal> {
    let query = request.http.uri().query().unwrap_or("");
    let wants_ingest = route::query_value(query, &["source"]).as_deref() == Some("ingest");
    let rid = route::query_value(query, &["rid"]);
    let egress = signal.streams.find(id).filter(|_| !wants_ingest);
    if let Some(stream) = egress {
        if rid.is_some() {
            let detail = "rid names a layer of what is published here: add source=ingest";
            return Err(Box::new(problem(StatusCode::BAD_REQUEST, detail)));
        }
        let layer = None;
        return Ok(Source { stream, layer });
    }
    let point = signal.ingests.find(id);
    let Some(point) = point.filter(|_| signal.settings.whip_direct) else {
        let detail = match wants_ingest {
            true => "no ingest of this id can be played",
            false => "no stream has this id",
        };
        return Err(Box::new(problem(StatusCode::NOT_FOUND, detail)));
    };
    Ok(Source {
        stream: point.stream().clone(),
        layer: rid.map(|rid| (point, rid)),
    })
}

impl Source {
    /// Whose media must be there before anything can be played.
    pub(super) fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// The stream to play, and the name of the layer that it is.
    pub(super) fn layer(self) -> Result<(Arc<Stream>, Option<String>), Refusal> {
        let Some((point, rid)) = self.layer else {
            return Ok((self.stream, None));
        };
        match point.layer(&rid) {
            Ok(layer) => Ok((layer.stream().clone(), Some(rid))),
            Err(NoLayer::NoPublisher) => Err(Box::new(no_media())),
            Err(NoLayer::Unknown(rids)) => {
                let name: String = rid.chars().take(NAME_MAX).collect();
                let there = match rids.is_empty() {
                    true => "it sends one layer only".to_owned(),
                    false => format!("there are {}", rids.join(", ")),
                };
                let detail = format!("the publisher has no layer {name:?}: {there}");
                Err(Box::new(problem(StatusCode::NOT_FOUND, &detail)))
            }
        }
    }
}
