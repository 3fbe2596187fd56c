package settings

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"weftnet.io/weftnet/internal/settings/key"
	"weftnet.io/weftnet/internal/settings/network"
	"weftnet.io/weftnet/internal/settings/observation"
)

// known are the keys that do something, and those whose absence people must be told of in particular.
var known = slices.Concat(addressing, identities, routing, vteps, policies, datapath, serviceMaps, services, choice, health, observed, networks, encryption)

var addressing = []Key{
	{
		Name: "enable-ipv4", Default: "true", Concern: OfAddressing, Holds: key.NewAttachments, Syntax: key.Boolean, Text: "pods get IPv4 addresses",
		Read: func(r *key.Reader, c *Config, name string) { c.IPv4 = r.Flag(name); _, c.SaidIPv4 = r.Get(name) },
	},
	{
		Name: "enable-ipv6", Default: "true", Concern: OfAddressing, Holds: key.NewAttachments, Syntax: key.Boolean, Text: "pods get IPv6 addresses",
		Read: func(r *key.Reader, c *Config, name string) { c.IPv6 = r.Flag(name); _, c.SaidIPv6 = r.Get(name) },
	},
	{
		Name: "ipam", Default: ClusterPool, Concern: OfAddressing, Holds: key.NewNodes, Have: []string{ClusterPool, Kubernetes},
		Syntax: "cluster-pool|kubernetes|multi-pool|crd|eni|azure|alibabacloud|delegated-plugin|cluster-pool-v2beta",
		Text:   "who gives nodes their pod prefixes; a node keeps those that it has", Instead: "nodes get no pod prefixes in this mode: use cluster-pool or kubernetes",
		Read: key.Text(func(c *Config) *string { return &c.IPAM }),
	},
	{Name: "cluster-pool-ipv4-cidr", Default: "10.0.0.0/8", Concern: OfAddressing, Holds: key.NewNodes, Syntax: key.Prefixes, Text: "of what nodes get IPv4 prefixes", Read: byOthers},
	{Name: "cluster-pool-ipv4-mask-size", Default: "24", Concern: OfAddressing, Holds: key.NewNodes, Syntax: key.Integer, Text: "length of a node's IPv4 prefix", Read: byOthers},
	{Name: "cluster-pool-ipv6-cidr", Default: "fd00::/104", Concern: OfAddressing, Holds: key.NewNodes, Syntax: key.Prefixes, Text: "of what nodes get IPv6 prefixes", Read: byOthers},
	{Name: "cluster-pool-ipv6-mask-size", Default: "120", Concern: OfAddressing, Holds: key.NewNodes, Syntax: key.Integer, Text: "length of a node's IPv6 prefix", Read: byOthers},
}

var identities = []Key{
	{
		Name: "cluster-name", Default: "default", Concern: OfIdentity, Holds: key.AtOnce, Text: "a label of every pod of the cluster: all get other identities",
		Read: key.Text(func(c *Config) *string { return &c.ClusterName }),
	},
	{
		Name: "cluster-id", Default: "0", Concern: OfIdentity, Holds: key.AtOnce, Syntax: key.Integer, Text: "0 to 255, in the numbers of identities made from then on",
		Read: key.Number(0, 255, func(c *Config, n int) { c.ClusterID = uint8(n) }),
	},
	{
		Name: "labels", Concern: OfIdentity, Holds: key.AtOnce, Syntax: key.Patterns, Text: "which labels of pods enter identities; a pattern that makes no sense is left out",
		Read: func(r *key.Reader, c *Config, name string) { c.Labels = r.Patterns(name) },
	},
}

