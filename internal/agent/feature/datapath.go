package feature

import (
	"cmp"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"weftnet.io/weftnet/internal/agent/capacity"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/settings"
	sinklink "weftnet.io/weftnet/internal/sink/link"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// datapath has no derivation of its own: what programs are told follows from the constants of all features (Derivations).
var datapath = Feature{
	Name: "datapath", Does: "loads programs and maps, and loads them anew when the configuration changes",
	Fills: func(t *table.Tables) []state.AnyTable { return []state.AnyTable{t.Programs, t.MapSizes} },
	Early: func(n *Node) ([]Runner, error) {
		n.Programs = newPrograms(n)
		return []Runner{keep(n, &reconcile.Loop[table.Programs]{Table: n.Tables.Programs, Sink: n.Programs, WaitSynced: true})}, nil
	},
}

func newPrograms(n *Node) *sinklink.Programs {
	return sinklink.NewPrograms(sinklink.ProgramOptions{
		Dir: n.Pins, Log: n.Log,
		Ports: func() (low, high uint16) {
			services := n.Tables.Config(n.DB.Snapshot()).Outside // another range of node ports is another row of table programs
			return natPorts(n.proc("net/ipv4/ip_local_port_range"), n.proc("net/ipv4/ip_local_reserved_ports"), services.First, services.Last)
		},
		Sizes: func(s settings.MapSizes) (map[string]uint32, error) {
			bytes, err := capacity.Memory()
			return capacity.Entries(s, bytes), err
		},
		Tell: n.tellSizes, Took: n.Times.Loaded,
	})
}

// tellSizes writes table MapSizes: the sizes that maps have, beside those that the configuration asks for.
func (n *Node) tellSizes(sizes []table.MapSize) error {
	return n.DB.Write(func(tx *state.Tx) error {
		is := map[state.Key]bool{}
		for _, row := range sizes {
			is[n.Tables.MapSizes.Key(row)] = true
			n.Tables.MapSizes.Put(tx, row)
		}
		for row := range n.Tables.MapSizes.All(tx) {
			if key := n.Tables.MapSizes.Key(row); !is[key] {
				n.Tables.MapSizes.Delete(tx, key)
			}
		}
		n.Tables.MapSizes.MarkSynced(tx)
		return nil
	})
}

func (n *Node) proc(name string) string {
	text, err := os.ReadFile(filepath.Join(cmp.Or(n.Proc, "/proc"), "sys", name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// natPorts is the largest range of unprivileged ports that the host does not give out: neither to its own sockets
// (ip_local_port_range), nor by reservation (ip_local_reserved_ports), nor to node ports.
func natPorts(local, reserved string, firstNodePort, lastNodePort uint16) (low, high uint16) {
	taken := [1 << 16]bool{}
	mark := func(from, to int) {
		for p := max(from, 0); p <= to && p < len(taken); p++ {
			taken[p] = true
		}
	}
	mark(0, 1023)
	mark(int(firstNodePort), int(lastNodePort))
	from, to := 32768, 60999
	if f := strings.Fields(local); len(f) == 2 {
		if x, err := strconv.Atoi(f[0]); err == nil {
			from = x
		}
		if x, err := strconv.Atoi(f[1]); err == nil {
			to = x
		}
	}
	mark(from, to)
	for _, r := range strings.Split(reserved, ",") {
		first, last, isRange := strings.Cut(r, "-")
		if !isRange {
			last = first
		}
		x, err1 := strconv.Atoi(first)
		y, err2 := strconv.Atoi(last)
		if err1 == nil && err2 == nil {
			mark(x, y)
		}
	}
	best, start := 0, 0
	for p := 0; p <= len(taken); p++ {
		if p < len(taken) && !taken[p] {
			continue
		}
		if p-start > best {
			best, low, high = p-start, uint16(start), uint16(p-1)
		}
		start = p + 1
	}
	return low, high
}
