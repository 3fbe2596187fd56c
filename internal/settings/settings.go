// Package settings knows the keys of ConfigMap kube-system/cilium-config: what each means, which values do something in
// this version, and how to read them.
//
// # The world it models
//
// Users bring their configuration with them. Some of its keys do here what they always did (effective), some name
// features that do not exist yet (not implemented), some are not known (unknown), some have values that make no sense
// (invalid). Report puts every key in one of these, so that nothing is dropped in silence: people see it in
// "weft status", and a key that asks for protection (encryption, a stricter policy mode) and gets none makes that command
// fail. Parse reads the effective ones into a Config, which has a part for each concern.
//
// A key is one element of the catalogue: its name, type, default and concern, where in Config it goes, when a change takes
// hold, and what people read of it. To add a key, add an element; the report and docs/configuration.md follow from it.
//
// # Invariants
//
//   - Both functions are pure: they look at the given values only.
//   - Parse always gives a usable Config. A value that makes no sense counts as absent and is in the problems it returns.
//   - A key is in the catalogue once. Older names of a key are elements of their own; the newer name wins.
//   - No key needs a restart of an agent.
//
// # Example
//
//	config, problems := settings.Parse(func(key string) (string, bool) { v, ok := data[key]; return v, ok })
//	if config.IPv6 && config.Routing == settings.Tunnel { … }
//	for _, line := range settings.Report(data) {
//		if line.Alarm() { … } // e.g. enable-wireguard true: not implemented, traffic between nodes is not encrypted
//	}
package settings

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"weftnet.io/weftnet/internal/settings/key"
	"weftnet.io/weftnet/internal/settings/network"
	"weftnet.io/weftnet/internal/settings/observation"
)

// RoutingMode is how packets for pods of other nodes travel.
type RoutingMode string

// Values of RoutingMode.
const (
	Tunnel RoutingMode = "tunnel" // inside VXLAN
	Native RoutingMode = "native" // as they are, by the network's routes
)

// Values of key ipam.
const (
	ClusterPool = "cluster-pool" // the operator gives each node prefixes of a pool
	Kubernetes  = "kubernetes"   // kube-controller-manager does: node.spec.podCIDRs
)

// Values of keys policy-enforcement-mode and enable-policy.
const (
	EnforceDefault = "default" // workloads that a policy selects, in its directions
	EnforceAlways  = "always"  // every workload, both directions
	EnforceNever   = "never"   // none
)

// Values of key datapath-mode.
const (
	Veth   = "veth"
	Netkit = "netkit" // needs Linux 6.8
)

// Concern is what a key is about.
type Concern = key.Concern

// Values of Concern.
const (
	OfAddressing  Concern = "addressing"
	OfIdentity    Concern = "identity"
	OfRouting     Concern = "routing"
	OfPolicy      Concern = "policy"
	OfDatapath    Concern = "datapath"
	OfServices    Concern = "services"
	OfObservation Concern = "observation"
	OfNetworks    Concern = network.Concern
	OfEncryption  Concern = "encryption" // no key of it is effective yet
)

// Concerns are those that have a part of Config.
var Concerns = []Concern{OfAddressing, OfIdentity, OfRouting, OfPolicy, OfDatapath, OfServices, OfObservation, OfNetworks}

// Config is what the effective keys say, by concern.
type Config struct {
	Addressing
	Identity
	Routes
	Policy
	Datapath
	Services
	Observation
	Networks network.Networks
}

// Part is a Config with the part of one concern; the others are zero.
func (c Config) Part(of Concern) (part Config) {
	part.Add(of, c)
	return part
}

// Add takes the part of a concern from another Config.
func (c *Config) Add(of Concern, from Config) {
	switch of {
	case OfAddressing:
		c.Addressing = from.Addressing
	case OfIdentity:
		c.Identity = from.Identity
	case OfRouting:
		c.Routes = from.Routes
	case OfPolicy:
		c.Policy = from.Policy
	case OfDatapath:
		c.Datapath = from.Datapath
	case OfServices:
		c.Services = from.Services
	case OfObservation:
		c.Observation = from.Observation
	case OfNetworks:
		c.Networks = from.Networks
	}
}

