package feature

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/agent/network"
	"weftnet.io/weftnet/internal/agent/scrape"
	"weftnet.io/weftnet/internal/agent/socket"
	"weftnet.io/weftnet/internal/agent/sweep"
	dp "weftnet.io/weftnet/internal/datapath"
	"weftnet.io/weftnet/internal/derive/config"
	"weftnet.io/weftnet/internal/derive/need"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/sink/bpfmap"
	sinklink "weftnet.io/weftnet/internal/sink/link"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// All are the features of a node.
func All() []Feature {
	return []Feature{
		cluster,       // what the cluster tells this node, and this node the cluster
		configuration, // what cilium-config says
		datapath,      // programs and maps
		links,         // devices, and routes to them
		vlans,         // devices that further NICs of pods lie on; before these, whose errors follow from theirs
		networks,      // further NICs of pods
		leases,        // addresses of these, by DHCP
		workloads,     // who pods are
		policies,      // what pods may send and receive
		ipcache,       // who lives at an address
		services,      // addresses that are translated
		sockets,       // the same for processes, before there is a packet
		healthChecks,  // what load balancers ask about them
		stations,      // NICs that share an uplink
		peers,         // such NICs of other nodes
		programs,      // the datapath's programs on devices
		pools,         // parts of named pools that the node needs
		attachments,   // when an ADD is answered
		sweeping,      // finished connections
		moving,        // maps of another shape
		flows,         // what happens to packets
		metrics,       // numbers of all that; last: the others add theirs
	}
}

// Feature is one thing that a node does. A field that it does not need is nil.
type Feature struct {
	Name string
	Does string // in a line, for people

	Fills       func(t *table.Tables) []state.AnyTable // tables that only this feature writes
	Derivations func(n *Node) []state.AnyDerivation
	Slow        bool          // its derivations may compute for long: none of the others waits for them
	Needs       need.Source   // what an attachment waits for
	Constants   config.Source // what programs are told when they are loaded

	Early func(n *Node) ([]Runner, error) // started at once
	Maps  func(n *Node) ([]Runner, error) // started when the node's programs are loaded
}

// Node is what features run on.
type Node struct {
	Name     string   // of the node
	Version  string   // of the agent
	Root     string   // where files of the host are seen; empty: at /
	Proc     string   // a proc file system in which the host's kernel settings may be written; empty: /proc
	Pins     string   // where programs and maps are pinned
	Plugins  []string // folders of CNI plugins, for further NICs
	Confs    []string // folders of CNI configurations, for definitions that have none
	StateDir string
	Hubble   string // socket of the flow service, empty: the configured one
	Metrics  string // address for /metrics where the configuration has none
	Kube     string // kubeconfig; empty: as a pod does
	Servers  string // URLs of API servers; empty: as that says
	Kept     string // file of the API servers that were known last
	Alone    bool   // there is no API server
	Books    string // kubeconfig of one for addresses, of a node that is alone; empty: none
	Flags    map[string]string
	Log      *slog.Logger
	Tables   *table.Tables
	DB       *state.DB

	Settings func() []settings.Line                          // each key, and whether it is in force
	Ready    func() bool                                     // the node takes workloads
	Took     func() time.Duration                            // from the start until it did; 0: not yet
	Behind   func(s *state.Snapshot, names ...string) string // which loop of these names, or of all, has not caught up with a snapshot; empty: none
	Times    *scrape.Programs                                // of programs
	Complain *scrape.Complaints                              // in the log

	// Known when the phase of Maps begins.
	Datapath  *dp.Datapath
	Revisions *bpfmap.Revisions

	Programs *sinklink.Programs             // of feature datapath
	Links    *sinklink.Links                // of feature links; CHECK asks it
	Networks *network.Networks              // of feature networks
	Cluster  *network.Cluster               // grants addresses; nil: there is no API server for that
	Events   network.Events                 // of the cluster, once its feature has begun; nil: there is none to tell
	Hooks    atomic.Pointer[sinklink.Hooks] // of feature programs
	Sweeper  atomic.Pointer[sweep.Sweeper]
	orphans  atomic.Pointer[socket.Orphans] // of feature sockets

	collectors []prometheus.Collector // of features before metrics
}

// Derivations are those of all features, and the three that join what features say: Programs of their Constants, Needs of their
// Needs, and Ready. Those of a list are run together (state.Together).
func Derivations(n *Node) (lists [][]state.AnyDerivation) {
	var quick []state.AnyDerivation
	var needs []need.Source
	var constants []config.Source
	for _, f := range All() {
		if f.Derivations != nil {
			list := f.Derivations(n)
			for f.Slow && len(list) > 0 {
				lists, list = append(lists, list[:1]), list[1:]
			}
			quick = append(quick, list...)
		}
		if f.Needs != nil {
			needs = append(needs, f.Needs)
		}
		if f.Constants != nil {
			constants = append(constants, f.Constants)
		}
	}
	return append(lists, append(quick, config.NewPrograms(n.Tables, constants...), need.Needs(n.Tables, needs...), need.Ready(n.Tables)))
}
