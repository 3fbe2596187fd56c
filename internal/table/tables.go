package table

import (
	"net/netip"
	"slices"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/identity/anchor"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
)

// Tables is one node's schema: every table of an agent, made once by New.
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
	Hosts          *state.Table[Host]
	Frontends      *state.Table[Frontend]
	Hooks          *state.Table[Hook]
	// What came of it.
	SetStatuses *state.Table[SetStatus]
	NICStatuses *state.Table[NICStatus]
	Findings    *state.Table[Finding]
	Ready       *state.Table[Ready]
	Unmanaged   *state.Table[UnmanagedPod]
}

// Names of secondary indexes.
const (
	ByPod      = "pod"      // Attachments, Workloads: ObjectKey of the pod
	ByLabels   = "labels"   // Identities: label set; Workloads: labels that need a number
	ByIdentity = "identity" // Workloads, Endpoints, PolicySets, NICStatuses: number
	ByService  = "service"  // EndpointSlices, Frontends: ObjectKey of the service
	ByAddress  = "address"  // Endpoints, Workloads, Attachments: address
	ByName     = "name"     // Devices: name
	ByLocal    = "local"    // Nodes: "true" for the local one
	ByDevice   = "device"   // Attachments: name of the host side
	BySet      = "set"      // Workloads: keys of the policy sets
	ByNumber   = "number"   // Attachments: incarnation
	ByLabel    = "label"    // Policies: labels that selectors ask about, by key without source; Services: key and value of their selectors
	ByServices = "services" // Policies: "true" for those that take peers from services
	ByBucket   = "bucket"   // SetLists: buckets of the numbers of their lists
	ByAnchor   = "anchor"   // Identities: anchors that their labels are filed under; Policies: anchors of their subjects
)

// New makes the tables and the database that holds them.
func New() (*Tables, *state.DB) {
	t := &Tables{
		Settings: state.NewTable("settings", func(r Setting) state.Key { return state.Join(r.Name) }),
		Nodes: state.NewTable("nodes", func(r Node) state.Key { return state.Join(r.Name) },
			state.Index[Node]{Name: ByLocal, Keys: func(r Node) []state.Key { return []state.Key{state.Join(r.Local)} }}),
		Namespaces: state.NewTable("namespaces", func(r Namespace) state.Key { return state.Join(r.Name) }),
		Pods:       state.NewTable("pods", func(r Pod) state.Key { return ObjectKey(r.Namespace, r.Name) }),
		Identities: state.NewTable("identities", func(r Identity) state.Key { return state.Join(uint32(r.Number)) },
			state.Index[Identity]{Name: ByLabels, Keys: func(r Identity) []state.Key { return []state.Key{state.Join(r.Labels.String())} }},
			state.Index[Identity]{Name: ByAnchor, Keys: func(r Identity) []state.Key { return anchors(anchor.Filed(r.Labels)) }}),
		Endpoints: state.NewTable("endpoints", func(r Endpoint) state.Key { return ObjectKey(r.Namespace, r.Name) },
			byAddress(func(r Endpoint) []netip.Addr { return r.Addresses }),
			byIdentity(func(r Endpoint) identity.Number { return r.Identity })),
		Services: state.NewTable("services", func(r Service) state.Key { return ObjectKey(r.Namespace, r.Name) },
			state.Index[Service]{Name: ByLabel, Keys: func(r Service) (keys []state.Key) {
				for key, value := range r.Selector {
					keys = append(keys, state.Join(key, value))
				}
				return keys
			}}),
		EndpointSlices: state.NewTable("endpointslices", func(r EndpointSlice) state.Key { return ObjectKey(r.Namespace, r.Name) },
			state.Index[EndpointSlice]{Name: ByService, Keys: func(r EndpointSlice) []state.Key {
				return []state.Key{ObjectKey(r.Namespace, r.Service)}
			}}),
		CIDRGroups: state.NewTable("cidr-groups", func(r CIDRGroup) state.Key { return state.Join(r.Name) }),
		Policies: state.NewTable("policies", func(r PolicyObject) state.Key { return state.Join(r.Kind, r.Namespace, r.Name) },
			state.Index[PolicyObject]{Name: ByAnchor, Keys: func(r PolicyObject) (keys []state.Key) {
				for _, rule := range r.Rules {
					keys = append(keys, anchors(anchor.Of(rule.Subject))...)
				}
				slices.Sort(keys)
				return slices.Compact(keys)
			}},
			state.Index[PolicyObject]{Name: ByLabel, Keys: func(r PolicyObject) (keys []state.Key) {
				for _, key := range r.LabelKeys() {
					keys = append(keys, state.Join(key))
				}
				return keys
			}},
			state.Index[PolicyObject]{Name: ByServices, Keys: func(r PolicyObject) []state.Key {
				return []state.Key{state.Join(r.NamesServices())}
			}}),
		Attachments: state.NewTable("attachments", func(r Attachment) state.Key { return AttachmentKey(r.ContainerID, r.Interface) },
			state.Index[Attachment]{Name: ByPod, Keys: func(r Attachment) []state.Key { return []state.Key{ObjectKey(r.Namespace, r.Pod)} }},
			state.Index[Attachment]{Name: ByDevice, Keys: func(r Attachment) []state.Key { return []state.Key{state.Join(r.HostName)} }},
			state.Index[Attachment]{Name: ByNumber, Keys: func(r Attachment) []state.Key { return []state.Key{state.Join(r.Incarnation)} }},
			byAddress(func(r Attachment) []netip.Addr { return r.Addresses })),
		Devices: state.NewTable("devices", func(r Device) state.Key { return state.Join(uint32(r.Index)) },
			state.Index[Device]{Name: ByName, Keys: func(r Device) []state.Key { return []state.Key{state.Join(r.Name)} }}),
	}
	t.desired()
	t.status()
	return t, state.New(
		t.Settings, t.Nodes, t.Namespaces, t.Pods, t.Identities, t.Endpoints, t.Services, t.EndpointSlices, t.Policies,
		t.CIDRGroups, t.Attachments, t.Devices, t.Workloads, t.IdentityClaims, t.Published, t.Links, t.Tunnels, t.Routes, t.PolicySets,
		t.SetLists, t.RuleLists, t.NICs, t.Hosts, t.Frontends, t.Hooks, t.SetStatuses, t.NICStatuses, status.Statuses, t.Findings, t.Ready,
		t.Unmanaged,
	)
}

