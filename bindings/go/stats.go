package corertc

import "encoding/json"

// Counters are numbers of a subsystem: what is there now, then what happened since its start.
type Counters struct {
	// Streams and Inputs are processes with egress legs and with an ingest, Viewers and Publishers connected clients, now.
	Streams, Inputs, Viewers, Publishers uint64
	// SessionsTotal were created, SessionsFailed of them ended before they connected.
	SessionsTotal, SessionsFailed uint64
	// LegPacketsIn and LegBytesIn came from FFmpeg; LegWrongKind had another payload type than their leg's, LegDrops were
	// dropped for other reasons.
	LegPacketsIn, LegBytesIn, LegWrongKind, LegDrops uint64
	// PacketsOut and BytesOut went to viewers, FramesDropped were left out for one.
	PacketsOut, BytesOut, FramesDropped uint64
	// NACKIn are packets that viewers asked for again, Repaired those sent again, PLIIn requests for a key frame.
	NACKIn, Repaired, PLIIn uint64
	// STUNRejected, DTLSFailed and SRTPRejected were refused.
	STUNRejected, DTLSFailed, SRTPRejected uint64
	// HTTP2xx, HTTP4xx and HTTP5xx are answers.
	HTTP2xx, HTTP4xx, HTTP5xx uint64
	// EventsLost and LogLost found their queue full.
	EventsLost, LogLost uint64
}

// Stats are the counters and everything there is.
type Stats struct {
	Counters Counters `json:"-"`
	Enabled  bool     `json:"enabled"`
	Closed   bool     `json:"closed"`
	// UDP are the addresses of the media sockets, HTTP that of the library's own listener.
	UDP      []string       `json:"udp"`
	HTTP     string         `json:"http"`
	Streams  []StreamStats  `json:"streams"`
	Sessions []SessionStats `json:"sessions"`
	// JSON is all that the library says.
	JSON json.RawMessage `json:"-"`
}

// StreamStats are of one stream.
type StreamStats struct {
	ID string `json:"id"`
	// Live: packets come in.
	Live bool `json:"live"`
	// Video and Audio are nil where the stream has none, or none came yet.
	Video   *TrackStats `json:"video"`
	Audio   *TrackStats `json:"audio"`
	Legs    []LegStats  `json:"legs"`
	Viewers uint64      `json:"viewers"`
	Packets uint64      `json:"packets"`
	Bytes   uint64      `json:"bytes"`
	// BitrateBPS is what FFmpeg sends, in bit/s.
	BitrateBPS uint64 `json:"bitrate_bps"`
	// KeyframeIntervalMS is 0 until two key frames came.
	KeyframeIntervalMS float64 `json:"keyframe_interval_ms"`
	// Restarts are FFmpegs that came after the first.
	Restarts uint64 `json:"restarts"`
}

// TrackStats are of one medium of a stream.
type TrackStats struct {
	Codec          string `json:"codec"`
	ProfileLevelID string `json:"profile_level_id"`
}

// LegStats are of one FFmpeg argument list.
type LegStats struct {
	ID          string `json:"id"`
	RTPPort     int    `json:"rtp_port"`
	PayloadType int    `json:"payload_type"`
	ClockRate   int    `json:"clock_rate"`
}

// SessionStats are of one client.
type SessionStats struct {
	// Session is the public id, which CloseSession takes.
	Session    string `json:"session"`
	Stream     string `json:"stream"`
	Direction  string `json:"direction"`
	RemoteAddr string `json:"remote_addr"`
	MediaAddr  string `json:"media_addr"`
	UserAgent  string `json:"user_agent"`
	// State is new, checking or connected.
	State         string  `json:"state"`
	Packets       uint64  `json:"packets"`
	Bytes         uint64  `json:"bytes"`
	FramesDropped uint64  `json:"frames_dropped"`
	LossPercent   float64 `json:"loss_percent"`
	RTTMS         float64 `json:"rtt_ms"`
	Seconds       float64 `json:"seconds"`
}

// Stats gives the numbers of this moment; of a closed subsystem those of its end.
func (s *Subsystem) Stats() Stats {
	core, leave := s.enter()
	defer leave()
	stats := Stats{Counters: core.counters(), JSON: core.statsJSON()}
	// A build without the library says nothing.
	_ = json.Unmarshal(stats.JSON, &stats)
	stats.Counters.EventsLost += s.callbacks.events.lostCount()
	stats.Counters.LogLost += s.callbacks.log.lostCount()
	return stats
}
