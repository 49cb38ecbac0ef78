package tests

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const token = "s3cret"

// host is the running example of a core.
type host struct {
	command *exec.Cmd
	url     string
}

// hostProgram is the core, built as its tests are.
var hostProgram = sync.OnceValues(func() (string, error) {
	program := filepath.Join(programs, "core")
	arguments := []string{"build", "-o", program}
	if raceEnabled {
		arguments = append(arguments, "-race")
	}
	build := exec.Command("go", append(arguments, ".")...)
	build.Dir = "../examples/core"
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return program, nil
})

// programs is a directory for what is built.
var programs string

func TestMain(m *testing.M) {
	var err error
	if programs, err = os.MkdirTemp("", "corertc-core"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(programs)
	os.Exit(code)
}

func startHost(t *testing.T, arguments ...string) *host {
	t.Helper()
	program, err := hostProgram()
	if err != nil {
		t.Fatal(err)
	}
	arguments = append([]string{"-listen", "127.0.0.1:0", "-public-ip", "127.0.0.1", "-udp", "127.0.0.1:0", "-token", token}, arguments...)
	h := &host{command: exec.Command(program, arguments...)}
	out, err := h.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	h.command.Stderr = &said
	if err := h.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Where the test ended it already nothing is left to do.
		_ = h.command.Process.Signal(syscall.SIGTERM)
		_ = h.command.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "ready http://") {
		t.Fatal(line, err)
	}
	h.url = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "ready "), "/")
	return h
}

// api calls the core; an object is answered where there is one.
func (h *host) api(t *testing.T, method, path string, body any) map[string]any {
	t.Helper()
	code, answer := h.ask(t, method, "/api/v3"+path, body)
	if code >= 300 {
		t.Fatal(method, path, code, answer)
	}
	object := map[string]any{}
	if answer != "" {
		if err := json.Unmarshal([]byte(answer), &object); err != nil {
			t.Fatal(answer, err)
		}
	}
	return object
}

func (h *host) ask(t *testing.T, method, path string, body any) (int, string) {
	t.Helper()
	sent, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(method, h.url+path, bytes.NewReader(sent))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

type object = map[string]any

// testPicture is a process that anybody may watch.
func testPicture(id string) object {
	return object{
		"id": id, "reconnect": true, "reconnect_delay_ms": 200,
		"input": []object{
			{"id": "picture", "address": "testsrc2=size=160x90:rate=10", "options": []string{"-re", "-f", "lavfi"}},
			{"id": "tone", "address": "sine=frequency=440:sample_rate=48000", "options": []string{"-re", "-f", "lavfi"}},
		},
		"output": []object{{"id": "null", "address": "-", "options": []string{"-map", "0:v:0", "-c", "copy", "-f", "null"}}},
		"webrtc": object{"audio_map": "1:a:0"},
	}
}

func (h *host) pid(t *testing.T, id string) int {
	t.Helper()
	pid, _ := h.api(t, "GET", "/process/"+escaped(id), nil)["pid"].(float64)
	return int(pid)
}

func TestACoreServesRestartsReloadsAndEnds(t *testing.T) {
	const id = "restreamer-ui:ingest:a/b"
	h := startHost(t)
	h.api(t, "POST", "/process", testPicture(id))
	h.api(t, "PUT", "/process/"+escaped(id)+"/start", nil)
	endpoint := h.url + "/whep/" + escaped(id)

	var refused errStatus
	if _, err := play(endpoint, "wrong", nil); !errors.As(err, &refused) || refused.code != 401 {
		t.Error("without the token:", err)
	}
	v := playSoon(t, endpoint, token)
	v.sees(t)
	if !strings.Contains(v.session, "/whep/"+escaped(id)+"/") && !strings.Contains(v.session, "/whep/restreamer-ui%3Aingest%3Aa%2Fb/") {
		t.Error(v.session)
	}
	if _, metrics := h.ask(t, "GET", "/metrics", nil); !strings.Contains(metrics, `corertc_viewers{core="example"} 1`) {
		t.Error(metrics)
	}

	// FFmpeg dies: its supervisor executes the same command line, and the viewer goes on.
	killed := h.pid(t, id)
	if err := syscall.Kill(killed, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another FFmpeg", func() error {
		if pid := h.pid(t, id); pid == 0 || pid == killed {
			return fmt.Errorf("%d after %d", pid, killed)
		}
		return nil
	})
	v.sees(t)
	h.api(t, "PUT", "/process/"+escaped(id)+"/restart", nil)
	v.sees(t)

	// The session's URL needs no token. Another viewer is told when the process stops.
	request, err := http.NewRequest("DELETE", v.session, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := http.DefaultClient.Do(request); err != nil || response.StatusCode != 200 {
		t.Error(response, err)
	}
	v.isTold(t)
	v = playSoon(t, endpoint, token)
	v.sees(t)
	began := time.Now()
	h.api(t, "PUT", "/process/"+escaped(id)+"/stop", nil)
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the stop held the lock for %v", took)
	}
	v.isTold(t)
	if _, err := play(endpoint, token, nil); !errors.As(err, &refused) || refused.code != 404 {
		t.Error("a stopped process:", err)
	}

	// A reload ends the WebRTC side and makes another in the same program; what was running runs again.
	h.api(t, "PUT", "/process/"+escaped(id)+"/start", nil)
	v = playSoon(t, endpoint, token)
	v.sees(t)
	for i := 0; i < 3; i++ {
		h.api(t, "PUT", "/reload", nil)
	}
	v.isTold(t)
	playSoon(t, endpoint, token).sees(t)
	if _, metrics := h.ask(t, "GET", "/metrics", nil); !strings.Contains(metrics, `corertc_stream_live{core="example",stream="`+id+`"} 1`) {
		t.Error(metrics)
	}

	last := h.pid(t, id)
	if err := h.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := h.command.Wait(); err != nil {
		t.Error("the end:", err)
	}
	if err := syscall.Kill(last, 0); err == nil {
		t.Error("FFmpeg outlived the core")
	}
}

func TestACoreWithoutWebRTCRunsItsProcesses(t *testing.T) {
	h := startHost(t, "-webrtc=false")
	h.api(t, "POST", "/process", testPicture("cam"))
	h.api(t, "PUT", "/process/cam/start", nil)
	eventually(t, "FFmpeg", func() error {
		if h.pid(t, "cam") == 0 {
			return errors.New("there is none")
		}
		return nil
	})
	if code, _ := h.ask(t, "POST", "/whep/cam?token="+token, nil); code != 404 {
		t.Error(code)
	}
	h.api(t, "DELETE", "/process/cam", nil)
}
