//go:build cgo && linux && !corertc_none

package corertc

/*
#include <corertc.h>
*/
import "C"

import (
	"fmt"
	"time"
)

// newConfig makes a corertc_config; the caller frees it.
func newConfig(settings []setting, servers []ICEServer) (*C.corertc_config, error) {
	config := C.corertc_config_new()
	for _, it := range settings {
		if err := set(config, it); err != nil {
			C.corertc_config_free(config)
			return nil, err
		}
	}
	for _, server := range servers {
		uri, uriLen := chars(server.URI)
		username, usernameLen := chars(server.Username)
		credential, credentialLen := chars(server.Credential)
		status := C.corertc_config_add_ice_server(config, uri, uriLen, username, usernameLen, credential, credentialLen)
		if status != C.CORERTC_OK {
			C.corertc_config_free(config)
			return nil, fail(kindOf(status), fmt.Sprintf("ICE server %q: not of the form stun:host:port or turn:host:port", server.URI))
		}
	}
	return config, nil
}

func set(config *C.corertc_config, it setting) error {
	if it.isUint {
		return optionError(C.corertc_config_set_u64(config, C.uint32_t(it.number), C.uint64_t(it.uint)), it.name)
	}
	value, length := chars(it.text)
	return optionError(C.corertc_config_set_str(config, C.uint32_t(it.number), value, length), it.name)
}

func optionError(status C.corertc_status, name string) error {
	switch status {
	case C.CORERTC_OK:
		return nil
	case C.CORERTC_E_UNSUPPORTED:
		return fail(ErrUnsupported, name+": not in this build of the library")
	default:
		return fail(kindOf(status), name+": not UTF-8, or with a NUL")
	}
}

// newProcessConfig makes a corertc_process_config, NULL of nil; the caller frees it.
func newProcessConfig(cfg *ProcessConfig) (*C.corertc_process_config, error) {
	if cfg == nil {
		return nil, nil
	}
	config := C.corertc_process_config_new()
	var failed error
	check := func(status C.corertc_status, name string) {
		if failed == nil {
			failed = optionError(status, name)
		}
	}
	putText := func(option C.uint32_t, name, value string) {
		if value != "" {
			start, length := chars(value)
			check(C.corertc_process_config_set_str(config, option, start, length), name)
		}
	}
	putNumber := func(option C.uint32_t, name string, value int64) {
		if value != 0 {
			check(C.corertc_process_config_set_u64(config, option, C.uint64_t(value)), name)
		}
	}
	putSwitch := func(option C.uint32_t, name string, isSet bool, value C.uint64_t) {
		if isSet {
			check(C.corertc_process_config_set_u64(config, option, value), name)
		}
	}
	putText(C.CORERTC_PROCESS_VIDEO_MAP, "VIDEO_MAP", cfg.VideoMap)
	putText(C.CORERTC_PROCESS_AUDIO_MAP, "AUDIO_MAP", cfg.AudioMap)
	putText(C.CORERTC_PROCESS_VIDEO_CODEC, "VIDEO_CODEC", cfg.VideoCodec)
	putText(C.CORERTC_PROCESS_SOURCE_CODEC, "SOURCE_CODEC", cfg.SourceCodec)
	putSwitch(C.CORERTC_PROCESS_VIDEO, "VIDEO", cfg.NoVideo, 0)
	putSwitch(C.CORERTC_PROCESS_AUDIO, "AUDIO", cfg.NoAudio, 0)
	putNumber(C.CORERTC_PROCESS_VIDEO_BITRATE, "VIDEO_BITRATE", int64(cfg.VideoBitrate))
	putNumber(C.CORERTC_PROCESS_AUDIO_BITRATE, "AUDIO_BITRATE", int64(cfg.AudioBitrate))
	putNumber(C.CORERTC_PROCESS_KEYFRAME_INTERVAL_MS, "KEYFRAME_INTERVAL_MS", wholeMilliseconds(cfg.KeyframeInterval))
	putNumber(C.CORERTC_PROCESS_PKT_SIZE, "PKT_SIZE", int64(cfg.PktSize))
	putSwitch(C.CORERTC_PROCESS_ISOLATE, "ISOLATE", cfg.Isolate, 1)
	putSwitch(C.CORERTC_PROCESS_SINGLE_PORT, "SINGLE_PORT", cfg.SinglePort, 1)
	if failed != nil {
		C.corertc_process_config_free(config)
		return nil, failed
	}
	return config, nil
}

// wholeMilliseconds rounds up: a short interval is not none.
func wholeMilliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}
