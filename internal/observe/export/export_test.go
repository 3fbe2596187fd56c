package export

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"github.com/fsnotify/fsnotify"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/encoding/protojson"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/observe"
	"weftnet.io/weftnet/internal/observe/observetest"
	"weftnet.io/weftnet/internal/table"
)

// drop is a packet to a port that a policy dropped.
func drop(port uint16) []byte {
	e := abi.Event{
		Type: abi.EventDrop, Reason: abi.DropPolicy, Hook: abi.HookFromPod, Protocol: 6, SrcPort: 4000, DstPort: port, TcpFlags: 2,
		Src: abi.From(netip.MustParseAddr("10.0.0.5")), Dst: abi.From(netip.MustParseAddr("10.0.0.9")),
	}
	return observetest.Record(e)
}

// node makes an observer at work, in a bubble of synctest, and gives what sends it a drop.
func node(t *testing.T) (o *observe.Observer, happens func(port uint16)) {
	t.Helper()
	tables, db := table.New()
	o = observe.New(tables, db, observe.Options{Node: "n1", Now: time.Now, Mono: func() int64 { return 0 }})
	f := observetest.NewFeed()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = o.Run(ctx, f) }()
	t.Cleanup(func() { cancel(); <-done })
	return o, func(port uint16) {
		synctest.Wait()
		f.Records <- drop(port)
		synctest.Wait()
	}
}

// ports gives those of the flows in a file.
func ports(t *testing.T, file string) (list []uint32) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		e := &observerpb.ExportEvent{}
		if err := protojson.Unmarshal([]byte(line), e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		list = append(list, e.GetFlow().GetL4().GetTCP().GetDestinationPort())
	}
	return list
}

func filterOf(t *testing.T, text string) []*flowpb.FlowFilter {
	t.Helper()
	f := &flowpb.FlowFilter{}
	if err := protojson.Unmarshal([]byte(text), f); err != nil {
		t.Fatal(err)
	}
	return []*flowpb.FlowFilter{f}
}

