//go:build cgo && linux && !corertc_none

package corertc

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// gather gives every sample by name and the value of the label "stream".
func gather(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	samples := make(map[string]float64)
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				if label.GetName() == "stream" {
					name += "/" + label.GetValue()
				}
			}
			samples[name] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
	}
	return samples
}

func TestMetricsAreCollectedDuringAndAfterClose(t *testing.T) {
	s := open(t, local())
	registry := prometheus.NewRegistry()
	collector := s.Collector(prometheus.Labels{"core": "one"})
	registry.MustRegister(collector)
	if err := registry.Register(s.Collector(prometheus.Labels{"core": "one"})); err == nil {
		t.Error("registered twice")
	}
	id := "a\"b\\n\nc,d=}e"
	start(t, s, id)
	ask(s, "POST", "/whep/nobody", "v=0", "Content-Type", "application/sdp")
	samples := gather(t, registry)
	if samples["corertc_streams"] != 1 || samples["corertc_http_4xx_total"] != 1 || len(samples) < 20 {
		t.Error(samples)
	}
	if _, there := samples["corertc_stream_viewers/"+id]; !there {
		t.Error("no gauges of the stream:", samples)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Close()
	}()
	gather(t, registry)
	<-done
	if samples = gather(t, registry); samples["corertc_http_4xx_total"] != 1 {
		t.Error(samples)
	}
	// A reload of the host's configuration: the old one goes, the next has the same names.
	if !registry.Unregister(collector) {
		t.Error("it can't be unregistered")
	}
	registry.MustRegister(open(t, local()).Collector(prometheus.Labels{"core": "one"}))
	gather(t, registry)
}

func TestEveryFamilyOfTheLibraryIsDescribed(t *testing.T) {
	s := open(t, local())
	described := s.Collector(nil).(*collector)
	start(t, s, "cam")
	families, samples := parseMetrics(s.metrics())
	for _, it := range families {
		if _, known := described.families[it.name]; !known {
			t.Errorf("%s is not in streamFamilies", it.name)
		}
		if it.help == "" {
			t.Errorf("%s has no help", it.name)
		}
	}
	for _, it := range samples {
		if _, known := described.families[it.name]; !known {
			t.Errorf("the sample %s has no family", it.name)
		}
	}
}

func TestSeveralSubsystemsInOneRegistry(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(open(t, local()).Collector(prometheus.Labels{"core": "one"}))
	registry.MustRegister(open(t, local()).Collector(prometheus.Labels{"core": "two"}))
	gather(t, registry)
}