var routing = []Key{
	{
		Name: "routing-mode", Default: string(Tunnel), Concern: OfRouting, Holds: key.AtOnce, Syntax: "tunnel|native", Text: "how packets travel between nodes",
		Read: key.Word(func(c *Config, word string) { c.Routing = RoutingMode(word) }),
	},
	{
		Name: "tunnel", Default: "vxlan", Concern: OfRouting, Holds: key.AtOnce, Syntax: "vxlan|geneve|disabled", Have: []string{"vxlan", "disabled"},
		Newer: "routing-mode", Text: "older name of `routing-mode`", Instead: "the tunnel is VXLAN",
		Read: key.Word(func(c *Config, word string) {
			if word == "disabled" {
				c.Routing = Native
			}
		}),
	},
	{
		Name: "tunnel-protocol", Default: "vxlan", Concern: OfRouting, Holds: key.AtOnce, Syntax: "vxlan|geneve", Have: []string{"vxlan"},
		Text: "what the tunnel speaks", Instead: "the tunnel is VXLAN", Read: byOthers,
	},
	{
		Name: "tunnel-port", Default: "8472", Concern: OfRouting, Holds: key.AtOnce, Syntax: key.Integer,
		Text: "UDP port of the tunnel; nodes whose ports differ do not reach each other's pods through it",
		Read: key.Number(1, 65535, func(c *Config, n int) { c.TunnelPort = uint16(n) }),
	},
	{
		Name: "mtu", Default: "0", Concern: OfRouting, Holds: key.AtOnce, Syntax: key.Integer, Text: "of the network between nodes; 0: that of the device",
		Read: key.Number(0, 65535, func(c *Config, n int) { c.MTU = n }),
	},
	{Name: "ipv4-native-routing-cidr", Concern: OfRouting, Holds: key.AtOnce, Syntax: key.Prefix, Text: "what is reached without masquerade", Read: key.Prefixed(func(c *Config) *netip.Prefix { return &c.NativeIPv4 })},
	{Name: "ipv6-native-routing-cidr", Concern: OfRouting, Holds: key.AtOnce, Syntax: key.Prefix, Text: "what is reached without masquerade", Read: key.Prefixed(func(c *Config) *netip.Prefix { return &c.NativeIPv6 })},
	{
		Name: "native-routing-cidr", Concern: OfRouting, Holds: key.AtOnce, Syntax: key.Prefix, Newer: "ipv4-native-routing-cidr", Text: "older name of `ipv4-native-routing-cidr`",
		Read: key.Prefixed(func(c *Config) *netip.Prefix { return &c.NativeIPv4 }),
	},
	{
		Name: "auto-direct-node-routes", Default: "false", Concern: OfRouting, Holds: key.AtOnce, Syntax: key.Boolean,
		Text: "nodes of one network segment get routes to each other's pods", Needs: "`routing-mode: native`", Read: key.Flag(func(c *Config) *bool { return &c.DirectRoutes }),
	},
	{
		Name: "enable-ipv4-masquerade", Default: "true", Concern: OfRouting, Holds: key.NewConnections, Syntax: key.Boolean, Text: "pods speak to the outside with their node's address. What is open goes on with the address that it began with",
		Read: key.Flag(func(c *Config) *bool { return &c.MasqueradeIPv4 }),
	},
	{
		Name: "enable-ipv6-masquerade", Default: "true", Concern: OfRouting, Holds: key.NewConnections, Syntax: key.Boolean, Text: "the same for IPv6",
		Read: key.Flag(func(c *Config) *bool { return &c.MasqueradeIPv6 }),
	},
	{
		Name: "masquerade", Default: "true", Concern: OfRouting, Holds: key.NewConnections, Syntax: key.Boolean, Newer: "enable-ipv4-masquerade",
		Text: "older name of `enable-ipv4-masquerade`", Read: key.Flag(func(c *Config) *bool { return &c.MasqueradeIPv4 }),
	},
	{
		Name: "enable-bpf-masquerade", Default: "true", Concern: OfRouting, Syntax: key.Boolean, Have: []string{"true"},
		Instead: "masquerading is done in eBPF, never by iptables",
	},
	{
		Name: "enable-host-routing", Default: "true", Concern: OfRouting, Syntax: key.Boolean, Have: []string{"true"},
		Instead: "packets between pods go past the host's stack where they can",
	},
	{
		Name: "enable-host-legacy-routing", Default: "false", Concern: OfRouting, Syntax: key.Boolean, Have: off,
		Instead: "packets between pods go past the host's stack where they can",
	},
}

