package main

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"corertc"
)

// config is a process as the user describes it.
type config struct {
	ID     string `json:"id"`
	Input  []io   `json:"input"`
	Output []io   `json:"output"`
	// Reconnect: it is executed again after its end.
	Reconnect        bool          `json:"reconnect"`
	ReconnectDelayMS int           `json:"reconnect_delay_ms"`
	WebRTC           *webRTCConfig `json:"webrtc"`
}

// io is an input or output. An input at the address {whip} is what a publisher sends.
type io struct {
	ID      string   `json:"id"`
	Address string   `json:"address"`
	Options []string `json:"options"`
}

// webRTCConfig is the process's own; without it nobody can watch it over WebRTC.
type webRTCConfig struct {
	VideoMap    string `json:"video_map"`
	AudioMap    string `json:"audio_map"`
	VideoCodec  string `json:"video_codec"`
	SourceCodec string `json:"source_codec"`
	NoVideo     bool   `json:"no_video"`
	NoAudio     bool   `json:"no_audio"`
	Isolate     bool   `json:"isolate"`
}

const whipAddress = "{whip}"

var errUnknown = errors.New("no such process")

// restream has all processes, behind one lock that is held across hooks and across waiting for FFmpeg's end. It is not
// reentrant: a hook that called back here would stop the whole core.
type restream struct {
	lock      sync.Mutex
	tasks     map[string]*task
	hooks     corertc.ProcessHooks
	interrupt func(id string) error
}

// task is a process that is there; its FFmpeg lives between start and stop.
type task struct {
	config config
	ffmpeg *process
}

func newRestream() *restream {
	return &restream{tasks: make(map[string]*task)}
}

func (r *restream) setHooks(hooks corertc.ProcessHooks, interrupt func(string) error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.hooks, r.interrupt = hooks, interrupt
}

func (r *restream) add(config config) error {
	if config.ID == "" || len(config.Input) == 0 || len(config.Output) == 0 && config.WebRTC == nil {
		return errors.New("a process needs an id, an input and an output")
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	if _, exists := r.tasks[config.ID]; exists {
		return fmt.Errorf("the process %q exists", config.ID)
	}
	r.tasks[config.ID] = &task{config: config}
	return nil
}

func (r *restream) remove(id string) error {
	r.lock.Lock()
	defer r.lock.Unlock()
	task, exists := r.tasks[id]
	if !exists {
		return errUnknown
	}
	r.stopTask(task)
	delete(r.tasks, id)
	return nil
}

func (r *restream) start(id string) error {
	r.lock.Lock()
	defer r.lock.Unlock()
	task, exists := r.tasks[id]
	if !exists {
		return errUnknown
	}
	if task.ffmpeg != nil {
		return nil
	}
	return r.startTask(task)
}

func (r *restream) stop(id string) error {
	r.lock.Lock()
	defer r.lock.Unlock()
	task, exists := r.tasks[id]
	if !exists {
		return errUnknown
	}
	r.stopTask(task)
	return nil
}

// restart ends FFmpeg and leaves the rest to its supervisor: the same command line again, no hook is called.
func (r *restream) restart(id string) error {
	r.lock.Lock()
	defer r.lock.Unlock()
	task, exists := r.tasks[id]
	if !exists || task.ffmpeg == nil {
		return errUnknown
	}
	if task.config.reads(whipAddress) {
		// A reader without packets would not listen to its signal.
		if err := r.interrupt(id); err != nil {
			slog.Warn("interrupt", "id", id, "error", err)
		}
	}
	task.ffmpeg.interrupt()
	return nil
}

// stopAll stops everything and says what was running.
func (r *restream) stopAll() (ids []string) {
	r.lock.Lock()
	defer r.lock.Unlock()
	for id, task := range r.tasks {
		if task.ffmpeg != nil {
			ids = append(ids, id)
			r.stopTask(task)
		}
	}
	return ids
}

// startTask asks the hooks for the legs, makes the command line with them, and starts it.
func (r *restream) startTask(task *task) error {
	config := task.config
	if config.reads(whipAddress) {
		legs, err := r.hooks.OnInputStart(config.ID, config.WebRTC.process())
		if err != nil {
			return err
		}
		config.Input = replaceWHIP(config.Input, legs)
	}
	if config.WebRTC != nil {
		legs, err := r.hooks.OnStart(config.ID, config.WebRTC.process())
		if err != nil {
			// Not a reason to do without the other outputs.
			slog.Error("no WebRTC", "id", config.ID, "error", err)
		}
		config.Output = append(config.Output[:len(config.Output):len(config.Output)], ios(legs)...)
	}
	task.ffmpeg = newProcess(config.ID, config.command(), config.Reconnect, config.ReconnectDelayMS)
	task.ffmpeg.start()
	return nil
}

// stopTask keeps the order: input first, so that a reader without packets ends; output when FFmpeg writes no more.
func (r *restream) stopTask(task *task) {
	if task.ffmpeg == nil {
		return
	}
	id := task.config.ID
	r.hooks.OnInputStop(id)
	task.ffmpeg.stop()
	task.ffmpeg = nil
	r.hooks.OnStop(id)
}

func (c *webRTCConfig) process() *corertc.ProcessConfig {
	if c == nil {
		return nil
	}
	return &corertc.ProcessConfig{
		VideoMap: c.VideoMap, AudioMap: c.AudioMap, VideoCodec: c.VideoCodec, SourceCodec: c.SourceCodec,
		NoVideo: c.NoVideo, NoAudio: c.NoAudio, Isolate: c.Isolate,
	}
}

func (c config) reads(address string) bool {
	for _, input := range c.Input {
		if input.Address == address {
			return true
		}
	}
	return false
}

// command is FFmpeg's command line.
func (c config) command() []string {
	command := []string{"-hide_banner", "-loglevel", "level+warning", "-y"}
	for _, input := range c.Input {
		command = append(append(command, input.Options...), "-i", input.Address)
	}
	for _, output := range c.Output {
		command = append(append(command, output.Options...), output.Address)
	}
	return command
}

func ios(legs []corertc.ConfigIO) []io {
	ios := make([]io, 0, len(legs))
	for _, leg := range legs {
		ios = append(ios, io{leg.ID, leg.Address, leg.Options})
	}
	return ios
}

// replaceWHIP puts the library's inputs where the placeholder stands: -map counts on the order.
func replaceWHIP(inputs []io, legs []corertc.ConfigIO) []io {
	var replaced []io
	for _, input := range inputs {
		if input.Address == whipAddress {
			replaced = append(replaced, ios(legs)...)
		} else {
			replaced = append(replaced, input)
		}
	}
	return replaced
}
