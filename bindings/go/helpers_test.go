//go:build cgo && linux && !corertc_none

package corertc

import (
	"fmt"
	"io"
	"net/http/httptest"
	"sort"
	"strings"
	"testing"
	"time"
)

// patience is what a slow machine may take for what a fast one does at once.
const patience = 20 * time.Second

// local keeps the tests to this machine.
func local() DataWebRTC {
	return DataWebRTC{Enable: true, PublicIP: "127.0.0.1", UDPListen: "127.0.0.1:0"}
}

// open makes a subsystem that the test's end closes.
func open(t testing.TB, cfg DataWebRTC) *Subsystem {
	t.Helper()
	s, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// start starts a process.
func start(t testing.TB, s *Subsystem, id string) []ConfigIO {
	t.Helper()
	legs, err := s.Hooks().OnStart(id, nil)
	if err != nil {
		t.Fatal(err)
	}
	return legs
}

// eventually asks until the answer is empty, and fails with the last one.
func eventually(t testing.TB, ask func() string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		answer := ask()
		if answer == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, answer)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// within fails where fn takes too long.
func within(t testing.TB, limit time.Duration, what string, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatalf("%s took longer than %v", what, limit)
	}
}

// noHandles waits until the library has released all that it was given: each once, or the count would be off.
func noHandles(t testing.TB) {
	t.Helper()
	eventually(t, func() string {
		if held := handles.Load(); held != 0 {
			return fmt.Sprintf("%d handles are held", held)
		}
		return ""
	})
}

// ask sends a request through the handler.
func ask(s *Subsystem, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, reader)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func median(times []time.Duration) time.Duration {
	sort.Slice(times, func(a, b int) bool { return times[a] < times[b] })
	return times[len(times)/2]
}
