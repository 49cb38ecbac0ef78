//go:build !cgo || !linux || corertc_none

package corertc

import (
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestABuildWithoutTheLibraryIsInert(t *testing.T) {
	if _, err := New(DataWebRTC{Enable: true}, nil); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
	if err := Validate(DataWebRTC{Enable: true}); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
	s, err := New(DataWebRTC{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.SetTeardownHook(func(string) {})
	s.SetAuth(func(AuthRequest) int { return 0 })
	events := s.Events()
	if legs, err := s.MergedHooks().OnStart("cam", &ProcessConfig{}); len(legs) != 0 || err != nil {
		t.Error(legs, err)
	}
	s.MergedHooks().OnStop("cam")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("POST", "/whep/cam", nil))
	if w.Code != 404 {
		t.Error(w.Code)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(s.Collector(nil))
	if _, err := registry.Gather(); err != nil {
		t.Error(err)
	}
	s.Stats()
	s.Close()
	s.Close()
	if _, isOpen := <-events; isOpen {
		t.Error("an event")
	}
	if _, err := s.Hooks().OnStart("cam", nil); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}
