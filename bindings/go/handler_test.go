//go:build cgo && linux && !corertc_none

package corertc

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTheHandlerReplacesWhatMiddlewareSet(t *testing.T) {
	s := open(t, local())
	r := httptest.NewRequest("OPTIONS", "/whep/cam", nil)
	r.Header.Set("Origin", "https://example.org")
	w := httptest.NewRecorder()
	w.Header().Set("Access-Control-Allow-Origin", "https://middleware.example")
	w.Header().Set("X-Middleware", "stays")
	s.ServeHTTP(w, r)
	if got := w.Header().Values("Access-Control-Allow-Origin"); len(got) != 1 || got[0] != "*" {
		t.Error(got)
	}
	if w.Header().Get("X-Middleware") != "stays" || w.Header().Get("Accept-Post") != "application/sdp" {
		t.Error(w.Header())
	}
}

func TestSeveralValuesOfOneHeaderAllArrive(t *testing.T) {
	answer := response{status: 201, headers: "Link: a\r\nlink: b\r\nETag: \"x: y\"\r\n", body: []byte("v=0")}
	w := httptest.NewRecorder()
	w.Header().Set("Link", "the middleware's")
	answer.write(w)
	if got := w.Header().Values("Link"); len(got) != 2 || got[0] != "a" || got[1] != "b" {
		t.Error(got)
	}
	if w.Code != 201 || w.Header().Get("ETag") != `"x: y"` || w.Body.String() != "v=0" {
		t.Error(w)
	}
}

func TestTheIDIsTakenFromTheEscapedPath(t *testing.T) {
	s := open(t, local())
	start(t, s, "restreamer-ui:ingest:a/b é")
	for _, target := range []string{
		"/whep/restreamer-ui%3Aingest%3Aa%2Fb%20%C3%A9", "/whep/restreamer-ui:ingest:a%2Fb%20%c3%a9?token=x",
	} {
		// The stream is known, and has no packets.
		w := ask(s, "POST", target, "v=0\r\n", "Content-Type", "application/sdp")
		if w.Code == 404 {
			t.Error(target, w.Body)
		}
	}
	if w := ask(s, "POST", "/whep/nobody", "v=0\r\n", "Content-Type", "application/sdp"); w.Code != 404 {
		t.Error(w)
	}
}

func TestALongBodyIs413AndNotReadWhole(t *testing.T) {
	cfg := local()
	cfg.Options = map[string]string{"HTTP_BODY_MAX": "1000"}
	s := open(t, cfg)
	start(t, s, "cam")
	body := strings.NewReader(strings.Repeat("a", 1<<20))
	r := httptest.NewRequest("POST", "/whep/cam", body)
	r.Header.Set("Content-Type", "application/sdp")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != 413 {
		t.Error(w.Code, w.Body)
	}
	if read := 1<<20 - body.Len(); read > 1001 {
		t.Error("read", read)
	}
}

func TestStrangeRequestsAreAnswered(t *testing.T) {
	s := open(t, local())
	for _, change := range []func(*http.Request){
		func(r *http.Request) { r.Header.Set("User-Agent", "\xff\xfe") },
		func(r *http.Request) { r.Header["X-Two\r\nLines"] = []string{"x"} },
		func(r *http.Request) { r.Header.Set("X-Split", "a\r\nX-Evil: b") },
		func(r *http.Request) { r.RemoteAddr = "@" },
		func(r *http.Request) { r.RemoteAddr = "" },
		func(r *http.Request) { r.URL.RawQuery = "a=\"<>|" },
		func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/whep/\x00", "" },
		func(r *http.Request) { r.Host = "" },
		func(r *http.Request) { r.Body = nil },
	} {
		r := httptest.NewRequest("POST", "/whep/nobody", strings.NewReader("v=0"))
		change(r)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code < 400 || w.Code > 499 {
			t.Errorf("%d to %+v", w.Code, r)
		}
	}
}

func TestAClientThatLeftDoesNotWaitForItsTurn(t *testing.T) {
	s := open(t, local())
	for i := 0; i < callsMax; i++ {
		calls <- struct{}{}
	}
	defer func() {
		for i := 0; i < callsMax; i++ {
			<-calls
		}
	}()
	ctx, leave := context.WithCancel(context.Background())
	r := httptest.NewRequest("GET", "/", nil).WithContext(ctx)
	leave()
	within(t, patience, "a request of nobody", func() { s.ServeHTTP(httptest.NewRecorder(), r) })
}

func TestPagesAreServedBelowAPrefix(t *testing.T) {
	cfg := local()
	cfg.Options = map[string]string{"PATH_PREFIX": "/rtc"}
	s := open(t, cfg)
	if w := ask(s, "GET", "/rtc/play/cam", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "<video") {
		t.Error(w.Code, w.Body)
	}
	if w := ask(s, "GET", "/rtc/healthz", ""); w.Code != 200 {
		t.Error(w.Code)
	}
	if w := ask(s, "GET", "/play/cam", ""); w.Code != 404 {
		t.Error(w.Code)
	}
}
