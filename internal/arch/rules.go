package arch

import (
	"regexp"
	"slices"
	"strings"
)

// layer is a level in the order of imports. Higher ones may import lower ones.
type layer int

const (
	words layer = iota + 1
	engines
	stateful
	languages
	edges
	assembly
	mains
	testing // imported by test files only
	tools   // run by developers, imported by none
	schemas // CRD and API types, manifests: imported by languages and above
	apart   // other modules: they import nothing of this one, and nothing here imports them
)

func (l layer) String() string {
	return []string{"no layer", "words", "engines", "state", "languages", "edges", "assembly", "mains", "tests", "tools", "API types and manifests", "another module"}[l]
}

// layers puts every package, with all below it, in a layer. A longer path goes before a shorter one.
var layers = map[string]layer{
	"internal/identity": words, "internal/flow": words, "internal/packet": words, "internal/bpf/abi": words, "internal/settings": words, "internal/capability": words, "internal/version": words, "internal/tenancy": words,

	"internal/policy": engines, "internal/lb": engines, "internal/maglev": engines, "internal/ipam": engines, "internal/attach": engines,

	"internal/state": stateful, "internal/bpf/ktime": stateful, "internal/rtnetlink": stateful, "internal/status": stateful, "internal/table": stateful, "internal/policyinput": stateful, "internal/credential": stateful, "internal/journal": stateful,

	"internal/language": languages, "internal/kind": languages, "internal/lint": languages, "internal/manifest": languages, "internal/explain": languages,

	"internal/source": edges, "internal/derive": edges, "internal/reconcile": edges, "internal/sink": edges, "internal/datapath": edges, "internal/observe": edges,

	"internal/agent": assembly, "internal/install": assembly, "internal/operator": assembly, "internal/relay": assembly, "internal/cli": assembly,

	"internal/arch": testing, "internal/nettest": testing, "test": testing,

	"cmd": mains, "tools": tools, "api": schemas, "deploy": schemas, "lab": apart,
}

// sideways lists what an edge, with all below it, may import of another edge: from, to.
var sideways = [][2]string{
	{"internal/sink", "internal/reconcile"},
	{"internal/sink/link", "internal/datapath"},
}

// libraries lists who may import a library, and all below it, and why no others.
var libraries = []struct {
	path string
	only []string
	why  string
}{
	{"k8s.io/client-go", kubeEdges, "only source/kube, sink/kube, operator, relay/review and cli speak to the API server; the rest sees rows, and works in a test without one"},
	{"sigs.k8s.io/controller-runtime", []string{"internal/operator"}, "only the operator is a controller; the agent has one state and one loop of its own"},
	{"github.com/cilium/ebpf", []string{"internal/datapath", "internal/sink/bpfmap", "internal/observe"}, "only datapath, sink/bpfmap and observe touch programs and maps; what the kernel holds is then found in three packages"},
	{"github.com/vishvananda/netlink", []string{"internal/source/netdev", "internal/sink/link", "internal/sink/route", "internal/datapath", "internal/rtnetlink"}, "only source/netdev reads and sink/link and sink/route write devices and routes, and datapath the filters that are its programs; everything else asks tables"},
	{"testing", nil, whyTesting},
	{"pgregory.net/rapid", nil, whyTesting},
	{"github.com/google/go-cmp", nil, whyTesting},
}

var kubeEdges = []string{"internal/source/kube", "internal/sink/kube", "internal/operator", "internal/relay/review", "internal/cli"}

// kubernetes are the libraries of Kubernetes. Languages read its types.
var kubernetes = []string{"k8s.io", "sigs.k8s.io"}

// impure lists what words, engines and languages must not import: a package, or with a dot one name of a package.
var impure = []string{
	"os", "os/exec", "os/signal", "syscall", "golang.org/x/sys", "io/ioutil", "net/http", "net/rpc", "log", "log/slog",
	"crypto/rand", "math/rand", "math/rand/v2", "github.com/go-logr/logr",
	"time.Now", "time.Since", "time.Until", "time.Sleep", "time.After", "time.AfterFunc", "time.Tick", "time.NewTicker", "time.NewTimer",
	"net.Dial", "net.DialTimeout", "net.Dialer", "net.Listen", "net.ListenPacket", "net.ListenConfig", "net.Resolver",
	"net.LookupHost", "net.LookupIP", "net.LookupAddr", "net.Interfaces", "net.InterfaceByName", "net.InterfaceByIndex", "net.InterfaceAddrs",
}

