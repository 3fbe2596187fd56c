// Package export writes flows to files, as Hubble's exporters do: one JSON object a line, an observer.ExportEvent.
//
//	{"flow":{"time":…,"verdict":"DROPPED",…},"node_name":"default/n1","time":"2026-03-01T12:00:00.007Z"}
//	{"lost_events":{"source":"HUBBLE_RING_BUFFER","num_events_lost":"7"},…}
//
// A File is written by one exporter: the static one of the hubble-export-* keys, or one of those that the file of
// hubble-flowlogs-config-path names, which is looked at every few seconds; what it says of one that has not changed goes on. Files
// begin anew at a size; a number of old ones is kept, packed if asked for.
//
// Invariants: a flow that no filter lets pass is in no file; an exporter whose filters, mask or file make no sense writes nothing and says
// why, and changes nothing of the others. A slow disk holds up no other reader: the file says how many flows it misses. What is written to is a
// regular file: no link is followed, no pipe waited for. (Who may write the folder can win a race against that: name one that is root's.)
//
//	export.Run(ctx, observer, export.File{Path: "/var/run/cilium/hubble/events.log", MaxMB: 10, Backups: 5}, log)
package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"github.com/cilium/lumberjack/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/flow/filter"
	"weftnet.io/weftnet/internal/observe"
)

// Source is where flows come from: an observer.
type Source interface {
	Each(ctx context.Context, take func(*observe.Flow, *flowpb.LostEvent))
	NodeName() string
}

// Stdout is the Path that stands for the agent's standard output.
const Stdout = "stdout"

// Sizes of files and how many are kept unless something else is said; Hubble's.
const (
	usualMB      = 10
	usualBackups = 5
)

// File is what is written where.
type File struct {
	Path          string // Stdout: the agent's standard output
	MaxMB         int    // size from which on another is begun; 0: 10
	Backups       int    // that are kept beside it; 0: 5
	Compress      bool
	Include, Omit []*flowpb.FlowFilter
	Mask          []string  // fields; none: all
	End           time.Time // nothing is written from then on; zero: never
}

// Run writes flows until ctx ends. Its error says what of the file makes no sense.
func Run(ctx context.Context, source Source, f File, log *slog.Logger) error {
	w, err := newWriter(f)
	if err != nil {
		return err
	}
	defer w.out.Close()
	told := false
	source.Each(ctx, func(one *observe.Flow, lost *flowpb.LostEvent) {
		if err := w.take(one, lost, source.NodeName); err != nil && !told {
			told = true // once: the next flow will fail as well
			log.Error("flows are not written", "file", f.Path, "error", err)
		} else if err == nil {
			told = false
		}
	})
	return nil
}

// writer writes to one file.
type writer struct {
	end  time.Time
	want filter.Func
	mask flow.Mask
	out  io.WriteCloser
	json *json.Encoder
	now  func() time.Time
}

func newWriter(f File) (*writer, error) {
	w := &writer{end: f.End, now: time.Now}
	var err error
	if w.want, err = filter.New(f.Include, f.Omit); err != nil {
		return nil, err
	}
	if w.mask, err = flow.NewMask(f.Mask); err != nil {
		return nil, err
	}
	if f.Path == Stdout {
		w.out = standard{os.Stdout}
	} else {
		if f.MaxMB <= 0 {
			f.MaxMB = usualMB
		}
		if f.Backups <= 0 {
			f.Backups = usualBackups
		}
		w.out = regular{&lumberjack.Logger{Filename: f.Path, MaxSize: f.MaxMB, MaxBackups: f.Backups, Compress: f.Compress, FileMode: 0o600}}
		if _, err := w.out.Write(nil); err != nil { // opens it
			return nil, fmt.Errorf("write flows to %s: %w", f.Path, err)
		}
	}
	w.json = json.NewEncoder(w.out)
	return w, nil
}

// regular is a file, and nothing else that may lie in its place: a link would lead root to write elsewhere, to a pipe it would wait for ever.
type regular struct{ *lumberjack.Logger }

// Write implements io.Writer.
func (r regular) Write(p []byte) (int, error) {
	switch info, err := os.Lstat(r.Filename); {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return 0, err
	case !info.Mode().IsRegular():
		return 0, fmt.Errorf("%s is no regular file (%s): take it away, or name another; links are not followed", r.Filename, info.Mode().Type())
	}
	return r.Logger.Write(p)
}

// standard is the standard output, which is not closed.
type standard struct{ io.Writer }

func (standard) Close() error { return nil }

func (w *writer) take(one *observe.Flow, lost *flowpb.LostEvent, node func() string) error {
	now := w.now()
	if !w.end.IsZero() && !now.Before(w.end) {
		return nil
	}
	if lost != nil {
		return w.json.Encode(&observerpb.ExportEvent{
			Time: timestamppb.New(now), NodeName: node(), ResponseTypes: &observerpb.ExportEvent_LostEvents{LostEvents: lost},
		})
	}
	m := one.Message()
	if !w.want(m) {
		return nil
	}
	return w.json.Encode(&observerpb.ExportEvent{
		Time: m.GetTime(), NodeName: m.GetNodeName(), ResponseTypes: &observerpb.ExportEvent_Flow{Flow: w.mask.Apply(m)},
	})
}
