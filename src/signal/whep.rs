//! WHEP (draft-ietf-wish-whep): POST, DELETE, OPTIONS, GET/HEAD on endpoint and session.
