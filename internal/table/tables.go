package table

import (
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
)

// Tables are the tables of a node. What a table is stands in the file of its row; it holds no rows, a database does.
type Tables struct {
	// What is.
	Settings       *state.Table[Setting]
	Nodes          *state.Table[Node]
	Namespaces     *state.Table[Namespace]
	Pods           *state.Table[Pod]
	Identities     *state.Table[Identity]
	Endpoints      *state.Table[Endpoint]
	Services       *state.Table[Service]
	EndpointSlices *state.Table[EndpointSlice]
	Policies       *state.Table[PolicyObject]
	CIDRGroups     *state.Table[CIDRGroup]
	Attachments    *state.Table[Attachment]
	Devices        *state.Table[Device]
	// What should be.
	Configs        *state.Table[Config]
	Programs       *state.Table[Programs]
	Workloads      *state.Table[Workload]
	IdentityClaims *state.Table[IdentityClaim]
	Published      *state.Table[PublishedEndpoint]
	Links          *state.Table[Link]
	Tunnels        *state.Table[Tunnel]
	Routes         *state.Table[Route]
	PolicySets     *state.Table[PolicySet]
	SetLists       *state.Table[SetList]
	RuleLists      *state.Table[RuleList]
	NICs           *state.Table[NIC]
	IPCache        *state.Table[IPCacheRow]
	Frontends      *state.Table[Frontend]
	Hooks          *state.Table[Hook]
	Sockets        *state.Table[Sockets]
	// What came of it.
	SetStatuses *state.Table[SetStatus]
	NICStatuses *state.Table[NICStatus]
	Findings    *state.Table[Finding]
	Needs       *state.Table[Need]
	Ready       *state.Table[Ready]
	Unmanaged   *state.Table[UnmanagedPod]
	MapSizes    *state.Table[MapSize]
}

// tables is filled by the declarations of this package, declared by all.
var (
	tables   = &Tables{}
	declared = []state.AnyTable{status.Statuses}
)

// declare makes a table, once for all databases.
func declare[R state.Row](field **state.Table[R], name string, key func(R) state.Key, indexes ...state.Index[R]) *state.Table[R] {
	*field = Declare(name, key, indexes...)
	return *field
}

// Declare makes a table that only its own package names: one below this folder, or what a derivation remembers. Call it where a package
// variable is declared; every database made by New has the table.
func Declare[R state.Row](name string, key func(R) state.Key, indexes ...state.Index[R]) *state.Table[R] {
	t := state.NewTable(name, key, indexes...)
	declared = append(declared, t)
	return t
}

// All lists the declared tables by name.
func All() []state.AnyTable {
	return slices.SortedFunc(slices.Values(declared), func(a, b state.AnyTable) int { return strings.Compare(a.Name(), b.Name()) })
}

// New makes an empty database of all declared tables.
func New() (*Tables, *state.DB) { return tables, state.New(All()...) }
