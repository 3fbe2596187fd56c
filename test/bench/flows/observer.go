package flows

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/observe"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/test/bench/cgroup"
	"weftnet.io/weftnet/test/bench/chart"
	"weftnet.io/weftnet/test/bench/report"
)

// pods are as many as the tables of the observer have, and connections as many as its records are of.
const (
	pods        = 1000
	connections = 4096
)

// observed is what an observer did.
type observed struct {
	Events   uint64
	CPU      float64 // seconds
	Wall     float64
	Resident float64 // bytes, at most
}

// events measures how fast one observer takes events in.
func (b Bench) events(ctx context.Context, s *report.Section) error {
	var rates, resident []float64
	for round := range b.Rounds {
		p, err := b.start(ctx, "observer")
		if err != nil {
			return err
		}
		var did observed
		if err := p.ask(b.Time.Seconds(), &did); err != nil {
			return fmt.Errorf("ask the observer: %w", err)
		}
		if err := p.end(); err != nil {
			return err
		}
		rates, resident = append(rates, float64(did.Events)/did.CPU), append(resident, did.Resident/mebibyte)
		b.Progress("round %d/%d  one observer: %.0f events per second of CPU, %.0f per second, RSS %.1f MiB", round+1, b.Rounds, rates[round], float64(did.Events)/did.Wall, resident[round])
	}
	rate, rss := report.Median(rates), report.Median(resident)
	s.Targets = append(s.Targets,
		report.Aimed("one agent: events decoded, enriched and kept, per second of CPU", "≥ 200,000", fmt.Sprintf("%.0f", rate), rate >= 200_000),
		report.Aimed("RSS of that process at most", "≤ 200 MiB", fmt.Sprintf("%.1f MiB", rss), rss <= 200))
	s.Chart.Groups = append(s.Chart.Groups, chart.Group{Name: "events that one agent takes in", Unit: "per second of CPU", Target: 200_000, Bars: []chart.Bar{bar("Weftnet", rates)}})
	s.Notes = append(s.Notes, fmt.Sprintf("Events of one agent: its observer alone in a process with one CPU, garbage collection included; verdicts, beginnings, answers and ends of %d connections among %d pods, "+
		"each looked up in the tables and put into the ring of the last flows. Reading the kernel's ring buffer is not in it.", connections, pods))
	return nil
}

const mebibyte = 1 << 20

// observerPart runs an observer for some seconds, as a line says.
func observerPart(in *bufio.Scanner, out *json.Encoder) error {
	runtime.GOMAXPROCS(1)
	tables, db, err := world()
	if err != nil {
		return err
	}
	all := records()
	for in.Scan() {
		var seconds float64
		if err := json.Unmarshal(in.Bytes(), &seconds); err != nil {
			return err
		}
		o := observe.New(tables, db, observe.Options{Node: "n1"})
		source := &generator{records: all, until: time.Now().Add(time.Duration(seconds * float64(time.Second)))}
		before, began := spent(), time.Now()
		if err := o.Run(context.Background(), source); err != nil {
			return err
		}
		did := observed{Events: source.given, CPU: (spent() - before).Seconds(), Wall: time.Since(began).Seconds()}
		if _, did.Resident, err = cgroup.Resident(os.Getpid()); err != nil {
			return err
		}
		if err := out.Encode(did); err != nil {
			return err
		}
	}
	return in.Err()
}

// spent is the CPU time that this process has taken.
func spent() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u) // cannot fail of oneself
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// generator is a source that has the next record always.
type generator struct {
	records [][]byte
	until   time.Time
	given   uint64
}

func (g *generator) Read() (record []byte, more bool, err error) {
	if g.given%1024 == 0 && time.Now().After(g.until) {
		return nil, false, os.ErrClosed
	}
	record = g.records[g.given%uint64(len(g.records))]
	g.given++
	return record, true, nil
}

func (g *generator) Close() error { return nil }

func podAddress(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}) }

// world fills tables with pods, of a hundred kinds in ten namespaces.
func world() (*table.Tables, *state.DB, error) {
	tables, db := table.New()
	return tables, db, db.Write(func(tx *state.Tx) error {
		tables.Configs.Put(tx, table.Config{Concern: settings.OfIdentity, Settings: settings.Config{Identity: settings.Identity{ClusterName: "default"}}})
		tables.Nodes.Put(tx, table.Node{Name: "n1", Local: true, Labels: map[string]string{"kubernetes.io/hostname": "n1", "kubernetes.io/arch": "amd64"}})
		for i := range pods {
			namespace, app := fmt.Sprint("namespace-", i%10), fmt.Sprint("app-", i%100)
			number := identity.Number(1000 + i%100)
			tables.Identities.Put(tx, table.Identity{Number: number, Labels: identity.NewLabels(map[string]string{"k8s:app": app, "k8s:io.kubernetes.pod.namespace": namespace})})
			tables.Endpoints.Put(tx, table.Endpoint{Namespace: namespace, Name: fmt.Sprint(app, "-", i), Identity: number, Addresses: []netip.Addr{podAddress(i)}})
		}
		return nil
	})
}

// records are what the kernel tells of some connections.
func records() (all [][]byte) {
	for i := range connections {
		src, dst := i%pods, (i*7+1)%pods
		e := abi.CloseEvent{Event: abi.Event{
			Protocol: 6, Direction: abi.DirectionEgress, Verdict: abi.VerdictAllow, SrcPort: uint16(32768 + i), DstPort: 8080, TcpFlags: 2, Hook: abi.HookFromPod,
			Src: abi.From(podAddress(src)), Dst: abi.From(podAddress(dst)), Source: uint32(1000 + src%100), Destination: uint32(1000 + dst%100),
		}, Ending: abi.EndingFin, Sent: abi.Carried{Packets: 6, Bytes: 700}, Received: abi.Carried{Packets: 5, Bytes: 9000}, Opened: 1, Last: 2}
		for _, change := range []func(*abi.Event){
			func(e *abi.Event) { e.Type = abi.EventVerdict },
			func(e *abi.Event) { e.Type, e.Direction = abi.EventVerdict, abi.DirectionIngress },
			func(e *abi.Event) { e.Type, e.Flags = abi.EventTrace, abi.EventNew },
			func(e *abi.Event) {
				e.Type, e.Flags = abi.EventTrace, abi.EventReply
				e.Src, e.Dst, e.Source, e.Destination, e.SrcPort, e.DstPort = e.Dst, e.Src, e.Destination, e.Source, e.DstPort, e.SrcPort
			},
			func(e *abi.Event) { e.Type = abi.EventClose },
		} {
			one := e
			change(&one.Event)
			b := make([]byte, unsafe.Sizeof(one))
			copy(b, unsafe.Slice((*byte)(unsafe.Pointer(&one)), unsafe.Sizeof(one)))
			all = append(all, b)
		}
	}
	return all
}
