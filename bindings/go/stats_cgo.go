//go:build cgo && linux && !corertc_none

package corertc

/*
#include <corertc.h>
*/
import "C"

func (lib *library) counters() Counters {
	stats := C.corertc_stats{size: C.sizeof_corertc_stats}
	if C.corertc_subsystem_stats(lib.subsystem, &stats) != C.CORERTC_OK {
		return Counters{}
	}
	return Counters{
		Streams:        uint64(stats.streams),
		Inputs:         uint64(stats.inputs),
		Viewers:        uint64(stats.viewers),
		Publishers:     uint64(stats.publishers),
		SessionsTotal:  uint64(stats.sessions_total),
		SessionsFailed: uint64(stats.sessions_failed),
		LegPacketsIn:   uint64(stats.leg_packets_in),
		LegBytesIn:     uint64(stats.leg_bytes_in),
		LegWrongKind:   uint64(stats.leg_wrong_kind),
		LegDrops:       uint64(stats.leg_drops),
		PacketsOut:     uint64(stats.packets_out),
		BytesOut:       uint64(stats.bytes_out),
		FramesDropped:  uint64(stats.frames_dropped),
		NACKIn:         uint64(stats.nack_in),
		Repaired:       uint64(stats.repaired),
		PLIIn:          uint64(stats.pli_in),
		STUNRejected:   uint64(stats.stun_rejected),
		DTLSFailed:     uint64(stats.dtls_failed),
		SRTPRejected:   uint64(stats.srtp_rejected),
		HTTP2xx:        uint64(stats.http_2xx),
		HTTP4xx:        uint64(stats.http_4xx),
		HTTP5xx:        uint64(stats.http_5xx),
		EventsLost:     uint64(stats.events_lost),
		LogLost:        uint64(stats.log_lost),
	}
}
