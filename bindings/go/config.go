package corertc

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"
)

// DataWebRTC configures a Subsystem. The zero value is disabled.
type DataWebRTC struct {
	// Enable false makes an inert subsystem.
	Enable bool
	// PublicIP is the address that clients are told.
	PublicIP string
	// NAT1To1IPs are several such; they win over PublicIP. Neither: the address of every interface.
	NAT1To1IPs []string
	// UDPListen is the IP:port of the media sockets, several separated by commas. Default: 0.0.0.0:0.
	UDPListen string
	// LegPortMin and LegPortMax are the range of the ports on 127.0.0.1 that FFmpeg writes to and reads from. Default: the
	// system chooses.
	LegPortMin, LegPortMax int
	// PlayToken and PublishToken are what a client has to bring, as bearer token or ?token=. Default: nothing.
	PlayToken, PublishToken string
	// ICEServers are told to clients.
	ICEServers []ICEServer
	// LogLevel is the finest that the Logger gets. Default: LevelInfo.
	LogLevel Level
	// Options are any further options by their C names without the prefix, {"MAX_SESSIONS": "100"} for instance; switches
	// are "0" and "1".
	Options map[string]string
}

// ICEServer is a STUN or TURN server: stun:, stuns:, turn: or turns:.
type ICEServer struct{ URI, Username, Credential string }

// ProcessConfig is one process's own. Zero values are defaults.
type ProcessConfig struct {
	// VideoMap and AudioMap are FFmpeg's -map of each medium. Default: 0:v:0 and 0:a:0.
	VideoMap, AudioMap string
	// VideoCodec is what FFmpeg makes of the video: h264 (default), vp8, or copy.
	VideoCodec string
	// SourceCodec is what copy copies. Default: h264.
	SourceCodec string
	// NoVideo and NoAudio: the source lacks it.
	NoVideo, NoAudio bool
	// VideoBitrate and AudioBitrate are in bit/s.
	VideoBitrate, AudioBitrate int
	// KeyframeInterval is what a new viewer may have to wait for a picture.
	KeyframeInterval time.Duration
	// PktSize is the longest RTP packet that FFmpeg writes, in bytes.
	PktSize int
	// Isolate: one leg that survives a source without video or audio.
	Isolate bool
	// SinglePort: both media on one port.
	SinglePort bool
}

// option is one of the header's: a text or a number.
type option struct {
	name   string
	number uint32
	isUint bool
}

// setting is an option with its value.
type setting struct {
	option
	text string
	uint uint64
}

// settings translates the configuration into options, by name.
func (cfg DataWebRTC) settings() ([]setting, error) {
	values := map[string]string{"ENABLE": "0"}
	if cfg.Enable {
		values["ENABLE"] = "1"
	}
	put := func(name, value string) {
		if value != "" {
			values[name] = value
		}
	}
	put("PUBLIC_IP", cfg.PublicIP)
	put("NAT1TO1_IPS", strings.Join(cfg.NAT1To1IPs, ","))
	put("UDP_LISTEN", cfg.UDPListen)
	put("PLAY_TOKEN", cfg.PlayToken)
	put("PUBLISH_TOKEN", cfg.PublishToken)
	if cfg.LegPortMin != 0 || cfg.LegPortMax != 0 {
		values["LEG_PORT_MIN"] = strconv.Itoa(cfg.LegPortMin)
		values["LEG_PORT_MAX"] = strconv.Itoa(cfg.LegPortMax)
	}
	for name, value := range cfg.Options {
		if _, twice := values[name]; twice {
			return nil, fail(ErrInvalid, fmt.Sprintf("%s: given as a field and among the options", name))
		}
		values[name] = value
	}
	return translate(values)
}

func translate(values map[string]string) ([]setting, error) {
	known := make(map[string]option, len(subsystemOptions))
	for _, option := range subsystemOptions {
		known[option.name] = option
	}
	settings := make([]setting, 0, len(values))
	for name, value := range values {
		option, ok := known[name]
		if !ok {
			return nil, fail(ErrUnsupported, fmt.Sprintf("%s: no option of that name", name))
		}
		it := setting{option: option, text: value}
		if option.isUint {
			number, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return nil, fail(ErrInvalid, fmt.Sprintf("%s: %q is no number", name, value))
			}
			it.uint = number
		}
		settings = append(settings, it)
	}
	sort.Slice(settings, func(a, b int) bool { return settings[a].number < settings[b].number })
	return settings, nil
}

// level is the LogLevel with its default.
func (cfg DataWebRTC) level() (Level, error) {
	switch level := cfg.LogLevel; {
	case level == 0:
		return LevelInfo, nil
	case level < LevelError || level > LevelTrace:
		return 0, fail(ErrInvalid, fmt.Sprintf("LogLevel: %d, not 1 to 5", level))
	default:
		return level, nil
	}
}

// check finds what the library's unsigned numbers could not carry; nil is every default.
func (cfg *ProcessConfig) check() error {
	if cfg == nil {
		return nil
	}
	for _, it := range []struct {
		name  string
		value int64
	}{
		{"VIDEO_BITRATE", int64(cfg.VideoBitrate)},
		{"AUDIO_BITRATE", int64(cfg.AudioBitrate)},
		{"KEYFRAME_INTERVAL_MS", int64(cfg.KeyframeInterval)},
		{"PKT_SIZE", int64(cfg.PktSize)},
	} {
		if it.value < 0 {
			return fail(ErrInvalid, fmt.Sprintf("%s: negative", it.name))
		}
	}
	return nil
}
