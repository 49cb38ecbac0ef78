//go:build cgo && linux && !corertc_none

package corertc

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestTheTeardownHookRunsWithinOnStopAndClose(t *testing.T) {
	s := open(t, local())
	var ended []string
	s.SetTeardownHook(func(id string) { ended = append(ended, id) })
	start(t, s, "one")
	start(t, s, "two")
	s.Hooks().OnStop("one")
	if len(ended) != 1 || ended[0] != "one" {
		t.Error(ended)
	}
	s.Hooks().OnStop("one")
	s.Close()
	if len(ended) != 2 || ended[1] != "two" {
		t.Error(ended)
	}
	noHandles(t)
}

func TestATeardownHookIsReplacedAndDetached(t *testing.T) {
	s := open(t, local())
	var first, second int
	s.SetTeardownHook(func(string) { first++ })
	s.SetTeardownHook(func(string) { second++ })
	start(t, s, "a")
	s.Hooks().OnStop("a")
	s.SetTeardownHook(nil)
	start(t, s, "a")
	s.Hooks().OnStop("a")
	if first != 0 || second != 1 {
		t.Error(first, second)
	}
}

func TestATeardownHookMayCallBack(t *testing.T) {
	s := open(t, local())
	hooks := s.MergedHooks()
	var again error
	var calls int
	s.SetTeardownHook(func(id string) {
		calls++
		if id != "one" {
			return
		}
		_, again = hooks.OnStart(id, nil)
		hooks.OnStop(id)
		hooks.OnStop("two")
		start(t, s, "three")
		s.StreamCount()
		s.Stats()
		ask(s, "GET", "/healthz", "")
		s.SetTeardownHook(func(string) { calls++ })
		_ = s.CloseSession("nobody")
	})
	start(t, s, "one")
	start(t, s, "two")
	within(t, patience, "a hook that calls back", func() { hooks.OnStop("one") })
	if !errors.Is(again, ErrState) || errors.Is(again, ErrClosed) {
		t.Errorf("a start of the id that ends: %v", again)
	}
	if s.StreamCount() != 1 || calls != 2 {
		t.Error(s.StreamCount(), calls)
	}
}

func TestCloseFromInsideAHookReturnsAtOnce(t *testing.T) {
	s := open(t, local())
	s.SetTeardownHook(func(string) {
		s.Close()
		// It is still at work; to its caller it is closed.
		_, bad := s.Hooks().OnStart("", nil)
		for _, err := range []error{s.RequestKeyframe("nobody"), s.InputInterrupt("nobody"), s.CloseSession("x"), bad} {
			if !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
		}
	})
	start(t, s, "one")
	start(t, s, "two")
	within(t, patience, "the stop", func() { s.Hooks().OnStop("one") })
	within(t, patience, "the end", s.Close)
	if _, err := s.Hooks().OnStart("one", nil); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	noHandles(t)
}

// A hook that waits for another goroutine, which wants what the hook holds up.
func TestSettingAndCloseDoNotWaitForAHookThatWaitsForThem(t *testing.T) {
	s := open(t, local())
	s.SetTeardownHook(func(string) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.SetTeardownHook(nil)
			s.SetWHIPTeardownHook(nil)
			s.SetAuth(func(AuthRequest) int { return 0 })
			s.SetAuth(nil)
			s.Close()
		}()
		<-done
	})
	start(t, s, "cam")
	within(t, patience, "the stop", func() { s.Hooks().OnStop("cam") })
	within(t, patience, "the end", s.Close)
	noHandles(t)
}

func TestASlowTeardownHookIsWaitedFor(t *testing.T) {
	s := open(t, local())
	var ended atomic.Bool
	s.SetTeardownHook(func(string) {
		time.Sleep(300 * time.Millisecond)
		ended.Store(true)
	})
	start(t, s, "cam")
	s.Close()
	if !ended.Load() {
		t.Error("closed before its hook had ended")
	}
}

func TestAPanicInACallbackIsLoggedAndEndsThere(t *testing.T) {
	log := new(lines)
	s, err := New(local(), log)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.SetTeardownHook(func(string) { panic("in a hook") })
	s.SetAuth(func(AuthRequest) int { panic("of the doorman") })
	start(t, s, "cam")
	start(t, s, "other")
	if w := ask(s, "POST", "/whep/cam", "v=0", "Content-Type", "application/sdp"); w.Code != 500 {
		t.Error(w.Code, w.Body)
	}
	s.Hooks().OnStop("cam")
	s.Close()
	if n := log.count("panic in the teardown hook: in a hook"); n != 2 {
		t.Error(n, "lines of two panics")
	}
	if n := log.count("panic in the auth callback: of the doorman"); n != 1 {
		t.Error(n, "lines of one panic")
	}
	noHandles(t)
}

func TestTheAuthCallbackDecides(t *testing.T) {
	s := open(t, local())
	start(t, s, "a/b")
	var mu sync.Mutex
	var asked AuthRequest
	answer := 403
	s.SetAuth(func(r AuthRequest) int {
		mu.Lock()
		defer mu.Unlock()
		asked = r
		return answer
	})
	post := func() int {
		return ask(s, "POST", "/whep/a%2Fb?token=t&x=1", "v=0", "Content-Type", "application/sdp",
			"User-Agent", "somebody").Code
	}
	if code := post(); code != 403 {
		t.Error(code)
	}
	want := AuthRequest{
		Action: ActionPlay, StreamID: "a/b", Token: "t", Query: "token=t&x=1",
		RemoteAddr: "192.0.2.1:1234", UserAgent: "somebody",
	}
	if asked != want {
		t.Errorf("%+v", asked)
	}
	answer = 200
	if code := post(); code == 403 || code == 401 {
		t.Error(code)
	}
	s.SetAuth(nil)
	answer = 403
	if code := post(); code == 403 {
		t.Error(code)
	}
}

func TestEventsBeforeAndAfterClose(t *testing.T) {
	s := open(t, local())
	events := s.Events()
	if s.Events() != events {
		t.Error("another channel")
	}
	for i := 0; i < eventsMax+5; i++ {
		s.callbacks.events.put(Warning, "cam", []byte(`{"code":"b_frames"}`))
	}
	if lost := s.Stats().Counters.EventsLost; lost != 5 {
		t.Error(lost, "lost")
	}
	if event := <-events; event.Kind != Warning || event.StreamID != "cam" || event.Detail["code"] != "b_frames" {
		t.Error(event)
	}
	s.Close()
	s.callbacks.events.put(Warning, "late", nil)
	for range events {
	}
	noHandles(t)
}

// lines is a Logger that keeps what it is told.
type lines struct {
	mu   sync.Mutex
	said []string
	hold func()
}

func (l *lines) Log(level Level, component, message string, fields map[string]any) {
	if l.hold != nil {
		l.hold()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	module, _ := fields["module"].(string)
	l.said = append(l.said, component+"/"+module+": "+message)
}

func (l *lines) count(words string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.said {
		if strings.Contains(line, words) {
			n++
		}
	}
	return n
}
