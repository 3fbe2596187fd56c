package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"reflect"
	"slices"
	"sync"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"
)

// look is how often the file that says what is written where is looked at; Hubble's.
const look = 5 * time.Second

// document is that file: YAML, of ConfigMap cilium-flowlog-config in upstream's chart.
type document struct {
	FlowLogs []flowLog `json:"flowLogs"`
}

// flowLog is one file in it.
type flowLog struct {
	Name           string               `json:"name"`
	FilePath       string               `json:"filePath"`
	FieldMask      []string             `json:"fieldMask"`
	IncludeFilters []*flowpb.FlowFilter `json:"includeFilters"`
	ExcludeFilters []*flowpb.FlowFilter `json:"excludeFilters"`
	FileMaxSizeMB  int                  `json:"fileMaxSizeMb"`
	FileMaxBackups int                  `json:"fileMaxBackups"`
	FileCompress   bool                 `json:"fileCompress"`
	End            *time.Time           `json:"end"`

	// Of upstream, and not here: flows are written as they are.
	FieldAggregate      []string `json:"fieldAggregate"`
	AggregationInterval string   `json:"aggregationInterval"`
}

// parse reads the document. What it does not know is an error: a filter that is spelled wrong would let all flows pass.
func parse(text []byte) (map[string]File, error) {
	var d document
	if err := yaml.UnmarshalStrict(text, &d); err != nil {
		return nil, err
	}
	out, paths := map[string]File{}, map[string]string{}
	var errs []error
	for i, l := range d.FlowLogs {
		at := fmt.Sprintf("flowLogs[%d]", i)
		switch other, taken := paths[l.FilePath]; {
		case l.Name == "":
			errs = append(errs, fmt.Errorf("%s.name: must not be empty", at))
		case l.FilePath == "":
			errs = append(errs, fmt.Errorf("%s.filePath (%s): must not be empty", at, l.Name))
		case len(l.FieldAggregate) > 0 || l.AggregationInterval != "":
			errs = append(errs, fmt.Errorf("%s.fieldAggregate, aggregationInterval (%s): flows are not aggregated: leave both away", at, l.Name))
		case out[l.Name].Path != "":
			errs = append(errs, fmt.Errorf("%s.name: %s is there already", at, l.Name))
		case taken:
			errs = append(errs, fmt.Errorf("%s.filePath (%s): %s is written by %s already", at, l.Name, l.FilePath, other))
		default:
			f := File{
				Path: l.FilePath, MaxMB: l.FileMaxSizeMB, Backups: l.FileMaxBackups, Compress: l.FileCompress,
				Include: l.IncludeFilters, Omit: l.ExcludeFilters, Mask: l.FieldMask,
			}
			if l.End != nil {
				f.End = *l.End
			}
			out[l.Name], paths[l.FilePath] = f, l.Name
		}
	}
	return out, errors.Join(errs...)
}

// Several writes what the file at a path says, and follows its changes, until ctx ends. While the file makes no sense, or is gone, what it
// said before goes on.
func Several(ctx context.Context, source Source, path string, numbers *Numbers, log *slog.Logger) {
	s := &several{source: source, log: log.With("config", path), numbers: numbers, running: map[string]*running{}}
	defer numbers.apply(nil, nil)
	defer s.work.Wait()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		s.read(ctx, path)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// several are exporters that run.
type several struct {
	source  Source
	log     *slog.Logger
	numbers *Numbers
	text    []byte // that was read last
	failure string // that was told last
	running map[string]*running
	work    sync.WaitGroup
}

// running is one.
type running struct {
	file File
	stop context.CancelFunc
	done chan struct{}
}

func (s *several) read(ctx context.Context, path string) {
	text, err := os.ReadFile(path)
	if err == nil && s.text != nil && bytes.Equal(text, s.text) {
		return
	}
	var files map[string]File
	if err == nil {
		files, err = parse(text)
	}
	if err != nil {
		s.numbers.fail()
		if s.failure != err.Error() {
			s.failure = err.Error()
			s.log.Error("what flows are written where stays as it was until this file is there and makes sense", "error", err)
		}
		return
	}
	s.text, s.failure = text, ""
	s.numbers.apply(text, files)
	for name, r := range maps.All(s.running) {
		if f, there := files[name]; !there || !same(f, r.file) {
			r.stop()
			<-r.done // of one file there is one writer
			delete(s.running, name)
		}
	}
	for name, f := range files {
		if s.running[name] == nil {
			s.start(ctx, name, f)
		}
	}
}

// same compares what is written. Messages have state of their own that says nothing, so filters are compared by what they mean.
func same(a, b File) bool {
	equal := func(a, b []*flowpb.FlowFilter) bool {
		return slices.EqualFunc(a, b, func(a, b *flowpb.FlowFilter) bool { return proto.Equal(a, b) })
	}
	if !equal(a.Include, b.Include) || !equal(a.Omit, b.Omit) {
		return false
	}
	a.Include, a.Omit, b.Include, b.Omit = nil, nil, nil, nil
	return reflect.DeepEqual(a, b)
}

func (s *several) start(ctx context.Context, name string, f File) {
	ctx, stop := context.WithCancel(ctx)
	r := &running{file: f, stop: stop, done: make(chan struct{})}
	s.running[name] = r
	s.work.Go(func() {
		defer close(r.done)
		defer stop()
		if err := Run(ctx, s.source, f, s.log.With("name", name)); err != nil {
			s.log.Error("flows are not written", "name", name, "file", f.Path, "error", err)
			return
		}
		s.log.Info("flows are no longer written", "name", name, "file", f.Path)
	})
}
