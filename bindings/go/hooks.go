package corertc

// ProcessHooks are what a host calls around the life of a process. They are plain values, may be called from any
// goroutine while the host holds its own lock, return within milliseconds and never call the host's hooks.
type ProcessHooks struct {
	// OnStart is called before FFmpeg starts and gives the outputs to append to its command line. A known id gets the same
	// ports again, with an equal config the same arguments. A nil config is every default.
	OnStart func(id string, config *ProcessConfig) ([]ConfigIO, error)
	// OnStop is called after FFmpeg is gone. An unknown id does nothing.
	OnStop func(id string)
	// OnInputStart is called before FFmpeg starts and gives the inputs that read the publisher.
	OnInputStart func(id string, config *ProcessConfig) ([]ConfigIO, error)
	// OnInputStop is called before FFmpeg gets its signal: it ends FFmpeg's reading. An unknown id does nothing.
	OnInputStop func(id string)
}

// ConfigIO is an input or output of an FFmpeg command line: Options, then Address (after -i where it is an input).
type ConfigIO struct {
	ID, Address string
	// Options is never nil.
	Options []string
}

// Hooks gives the hooks of the egress side (WHEP); the other two are nil.
func (s *Subsystem) Hooks() ProcessHooks {
	return ProcessHooks{OnStart: s.onStart, OnStop: s.onStop}
}

// WHIPHooks gives the hooks of the ingest side (WHIP); the other two are nil.
func (s *Subsystem) WHIPHooks() ProcessHooks {
	return ProcessHooks{OnInputStart: s.onInputStart, OnInputStop: s.onInputStop}
}

// MergedHooks gives the hooks of both sides.
func (s *Subsystem) MergedHooks() ProcessHooks {
	return ProcessHooks{
		OnStart: s.onStart, OnStop: s.onStop,
		OnInputStart: s.onInputStart, OnInputStop: s.onInputStop,
	}
}

func (s *Subsystem) onStart(id string, config *ProcessConfig) ([]ConfigIO, error) {
	return s.start(egress, id, config)
}

func (s *Subsystem) onInputStart(id string, config *ProcessConfig) ([]ConfigIO, error) {
	return s.start(ingest, id, config)
}

func (s *Subsystem) onStop(id string) { s.stop(egress, id) }

func (s *Subsystem) onInputStop(id string) { s.stop(ingest, id) }

func (s *Subsystem) start(side side, id string, config *ProcessConfig) ([]ConfigIO, error) {
	var legs []ConfigIO
	err := s.call(func(core core) (err error) {
		if err := config.check(); err != nil {
			return err
		}
		legs, err = core.start(side, id, config)
		return err
	})
	return legs, err
}

func (s *Subsystem) stop(side side, id string) {
	// What can be wrong, an unknown id or a closed subsystem, is what the caller wants.
	_ = s.call(func(core core) error { return core.stop(side, id) })
}
