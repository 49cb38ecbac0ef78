#!/bin/sh
# Prints the path of an FFmpeg that has the WHIP muxer (8 or later): $CORERTC_WHIP_FFMPEG, the system's, or the one of
# the Python package imageio-ffmpeg, put into the directory given.
set -eu

can_whip() { "$1" -hide_banner -h muxer=whip 2>/dev/null | grep -q dtls_active; }

for known in "${CORERTC_WHIP_FFMPEG:-}" "$(command -v ffmpeg || true)"; do
    if [ -n "$known" ] && can_whip "$known"; then
        echo "$known"
        exit 0
    fi
done

dir=${1:?"a directory to install into"}
ask='import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())'
if ! "$dir/bin/python3" -c "$ask" 2>/dev/null; then
    python3 -m venv "$dir" >&2
    "$dir/bin/python3" -m pip install --quiet --disable-pip-version-check imageio-ffmpeg >&2
    "$dir/bin/python3" -c "$ask"
fi