// Text is the part of a concern in one line.
func (c Config) Text(of Concern) string {
	part := map[Concern]any{
		OfAddressing: c.Addressing, OfIdentity: c.Identity, OfRouting: c.Routes, OfPolicy: c.Policy, OfDatapath: c.Datapath,
		OfServices: c.Services, OfObservation: c.Observation, OfNetworks: c.Networks,
	}
	return fmt.Sprintf("%+v", part[of])
}

// ConcernOf is what a key is about; empty if it does nothing.
func ConcernOf(name string) Concern {
	if k := catalogue[name]; k.Read != nil {
		return k.Concern
	}
	return ""
}

// Addressing says which addresses pods have, and where they come from.
type Addressing struct {
	IPv4, IPv6 bool
	// The key of the family is set. A family that no key names is on if the node has addresses of it to give.
	SaidIPv4, SaidIPv6 bool

	IPAM  string
	Pools []Pool // where IPAM is cluster-pool; families that are off left out
}

// Identity says what the identity of a pod is made of.
type Identity struct {
	ClusterName string
	ClusterID   uint8
	Labels      []string // patterns of pod labels that enter an identity, beside the built-in ones
}

// Routes says how packets leave the node.
type Routes struct {
	Routing      RoutingMode
	TunnelPort   uint16
	MTU          int          // 0: that of the device
	NativeIPv4   netip.Prefix // reached without masquerade or tunnel; zero: none
	NativeIPv6   netip.Prefix
	DirectRoutes bool // nodes of one network segment get routes to each other's pods

	MasqueradeIPv4, MasqueradeIPv6 bool

	VTEPs []VTEP
}

// Policy says how policies are enforced.
type Policy struct {
	Audit        bool // what policies would deny passes, and flows say so
	NodeLabels   bool // policies may choose nodes by labels
	Extended     bool // policies may name protocols without ports
	CIDRNodes    bool // peers by address are nodes, too
	CIDRPods     bool // … pods, too
	HostByPolicy bool // the node itself reaches its pods only where a policy allows it
	Enforcement  string
	HostFirewall bool // policies with a nodeSelector are enforced
}

// Datapath says how pods are connected, and what is remembered of their connections.
type Datapath struct {
	PodDevice string   // kind of the device pairs that connect pods
	Devices   []string // that lead out of the node, beside those with its address: names, or with a + what they begin with; none: those with a default route
	Classic   bool     // programs are attached by cls_bpf filters, also where the kernel has tcx
	Maps      MapSizes
	Lives     Lives
}

// LeadsOut tells whether a device leads out of the node, of those that do not hold its address.
func (d Datapath) LeadsOut(name string, hasDefault bool) bool {
	if len(d.Devices) == 0 {
		return hasDefault
	}
	return name != "lo" && slices.ContainsFunc(d.Devices, func(one string) bool {
		prefix, wild := strings.CutSuffix(one, "+")
		return one == name || wild && strings.HasPrefix(name, prefix)
	})
}

// Services says how calls of services are answered.
type Services struct {
	Reject      bool   // calls of services without backends are answered, not just dropped
	Replacement string // of kube-proxy: a value of that key
	Sockets     Sockets
	Outside     Outside
	Health      Health
	Choice      Choice
	Redirects   bool           // CiliumLocalRedirectPolicies lead calls to pods of this node
	Redirected  []netip.Prefix // addresses that they may name; none: all
}

// Replaces tells whether kube-proxy is replaced.
func (s Services) Replaces() bool {
	return s.Replacement == Replace || s.Replacement == ReplaceStrict || s.Replacement == ReplaceProbe
}

