package server

import (
	"fmt"
	"strings"
	"time"

	"github.com/sealwright/sealwright/server/internal/fault"
	"github.com/sealwright/sealwright/server/internal/gate"
	"github.com/sealwright/sealwright/server/internal/journal"
	"github.com/sealwright/sealwright/server/internal/telemetry"
)

// fullAt is the percentage of the room above which an operator is told.
const fullAt = 80

// notice says what is wrong; it is empty for nothing.
func (g *guard) notice() string {
	var said []string
	barred := func(what string, until time.Time) {
		if until.After(time.Now()) {
			said = append(said, fmt.Sprintf("%s until %s are refused: they may have been used before", what, until.UTC().Format(time.RFC3339)))
		}
	}
	full := func(j *journal.Journal) {
		if n, most := j.Len(), j.Capacity(); n*100 > most*fullAt {
			said = append(said, fmt.Sprintf("replay guard is filling up: %d of %d messages", n, most))
		}
	}
	barred("messages signed", g.signed.BarredUntil())
	full(g.signed)
	if g.shared != nil {
		barred("for all nodes, messages signed", g.shared.BarredUntil())
		return strings.Join(append(said, notices(g.shared.Notice)()), "\n")
	}
	j, err := g.arrival.state()
	if j != nil {
		full(j)
	}
	if err != nil {
		said = append(said, "messages without a signed time are refused: "+fault.Public(err))
	}
	return strings.Join(said, "\n")
}

// measure adds the metrics.
func (g *guard) measure(recorder *telemetry.Recorder) {
	g.count = recorder.Counts(telemetry.Metric{
		Name: "sealwright_replay_checks_total", Help: "Messages that verified and were to be used once, by what became of them.",
	}, "outcome", "fresh", "replayed", "full", "full-share", "barred", "outside", gate.ReasonNotIncreasing, gate.ReasonNonce, gate.ReasonUnavailable)
	recorder.Total(telemetry.Metric{
		Name: "sealwright_replay_alarms_total", Help: "Warnings of the replay journals; the log has them.",
	}, func() float64 { return float64(g.alarms.Load()) })
	for name, of := range map[string]func() *journal.Journal{
		"signed":  func() *journal.Journal { return g.signed },
		"arrival": func() *journal.Journal { j, _ := g.arrival.state(); return j },
	} {
		gauge := func(metric, help string, value func(*journal.Journal) float64) {
			recorder.Gauge(telemetry.Metric{Name: metric, Help: help, Labels: map[string]string{"guard": name}}, func() float64 {
				if j := of(); j != nil {
					return value(j)
				}
				return 0
			})
		}
		gauge("sealwright_replay_claims", "Messages that this node remembers: by their signed time, or by their arrival.", func(j *journal.Journal) float64 { return float64(j.Len()) })
		gauge("sealwright_replay_capacity", "Messages that this node can remember; 0 if none is.", func(j *journal.Journal) float64 { return float64(j.Capacity()) })
		gauge("sealwright_replay_barred_until_seconds", "Unix time until which signed messages are refused, because they may have been used before; 0 for never.", func(j *journal.Journal) float64 { return unixSeconds(j.BarredUntil()) })
	}
	if g.shared != nil {
		recorder.Gauge(telemetry.Metric{
			Name: "sealwright_replay_shared_barred_until_seconds", Help: "Unix time until which all nodes refuse signed messages, because Redis may have forgotten them.",
		}, func() float64 { return unixSeconds(g.shared.BarredUntil()) })
	}
}

// unixSeconds returns 0 for the zero time.
func unixSeconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
