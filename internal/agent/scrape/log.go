package scrape

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
)

// Complaints counts what a log has of warnings and errors.
type Complaints struct{ total *prometheus.CounterVec }

// NewComplaints counts nothing yet.
func NewComplaints() *Complaints {
	c := &Complaints{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "cilium_errors_warnings_total", Help: "Warnings and errors in the agent's log.",
	}, []string{"level", "subsystem"})}
	for _, level := range []slog.Level{slog.LevelWarn, slog.LevelError} {
		c.of(level)
	}
	return c
}

func (c *Complaints) of(l slog.Level) prometheus.Counter {
	name := "error"
	if l < slog.LevelError {
		name = "warning"
	}
	return c.total.WithLabelValues(name, "agent")
}

// Collector shows them.
func (c *Complaints) Collector() prometheus.Collector { return c.total }

// Counted is a log whose lines are counted.
func (c *Complaints) Counted(log *slog.Logger) *slog.Logger {
	return slog.New(counted{log.Handler(), c})
}

// counted is a handler of a log.
type counted struct {
	slog.Handler
	by *Complaints
}

// Enabled implements slog.Handler: what is not written is counted nevertheless.
func (h counted) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn || h.Handler.Enabled(ctx, l)
}

// Handle implements slog.Handler.
func (h counted) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		h.by.of(r.Level).Inc()
	}
	if !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h counted) WithAttrs(a []slog.Attr) slog.Handler { return counted{h.Handler.WithAttrs(a), h.by} }

// WithGroup implements slog.Handler.
func (h counted) WithGroup(name string) slog.Handler { return counted{h.Handler.WithGroup(name), h.by} }
