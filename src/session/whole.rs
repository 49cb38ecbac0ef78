//! MISSING_MEDIA 2: an offer is answered in whole or not at all (P086).

use crate::sdp::{MediaAnswer, Offer, SdpError};

/// Unacceptable where an audio or video section of the offer has no track.
pub(super) fn whole(offer: &Offer, chosen: &[MediaAnswer]) -> Result<(), SdpError> {
    for (index, section) in offer.media.iter().enumerate() {
        let wanted = matches!(section.kind.as_str(), "audio" | "video") && !section.rejected;
        if wanted && !chosen.iter().any(|answer| answer.index == index) {
            return Err(SdpError::Unacceptable(format!(
                "the stream has no {} for m-section {index} (MISSING_MEDIA)",
                section.kind
            )));
        }
    }
    Ok(())
}
