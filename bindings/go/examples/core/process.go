package main

import (
	"bytes"
	"log/slog"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// killAfter is how long FFmpeg has to end after SIGINT.
const killAfter = 5 * time.Second

// process keeps one FFmpeg running: its command line is fixed, and executed again after its end.
type process struct {
	id        string
	command   []string
	reconnect bool
	delay     time.Duration

	stopping chan struct{}
	ended    chan struct{}

	mu     sync.Mutex
	ffmpeg *exec.Cmd
	starts int
}

func newProcess(id string, command []string, reconnect bool, delayMS int) *process {
	return &process{
		id: id, command: command, reconnect: reconnect, delay: time.Duration(delayMS) * time.Millisecond,
		stopping: make(chan struct{}), ended: make(chan struct{}),
	}
}

func (p *process) start() { go p.supervise() }

func (p *process) supervise() {
	defer close(p.ended)
	for {
		p.execute()
		if !p.reconnect {
			<-p.stopping
			return
		}
		select {
		case <-p.stopping:
			return
		case <-time.After(p.delay):
		}
	}
}

// execute runs FFmpeg once. Its environment is empty, and what it says goes to the log at its end.
func (p *process) execute() {
	var said bytes.Buffer
	ffmpeg := exec.Command("ffmpeg", p.command...)
	ffmpeg.Env, ffmpeg.Stderr = []string{}, &said
	p.mu.Lock()
	select {
	case <-p.stopping:
		p.mu.Unlock()
		return
	default:
	}
	err := ffmpeg.Start()
	if err == nil {
		p.ffmpeg = ffmpeg
		p.starts++
	}
	p.mu.Unlock()
	if err == nil {
		err = ffmpeg.Wait()
	}
	p.mu.Lock()
	p.ffmpeg = nil
	p.mu.Unlock()
	slog.Info("ffmpeg ended", "id", p.id, "status", err, "stderr", said.String())
}

// interrupt sends SIGINT, once.
func (p *process) interrupt() { p.signal(syscall.SIGINT) }

// stop ends FFmpeg and waits until it is gone.
func (p *process) stop() {
	p.mu.Lock()
	close(p.stopping)
	p.mu.Unlock()
	p.interrupt()
	select {
	case <-p.ended:
		return
	case <-time.After(killAfter):
	}
	slog.Warn("ffmpeg is killed", "id", p.id)
	p.signal(syscall.SIGKILL)
	<-p.ended
}

func (p *process) signal(signal syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ffmpeg != nil {
		// It may have ended by itself.
		_ = p.ffmpeg.Process.Signal(signal)
	}
}

// state is the id of the running FFmpeg, 0 where none runs, and how often it was executed.
func (p *process) state() (pid, starts int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ffmpeg != nil {
		pid = p.ffmpeg.Process.Pid
	}
	return pid, p.starts
}