var policies = []Key{
	{
		Name: "policy-enforcement-mode", Default: EnforceDefault, Concern: OfPolicy, Holds: key.AtOnce, Syntax: "default|always|never",
		Text: "which pods are isolated: those that a policy selects, all, none", Read: key.Text(func(c *Config) *string { return &c.Enforcement }),
	},
	{
		Name: "enable-policy", Default: EnforceDefault, Concern: OfPolicy, Holds: key.AtOnce, Syntax: "default|always|never", Newer: "policy-enforcement-mode",
		Text: "older name of `policy-enforcement-mode`", Read: key.Text(func(c *Config) *string { return &c.Enforcement }),
	},
	{
		Name: "policy-audit-mode", Default: "false", Concern: OfPolicy, Holds: key.AtOnce, Syntax: key.Boolean, Text: "what policies would deny passes, and flows say so",
		Read: key.Flag(func(c *Config) *bool { return &c.Audit }),
	},
	{
		Name: "enable-node-selector-labels", Default: "false", Concern: OfPolicy, Holds: key.AtOnce, Syntax: key.Boolean, Text: "policies may choose nodes by labels",
		Read: key.Flag(func(c *Config) *bool { return &c.NodeLabels }),
	},
	{
		Name: "enable-extended-ip-protocols", Default: "false", Concern: OfPolicy, Holds: key.AtOnce, Syntax: key.Boolean, Text: "policies may name protocols without ports",
		Read: key.Flag(func(c *Config) *bool { return &c.Extended }),
	},
	{
		Name: "policy-cidr-match-mode", Concern: OfPolicy, Holds: key.AtOnce, Syntax: "|nodes|pods|nodes,pods|pods,nodes", Text: "what else rules by address select, beside the outside",
		Read: key.Word(func(c *Config, word string) {
			c.CIDRNodes, c.CIDRPods = strings.Contains(word, "nodes"), strings.Contains(word, "pods")
		}),
	},
	{
		Name: "allow-localhost", Default: "auto", Concern: OfPolicy, Holds: key.AtOnce, Syntax: "auto|always|policy", Text: "whether a node reaches its own pods whatever policies say",
		Read: key.Word(func(c *Config, word string) { c.HostByPolicy = word == "policy" }),
	},
	{
		Name: "enable-host-firewall", Default: "false", Concern: OfPolicy, Holds: key.AtOnce, Syntax: key.Boolean, Text: "rules with a nodeSelector are enforced",
		Read: key.Flag(func(c *Config) *bool { return &c.HostFirewall }),
	},
	{
		Name: "enable-l7-proxy", Default: "true", Concern: OfPolicy, Syntax: key.Boolean, Have: off,
		Instead: "a policy rule with HTTP or DNS rules allows nothing",
	},
	{
		Name: "bpf-policy-map-max", Default: "16384", Concern: OfPolicy, Syntax: key.Integer, None: true,
		Instead: "the policies of all workloads of a node are in one map of 262144 entries",
	},
	{
		Name: "mesh-auth-enabled", Default: "false", Concern: OfPolicy, Syntax: key.Boolean, Have: off,
		Instead: "a policy rule that requires authentication allows nothing",
	},
}

