package tests

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"corertc"
)

func TestPionWatchesAndFFmpegMayDie(t *testing.T) {
	s, url := open(t, nil, nil)
	events := s.Events()
	ffmpeg := stream(t, s, "restreamer-ui:ingest:a/b")
	v := playSoon(t, url+"/whep/"+escaped("restreamer-ui:ingest:a/b"), "")
	v.sees(t)
	end(ffmpeg)
	run(t, ffmpeg.Args[1:])
	v.sees(t)
	stats := s.Stats()
	if len(stats.Streams) != 1 || !stats.Streams[0].Live || stats.Streams[0].Viewers != 1 ||
		stats.Streams[0].Video == nil || len(stats.Sessions) != 1 || stats.Counters.PacketsOut == 0 {
		t.Errorf("%s", stats.JSON)
	}
	if err := s.CloseSession(stats.Sessions[0].Session); err != nil {
		t.Error(err)
	}
	v.isTold(t)
	seen := map[corertc.EventKind]corertc.Event{}
	for seen[corertc.ViewerLeft].Kind == 0 {
		select {
		case event := <-events:
			seen[event.Kind] = event
		case <-time.After(patience):
			t.Fatal("no more events after", seen)
		}
	}
	joined, left := seen[corertc.ViewerJoined], seen[corertc.ViewerLeft]
	if joined.StreamID != "restreamer-ui:ingest:a/b" || joined.Detail["session"] != stats.Sessions[0].Session ||
		left.Detail["reason"] == nil || seen[corertc.StreamActive].Kind == 0 {
		t.Error(seen)
	}
}

func TestAStopSaysGoodbyeWithinTheHook(t *testing.T) {
	s, url := open(t, nil, nil)
	ffmpeg := stream(t, s, "cam")
	v := playSoon(t, url+"/whep/cam", "")
	v.sees(t)
	var viewersAtTeardown uint64 = 99
	s.SetTeardownHook(func(string) { viewersAtTeardown = s.Stats().Counters.Viewers })
	end(ffmpeg)
	s.Hooks().OnStop("cam")
	if viewersAtTeardown != 0 {
		t.Error(viewersAtTeardown, "viewers were still there when the hook ran")
	}
	v.isTold(t)
}

func TestAReloadOfTheSameIDKeepsItsViewers(t *testing.T) {
	s, url := open(t, nil, map[string]string{"STOP_LINGER_MS": "20000"})
	ffmpeg := stream(t, s, "cam")
	v := playSoon(t, url+"/whep/cam", "")
	v.sees(t)
	end(ffmpeg)
	s.Hooks().OnStop("cam")
	stream(t, s, "cam")
	v.sees(t)
}

// log keeps lines.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) Log(level corertc.Level, component, message string, fields map[string]any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprint(level, " ", component, " ", message, " ", fields))
}

func TestTheLibrarysLinesReachTheLogger(t *testing.T) {
	said := new(log)
	s, url := open(t, said, nil)
	stream(t, s, "cam")
	playSoon(t, url+"/whep/cam", "").sees(t)
	// The certificate is not that of the offer: the hand-shake fails, and the library logs it.
	v, err := play(url+"/whep/cam", "", func(offer string) string {
		at := strings.Index(offer, "a=fingerprint:sha-256 ") + len("a=fingerprint:sha-256 ")
		return offer[:at] + "00:00:00:00" + offer[at+len("00:00:00:00"):]
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = v.pc.Close() }()
	eventually(t, "the log", func() error {
		said.mu.Lock()
		defer said.mu.Unlock()
		for _, line := range said.lines {
			if strings.HasPrefix(line, "3 WebRTC hand-shake failed map[") && strings.Contains(line, "module:session") {
				return nil
			}
		}
		return fmt.Errorf("%q", said.lines)
	})
	if v.video.Load() != 0 {
		t.Error("it got media")
	}
}

// viewers is a crowd that a Go program can hold on two cores, under the race detector too.
const viewers = 50

func TestCloseWhileAFewDozenWatchAndHooksRun(t *testing.T) {
	s, url := open(t, nil, nil)
	stream(t, s, "cam")
	playSoon(t, url+"/whep/cam", "").sees(t)
	if err := pprof.StartCPUProfile(io.Discard); err != nil {
		t.Fatal(err)
	}
	defer pprof.StopCPUProfile()
	crowd := make([]*viewer, viewers)
	each(viewers, 4, func(i int) {
		var err error
		if crowd[i], err = play(url+"/whep/cam", "", nil); err != nil {
			t.Error(err)
		}
	})
	if t.Failed() {
		return
	}
	defer each(viewers, 8, func(i int) { _ = crowd[i].pc.Close() })
	seesAll(t, crowd)
	stop := make(chan struct{})
	var wait sync.WaitGroup
	for worker := 0; worker < 4; worker++ {
		wait.Add(1)
		go func(id string) {
			defer wait.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := s.Hooks().OnStart(id, nil); err != nil && !errors.Is(err, corertc.ErrClosed) {
					t.Error(err)
				}
				s.Stats()
				s.Hooks().OnStop(id)
			}
		}(fmt.Sprint("other-", worker))
	}
	began := time.Now()
	s.Close()
	took := time.Since(began)
	t.Logf("closing took %v", took)
	if took > 10*time.Second {
		t.Error("too long")
	}
	close(stop)
	wait.Wait()
	for _, v := range crowd {
		v.isTold(t)
	}
}

// each runs fn for 0 to n-1, a few at a time.
func each(n, atOnce int, fn func(i int)) {
	var wait sync.WaitGroup
	turns := make(chan struct{}, atOnce)
	for i := 0; i < n; i++ {
		wait.Add(1)
		turns <- struct{}{}
		go func(i int) {
			defer wait.Done()
			fn(i)
			<-turns
		}(i)
	}
	wait.Wait()
}

func TestFourHundredPostsAtOnceAddFewThreads(t *testing.T) {
	s, url := open(t, nil, nil)
	// Each of them stands in the library until the doorman has looked at it.
	s.SetAuth(func(corertc.AuthRequest) int { time.Sleep(20 * time.Millisecond); return 403 })
	if _, err := s.Hooks().OnStart("cam", nil); err != nil {
		t.Fatal(err)
	}
	_, err := play(url+"/whep/cam", "", nil)
	if !errors.As(err, new(errStatus)) {
		t.Fatal(err)
	}
	before := threads(t)
	var most int
	done := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for {
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
				most = max(most, threads(t))
			}
		}
	}()
	handler := posts(s)
	each(400, 400, func(int) {
		if code := handler(); code != 403 {
			t.Error(code)
		}
	})
	close(done)
	<-watched
	t.Logf("%d threads before, %d at most, %d goroutines after", before, most, runtime.NumGoroutine())
	if most > before+40 {
		t.Errorf("%d threads became %d", before, most)
	}
}

func threads(t testing.TB) int {
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Error(err)
	}
	return len(entries)
}