// forbiddenNames say nothing about what a package is.
var forbiddenNames = []string{"util", "utils", "common", "helper", "helpers", "type", "types", "manager", "misc", "shared", "lib"}

// upward finds a path that climbs, as text (../../x) or as arguments of filepath.Join.
var upward = regexp.MustCompile(`(?:\.\./)+(?:\.\.\b)?|(?:"\.\.",? ?)+`)

// unread folders hold nothing of ours: git's own files, installed packages, what a build makes.
var unread = []string{".git", "node_modules", ".cache"}

// Caps. Raising one needs a decision page in docs/design.
const (
	maxPackageLines  = 1500
	maxFunctionLines = 90
	maxFanOut        = 14
	maxAssemblyOut   = 30
	maxMainLines     = 60
	maxHeaderLines   = 300
	maxProgramLines  = 150

	nearly = 90 // percent of a cap from which on Check warns
)

const (
	whyLayers   = "imports run downward only (words < engines < state < languages < edges < assembly < mains), so that a lower layer is understood and tested without the higher"
	whyNoLayer  = "every package has a layer: add it to layers in internal/arch/rules.go and to section Folders and layers of docs/architecture.md, or put the code where it belongs"
	whySideways = "an edge never imports another edge (sinks may use reconcile, sink/link may use datapath): edges meet in tables, so each can be replaced or faked alone"
	whyTesting  = "test packages are imported by test files only, or they end up in the binaries"
	whyPure     = "words, engines and languages are pure: no I/O, goroutines, clock, randomness or logging, and words and engines no Kubernetes types, so the same input gives the same output in every test"
	whyLines    = "a package has at most 1500 lines, so that one sitting is enough to read it: split it by noun"
	whyFunction = "a function has at most 90 lines, so that it is seen at once: give its parts names"
	whyFanOut   = "a package imports at most 14 others of the project (assembly, mains and the lab 30): one that knows everything changes with everything"
	whyComment  = "every package has a comment that teaches: the world it models, its invariants, an example"
	whyName     = "a package is named after what it is about; a name like this collects whatever has no home"
	whyMain     = "a main has at most 60 lines: it reads flags and calls the assembly, which can be tested"
	whyHeader   = "a header in bpf/lib is one noun of at most 300 lines"
	whyProgram  = "a BPF program is a table of contents of at most 150 lines; the steps are in bpf/lib"
	whyWord     = "one word for one thing, and plain ones (docs/style.md, docs/glossary.md); a text quoted from others goes into quoted in internal/arch/words.go"
	whyOutside  = "no path leads out of the repository: a clean clone has no such file, and a test that reads it passes on one machine only"
	whyApart    = "lab is a module of its own, since it links Kubernetes: it imports nothing of this one"
	whyMissing  = "layers and rights name what is there: a room is entered in internal/arch/rules.go when it is built"
)

// layerOf is the layer of a folder, 0 if it has none. What is named like nettest helps tests, wherever it stands.
func layerOf(dir string) layer {
	if strings.HasSuffix(dir, "test") {
		return testing
	}
	for d := dir; ; {
		if l, ok := layers[d]; ok {
			return l
		}
		i := strings.LastIndexByte(d, '/')
		if i < 0 {
			return 0
		}
		d = d[:i]
	}
}

// unit is the edge a folder belongs to: "internal/sink/link" of all below it, each feature of derive on its own.
func unit(dir string) string {
	parts := strings.Split(dir, "/")
	n := 2
	if len(parts) > 2 && slices.Contains([]string{"source", "sink", "derive"}, parts[1]) {
		n = 3
	}
	return strings.Join(parts[:min(n, len(parts))], "/")
}

// below tells whether a path is root or lies below it.
func below(path, root string) bool { return path == root || strings.HasPrefix(path, root+"/") }
