package main

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"

	"corertc"

	"github.com/prometheus/client_golang/prometheus"
)

// core is the processes and the WebRTC side beside them.
type core struct {
	options  options
	restream *restream
	registry *prometheus.Registry
	// rtc is replaced by a reload; requests find the one of their moment.
	rtc atomic.Pointer[webRTC]
}

// webRTC is one life of the WebRTC side.
type webRTC struct {
	*corertc.Subsystem
	collector prometheus.Collector
}

func newCore(options options) (*core, error) {
	core := &core{options: options, restream: newRestream(), registry: prometheus.NewRegistry()}
	if err := core.openWebRTC(); err != nil {
		return nil, err
	}
	return core, nil
}

// openWebRTC makes the subsystem and plugs it in: its hooks, its metrics.
func (c *core) openWebRTC() error {
	subsystem, err := corertc.New(c.options.rtc, rtcLogger{})
	if err != nil {
		return err
	}
	rtc := &webRTC{subsystem, subsystem.Collector(prometheus.Labels{"core": "example"})}
	c.registry.MustRegister(rtc.collector)
	c.restream.setHooks(subsystem.MergedHooks(), subsystem.InputInterrupt)
	c.rtc.Store(rtc)
	go func() {
		for event := range subsystem.Events() {
			slog.Info("event", "kind", event.Kind, "stream", event.StreamID, "detail", event.Detail)
		}
	}()
	return nil
}

func (c *core) closeWebRTC() {
	rtc := c.rtc.Load()
	rtc.Close()
	c.registry.Unregister(rtc.collector)
}

// reload ends everything and begins anew with the same options, in the same program: what was running runs again.
func (c *core) reload() error {
	ordered := c.restream.stopAll()
	c.closeWebRTC()
	if err := c.openWebRTC(); err != nil {
		return err
	}
	for _, id := range ordered {
		if err := c.restream.start(id); err != nil {
			slog.Error("start after reload", "id", id, "error", err)
		}
	}
	return nil
}

func (c *core) close() {
	c.restream.stopAll()
	c.closeWebRTC()
}

// ServeHTTP is the WebRTC side of this moment.
func (c *core) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.rtc.Load().ServeHTTP(w, r)
}

// rtcLogger is the bridge from the library's lines to the core's log.
type rtcLogger struct{}

var levels = map[corertc.Level]slog.Level{
	corertc.LevelError: slog.LevelError,
	corertc.LevelWarn:  slog.LevelWarn,
	corertc.LevelInfo:  slog.LevelInfo,
}

func (rtcLogger) Log(level corertc.Level, component, message string, fields map[string]any) {
	arguments := []any{"component", component}
	for name, value := range fields {
		arguments = append(arguments, name, value)
	}
	at, known := levels[level]
	if !known {
		at = slog.LevelDebug
	}
	slog.Log(context.Background(), at, message, arguments...)
}

func init() {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
}