var datapath = []Key{
	{
		Name: "datapath-mode", Default: Veth, Concern: OfDatapath, Holds: key.NewAttachments, Syntax: "veth|netkit|netkit-l2|auto|lb-only", Have: []string{Veth, Netkit, "netkit-l2"},
		Text: "by which device pairs pods are connected", Needs: "netkit: Linux 6.8", Instead: "pods are connected by veth pairs",
		Read: key.Word(func(c *Config, word string) {
			if c.PodDevice = Veth; strings.HasPrefix(word, Netkit) {
				c.PodDevice = Netkit
			}
		}),
	},
	{
		Name: "devices", Concern: OfDatapath, Holds: key.AtOnce,
		Text: "devices that lead out of the node, by name or, as `eth+`, by how it begins: instead of those with a default route. Those that hold the node's address always do",
		Read: key.List(func(c *Config) *[]string { return &c.Devices }),
	},
	{
		Name: "enable-tcx", Default: "true", Concern: OfDatapath, Holds: key.AtOnce, Syntax: key.Boolean, Text: "programs are attached by tcx links where the kernel has them, else by cls_bpf",
		Needs: "true: Linux 6.6", Read: func(r *key.Reader, c *Config, name string) { c.Classic = !r.Flag(name) },
	},
	{
		Name: "bpf-map-dynamic-size-ratio", Default: "0.0025", Concern: OfDatapath, Holds: key.AtOnce, Syntax: key.Fraction, Text: "part of the machine's memory for connections and translations, and as much again for policies",
		Read: func(r *key.Reader, c *Config, name string) { c.Maps.Ratio = r.Fraction(name) },
	},
	{Name: "bpf-ct-global-tcp-max", Concern: OfDatapath, Holds: key.AtOnce, Syntax: key.Count, Text: "connections of TCP", Read: setEntries(func(m *MapSizes) *int { return &m.CTTCP })},
	{Name: "bpf-ct-global-any-max", Concern: OfDatapath, Holds: key.AtOnce, Syntax: key.Count, Text: "other connections", Read: setEntries(func(m *MapSizes) *int { return &m.CTAny })},
	{Name: "bpf-nat-global-max", Concern: OfDatapath, Holds: key.AtOnce, Syntax: key.Count, Text: "translations", Read: setEntries(func(m *MapSizes) *int { return &m.NAT })},
	{Name: "bpf-fragments-map-max", Concern: OfDatapath, Holds: key.AtOnce, Syntax: key.Count, Text: "fragmented packets at once", Read: setEntries(func(m *MapSizes) *int { return &m.Fragments })},
	{Name: "bpf-ct-timeout-regular-tcp", Concern: OfDatapath, Holds: key.AtOnce, Syntax: key.Life, Text: "how long an open connection of TCP is remembered after its last packet: 8000s", Read: setLife(func(l *Lives) *time.Duration { return &l.TCP })},
	{Name: "bpf-ct-timeout-regular-tcp-syn", Concern: OfDatapath, Holds: key.AtOnce, Syntax: key.Life, Text: "… until it is open: 60s", Read: setLife(func(l *Lives) *time.Duration { return &l.TCPOpening })},
	{Name: "bpf-ct-timeout-regular-tcp-fin", Concern: OfDatapath, Holds: key.AtOnce, Syntax: key.Life, Text: "… after its end: 10s", Read: setLife(func(l *Lives) *time.Duration { return &l.TCPClosing })},
	{Name: "bpf-ct-timeout-regular-any", Concern: OfDatapath, Holds: key.AtOnce, Syntax: key.Life, Text: "what is no TCP: 60s, and 120s once it is answered", Read: setLife(func(l *Lives) *time.Duration { return &l.Datagrams })},
	{Name: "bpf-ct-timeout-service-tcp", Concern: OfDatapath, Holds: key.AtOnce, Syntax: key.Life, Text: "an open connection of TCP to a service: 8000s", Read: setLife(func(l *Lives) *time.Duration { return &l.ServiceTCP })},
	{Name: "bpf-ct-timeout-service-tcp-grace", Concern: OfDatapath, Holds: key.AtOnce, Syntax: key.Life, Text: "… after its end: 10s", Read: setLife(func(l *Lives) *time.Duration { return &l.ServiceClosing })},
	{Name: "bpf-ct-timeout-service-any", Concern: OfDatapath, Holds: key.AtOnce, Syntax: key.Life, Text: "to a service, what is no TCP: 60s, and 120s once it is answered", Read: setLife(func(l *Lives) *time.Duration { return &l.ServiceDatagrams })},
	{
		Name: "enable-bandwidth-manager", Default: "false", Concern: OfDatapath, Syntax: key.Boolean, Have: off,
		Instead: "bandwidth annotations and CiliumBandwidthPolicies limit nothing",
	},
}

