//go:build cgo && linux && !corertc_none

package corertc

import (
	"errors"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestTheZeroValueIsDisabledAndInert(t *testing.T) {
	s := open(t, DataWebRTC{})
	if s.Enabled() {
		t.Error("enabled")
	}
	if legs, err := s.MergedHooks().OnStart("cam", nil); len(legs) != 0 || err != nil {
		t.Error(legs, err)
	}
	if legs, err := s.MergedHooks().OnInputStart("cam", nil); len(legs) != 0 || err != nil {
		t.Error(legs, err)
	}
	s.MergedHooks().OnStop("cam")
	s.MergedHooks().OnInputStop("cam")
	if _, err := s.Listen("127.0.0.1:0"); err != nil {
		t.Error(err)
	}
	if code := ask(s, "POST", "/whep/cam", "v=0").Code; code != 404 {
		t.Error(code)
	}
	if count := s.StreamCount(); count != 0 {
		t.Error(count)
	}
}

func TestAStartGivesLegsThatStayUntilTheStop(t *testing.T) {
	s := open(t, local())
	hooks := s.Hooks()
	if hooks.OnInputStart != nil || hooks.OnInputStop != nil {
		t.Error("input hooks among those of the output")
	}
	legs := start(t, s, "restreamer-ui:ingest:a/b")
	if len(legs) != 2 || legs[0].ID != "corertc_video" || legs[1].ID != "corertc_audio" {
		t.Fatal(legs)
	}
	for _, leg := range legs {
		if !strings.HasPrefix(leg.Address, "rtp://127.0.0.1:") {
			t.Error(leg.Address)
		}
		if leg.Options == nil || leg.Options[0] != "-map" {
			t.Error(leg.Options)
		}
		if cap(leg.Options) != len(leg.Options) {
			t.Error("an append to the options would write over what stands behind them")
		}
	}
	if again := start(t, s, "restreamer-ui:ingest:a/b"); !reflect.DeepEqual(legs, again) {
		t.Error("a known id got other arguments:", again)
	}
	if count := s.StreamCount(); count != 1 {
		t.Error(count)
	}
	hooks.OnStop("restreamer-ui:ingest:a/b")
	hooks.OnStop("restreamer-ui:ingest:a/b")
	if count := s.StreamCount(); count != 0 {
		t.Error(count)
	}
}

func TestAProcessConfigReachesTheArguments(t *testing.T) {
	s := open(t, local())
	legs, err := s.Hooks().OnStart("cam", &ProcessConfig{
		VideoMap: "1:v:3", VideoCodec: "vp8", NoAudio: true, VideoBitrate: 777000,
		KeyframeInterval: 1500 * time.Millisecond, PktSize: 1100,
	})
	if err != nil || len(legs) != 1 {
		t.Fatal(legs, err)
	}
	said := strings.Join(legs[0].Options, " ") + " " + legs[0].Address
	for _, words := range []string{"-map 1:v:3", "libvpx", "777000", "pkt_size=1100"} {
		if !strings.Contains(said, words) {
			t.Errorf("%s is not in %s", words, said)
		}
	}
	isolated, err := s.Hooks().OnStart("other", &ProcessConfig{Isolate: true})
	if err != nil || len(isolated) != 1 || isolated[0].ID != "corertc_av" {
		t.Error(isolated, err)
	}
}

func TestErrorsMatchAndCarryTheLibrarysMessage(t *testing.T) {
	taken, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	s := open(t, local())
	begin := func(id string, cfg *ProcessConfig) error {
		_, err := s.Hooks().OnStart(id, cfg)
		return err
	}
	listen := func(addr string) error {
		_, err := s.Listen(addr)
		return err
	}
	withOption := func(name, value string) error {
		cfg := local()
		cfg.Options = map[string]string{name: value}
		return Validate(cfg)
	}
	make := func(change func(*DataWebRTC)) error {
		cfg := local()
		change(&cfg)
		_, err := New(cfg, nil)
		return err
	}
	for _, it := range []struct {
		err   error
		kind  error
		words string
	}{
		{begin("", nil), ErrInvalid, "id"},
		{begin("a\x00b", nil), ErrInvalid, "id"},
		{begin("a\xff", nil), ErrInvalid, "id"},
		{begin(strings.Repeat("x", 513), nil), ErrInvalid, "id"},
		{begin("x", &ProcessConfig{VideoBitrate: -1}), ErrInvalid, "VIDEO_BITRATE"},
		{begin("x", &ProcessConfig{VideoCodec: "theora"}), ErrUnsupported, "VIDEO_CODEC"},
		{begin("x", &ProcessConfig{VideoMap: "a\x00b"}), ErrInvalid, "VIDEO_MAP"},
		{make(func(c *DataWebRTC) { c.PublicIP = "example.org" }), ErrInvalid, "PUBLIC_IP"},
		{make(func(c *DataWebRTC) { c.UDPListen = taken.LocalAddr().String() }), ErrIO, taken.LocalAddr().String()},
		{make(func(c *DataWebRTC) { c.LegPortMin = -1 }), ErrInvalid, "LEG_PORT_MIN"},
		{make(func(c *DataWebRTC) { c.LegPortMin, c.LegPortMax = 5000, 4000 }), ErrInvalid, "LEG_PORT"},
		{make(func(c *DataWebRTC) { c.LogLevel = 9 }), ErrInvalid, "LogLevel"},
		{make(func(c *DataWebRTC) { c.ICEServers = []ICEServer{{URI: "http://x"}} }), ErrInvalid, "http://x"},
		{withOption("NO_SUCH_THING", "1"), ErrUnsupported, "NO_SUCH_THING"},
		{withOption("MAX_SESSIONS", "many"), ErrInvalid, "MAX_SESSIONS"},
		{withOption("PUBLIC_IP", "127.0.0.1"), ErrInvalid, "PUBLIC_IP"},
		{withOption("PLAY_TOKEN", "a\x00b"), ErrInvalid, "PLAY_TOKEN"},
		{withOption("HTTP_TIMEOUT_MS", "99999999999999"), ErrInvalid, "HTTP_TIMEOUT_MS"},
		{s.CloseSession("nobody"), ErrNotFound, "nobody"},
		{listen("nowhere"), ErrInvalid, "nowhere"},
		{listen("127.0.0.1:0"), nil, ""},
		{listen("127.0.0.1:0"), ErrState, "listening"},
	} {
		switch {
		case it.words == "":
			if it.err != nil {
				t.Error(it.err)
			}
		case it.err == nil:
			t.Errorf("no error about %q", it.words)
		case it.kind != nil && !errors.Is(it.err, it.kind):
			t.Errorf("%q is not a %v", it.err, it.kind)
		case !strings.Contains(it.err.Error(), it.words):
			t.Errorf("%q does not say %q", it.err, it.words)
		}
	}
}

func TestAClosedSubsystemAnswersErrClosed(t *testing.T) {
	s := open(t, local())
	start(t, s, "cam")
	before := s.Stats()
	s.Close()
	s.Close()
	_, startErr := s.Hooks().OnStart("cam", nil)
	_, inputErr := s.WHIPHooks().OnInputStart("cam", nil)
	_, badErr := s.Hooks().OnStart("cam", &ProcessConfig{PktSize: -1})
	_, listenErr := s.Listen("127.0.0.1:0")
	for _, err := range []error{
		startErr, inputErr, badErr, listenErr,
		s.RequestKeyframe("cam"), s.InputInterrupt("cam"), s.CloseSession("x"),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
	s.Hooks().OnStop("cam")
	s.WHIPHooks().OnInputStop("cam")
	s.SetTeardownHook(func(string) {})
	s.SetAuth(func(AuthRequest) int { return 0 })
	if _, isOpen := <-s.Events(); isOpen {
		t.Error("an event of a closed subsystem")
	}
	if code := ask(s, "POST", "/whep/cam", "v=0").Code; code != 404 {
		t.Error(code)
	}
	after := s.Stats()
	if !after.Closed || !s.Enabled() || s.StreamCount() != 0 || !reflect.DeepEqual(after.UDP, before.UDP) {
		t.Errorf("%+v", after)
	}
	noHandles(t)
}

func TestEveryPortIsFreeAfterClose(t *testing.T) {
	cfg := local()
	free, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg.UDPListen = free.LocalAddr().String()
	_ = free.Close()
	cfg.LegPortMin, cfg.LegPortMax = 23400, 23403
	for i := 0; i < 5; i++ {
		s := open(t, cfg)
		start(t, s, "one")
		start(t, s, "two")
		if _, err := s.Hooks().OnStart("three", nil); !errors.Is(err, ErrLimit) {
			t.Error(err)
		}
		s.Close()
	}
}

func TestServersAndStatsAreTold(t *testing.T) {
	cfg := local()
	cfg.ICEServers = []ICEServer{{URI: "stun:127.0.0.1:3478"}, {URI: "turn:127.0.0.1:3478?transport=udp", Username: "u", Credential: "c"}}
	s := open(t, cfg)
	want := []string{"stun:127.0.0.1:3478", "turn:127.0.0.1:3478?transport=udp"}
	if got := s.ICEServerURIs(); !reflect.DeepEqual(got, want) {
		t.Error(got)
	}
	start(t, s, "cam \"1\"")
	port, err := s.Listen("127.0.0.1:0")
	if err != nil || port == 0 {
		t.Error(port, err)
	}
	stats := s.Stats()
	if !stats.Enabled || stats.Counters.Streams != 1 || len(stats.UDP) == 0 || stats.HTTP == "" {
		t.Errorf("%+v", stats)
	}
	if len(stats.Streams) != 1 || stats.Streams[0].ID != "cam \"1\"" || len(stats.Streams[0].Legs) != 2 {
		t.Errorf("%+v", stats.Streams)
	}
	if !HasFeature("whep") || HasFeature("flying") || Version() == "" {
		t.Error("features", Version())
	}
}

func TestManySubsystemsLiveSideBySide(t *testing.T) {
	one, two := open(t, local()), open(t, local())
	start(t, one, "cam")
	start(t, two, "cam")
	one.Close()
	if two.StreamCount() != 1 {
		t.Error("the other one ended too")
	}
}
