package packet

import (
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
)

// abreast is how many short connections go side by side: their rows stay in the caches of a CPU.
const abreast = 512

// step is a packet of a short connection: its name, which end sends it, and what a line says of it behind the addresses.
type step struct {
	name   string
	called bool
	text   string
}

var shortTCP = []step{
	{"SYN", false, "S seq 1"},
	{"SYN-ACK", true, "SA seq 1 ack 2"},
	{"ACK", false, "A seq 2 ack 2"},
	{"request", false, "A seq 2 ack 2 len 1"},
	{"response", true, "A seq 2 ack 3 len 1"},
	{"FIN", false, "FA seq 3 ack 3"},
	{"FIN-back", true, "FA seq 3 ack 4"},
	{"last-ACK", false, "A seq 4 ack 4"},
}

var shortUDP = []step{
	{"request", false, "len 1"},
	{"response", true, "len 1"},
}

// BenchmarkAShortConnection is what each packet of a connection costs that says one word each way, and all of them together.
// The least of the rounds counts, less what the driver takes; rows and events of a round are taken out behind it.
func BenchmarkAShortConnection(b *testing.B) {
	for _, way := range []struct{ name, caller, called string }{
		{"pods of a node", "10.0.1.5:2000", "10.0.1.6:80"},
		{"pods of a node, IPv6", "[fd00::5]:2000", "[fd00::6]:80"},
		{"to another node", "10.0.1.5:2000", "10.0.2.6:80"},
		{"to another node, IPv6", "[fd00::5]:2000", "[fd00::2:6]:80"},
		{"from another node", "10.0.2.6:2000", "10.0.1.5:80"},
		{"from another node, IPv6", "[fd00::2:6]:2000", "[fd00::5]:80"},
	} {
		bench := newCostBench(b)
		for protocol, steps := range map[string][]step{"TCP": shortTCP, "UDP": shortUDP} {
			b.Run(way.name+"/"+protocol, func(b *testing.B) { shortConnection(b, bench, way.caller, way.called, steps) })
		}
	}
}

func shortConnection(b *testing.B, bench *bench, caller, called string, steps []step) {
	programs, alone := make([]*ebpf.Program, len(steps)), make([]*ebpf.Program, len(steps))
	frames, devices := make([][]byte, len(steps)), make([]string, len(steps))
	for i, s := range steps {
		d, from, to := driver{connections: abreast, port: 34}, caller, called
		if s.called {
			d.port, from, to = 36, called, caller
		}
		if strings.HasPrefix(caller, "[") {
			d.port += 20
		}
		hook := "from_pod"
		switch {
		case from == "10.0.1.6:80" || from == "[fd00::6]:80":
			devices[i] = "db"
		case strings.HasPrefix(from, "10.0.2.6") || strings.HasPrefix(from, "[fd00::2:6]"):
			devices[i], hook, d.tunnelled = "tunnel", "from_overlay", true
		default:
			devices[i] = "web"
		}
		frames[i] = packetOf(b, from+" > "+to+" "+s.text)
		var err error
		if programs[i], err = bench.driven(d, hook); err != nil {
			b.Fatal(err)
		}
		if alone[i], err = bench.driven(d, ""); err != nil {
			b.Fatal(err)
		}
	}
	least, driver := make([]time.Duration, len(steps)), make([]time.Duration, len(steps))
	for round := range b.N {
		for i := range steps {
			for _, run := range []struct {
				p     *ebpf.Program
				least []time.Duration
			}{{alone[i], driver}, {programs[i], least}} {
				if took := bench.timed(b, run.p, devices[i], frames[i], abreast); round == 0 || took < run.least[i] {
					run.least[i] = took
				}
			}
		}
		if n := bench.forget(b); n != abreast {
			b.Fatalf("%d connections are known, want %d", n, abreast)
		}
	}
	all := 0.0
	for i, s := range steps {
		ns := float64(least[i]-driver[i]) / abreast
		all += ns
		b.ReportMetric(ns, s.name+"-ns")
	}
	b.ReportMetric(all, "all-ns")
}

// forget takes out what connections have left: rows, of which it gives the number, what they count for, events.
func (b *bench) forget(t testing.TB) (connections int) {
	t.Helper()
	for _, name := range []string{"connections", "quota"} {
		m := b.dp.Map(name)
		key, value := make([]byte, m.KeySize()), make([]byte, m.ValueSize())
		var keys [][]byte
		for all := m.Iterate(); all.Next(&key, &value); {
			keys = append(keys, append([]byte{}, key...))
		}
		connections = max(connections, len(keys))
		for _, key := range keys {
			if err := m.Delete(key); err != nil {
				t.Fatal(err)
			}
		}
	}
	callers := b.dp.Map("callers")
	at, none := make([]uint32, callers.MaxEntries()), make([]uint32, callers.MaxEntries())
	for i := range at {
		at[i] = uint32(i)
	}
	if _, err := callers.BatchUpdate(at, none, nil); err != nil {
		t.Fatal(err)
	}
	b.events.SetDeadline(time.Unix(1, 0))
	for {
		if _, err := b.events.Read(); err != nil {
			return connections
		}
	}
}
