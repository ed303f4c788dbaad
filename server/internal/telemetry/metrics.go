package telemetry

import (
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// The labels. An operation or outcome that is not listed counts as other, so
// that the number of series is bounded whatever the caller does.
var (
	names = []string{
		"sign", "verify", "requests.sign", "requests.verify",
		"keys.create", "keys.list", "keys.get", "keys.rotate", "keys.delete", "keys.reveal",
		"doctor", "rejections.list", "rejections.get", other,
	}
	outcomes = []string{"ok", "valid", "invalid", "refused", "error", other}
)

const other = "other"

// Buckets of the latency in seconds: a signature takes some 10 µs, a commit
// some milliseconds, and a large upload up to minutes.
var buckets = []float64{10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5, 5, 10, 60}

// metrics has every series resolved before the first operation.
type metrics struct {
	registry  *prometheus.Registry
	operation map[string]*operationMetrics // by name
	items     [3]prometheus.Counter        // valid, invalid, failed
	bytes     prometheus.Counter
}

type operationMetrics struct {
	outcome map[string]prometheus.Counter
	latency prometheus.Observer
}

func newMetrics(o Options) *metrics {
	total := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sealwright_operations_total", Help: "Operations of the API by name and outcome.",
	}, []string{"op", "outcome"})
	latency := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "sealwright_operation_duration_seconds", Help: "Time from the request's header to the answer.", Buckets: buckets,
	}, []string{"op"})
	items := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sealwright_batch_items_total", Help: "Items of batches by result.",
	}, []string{"result"})
	size := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "sealwright_message_bytes_total", Help: "Bytes of messages that were signed or verified.",
	})
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "sealwright_build_info", Help: "Always 1; the label is the version of the program.",
	}, []string{"version"})
	build.WithLabelValues(o.Version).Set(1)

	m := &metrics{registry: prometheus.NewRegistry(), operation: map[string]*operationMetrics{}, bytes: size}
	m.registry.MustRegister(total, latency, items, size, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if o.Keys != nil {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "sealwright_keys", Help: "Keys that exist, without deleted ones.",
		}, func() float64 { return float64(o.Keys()) }))
	}
	if o.Followed != nil {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "sealwright_log_applied_seq", Help: "Number of the last entry of the database's log that this node has applied.",
		}, func() float64 { seq, _ := o.Followed(); return float64(seq) }), prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "sealwright_log_age_seconds", Help: "Time since this node had applied everything in the database's log.",
		}, func() float64 { _, heard := o.Followed(); return time.Since(heard).Seconds() }))
	}
	for i, result := range []string{"valid", "invalid", "failed"} {
		m.items[i] = items.WithLabelValues(result)
	}
	for _, name := range names {
		op := &operationMetrics{outcome: map[string]prometheus.Counter{}, latency: latency.WithLabelValues(name)}
		for _, outcome := range outcomes {
			op.outcome[outcome] = total.WithLabelValues(name, outcome)
		}
		m.operation[name] = op
	}
	return m
}

func (m *metrics) record(op *Operation) {
	series := m.operation[op.Name]
	if series == nil {
		series = m.operation[other]
	}
	outcome := op.Outcome
	if !slices.Contains(outcomes, outcome) {
		outcome = other
	}
	series.outcome[outcome].Inc()
	series.latency.Observe(op.Duration.Seconds())
	if op.Bytes > 0 {
		m.bytes.Add(float64(op.Bytes))
	}
	if op.Items > 0 {
		m.items[0].Add(float64(op.Valid))
		m.items[1].Add(float64(op.Items - op.Valid - op.Failed))
		m.items[2].Add(float64(op.Failed))
	}
}

// Metrics returns the handler of /metrics.
func (r *Recorder) Metrics() http.Handler {
	return promhttp.HandlerFor(r.metrics.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError})
}

// Metric names a series of the server. Its labels are pairs of a name and a
// value that stand in the program.
type Metric struct {
	Name, Help string
	Labels     map[string]string
}

// Gauge adds a metric whose value is what value returns when it is asked for, by
// many goroutines. Two with the same name and labels are a defect: it panics.
func (r *Recorder) Gauge(m Metric, value func() float64) {
	r.metrics.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: m.Name, Help: m.Help, ConstLabels: m.Labels}, value))
}

// Total is [Recorder.Gauge] of a value that only grows.
func (r *Recorder) Total(m Metric, value func() float64) {
	r.metrics.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: m.Name, Help: m.Help, ConstLabels: m.Labels}, value))
}

// Counts adds a metric with a label of which all values are listed. The function
// that it returns counts one of them; another value counts as other.
func (r *Recorder) Counts(m Metric, label string, values ...string) (count func(value string)) {
	all := prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.Name, Help: m.Help, ConstLabels: m.Labels}, []string{label})
	r.metrics.registry.MustRegister(all)
	series := map[string]prometheus.Counter{}
	for _, v := range append(values, other) {
		series[v] = all.WithLabelValues(v)
	}
	return func(value string) {
		c, ok := series[value]
		if !ok {
			c = series[other]
		}
		c.Inc()
	}
}