var services = []Key{
	{
		Name: "service-no-backend-response", Default: "reject", Concern: OfServices, Holds: key.AtOnce, Syntax: "reject|drop", Text: "what a pod or a machine outside hears that calls a service without backends: ICMP port unreachable, or nothing",
		Read: key.Word(func(c *Config, word string) { c.Reject = word == "reject" }),
	},
	{
		Name: "kube-proxy-replacement", Default: "false", Concern: OfServices, Holds: key.NewConnections, Syntax: "true|false|strict|partial|probe|disabled",
		Text: "true, strict, probe: there is no kube-proxy, and this node does what it did, at sockets and where packets enter it; false, partial: what `bpf-lb-sock`, " +
			"`enable-node-port`, `enable-external-ips` and `enable-host-port` say; disabled: as false, without `bpf-lb-sock`",
		Read: key.Word(func(c *Config, word string) { c.Replacement = word }),
	},
	{
		Name: "bpf-lb-sock", Default: "false", Concern: OfServices, Holds: key.NewConnections, Syntax: key.Boolean,
		Text: "services that processes of the node and of pods call are translated at their sockets. What pods' packets call is translated in any case",
		Read: readSockets,
	},
	{
		Name: "bpf-lb-sock-hostns-only", Default: "false", Concern: OfServices, Holds: key.NewConnections, Syntax: key.Boolean,
		Text: "at sockets of the node's own network namespace alone: what pods call is translated in their packets",
		Read: key.Flag(func(c *Config) *bool { return &c.Sockets.HostOnly }),
	},
	{
		Name: "enable-host-reachable-services", Default: "false", Concern: OfServices, Holds: key.NewConnections, Syntax: key.Boolean, Newer: "bpf-lb-sock",
		Text: "older name of `bpf-lb-sock`", Read: readSockets,
	},
	{
		Name: "cgroup-root", Concern: OfServices, Holds: key.NewConnections,
		Text: "directory of the control group (version 2) whose processes these are; empty, or no such directory: where `/proc/mounts` says that control groups are",
		Read: key.Text(func(c *Config) *string { return &c.Sockets.Group }),
	},
	{
		Name: "bpf-lb-sock-terminate-pod-connections", Default: "true", Concern: OfServices, Holds: key.AtOnce, Syntax: key.Boolean,
		Text: "where calls are translated at sockets: a connected UDP socket of a pod is ended when no service offers its backend any more, so that its process calls again; one of the node's own processes is in any case",
		Read: key.Flag(func(c *Config) *bool { return &c.Sockets.EndOfPods }),
	},
	{
		Name: "lb-sock-terminate-all-protos", Default: "false", Concern: OfServices, Holds: key.AtOnce, Syntax: key.Boolean,
		Text: "sockets of TCP whose backend is gone are ended as those of UDP are (`bpf-lb-sock-terminate-pod-connections`): their peers get a reset",
		Read: key.Flag(func(c *Config) *bool { return &c.Sockets.EndTCP }),
	},
	{
		Name: "k8s-api-server-urls", Default: "", Concern: OfServices, Have: []string{""},
		Instead: "it is a flag of the agent and of the operator, since they read this ConfigMap from there: value k8s.apiServerURLs of the chart",
	},
	{
		Name: "enable-node-port", Concern: OfServices, Holds: key.NewConnections, Syntax: "|true|false", Text: "calls of node ports that come from outside are translated here; by default as `kube-proxy-replacement` says",
		Read: readOutside(func(o *Outside) *bool { return &o.NodePorts }),
	},
	{
		Name: "enable-external-ips", Concern: OfServices, Holds: key.NewConnections, Syntax: "|true|false", Text: "calls of external addresses, those of load balancers among them, that come from outside are translated here; by default as `kube-proxy-replacement` says",
		Read: readOutside(func(o *Outside) *bool { return &o.ExternalIPs }),
	},
	{
		Name: "bpf-lb-external-clusterip", Default: "false", Concern: OfServices, Holds: key.NewConnections, Syntax: key.Boolean,
		Text:  "calls of cluster addresses that come from outside are translated here, too, as their internalTrafficPolicy says: a router has to lead these addresses to nodes",
		Needs: "`enable-node-port`, `enable-external-ips` or `enable-host-port`", Read: key.Flag(func(c *Config) *bool { return &c.Outside.ClusterIPs }),
	},
	{
		Name: "node-port-range", Default: "30000,32767", Concern: OfServices, Holds: key.AtOnce, Syntax: key.Ports, Text: "first and last node port. It has to equal the API server's `--service-node-port-range`: a node port beyond it leads nowhere",
		Read: readNodePorts,
	},
	{
		Name: "bpf-lb-mode", Default: "snat", Concern: OfServices, Holds: key.NewConnections, Syntax: "snat|dsr|hybrid",
		Text: "how what the outside calls reaches a backend on another node: snat: with the address of the node that was called, which the answer comes back to; " +
			"dsr: with the client's address, and the answer leaves there; hybrid: dsr for TCP, snat for the rest",
		Read: key.Word(func(c *Config, word string) { c.Outside.Mode = word }),
	},
	{
		Name: "bpf-lb-mode-annotation", Default: "false", Concern: OfServices, Holds: key.NewConnections, Syntax: key.Boolean,
		Text: "the annotation `service.cilium.io/forwarding-mode` of a Service (snat, dsr) says it for that Service",
		Read: key.Flag(func(c *Config) *bool { return &c.Outside.ByService }),
	},
	{
		Name: "bpf-lb-acceleration", Default: "disabled", Concern: OfServices, Holds: key.AtOnce, Syntax: "disabled|native|best-effort|testing-only",
		Text: "what of calls from outside goes on to another node where it comes in, before the kernel makes a packet of it (XDP): native: by the drivers of devices, " +
			"`weft status` warns of each whose driver cannot; best-effort: where they can; testing-only: by the kernel, for any device. Packets are the same, and so is what becomes of them",
		Needs: "`enable-node-port`, `enable-external-ips` or `enable-host-port`", Read: key.Word(func(c *Config, word string) { c.Outside.XDP = word }),
	},
	{
		Name: "node-port-acceleration", Default: "disabled", Concern: OfServices, Holds: key.AtOnce, Syntax: "disabled|native|best-effort|testing-only", Newer: "bpf-lb-acceleration",
		Text: "older name of `bpf-lb-acceleration`", Read: key.Word(func(c *Config, word string) { c.Outside.XDP = word }),
	},
	{
		Name: "bpf-lb-dsr-dispatch", Default: "opt", Concern: OfServices, Holds: key.AtOnce, Syntax: "opt|ipip|geneve", Have: []string{"opt", "geneve"},
		Text: "how a node says to a backend's node what was called (`bpf-lb-mode: dsr`): opt: in an option of the packet itself, inside the tunnel, too; " +
			"geneve: in the header of a tunnel of its own, UDP port 6081, in which all packets of such calls go, whatever `routing-mode` and `tunnel-protocol` say. All nodes must have the same",
		Instead: "a node says what was called in an option of the packet itself, inside the tunnel, too",
		Needs:   "`enable-node-port`, `enable-external-ips` or `enable-host-port`, and CONFIG_GENEVE of the kernel: a node that has no Geneve carries calls on by SNAT",
		Read:    key.Word(func(c *Config, word string) { c.Outside.Geneve = word == "geneve" }),
	},
	{
		Name: "nodeport-addresses", Concern: OfServices, Holds: key.AtOnce, Syntax: key.PortAddresses,
		Text: "ranges of the addresses of nodes at which node ports are offered, or `primary`: a node's first address of each family; empty: all", Read: readPortAddresses,
	},
	{
		Name: "node-port-bind-protection", Default: "true", Concern: OfServices, Holds: key.AtOnce, Syntax: key.Boolean,
		Text: "a process of the node cannot bind to a node port of a service, or to an external address of one, which would never lead to it: bind fails with EPERM. " +
			"It takes what `kube-proxy-replacement` or `bpf-lb-sock` puts at sockets, and `enable-node-port`",
		Read: key.Flag(func(c *Config) *bool { return &c.Sockets.HoldPorts }),
	},
	{
		Name: "enable-host-port", Concern: OfServices, Holds: key.NewConnections, Syntax: "|true|false", Text: "hostPorts of pods are led on here; by default as `kube-proxy-replacement` says. Where kube-proxy is replaced, too, the portmap plugin is not called for new pods",
		Read: readOutside(func(o *Outside) *bool { return &o.HostPorts }),
	},
	{
		Name: "enable-local-redirect-policy", Default: "false", Concern: OfServices, Holds: key.NewConnections, Syntax: key.Boolean,
		Text: "CiliumLocalRedirectPolicies lead calls of services, and of other addresses, to pods of the caller's node",
		Read: key.Flag(func(c *Config) *bool { return &c.Redirects }),
	},
	{
		Name: "lrp-address-matcher-cidrs", Concern: OfServices, Holds: key.NewConnections, Syntax: key.Prefixes,
		Text: "ranges of the addresses that a CiliumLocalRedirectPolicy may name; empty: all",
		Read: func(r *key.Reader, c *Config, name string) {
			for _, w := range key.Words(r.Text(name)) {
				c.Redirected = append(c.Redirected, netip.MustParsePrefix(w).Masked()) // its syntax was checked
			}
		},
	},
}

