package tests

import (
	"net/http/httptest"
	"strings"

	"corertc"
)

// posts gives a function that POSTs to the handler directly: a server's and a client's own threads are not counted then.
func posts(s *corertc.Subsystem) func() int {
	return func() int {
		request := httptest.NewRequest("POST", "/whep/cam", strings.NewReader("v=0\r\n"))
		request.Header.Set("Content-Type", "application/sdp")
		recorder := httptest.NewRecorder()
		s.ServeHTTP(recorder, request)
		return recorder.Code
	}
}
