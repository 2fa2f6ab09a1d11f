package obs

import (
	"fmt"
	"math"

	dto "github.com/prometheus/client_model/go"
)

// Figures are those of the metrics that the operator's page shows. All count from
// the start of the process.
type Figures struct {
	Readers      map[string]int    `json:"readers"` // by door
	Connections  int               `json:"connections"`
	SessionsRead int               `json:"sessions_read"`
	InFlight     int               `json:"in_flight"`
	Fragments    uint64            `json:"fragments"` // of all models
	Models       map[string]*Model `json:"models"`
	Refused      map[string]int    `json:"refused"` // by limit
}

// A Model is how one model fares.
type Model struct {
	Attempts   int            `json:"attempts"`
	Outcomes   map[string]int `json:"outcomes"`
	Failures   map[string]int `json:"failures"` // by kind
	Retries    map[string]int `json:"retries"`  // by kind
	Fragments  uint64         `json:"fragments"`
	FirstToken Histogram      `json:"first_token"`
}

// A Histogram counts how many observations were at most so many seconds.
type Histogram struct {
	Count  uint64       `json:"count"`
	Sum    float64      `json:"sum"`
	AtMost [][2]float64 `json:"at_most"` // seconds, count; what is beyond the last is in Count only
}

// Figures returns the present figures.
func (m *Metrics) Figures() (any, error) {
	families, err := m.registry.Gather()
	if err != nil {
		return nil, fmt.Errorf("obs: gather: %w", err)
	}
	f := &Figures{Readers: map[string]int{}, Models: map[string]*Model{}, Refused: map[string]int{}}
	for _, family := range families {
		for _, metric := range family.Metric {
			f.take(family.GetName(), metric)
		}
	}
	return f, nil
}

func (f *Figures) take(name string, m *dto.Metric) {
	gauge, counter := int(m.GetGauge().GetValue()), int(m.GetCounter().GetValue())
	switch name {
	case "runnel_readers":
		f.Readers[label(m, "transport")] = gauge
	case "runnel_connections":
		f.Connections = gauge
	case "runnel_sessions_read":
		f.SessionsRead = gauge
	case "runnel_generations_in_flight":
		f.InFlight = gauge
	case "runnel_limit_refusals_total":
		f.Refused[label(m, "limit")] = counter
	case "runnel_attempts_total":
		f.model(m).Attempts = counter
	case "runnel_generations_total":
		f.model(m).Outcomes[label(m, "outcome")] = counter
	case "runnel_generation_failures_total":
		f.model(m).Failures[label(m, "kind")] = counter
	case "runnel_upstream_retries_total":
		f.model(m).Retries[label(m, "kind")] = counter
	case "runnel_time_to_first_token_seconds":
		model := f.model(m)
		model.FirstToken = histogram(m.GetHistogram())
		f.fragments(model, m.GetHistogram().GetSampleCount())
	case "runnel_token_gap_seconds":
		f.fragments(f.model(m), m.GetHistogram().GetSampleCount())
	}
}

func (f *Figures) fragments(m *Model, n uint64) {
	m.Fragments += n
	f.Fragments += n
}

func (f *Figures) model(m *dto.Metric) *Model {
	name := label(m, "model")
	if f.Models[name] == nil {
		f.Models[name] = &Model{Outcomes: map[string]int{}, Failures: map[string]int{}, Retries: map[string]int{}}
	}
	return f.Models[name]
}

func label(m *dto.Metric, name string) string {
	for _, pair := range m.Label {
		if pair.GetName() == name {
			return pair.GetValue()
		}
	}
	return ""
}

func histogram(h *dto.Histogram) Histogram {
	figures := Histogram{Count: h.GetSampleCount(), Sum: h.GetSampleSum()}
	for _, b := range h.Bucket {
		if !math.IsInf(b.GetUpperBound(), 1) { // which JSON cannot say
			figures.AtMost = append(figures.AtMost, [2]float64{b.GetUpperBound(), float64(b.GetCumulativeCount())})
		}
	}
	return figures
}
