// Package settings knows the keys of ConfigMap kube-system/cilium-config: what each means, which values do something in
// this version, and how to read them.
//
// # The world it models
//
// Users bring their configuration with them. Some of its keys do here what they always did (effective), some name
// features that do not exist yet (not implemented), some nobody knows (unknown), some have values that make no sense
// (invalid). Report puts every key in one of these, so that nothing is dropped in silence: people see it in
// "weft status", and a key that asks for protection (encryption, a stricter policy mode) and gets none makes that command
// fail. Parse reads the effective ones into a Config.
//
// # Invariants
//
//   - Both functions are pure: they look at the given values only.
//   - Parse always gives a usable Config. A value that makes no sense counts as absent and is in the problems it returns.
//   - A key is in the catalogue once. Older names of a key are entries of their own; the newer name wins.
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
	"strconv"
	"strings"
	"time"

	"weftnet.io/weftnet/internal/identity"
)

// Routing is how packets for pods of other nodes travel.
type Routing string

// Values of Routing.
const (
	Tunnel Routing = "tunnel" // inside VXLAN
	Native Routing = "native" // as they are, by the network's routes
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

// Config is what the effective keys say.
type Config struct {
	IPv4, IPv6  bool
	ClusterName string
	ClusterID   uint8

	IPAM  string
	Pools []Pool // of mode cluster-pool, families that are off left out

	PodDevice    string // kind of the device pairs that connect pods
	Classic      bool   // programs are attached by cls_bpf filters, also where the kernel has tcx
	Routing      Routing
	TunnelPort   uint16
	MTU          int          // 0: that of the device
	NativeIPv4   netip.Prefix // reached without masquerade or tunnel; zero: none
	NativeIPv6   netip.Prefix
	DirectRoutes bool // nodes of one network segment get routes to each other's pods

	MasqueradeIPv4, MasqueradeIPv6 bool

	Maps  MapSizes
	Lives Lives

	Reject bool // calls of services without backends are answered, not just dropped

	Audit       bool     // what policies would deny passes, and flows say so
	NodeLabels  bool     // policies may choose nodes by labels
	Extended    bool     // policies may name protocols without ports
	CIDRNodes   bool     // peers by address are nodes, too
	CIDRPods    bool     // … pods, too
	Labels      []string // patterns of pod labels that enter an identity, beside the built-in ones
	Enforcement string

	HostFirewall bool // policies with a nodeSelector are enforced

	Hubble       bool
	HubbleSocket string
	Metrics      Metrics
}

// Metrics say where the agent's metrics are, and who may read them.
type Metrics struct {
	Address          string // to listen on; empty: not said
	TLS              bool
	Certificate, Key string   // files
	ClientCAs        []string // files with the certificates by which clients are known; none: any client
}

// MapSizes say how many entries maps of the datapath have. 0: not said.
type MapSizes struct {
	Ratio           float64 // share of the machine's memory that connections and translations may take
	CTTCP, CTAny    int     // connections, of both kinds together
	NAT             int     // translations
	Fragments       int
	ServiceAffinity int
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
	NodeBits int // prefix length of a node's part
}

// Problem is a value that makes no sense.
type Problem struct {
	Key, Value string
	Message    string // what is wrong and what is done instead
}

func (p Problem) String() string { return fmt.Sprintf("%s: %q %s", p.Key, p.Value, p.Message) }

// Parse reads the effective keys. get gives the value of a key, and whether it is set.
func Parse(get func(key string) (string, bool)) (Config, []Problem) {
	r := reader{get: get}
	c := Config{
		IPv4:           r.flag("enable-ipv4"),
		IPv6:           r.flag("enable-ipv6"),
		HostFirewall:   r.flag("enable-host-firewall"),
		ClusterName:    r.text("cluster-name"),
		ClusterID:      uint8(r.number("cluster-id", 0, 255)),
		IPAM:           r.text("ipam"),
		PodDevice:      Veth,
		Classic:        !r.flag("enable-tcx"),
		Routing:        Routing(r.text("routing-mode")),
		TunnelPort:     uint16(r.number("tunnel-port", 1, 65535)),
		MTU:            r.number("mtu", 0, 65535),
		NativeIPv4:     r.prefix("ipv4-native-routing-cidr"),
		NativeIPv6:     r.prefix("ipv6-native-routing-cidr"),
		DirectRoutes:   r.flag("auto-direct-node-routes"),
		MasqueradeIPv4: r.flag("enable-ipv4-masquerade"),
		Reject:         r.text("service-no-backend-response") == "reject",
		MasqueradeIPv6: r.flag("enable-ipv6-masquerade"),
		Labels:         r.patterns("labels"),
		Enforcement:    r.text("policy-enforcement-mode"),
		Audit:          r.flag("policy-audit-mode"),
		NodeLabels:     r.flag("enable-node-selector-labels"),
		Extended:       r.flag("enable-extended-ip-protocols"),
		CIDRNodes:      strings.Contains(r.text("policy-cidr-match-mode"), "nodes"),
		CIDRPods:       strings.Contains(r.text("policy-cidr-match-mode"), "pods"),
		Hubble:         r.flag("enable-hubble"),
		HubbleSocket:   r.text("hubble-socket-path"),
		Lives: Lives{
			TCP: r.life("bpf-ct-timeout-regular-tcp"), ServiceTCP: r.life("bpf-ct-timeout-service-tcp"), TCPOpening: r.life("bpf-ct-timeout-regular-tcp-syn"),
			TCPClosing: r.life("bpf-ct-timeout-regular-tcp-fin"), ServiceClosing: r.life("bpf-ct-timeout-service-tcp-grace"),
			Datagrams: r.life("bpf-ct-timeout-regular-any"), ServiceDatagrams: r.life("bpf-ct-timeout-service-any"),
		},
		Metrics: Metrics{
			Address: r.text("prometheus-serve-addr"), TLS: r.flag("prometheus-enable-tls"), Certificate: r.text("prometheus-tls-cert-file"),
			Key: r.text("prometheus-tls-key-file"), ClientCAs: words(r.text("prometheus-tls-client-ca-files")),
		},
		Maps: MapSizes{
			Ratio: r.share("bpf-map-dynamic-size-ratio"), CTTCP: r.entries("bpf-ct-global-tcp-max"), CTAny: r.entries("bpf-ct-global-any-max"),
			NAT: r.entries("bpf-nat-global-max"), Fragments: r.entries("bpf-fragments-map-max"), ServiceAffinity: r.entries("bpf-lb-affinity-map-max"),
		},
	}
	if strings.HasPrefix(r.text("datapath-mode"), Netkit) {
		c.PodDevice = Netkit
	}
	r.older(&c)
	if c.IPv4 {
		c.Pools = append(c.Pools, r.pool("cluster-pool-ipv4-cidr", "cluster-pool-ipv4-mask-size", 32))
	}
	if c.IPv6 {
		c.Pools = append(c.Pools, r.pool("cluster-pool-ipv6-cidr", "cluster-pool-ipv6-mask-size", 128))
	}
	if !c.IPv4 && !c.IPv6 {
		r.problem("enable-ipv4", "false", "together with enable-ipv6 \"false\" leaves no address family: using IPv4")
		c.IPv4 = true
		c.Pools = append(c.Pools, r.pool("cluster-pool-ipv4-cidr", "cluster-pool-ipv4-mask-size", 32))
	}
	return c, r.problems
}

// older reads the names that some keys once had. The newer name wins.
func (r *reader) older(c *Config) {
	if !r.has("routing-mode") && r.text("tunnel") == "disabled" {
		c.Routing = Native
	}
	if !r.has("ipv4-native-routing-cidr") {
		c.NativeIPv4 = r.prefix("native-routing-cidr")
	}
	if !r.has("policy-enforcement-mode") && r.has("enable-policy") {
		c.Enforcement = r.text("enable-policy")
	}
	if !r.has("enable-ipv4-masquerade") && r.has("masquerade") {
		c.MasqueradeIPv4 = r.flag("masquerade")
	}
}

// reader reads values and collects what is wrong with them. A value that is wrong counts as absent.
type reader struct {
	get      func(string) (string, bool)
	problems []Problem
}

func (r *reader) problem(key, value, message string) {
	r.problems = append(r.problems, Problem{key, value, message})
}

func (r *reader) has(key string) bool {
	v, ok := r.get(key)
	return ok && catalogue[key].syntax.check(strings.TrimSpace(v)) == nil
}

// text gives the value of a key if its syntax allows it, else the default.
func (r *reader) text(key string) string {
	k, known := catalogue[key]
	if !known {
		panic("settings: " + key + " is read but not in the catalogue")
	}
	v, ok := r.get(key)
	if !ok {
		return k.Default
	}
	v = strings.TrimSpace(v)
	if err := k.syntax.check(v); err != nil {
		r.problem(key, v, fmt.Sprintf("%v; using %q", err, k.Default))
		return k.Default
	}
	return v
}

func (r *reader) flag(key string) bool {
	on, _ := strconv.ParseBool(r.text(key))
	return on
}

func (r *reader) number(key string, low, high int) int {
	v := r.text(key)
	n, err := strconv.Atoi(v)
	if v == "" {
		return 0
	}
	if err != nil || n < low || n > high {
		k := catalogue[key]
		r.problem(key, v, fmt.Sprintf("is not between %d and %d; using %q", low, high, k.Default))
		n, _ = strconv.Atoi(k.Default)
	}
	return n
}

// Least and most entries of a map that its key may ask for.
const (
	minEntries = 1 << 10
	maxEntries = 1 << 24
)

// entries gives the size of a map; 0 if the key is not set.
func (r *reader) entries(key string) int {
	if v := r.text(key); v == "" || v == "0" {
		return 0
	}
	return r.number(key, minEntries, maxEntries)
}

// life gives a time; 0 if the key is not set.
func (r *reader) life(key string) time.Duration {
	d, _ := time.ParseDuration(r.text(key)) // its syntax was checked
	return d
}

// share gives a number between 0 and 1.
func (r *reader) share(key string) float64 {
	x, _ := strconv.ParseFloat(r.text(key), 64) // its syntax was checked
	return x
}

func (r *reader) prefix(key string) netip.Prefix {
	v := r.text(key)
	if v == "" {
		return netip.Prefix{}
	}
	p := netip.MustParsePrefix(v) // its syntax was checked
	return p.Masked()
}

// patterns gives the patterns of a list that make sense.
func (r *reader) patterns(key string) (out []string) {
	list, _ := r.get(key)
	for _, w := range words(list) {
		if _, err := identity.NewFilter([]string{w}); err != nil {
			r.problem(key, w, fmt.Sprintf("is left out: %v", err))
			continue
		}
		out = append(out, w)
	}
	return out
}

func (r *reader) pool(cidrs, size string, width int) Pool {
	pool := Pool{NodeBits: r.number(size, 1, width)}
	for _, w := range words(r.text(cidrs)) {
		p := netip.MustParsePrefix(w).Masked()
		switch {
		case p.Addr().BitLen() != width:
			r.problem(cidrs, w, fmt.Sprintf("is not of the family with %d-bit addresses; left out", width))
		case p.Bits() > pool.NodeBits:
			r.problem(cidrs, w, fmt.Sprintf("is smaller than the /%d that %s gives each node; left out", pool.NodeBits, size))
		case slices.ContainsFunc(pool.Prefixes, p.Overlaps):
			r.problem(cidrs, w, "overlaps another prefix of the pool; left out")
		default:
			pool.Prefixes = append(pool.Prefixes, p)
		}
	}
	return pool
}

// words splits a list as ConfigMaps write them: by spaces, commas or newlines.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
}
