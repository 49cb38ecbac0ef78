package corertc

import (
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// streamFamilies are what each stream has; the library lists them only while there are streams.
var streamFamilies = map[string]string{
	"corertc_stream_viewers": "Viewers of a stream",
	"corertc_stream_bitrate": "Bits per second from FFmpeg",
	"corertc_stream_live":    "Whether packets come in",
}

// Collector gives the library's metrics, under the names it has on its own /metrics. It may be asked during and after
// Close. Several subsystems in one registry are told apart by constLabels.
func (s *Subsystem) Collector(constLabels prometheus.Labels) prometheus.Collector {
	collector := &collector{subsystem: s, families: make(map[string]family)}
	for name, help := range streamFamilies {
		collector.add(name, help, prometheus.GaugeValue, []string{"stream"}, constLabels)
	}
	text, _ := parseMetrics(s.metrics())
	for _, it := range text {
		if _, known := collector.families[it.name]; !known {
			collector.add(it.name, it.help, it.kind, nil, constLabels)
		}
	}
	return collector
}

func (s *Subsystem) metrics() string {
	core, leave := s.enter()
	defer leave()
	return core.metrics()
}

type family struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

type collector struct {
	subsystem *Subsystem
	families  map[string]family
}

func (c *collector) add(name, help string, kind prometheus.ValueType, labels []string, constLabels prometheus.Labels) {
	c.families[name] = family{prometheus.NewDesc(name, help, labels, constLabels), kind}
}

func (c *collector) Describe(descs chan<- *prometheus.Desc) {
	for _, family := range c.families {
		descs <- family.desc
	}
}

func (c *collector) Collect(metrics chan<- prometheus.Metric) {
	_, samples := parseMetrics(c.subsystem.metrics())
	for _, it := range samples {
		// Only what was described: a registry refuses everything otherwise.
		family, known := c.families[it.name]
		if !known {
			continue
		}
		metric, err := prometheus.NewConstMetric(family.desc, family.kind, it.value, it.labels...)
		if err == nil {
			metrics <- metric
		}
	}
}

// described is a family in the library's text, sample one of its values; a label's name is left out.
type described struct {
	name, help string
	kind       prometheus.ValueType
}

type sample struct {
	name   string
	labels []string
	value  float64
}

// parseMetrics reads the library's own text (OpenMetrics), which has one label at most.
func parseMetrics(text string) (families []described, samples []sample) {
	helps := make(map[string]string)
	for _, line := range strings.Split(text, "\n") {
		if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
			name, help, _ := strings.Cut(rest, " ")
			helps[name] = help
		} else if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(rest, " ")
			it := described{name: name, help: helps[name], kind: prometheus.GaugeValue}
			if kind == "counter" {
				// A counter's samples have the suffix, its description has not.
				it.name, it.kind = name+"_total", prometheus.CounterValue
			}
			families = append(families, it)
		} else if it, ok := parseSample(line); ok {
			samples = append(samples, it)
		}
	}
	return families, samples
}

func parseSample(line string) (sample, bool) {
	end := strings.LastIndexByte(line, ' ')
	if end < 0 || strings.HasPrefix(line, "#") {
		return sample{}, false
	}
	value, err := strconv.ParseFloat(line[end+1:], 64)
	if err != nil {
		return sample{}, false
	}
	it := sample{name: line[:end], value: value}
	name, labels, labelled := strings.Cut(line[:end], "{")
	if labelled {
		_, quoted, _ := strings.Cut(strings.TrimSuffix(labels, "}"), "=")
		it.name = name
		it.labels = []string{unescape(strings.TrimSuffix(strings.TrimPrefix(quoted, `"`), `"`))}
	}
	return it, true
}

// unescape undoes what OpenMetrics escapes in a label.
func unescape(label string) string {
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n").Replace(label)
}