var networks = key.Within(network.Keys, func(c *Config) *network.Networks { return &c.Networks })

var observed = key.Within(slices.Concat(observation.Keys, observation.MetricKeys, observation.AgentMetricKeys, observation.ExportKeys), func(c *Config) *Observation { return &c.Observation })

var encryption = []Key{
	{Name: "enable-wireguard", Default: "false", Concern: OfEncryption, Syntax: key.Boolean, Have: off, Protection: true, Instead: plaintext},
	{Name: "enable-ipsec", Default: "false", Concern: OfEncryption, Syntax: key.Boolean, Have: off, Protection: true, Instead: plaintext},
	{Name: "enable-ztunnel", Default: "false", Concern: OfEncryption, Syntax: key.Boolean, Have: off, Protection: true, Instead: plaintext},
	{Name: "encryption-node", Default: "false", Concern: OfEncryption, Syntax: key.Boolean, Have: off, Protection: true, Instead: plaintext},
	{Name: "encrypt-node", Default: "false", Concern: OfEncryption, Syntax: key.Boolean, Have: off, Protection: true, Instead: plaintext},
	{Name: "enable-encryption-strict-mode", Default: "false", Concern: OfEncryption, Syntax: key.Boolean, Have: off, Protection: true, Instead: plaintext},
	{Name: "enable-encryption-strict-mode-egress", Default: "false", Concern: OfEncryption, Syntax: key.Boolean, Have: off, Protection: true, Instead: plaintext},
	{Name: "enable-encryption-strict-mode-ingress", Default: "false", Concern: OfEncryption, Syntax: key.Boolean, Have: off, Protection: true, Instead: plaintext},
}