func TestFlowsThatFiltersLetPassAreInTheFileWithTheFieldsOfTheMask(t *testing.T) {
	file := filepath.Join(t.TempDir(), "folder", "flows.json")
	synctest.Test(t, func(t *testing.T) {
		o, happens := node(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- Run(ctx, o, File{
				Path: file, Include: filterOf(t, `{"destination_port":["80","81"]}`), Omit: filterOf(t, `{"destination_port":["81"]}`),
				Mask: []string{"l4", "verdict"}, End: time.Now().Add(time.Minute),
			}, slog.New(slog.DiscardHandler))
		}()
		for _, port := range []uint16{80, 81, 82} {
			happens(port)
		}
		time.Sleep(time.Minute) // of the bubble's clock: it has an end
		happens(80)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"flow":{"verdict":"DROPPED","l4":{"TCP":{"source_port":4000,"destination_port":80,"flags":{"SYN":true}}}},"node_name":"default/n1","time":"2000-01-01T00:00:00Z"}` + "\n"
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil || compact.String()+"\n" != want {
		t.Errorf("%v: have %s", err, text)
	}
	if info, _ := os.Stat(file); info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v: it says which pods speak with each other", info.Mode())
	}
}

func TestAFileBeginsAnewAtItsSize(t *testing.T) {
	dir := t.TempDir()
	watch, err := fsnotify.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Close()
	if err := watch.Add(dir); err != nil {
		t.Fatal(err)
	}
	w, err := newWriter(File{Path: filepath.Join(dir, "flows.json"), MaxMB: 1, Backups: 2, Compress: true})
	if err != nil {
		t.Fatal(err)
	}
	lost := &flowpb.LostEvent{NumEventsLost: 7}
	for range 7 << 19 / 70 { // more than 3.5 MB
		if err := w.take(nil, lost, func() string { return "default/n1" }); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.out.Close(); err != nil {
		t.Fatal(err)
	}
	// Old files are packed and removed by a goroutine of its own.
	var packed []string
	for packed, _ = filepath.Glob(filepath.Join(dir, "*.json.gz")); len(packed) != 2; packed, _ = filepath.Glob(filepath.Join(dir, "*.json.gz")) {
		select {
		case <-watch.Events:
		case <-t.Context().Done():
		}
	}
	f, err := os.Open(packed[1])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if line, _, _ := strings.Cut(string(text), "\n"); err != nil || !strings.Contains(line, `"num_events_lost":"7"`) {
		t.Errorf("%v: have %s", err, line)
	}
}

func TestWhatMakesNoSenseIsSaid(t *testing.T) {
	for want, f := range map[string]File{
		"whitelist[0].source_ip":   {Path: Stdout, Include: filterOf(t, `{"source_ip":["x"]}`)},
		"field mask":               {Path: Stdout, Mask: []string{"sauce"}},
		"write flows to /dev/null": {Path: "/dev/null/x"},
	} {
		if err := Run(t.Context(), nil, f, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: have %v", want, err)
		}
	}
	for text, want := range map[string]string{
		`flowLogs: [{filePath: x}]`:                                          "flowLogs[0].name: must not be empty",
		`flowLogs: [{name: x}]`:                                              "flowLogs[0].filePath (x): must not be empty",
		`flowLogs: [{name: x, filePath: /y}, {name: x, filePath: /z}]`:       "flowLogs[1].name: x is there already",
		`flowLogs: [{name: x, filePath: /y}, {name: z, filePath: /y}]`:       "flowLogs[1].filePath (z): /y is written by x already",
		`flowLogs: [{name: x, filePath: /y, includeFilter: []}]`:             `unknown field "includeFilter"`,
		`flowLogs: [{name: x, filePath: /y, includeFilters: [{sauce: []}]}]`: "sauce",
		`flowLogs: [{name: x, filePath: /y, fieldAggregate: [verdict]}]`:     "flows are not aggregated",
	} {
		if _, err := parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: have %v", text, err)
		}
	}
}

func TestTheFileThatNamesFilesIsFollowed(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "flowlogs.yaml")
	at := func(name string) string { return filepath.Join(dir, name) }
	var log bytes.Buffer
	numbers := NewNumbers()
	synctest.Test(t, func(t *testing.T) {
		o, happens := node(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			Several(ctx, o, config, numbers, slog.New(slog.NewTextHandler(&log, nil)))
		}()
		say := func(text string) {
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(look) // of the bubble's clock
			synctest.Wait()
		}
		all, web := "{name: all, filePath: "+at("all")+"}", "{name: web, filePath: "+at("web")+", includeFilters: [{destination_port: ['80']}]}"
		say("flowLogs: [" + all + "]")
		happens(80)
		say("flowLogs: [" + all + ", " + web + "]")
		happens(80)
		happens(81)
		say("flowLogs: [" + all + ", {name: web}]") // makes no sense
		happens(80)
		say("flowLogs: [" + web + "]")
		happens(80)
		numbers.now = func() time.Time { return time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC) }
		say("flowLogs: [{name: web, filePath: " + at("web") + ", includeFilters: [{destination_port: ['80']}], end: 2030-01-01T00:00:00Z}]")
		wrong := counted(t, numbers, `
			hubble_dynamic_exporter_config_last_applied 1.924992e+09
			hubble_dynamic_exporter_exporters_total{status="active"} 0
			hubble_dynamic_exporter_exporters_total{status="inactive"} 1
			hubble_dynamic_exporter_reconfigurations_total{op="add"} 2
			hubble_dynamic_exporter_reconfigurations_total{op="remove"} 1
			hubble_dynamic_exporter_reconfigurations_total{op="update"} 1
			hubble_dynamic_exporter_up{name="web"} 0`)
		if wrong != "" {
			t.Error(wrong)
		}
		cancel()
		<-done
		if wrong := counted(t, numbers, `
			hubble_dynamic_exporter_exporters_total{status="active"} 0
			hubble_dynamic_exporter_exporters_total{status="inactive"} 0
			hubble_dynamic_exporter_reconfigurations_total{op="add"} 2
			hubble_dynamic_exporter_reconfigurations_total{op="remove"} 2
			hubble_dynamic_exporter_reconfigurations_total{op="update"} 1`); wrong != "" {
			t.Error(wrong)
		}
	})
	if have := ports(t, at("all")); !slices.Equal(have, []uint32{80, 80, 81, 80}) {
		t.Errorf("all has %v", have)
	}
	if have := ports(t, at("web")); !slices.Equal(have, []uint32{80, 80, 80}) {
		t.Errorf("web has %v", have)
	}
	if !strings.Contains(log.String(), "flowLogs[1].filePath (web): must not be empty") || strings.Count(log.String(), "level=ERROR") != 1 {
		t.Errorf("have %s", log.String())
	}
}

// counted compares what numbers say with lines, but for the hash, and for how often the list made no sense; empty: they are the same.
func counted(t *testing.T, n *Numbers, want string) string {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(n)
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var have, wanted []string
	for _, family := range all {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, l := range m.GetLabel() {
				name += fmt.Sprintf("{%s=%q}", l.GetName(), l.GetValue())
			}
			if line := fmt.Sprint(name, " ", m.GetGauge().GetValue()+m.GetCounter().GetValue()); !strings.Contains(line, "_config_hash") && !strings.Contains(line, "failure") {
				have = append(have, line)
			}
		}
	}
	for line := range strings.Lines(want) {
		if line = strings.TrimSpace(line); line != "" {
			wanted = append(wanted, line)
		}
	}
	return cmp.Diff(wanted, have)
}