func (t *Tables) desired() {
	t.Workloads = state.NewTable("workloads", func(r Workload) state.Key { return AttachmentKey(r.ContainerID, r.Interface) },
		state.Index[Workload]{Name: ByPod, Keys: func(r Workload) []state.Key { return []state.Key{ObjectKey(r.Namespace, r.Pod)} }},
		state.Index[Workload]{Name: BySet, Keys: func(r Workload) (keys []state.Key) {
			for _, s := range r.Subjects() {
				if s.Set != "" {
					keys = append(keys, s.Set)
				}
			}
			return keys
		}},
		state.Index[Workload]{Name: ByIdentity, Keys: func(r Workload) (keys []state.Key) {
			for _, s := range r.Subjects() {
				keys = append(keys, state.Join(uint32(s.Identity)))
			}
			return keys
		}},
		state.Index[Workload]{Name: ByLabels, Keys: func(r Workload) []state.Key {
			if claims := r.Claims(); claims.Len() > 0 {
				return []state.Key{state.Join(claims.String())}
			}
			return nil
		}},
		byAddress(func(r Workload) []netip.Addr { return r.Addresses }))
	t.IdentityClaims = state.NewTable("identity-claims", func(r IdentityClaim) state.Key { return state.Join(r.Labels.String()) })
	t.Published = state.NewTable("published-endpoints", func(r PublishedEndpoint) state.Key { return ObjectKey(r.Namespace, r.Name) })
	t.Links = state.NewTable("links", func(r Link) state.Key { return state.Join(r.HostName) })
	t.Tunnels = state.NewTable("tunnels", func(r Tunnel) state.Key { return state.Join(r.Name) })
	t.Routes = state.NewTable("routes", func(r Route) state.Key { return state.Join(r.Prefix) })
	t.PolicySets = state.NewTable("policy-sets", func(r PolicySet) state.Key { return SetKey(r.Identity, r.NamedPorts) },
		byIdentity(func(r PolicySet) identity.Number { return r.Identity }))
	t.SetLists = state.NewTable("set-lists", func(r SetList) state.Key { return r.Set },
		state.Index[SetList]{Name: ByBucket, Keys: SetList.Buckets})
	t.RuleLists = state.NewTable("rule-lists", func(r RuleList) state.Key { return state.Join(r.Number) })
	t.NICs = state.NewTable("nics", func(r NIC) state.Key { return state.Join(r.Ifindex) })
	t.Hosts = state.NewTable("hosts", func(r Host) state.Key { return state.Join(r.Network, r.Prefix) })
	t.Frontends = state.NewTable("frontends", func(r Frontend) state.Key { return state.Join(r.Address, r.Port, r.Protocol) },
		state.Index[Frontend]{Name: ByService, Keys: func(r Frontend) []state.Key { return []state.Key{ObjectKey(r.Namespace, r.Name)} }})
	t.Hooks = state.NewTable("hooks", func(r Hook) state.Key { return state.Join(r.Device, r.Program) })
}

func (t *Tables) status() {
	t.SetStatuses = state.NewTable("set-statuses", func(r SetStatus) state.Key { return r.Set })
	t.NICStatuses = state.NewTable("nic-statuses", func(r NICStatus) state.Key { return state.Join(r.Incarnation) },
		byIdentity(func(r NICStatus) identity.Number { return r.Identity }))
	t.Findings = state.NewTable("findings", func(r Finding) state.Key { return state.Join(r.Kind, r.Namespace, r.Name, r.Field, r.Message) })
	t.Ready = state.NewTable("ready", func(r Ready) state.Key { return AttachmentKey(r.ContainerID, r.Interface) })
	t.Unmanaged = state.NewTable("unmanaged-pods", func(r UnmanagedPod) state.Key { return ObjectKey(r.Namespace, r.Name) })
}

// HostSet is the key of the policy set of this node itself.
var HostSet = SetKey(identity.Host, "")

// SetKey is the key of the policy set that NICs of an identity with these named ports share.
func SetKey(n identity.Number, namedPorts string) state.Key { return state.Join(uint32(n), namedPorts) }

func byAddress[R state.Row](of func(R) []netip.Addr) state.Index[R] {
	return state.Index[R]{Name: ByAddress, Keys: func(r R) []state.Key {
		keys := make([]state.Key, 0, 2)
		for _, a := range of(r) {
			keys = append(keys, state.Join(a))
		}
		return keys
	}}
}

func byIdentity[R state.Row](of func(R) identity.Number) state.Index[R] {
	return state.Index[R]{Name: ByIdentity, Keys: func(r R) []state.Key { return []state.Key{state.Join(uint32(of(r)))} }}
}

func anchors(list []anchor.Anchor) []state.Key {
	keys := make([]state.Key, len(list))
	for i, a := range list {
		keys[i] = state.Key(a)
	}
	return keys
}
