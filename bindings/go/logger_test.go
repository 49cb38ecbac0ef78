//go:build cgo && linux && !corertc_none

package corertc

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
)

// logged makes a subsystem that says all it can.
func logged(t *testing.T, logger Logger, level Level) *Subsystem {
	t.Helper()
	cfg := local()
	cfg.LogLevel = level
	s, err := New(cfg, logger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestALoggerOfTwoSubsystemsGetsALineOnce(t *testing.T) {
	shared, other := new(lines), new(lines)
	sinks := []*logSink{attachLog(shared, LevelInfo), attachLog(shared, LevelDebug), attachLog(other, LevelWarn)}
	deliverLine(LevelInfo, "leg", "one", []byte(`{"a":1}`))
	deliverLine(LevelDebug, "leg", "two", nil)
	deliverLine(LevelTrace, "leg", "three", nil)
	for _, sink := range sinks {
		sink.detach()
	}
	deliverLine(LevelError, "leg", "four", nil)
	if got := strings.Join(shared.said, ", "); got != "WebRTC/leg: one, WebRTC/leg: two" &&
		got != "WebRTC/leg: two, WebRTC/leg: one" {
		t.Error(got)
	}
	if len(other.said) != 0 {
		t.Error(other.said)
	}
}

func TestTheLibrarySaysWhatItDoes(t *testing.T) {
	said := new(lines)
	s := logged(t, said, LevelDebug)
	start(t, s, "cam")
	ask(s, "POST", "/whep/cam?token=s3cret", "v=0", "Content-Type", "application/sdp")
	s.Hooks().OnStop("cam")
	s.Close()
	for _, words := range []string{"subsystem started", "process started", "answered", "process stopped", "subsystem closed"} {
		if said.count(words) != 1 {
			t.Errorf("%s: %q", words, said.said)
		}
	}
	if said.count("s3cret") != 0 {
		t.Errorf("a token was logged: %q", said.said)
	}
}

// unhashable loggers can't be compared.
type unhashable struct {
	_    []int
	said *lines
}

func (u unhashable) Log(level Level, component, message string, fields map[string]any) {
	u.said.Log(level, component, message, fields)
}

func TestLoggersThatCannotBeCompared(t *testing.T) {
	said := new(lines)
	one, two := attachLog(unhashable{said: said}, LevelInfo), attachLog(unhashable{said: said}, LevelInfo)
	deliverLine(LevelInfo, "leg", "hello", nil)
	one.detach()
	two.detach()
	if n := said.count("hello"); n != 2 {
		t.Error(n)
	}
}

func TestALoggerMayPanicBlockAndCallBack(t *testing.T) {
	blocked := make(chan struct{})
	defer close(blocked)
	blocking := logged(t, &lines{hold: func() { <-blocked }}, LevelTrace)
	panicking := logged(t, &lines{hold: func() { panic("in the logger") }}, LevelTrace)
	calling := new(lines)
	var called, closed atomic.Pointer[Subsystem]
	calling.hold = func() {
		if s := called.Load(); s != nil {
			s.StreamCount()
		}
	}
	s := logged(t, calling, LevelInfo)
	called.Store(s)
	closing := new(lines)
	closing.hold = func() {
		if s := closed.Load(); s != nil {
			s.Close()
		}
	}
	ending := logged(t, closing, LevelInfo)
	closed.Store(ending)
	for i := 0; i < 2*linesMax; i++ {
		deliverLine(LevelInfo, "leg", "line", nil)
	}
	for _, it := range []*Subsystem{blocking, panicking, s, ending} {
		within(t, patience, "the end", it.Close)
	}
	if blocking.Stats().Counters.LogLost == 0 {
		t.Error("no line was lost where nobody took one")
	}
}

func TestALoggerOfARefusedConfigurationIsLetGo(t *testing.T) {
	before := len(sinks.open)
	cfg := local()
	cfg.PublicIP = "nowhere"
	if _, err := New(cfg, new(lines)); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	if len(sinks.open) != before {
		t.Error("the logger is still held")
	}
}