// MayRedirect tells whether a CiliumLocalRedirectPolicy may name an address.
func (s Services) MayRedirect(a netip.Addr) bool {
	return len(s.Redirected) == 0 || slices.ContainsFunc(s.Redirected, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Values of key kube-proxy-replacement. "partial" is an older word for "false": each part has a key of its own.
const (
	Replace         = "true"
	ReplaceStrict   = "strict" // older word for "true"
	ReplaceProbe    = "probe"  // "true", where the kernel can
	ReplaceDisabled = "disabled"
)

// Sockets say whose calls of services are translated at their sockets, before there is a packet.
type Sockets struct {
	On        bool
	HostOnly  bool   // those of the node's own network namespace alone
	HoldPorts bool   // no process of the node binds to a port at which a service is offered to the outside
	Group     string // directory of the control group whose processes they are; empty: where control groups are mounted

	// Sockets whose backend is gone are ended: those of UDP, of the node's own network namespace.
	EndOfPods bool // … and those of pods
	EndTCP    bool // … and those of TCP
}

// Outside says which calls of services that come from outside are translated here, by no other proxy.
type Outside struct {
	NodePorts   bool
	HostPorts   bool   // of pods
	ExternalIPs bool   // and addresses of load balancers
	ClusterIPs  bool   // if any of these is
	First, Last uint16 // range of node ports
	Mode        string // how what is called reaches a backend on another node: snat, dsr, hybrid
	ByService   bool   // an annotation of the service says so before that
	Geneve      bool   // what goes on by DSR does so in an overlay of its own
	At          PortAddresses
	XDP         string // where packets of known calls go on before tc: disabled, native, best-effort, testing-only
}

// PortAddresses say at which addresses a node offers node ports: all, if they say nothing.
type PortAddresses struct {
	Primary bool           // the node's first one of each family
	Ranges  []netip.Prefix // those of these ranges
}

// Has tells whether node ports are offered at an address of a node that has these first.
func (p PortAddresses) Has(a netip.Addr, node []netip.Addr) bool {
	if p.Primary {
		i := slices.IndexFunc(node, func(one netip.Addr) bool { return one.Is4() == a.Is4() })
		return i >= 0 && node[i] == a
	}
	return len(p.Ranges) == 0 || slices.ContainsFunc(p.Ranges, func(r netip.Prefix) bool { return r.Contains(a) })
}

// Any says whether anything that comes from outside is translated here.
func (o Outside) Any() bool { return o.NodePorts || o.HostPorts || o.ExternalIPs }

// Overlay says whether there is an overlay for what goes on by DSR: whatever the mode is now, for what is open.
func (o Outside) Overlay() bool { return o.Geneve && o.Any() }

// Direct says whether backends on other nodes answer a client outside themselves (DSR); forwarding is what the service itself says of it: dsr,
// snat, or nothing.
func (o Outside) Direct(forwarding string, tcp bool) bool {
	if o.ByService && forwarding != "" {
		return forwarding == "dsr"
	}
	return o.Mode == "dsr" || o.Mode == "hybrid" && tcp
}

// Observation says where flows and metrics are served.
type (
	Observation = observation.Observation
	FlowService = observation.FlowService
	Metrics     = observation.Metrics
	FlowMetrics = observation.FlowMetrics
	Throughput  = observation.Throughput
	Export      = observation.Export
	FlowFile    = observation.FlowFile
	Redaction   = observation.Redaction
)

// MapSizes say how many entries maps of the datapath have. 0: not said.
type MapSizes struct {
	Ratio           float64 // part of the machine's memory, 0 to 1, that connections and translations may take
	CTTCP, CTAny    int     // connections, of both kinds together
	NAT             int     // translations
	Fragments       int
	LB              int // each of those of services that has no size of its own
	Services        int // frontends, and slots in proportion
	ServiceBackends int
	ServiceSources  int // ranges of clients
	ServiceAffinity int
	Maglev          int // parts of tables
}

// Lives say how long connections are remembered after their last packet. 0: not said.
type Lives struct {
	TCP, ServiceTCP             time.Duration // open ones of TCP
	TCPOpening                  time.Duration
	TCPClosing, ServiceClosing  time.Duration
	Datagrams, ServiceDatagrams time.Duration // what is no TCP, answered or not
}

// Pool is a range of addresses of which every node gets a part.
type Pool struct {
	Prefixes []netip.Prefix
	NodeBits int  // prefix length of a node's part
	Said     bool // a key names its prefixes, or its family
}
