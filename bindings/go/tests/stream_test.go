package tests

import (
	"net/http/httptest"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"corertc"
)

// open makes a subsystem behind a server; both end with the test.
func open(t testing.TB, logger corertc.Logger, options map[string]string) (*corertc.Subsystem, string) {
	t.Helper()
	s, err := corertc.New(corertc.DataWebRTC{
		Enable: true, PublicIP: "127.0.0.1", UDPListen: "127.0.0.1:0", LogLevel: corertc.LevelDebug, Options: options,
	}, logger)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		s.Close()
		server.Close()
	})
	return s, server.URL
}

// source is FFmpeg's arguments for a small moving picture and a tone.
var source = []string{
	"-hide_banner", "-loglevel", "error",
	"-re", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=10",
	"-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
}

// twoInputs says where in source the media are.
var twoInputs = &corertc.ProcessConfig{
	VideoMap: "0:v:0", AudioMap: "1:a:0", VideoBitrate: 100_000, KeyframeInterval: time.Second,
}

// arguments appends what the hook gave.
func arguments(legs []corertc.ConfigIO) []string {
	all := append([]string(nil), source...)
	for _, leg := range legs {
		all = append(append(all, leg.Options...), leg.Address)
	}
	return all
}

// run starts FFmpeg, which ends with the test at the latest.
func run(t testing.TB, arguments []string) *exec.Cmd {
	t.Helper()
	ffmpeg := exec.Command("ffmpeg", arguments...)
	if err := ffmpeg.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(ffmpeg) })
	return ffmpeg
}

// end kills FFmpeg and waits.
func end(ffmpeg *exec.Cmd) {
	_ = ffmpeg.Process.Signal(syscall.SIGKILL)
	_ = ffmpeg.Wait()
}

// stream starts a process with FFmpeg.
func stream(t testing.TB, s *corertc.Subsystem, id string) *exec.Cmd {
	t.Helper()
	legs, err := s.Hooks().OnStart(id, twoInputs)
	if err != nil {
		t.Fatal(err)
	}
	return run(t, arguments(legs))
}
