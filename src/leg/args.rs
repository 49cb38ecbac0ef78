//! FFmpeg's argument lists: build_args (flat), split_rtp_legs (at the second -map), the tee form.
