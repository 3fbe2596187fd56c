package settings

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// known are the keys that do something, and those whose absence people must be told of in particular.
var known = slices.Concat(addressing, identities, routing, vteps, policies, datapath, serviceMaps, services, choice, health, observation, encryption)

var addressing = []Key{
	{
		Name: "enable-ipv4", Default: "true", Concern: OfAddressing, Holds: NewAttachments, syntax: boolean, Text: "pods get IPv4 addresses",
		read: func(r *reader, c *Config, key string) { c.IPv4 = r.flag(key); _, c.SaidIPv4 = r.get(key) },
	},
	{
		Name: "enable-ipv6", Default: "true", Concern: OfAddressing, Holds: NewAttachments, syntax: boolean, Text: "pods get IPv6 addresses",
		read: func(r *reader, c *Config, key string) { c.IPv6 = r.flag(key); _, c.SaidIPv6 = r.get(key) },
	},
	{
		Name: "ipam", Default: ClusterPool, Concern: OfAddressing, Holds: NewNodes, have: []string{ClusterPool, Kubernetes},
		syntax: "cluster-pool|kubernetes|multi-pool|crd|eni|azure|alibabacloud|delegated-plugin|cluster-pool-v2beta",
		Text:   "who gives nodes their pod prefixes; a node keeps those that it has", Instead: "nodes get no pod prefixes in this mode: use cluster-pool or kubernetes",
		read: setText(func(c *Config) *string { return &c.IPAM }),
	},
	{Name: "cluster-pool-ipv4-cidr", Default: "10.0.0.0/8", Concern: OfAddressing, Holds: NewNodes, syntax: prefixes, Text: "of what nodes get IPv4 prefixes", read: byOthers},
	{Name: "cluster-pool-ipv4-mask-size", Default: "24", Concern: OfAddressing, Holds: NewNodes, syntax: integer, Text: "length of a node's IPv4 prefix", read: byOthers},
	{Name: "cluster-pool-ipv6-cidr", Default: "fd00::/104", Concern: OfAddressing, Holds: NewNodes, syntax: prefixes, Text: "of what nodes get IPv6 prefixes", read: byOthers},
	{Name: "cluster-pool-ipv6-mask-size", Default: "120", Concern: OfAddressing, Holds: NewNodes, syntax: integer, Text: "length of a node's IPv6 prefix", read: byOthers},
}

var identities = []Key{
	{
		Name: "cluster-name", Default: "default", Concern: OfIdentity, Holds: AtOnce, Text: "a label of every pod of the cluster: all get other identities",
		read: setText(func(c *Config) *string { return &c.ClusterName }),
	},
	{
		Name: "cluster-id", Default: "0", Concern: OfIdentity, Holds: AtOnce, syntax: integer, Text: "0 to 255, in the numbers of identities made from then on",
		read: setNumber(0, 255, func(c *Config, n int) { c.ClusterID = uint8(n) }),
	},
	{
		Name: "labels", Concern: OfIdentity, Holds: AtOnce, syntax: patterns, Text: "which labels of pods enter identities; a pattern that makes no sense is left out",
		read: func(r *reader, c *Config, key string) { c.Labels = r.patterns(key) },
	},
}

var routing = []Key{
	{
		Name: "routing-mode", Default: string(Tunnel), Concern: OfRouting, Holds: AtOnce, syntax: "tunnel|native", Text: "how packets travel between nodes",
		read: setWord(func(c *Config, word string) { c.Routing = RoutingMode(word) }),
	},
	{
		Name: "tunnel", Default: "vxlan", Concern: OfRouting, Holds: AtOnce, syntax: "vxlan|geneve|disabled", have: []string{"vxlan", "disabled"},
		newer: "routing-mode", Text: "older name of `routing-mode`", Instead: "the tunnel is VXLAN",
		read: setWord(func(c *Config, word string) {
			if word == "disabled" {
				c.Routing = Native
			}
		}),
	},
	{
		Name: "tunnel-protocol", Default: "vxlan", Concern: OfRouting, Holds: AtOnce, syntax: "vxlan|geneve", have: []string{"vxlan"},
		Text: "what the tunnel speaks", Instead: "the tunnel is VXLAN", read: byOthers,
	},
	{
		Name: "tunnel-port", Default: "8472", Concern: OfRouting, Holds: AtOnce, syntax: integer,
		Text: "UDP port of the tunnel; nodes whose ports differ do not reach each other's pods through it",
		read: setNumber(1, 65535, func(c *Config, n int) { c.TunnelPort = uint16(n) }),
	},
	{
		Name: "mtu", Default: "0", Concern: OfRouting, Holds: AtOnce, syntax: integer, Text: "of the network between nodes; 0: that of the device",
		read: setNumber(0, 65535, func(c *Config, n int) { c.MTU = n }),
	},
	{Name: "ipv4-native-routing-cidr", Concern: OfRouting, Holds: AtOnce, syntax: prefix, Text: "what is reached without masquerade", read: setPrefix(func(c *Config) *netip.Prefix { return &c.NativeIPv4 })},
	{Name: "ipv6-native-routing-cidr", Concern: OfRouting, Holds: AtOnce, syntax: prefix, Text: "what is reached without masquerade", read: setPrefix(func(c *Config) *netip.Prefix { return &c.NativeIPv6 })},
	{
		Name: "native-routing-cidr", Concern: OfRouting, Holds: AtOnce, syntax: prefix, newer: "ipv4-native-routing-cidr", Text: "older name of `ipv4-native-routing-cidr`",
		read: setPrefix(func(c *Config) *netip.Prefix { return &c.NativeIPv4 }),
	},
	{
		Name: "auto-direct-node-routes", Default: "false", Concern: OfRouting, Holds: AtOnce, syntax: boolean,
		Text: "nodes of one network segment get routes to each other's pods", Needs: "`routing-mode: native`", read: setFlag(func(c *Config) *bool { return &c.DirectRoutes }),
	},
	{
		Name: "enable-ipv4-masquerade", Default: "true", Concern: OfRouting, Holds: NewConnections, syntax: boolean, Text: "pods speak to the outside with their node's address. What is open goes on with the address that it began with",
		read: setFlag(func(c *Config) *bool { return &c.MasqueradeIPv4 }),
	},
	{
		Name: "enable-ipv6-masquerade", Default: "true", Concern: OfRouting, Holds: NewConnections, syntax: boolean, Text: "the same for IPv6",
		read: setFlag(func(c *Config) *bool { return &c.MasqueradeIPv6 }),
	},
	{
		Name: "masquerade", Default: "true", Concern: OfRouting, Holds: NewConnections, syntax: boolean, newer: "enable-ipv4-masquerade",
		Text: "older name of `enable-ipv4-masquerade`", read: setFlag(func(c *Config) *bool { return &c.MasqueradeIPv4 }),
	},
	{
		Name: "enable-bpf-masquerade", Default: "true", Concern: OfRouting, syntax: boolean, have: []string{"true"},
		Instead: "masquerading is done in eBPF, never by iptables",
	},
	{
		Name: "enable-host-routing", Default: "true", Concern: OfRouting, syntax: boolean, have: []string{"true"},
		Instead: "packets between pods go past the host's stack where they can",
	},
	{
		Name: "enable-host-legacy-routing", Default: "false", Concern: OfRouting, syntax: boolean, have: off,
		Instead: "packets between pods go past the host's stack where they can",
	},
}

var policies = []Key{
	{
		Name: "policy-enforcement-mode", Default: EnforceDefault, Concern: OfPolicy, Holds: AtOnce, syntax: "default|always|never",
		Text: "which pods are isolated: those that a policy selects, all, none", read: setText(func(c *Config) *string { return &c.Enforcement }),
	},
	{
		Name: "enable-policy", Default: EnforceDefault, Concern: OfPolicy, Holds: AtOnce, syntax: "default|always|never", newer: "policy-enforcement-mode",
		Text: "older name of `policy-enforcement-mode`", read: setText(func(c *Config) *string { return &c.Enforcement }),
	},
	{
		Name: "policy-audit-mode", Default: "false", Concern: OfPolicy, Holds: AtOnce, syntax: boolean, Text: "what policies would deny passes, and flows say so",
		read: setFlag(func(c *Config) *bool { return &c.Audit }),
	},
	{
		Name: "enable-node-selector-labels", Default: "false", Concern: OfPolicy, Holds: AtOnce, syntax: boolean, Text: "policies may choose nodes by labels",
		read: setFlag(func(c *Config) *bool { return &c.NodeLabels }),
	},
	{
		Name: "enable-extended-ip-protocols", Default: "false", Concern: OfPolicy, Holds: AtOnce, syntax: boolean, Text: "policies may name protocols without ports",
		read: setFlag(func(c *Config) *bool { return &c.Extended }),
	},
	{
		Name: "policy-cidr-match-mode", Concern: OfPolicy, Holds: AtOnce, syntax: "|nodes|pods|nodes,pods|pods,nodes", Text: "what else rules by address select, beside the outside",
		read: setWord(func(c *Config, word string) {
			c.CIDRNodes, c.CIDRPods = strings.Contains(word, "nodes"), strings.Contains(word, "pods")
		}),
	},
	{
		Name: "allow-localhost", Default: "auto", Concern: OfPolicy, Holds: AtOnce, syntax: "auto|always|policy", Text: "whether a node reaches its own pods whatever policies say",
		read: setWord(func(c *Config, word string) { c.HostByPolicy = word == "policy" }),
	},
	{
		Name: "enable-host-firewall", Default: "false", Concern: OfPolicy, Holds: AtOnce, syntax: boolean, Text: "rules with a nodeSelector are enforced",
		read: setFlag(func(c *Config) *bool { return &c.HostFirewall }),
	},
	{
		Name: "enable-l7-proxy", Default: "true", Concern: OfPolicy, syntax: boolean, have: off,
		Instead: "a policy rule with HTTP or DNS rules allows nothing",
	},
	{
		Name: "bpf-policy-map-max", Default: "16384", Concern: OfPolicy, syntax: integer, none: true,
		Instead: "the policies of all workloads of a node are in one map of 262144 entries",
	},
	{
		Name: "mesh-auth-enabled", Default: "false", Concern: OfPolicy, syntax: boolean, have: off,
		Instead: "a policy rule that requires authentication allows nothing",
	},
}

var datapath = []Key{
	{
		Name: "datapath-mode", Default: Veth, Concern: OfDatapath, Holds: NewAttachments, syntax: "veth|netkit|netkit-l2|auto|lb-only", have: []string{Veth, Netkit, "netkit-l2"},
		Text: "by which device pairs pods are connected", Needs: "netkit: Linux 6.8", Instead: "pods are connected by veth pairs",
		read: setWord(func(c *Config, word string) {
			if c.PodDevice = Veth; strings.HasPrefix(word, Netkit) {
				c.PodDevice = Netkit
			}
		}),
	},
	{
		Name: "devices", Concern: OfDatapath, Holds: AtOnce,
		Text: "devices that lead out of the node, by name or, as `eth+`, by how it begins: instead of those with a default route. Those that hold the node's address always do",
		read: setList(func(c *Config) *[]string { return &c.Devices }),
	},
	{
		Name: "enable-tcx", Default: "true", Concern: OfDatapath, Holds: AtOnce, syntax: boolean, Text: "programs are attached by tcx links where the kernel has them, else by cls_bpf",
		Needs: "true: Linux 6.6", read: func(r *reader, c *Config, key string) { c.Classic = !r.flag(key) },
	},
	{
		Name: "bpf-map-dynamic-size-ratio", Default: "0.0025", Concern: OfDatapath, Holds: AtOnce, syntax: fraction, Text: "part of the machine's memory for connections and translations, and as much again for policies",
		read: func(r *reader, c *Config, key string) { c.Maps.Ratio = r.fraction(key) },
	},
	{Name: "bpf-ct-global-tcp-max", Concern: OfDatapath, Holds: AtOnce, syntax: count, Text: "connections of TCP", read: setEntries(func(m *MapSizes) *int { return &m.CTTCP })},
	{Name: "bpf-ct-global-any-max", Concern: OfDatapath, Holds: AtOnce, syntax: count, Text: "other connections", read: setEntries(func(m *MapSizes) *int { return &m.CTAny })},
	{Name: "bpf-nat-global-max", Concern: OfDatapath, Holds: AtOnce, syntax: count, Text: "translations", read: setEntries(func(m *MapSizes) *int { return &m.NAT })},
	{Name: "bpf-fragments-map-max", Concern: OfDatapath, Holds: AtOnce, syntax: count, Text: "fragmented packets at once", read: setEntries(func(m *MapSizes) *int { return &m.Fragments })},
	{Name: "bpf-ct-timeout-regular-tcp", Concern: OfDatapath, Holds: AtOnce, syntax: life, Text: "how long an open connection of TCP is remembered after its last packet: 8000s", read: setLife(func(l *Lives) *time.Duration { return &l.TCP })},
	{Name: "bpf-ct-timeout-regular-tcp-syn", Concern: OfDatapath, Holds: AtOnce, syntax: life, Text: "… until it is open: 60s", read: setLife(func(l *Lives) *time.Duration { return &l.TCPOpening })},
	{Name: "bpf-ct-timeout-regular-tcp-fin", Concern: OfDatapath, Holds: AtOnce, syntax: life, Text: "… after its end: 10s", read: setLife(func(l *Lives) *time.Duration { return &l.TCPClosing })},
	{Name: "bpf-ct-timeout-regular-any", Concern: OfDatapath, Holds: AtOnce, syntax: life, Text: "what is no TCP: 60s, and 120s once it is answered", read: setLife(func(l *Lives) *time.Duration { return &l.Datagrams })},
	{Name: "bpf-ct-timeout-service-tcp", Concern: OfDatapath, Holds: AtOnce, syntax: life, Text: "an open connection of TCP to a service: 8000s", read: setLife(func(l *Lives) *time.Duration { return &l.ServiceTCP })},
	{Name: "bpf-ct-timeout-service-tcp-grace", Concern: OfDatapath, Holds: AtOnce, syntax: life, Text: "… after its end: 10s", read: setLife(func(l *Lives) *time.Duration { return &l.ServiceClosing })},
	{Name: "bpf-ct-timeout-service-any", Concern: OfDatapath, Holds: AtOnce, syntax: life, Text: "to a service, what is no TCP: 60s, and 120s once it is answered", read: setLife(func(l *Lives) *time.Duration { return &l.ServiceDatagrams })},
	{
		Name: "enable-bandwidth-manager", Default: "false", Concern: OfDatapath, syntax: boolean, have: off,
		Instead: "bandwidth annotations and CiliumBandwidthPolicies limit nothing",
	},
}

var services = []Key{
	{
		Name: "service-no-backend-response", Default: "reject", Concern: OfServices, Holds: AtOnce, syntax: "reject|drop", Text: "what a pod or a machine outside hears that calls a service without backends: ICMP port unreachable, or nothing",
		read: setWord(func(c *Config, word string) { c.Reject = word == "reject" }),
	},
	{
		Name: "kube-proxy-replacement", Default: "false", Concern: OfServices, Holds: NewConnections, syntax: "true|false|strict|partial|probe|disabled",
		Text: "true, strict, probe: there is no kube-proxy, and this node does what it did, at sockets and where packets enter it; false, partial: what `bpf-lb-sock`, " +
			"`enable-node-port`, `enable-external-ips` and `enable-host-port` say; disabled: as false, without `bpf-lb-sock`",
		read: setWord(func(c *Config, word string) { c.Replacement = word }),
	},
	{
		Name: "bpf-lb-sock", Default: "false", Concern: OfServices, Holds: NewConnections, syntax: boolean,
		Text: "services that processes of the node and of pods call are translated at their sockets. What pods' packets call is translated in any case",
		read: readSockets,
	},
	{
		Name: "bpf-lb-sock-hostns-only", Default: "false", Concern: OfServices, Holds: NewConnections, syntax: boolean,
		Text: "at sockets of the node's own network namespace alone: what pods call is translated in their packets",
		read: setFlag(func(c *Config) *bool { return &c.Sockets.HostOnly }),
	},
	{
		Name: "enable-host-reachable-services", Default: "false", Concern: OfServices, Holds: NewConnections, syntax: boolean, newer: "bpf-lb-sock",
		Text: "older name of `bpf-lb-sock`", read: readSockets,
	},
	{
		Name: "cgroup-root", Concern: OfServices, Holds: NewConnections,
		Text: "directory of the control group (version 2) whose processes these are; empty, or no such directory: where `/proc/mounts` says that control groups are",
		read: setText(func(c *Config) *string { return &c.Sockets.Group }),
	},
	{
		Name: "bpf-lb-sock-terminate-pod-connections", Default: "true", Concern: OfServices, Holds: AtOnce, syntax: boolean,
		Text: "where calls are translated at sockets: a connected UDP socket of a pod is ended when no service offers its backend any more, so that its process calls again; one of the node's own processes is in any case",
		read: setFlag(func(c *Config) *bool { return &c.Sockets.EndOfPods }),
	},
	{
		Name: "lb-sock-terminate-all-protos", Default: "false", Concern: OfServices, Holds: AtOnce, syntax: boolean,
		Text: "sockets of TCP whose backend is gone are ended as those of UDP are (`bpf-lb-sock-terminate-pod-connections`): their peers get a reset",
		read: setFlag(func(c *Config) *bool { return &c.Sockets.EndTCP }),
	},
	{
		Name: "k8s-api-server-urls", Default: "", Concern: OfServices, have: []string{""},
		Instead: "it is a flag of the agent and of the operator, since they read this ConfigMap from there: value k8s.apiServerURLs of the chart",
	},
	{
		Name: "enable-node-port", Concern: OfServices, Holds: NewConnections, syntax: "|true|false", Text: "calls of node ports that come from outside are translated here; by default as `kube-proxy-replacement` says",
		read: readOutside(func(o *Outside) *bool { return &o.NodePorts }),
	},
	{
		Name: "enable-external-ips", Concern: OfServices, Holds: NewConnections, syntax: "|true|false", Text: "calls of external addresses, those of load balancers among them, that come from outside are translated here; by default as `kube-proxy-replacement` says",
		read: readOutside(func(o *Outside) *bool { return &o.ExternalIPs }),
	},
	{
		Name: "bpf-lb-external-clusterip", Default: "false", Concern: OfServices, Holds: NewConnections, syntax: boolean,
		Text:  "calls of cluster addresses that come from outside are translated here, too, as their internalTrafficPolicy says: a router has to lead these addresses to nodes",
		Needs: "`enable-node-port`, `enable-external-ips` or `enable-host-port`", read: setFlag(func(c *Config) *bool { return &c.Outside.ClusterIPs }),
	},
	{
		Name: "node-port-range", Default: "30000,32767", Concern: OfServices, Holds: AtOnce, syntax: ports, Text: "first and last node port. It has to equal the API server's `--service-node-port-range`: a node port beyond it leads nowhere",
		read: readNodePorts,
	},
	{
		Name: "bpf-lb-mode", Default: "snat", Concern: OfServices, Holds: NewConnections, syntax: "snat|dsr|hybrid",
		Text: "how what the outside calls reaches a backend on another node: snat: with the address of the node that was called, which the answer comes back to; " +
			"dsr: with the client's address, and the answer leaves there; hybrid: dsr for TCP, snat for the rest",
		read: setWord(func(c *Config, word string) { c.Outside.Mode = word }),
	},
	{
		Name: "bpf-lb-mode-annotation", Default: "false", Concern: OfServices, Holds: NewConnections, syntax: boolean,
		Text: "the annotation `service.cilium.io/forwarding-mode` of a Service (snat, dsr) says it for that Service",
		read: setFlag(func(c *Config) *bool { return &c.Outside.ByService }),
	},
	{
		Name: "bpf-lb-acceleration", Default: "disabled", Concern: OfServices, Holds: AtOnce, syntax: "disabled|native|best-effort|testing-only",
		Text: "what of calls from outside goes on to another node where it comes in, before the kernel makes a packet of it (XDP): native: by the drivers of devices, " +
			"`weft status` warns of each whose driver cannot; best-effort: where they can; testing-only: by the kernel, for any device. Packets are the same, and so is what becomes of them",
		Needs: "`enable-node-port`, `enable-external-ips` or `enable-host-port`", read: setWord(func(c *Config, word string) { c.Outside.XDP = word }),
	},
	{
		Name: "node-port-acceleration", Default: "disabled", Concern: OfServices, Holds: AtOnce, syntax: "disabled|native|best-effort|testing-only", newer: "bpf-lb-acceleration",
		Text: "older name of `bpf-lb-acceleration`", read: setWord(func(c *Config, word string) { c.Outside.XDP = word }),
	},
	{
		Name: "bpf-lb-dsr-dispatch", Default: "opt", Concern: OfServices, have: []string{"opt"},
		Instead: "a node says what was called in an option of the packet itself, inside the tunnel, too",
	},
	{
		Name: "nodeport-addresses", Concern: OfServices, Holds: AtOnce, syntax: portAddresses,
		Text: "ranges of the addresses of nodes at which node ports are offered, or `primary`: a node's first address of each family; empty: all", read: readPortAddresses,
	},
	{
		Name: "node-port-bind-protection", Default: "true", Concern: OfServices, Holds: AtOnce, syntax: boolean,
		Text: "a process of the node cannot bind to a node port of a service, or to an external address of one, which would never lead to it: bind fails with EPERM. " +
			"It takes what `kube-proxy-replacement` or `bpf-lb-sock` puts at sockets, and `enable-node-port`",
		read: setFlag(func(c *Config) *bool { return &c.Sockets.HoldPorts }),
	},
	{
		Name: "enable-host-port", Concern: OfServices, Holds: NewConnections, syntax: "|true|false", Text: "hostPorts of pods are led on here; by default as `kube-proxy-replacement` says. Where kube-proxy is replaced, too, the portmap plugin is not called for new pods",
		read: readOutside(func(o *Outside) *bool { return &o.HostPorts }),
	},
	{
		Name: "enable-local-redirect-policy", Default: "false", Concern: OfServices, Holds: NewConnections, syntax: boolean,
		Text: "CiliumLocalRedirectPolicies lead calls of services, and of other addresses, to pods of the caller's node",
		read: setFlag(func(c *Config) *bool { return &c.Redirects }),
	},
	{
		Name: "lrp-address-matcher-cidrs", Concern: OfServices, Holds: NewConnections, syntax: prefixes,
		Text: "ranges of the addresses that a CiliumLocalRedirectPolicy may name; empty: all",
		read: func(r *reader, c *Config, key string) {
			for _, w := range words(r.text(key)) {
				c.Redirected = append(c.Redirected, netip.MustParsePrefix(w).Masked()) // its syntax was checked
			}
		},
	},
}

var observation = []Key{
	{Name: "enable-hubble", Default: "true", Concern: OfObservation, Holds: AtOnce, syntax: boolean, Text: "flows are served", read: setFlag(func(c *Config) *bool { return &c.Hubble })},
	{
		Name: "hubble-socket-path", Default: "/var/run/cilium/hubble.sock", Concern: OfObservation, Holds: AtOnce, Text: "on a socket, for root alone",
		read: setText(func(c *Config) *string { return &c.HubbleSocket }),
	},
	{
		Name: "hubble-listen-address", Concern: OfObservation, Holds: AtOnce, syntax: address, Text: "over the network as well, such as :4244, to clients with a certificate; empty: not",
		Needs: "`hubble-tls-cert-file`, `hubble-tls-key-file`, `hubble-tls-client-ca-files`", read: setText(func(c *Config) *string { return &c.FlowService.Address }),
	},
	{
		Name: "hubble-disable-tls", Default: "false", Concern: OfObservation, Holds: AtOnce, syntax: boolean,
		Text: "over the network in plain text: ANY CLIENT READS ALL FLOWS", read: setFlag(func(c *Config) *bool { return &c.FlowService.Plain }),
	},
	{Name: "hubble-tls-cert-file", Concern: OfObservation, Holds: AtOnce, Text: "the certificate of that; read for each connection", read: setText(func(c *Config) *string { return &c.FlowService.Certificate })},
	{Name: "hubble-tls-key-file", Concern: OfObservation, Holds: AtOnce, Text: "its key; read for each connection", read: setText(func(c *Config) *string { return &c.FlowService.Key })},
	{Name: "hubble-tls-client-ca-files", Concern: OfObservation, Holds: AtOnce, Text: "certificates by which its clients are known; none: nothing is served over the network", read: setList(func(c *Config) *[]string { return &c.FlowService.ClientCAs })},
	{Name: "hubble-prefer-ipv6", Default: "false", Concern: OfObservation, Holds: AtOnce, syntax: boolean, Text: "relays are given IPv6 addresses of nodes", read: setFlag(func(c *Config) *bool { return &c.FlowService.IPv6 })},
	{Name: "prometheus-serve-addr", Concern: OfObservation, Holds: AtOnce, syntax: address, Text: "where metrics are served", read: setText(func(c *Config) *string { return &c.Metrics.Address })},
	{
		Name: "prometheus-enable-tls", Default: "false", Concern: OfObservation, Holds: AtOnce, syntax: boolean, Protection: true, Text: "metrics are served by TLS",
		Needs: "`prometheus-tls-cert-file`, `prometheus-tls-key-file`", read: setFlag(func(c *Config) *bool { return &c.Metrics.TLS }),
	},
	{Name: "prometheus-tls-cert-file", Concern: OfObservation, Holds: AtOnce, Text: "its certificate; read for each connection", read: setText(func(c *Config) *string { return &c.Metrics.Certificate })},
	{Name: "prometheus-tls-key-file", Concern: OfObservation, Holds: AtOnce, Text: "its key; read for each connection", read: setText(func(c *Config) *string { return &c.Metrics.Key })},
	{Name: "prometheus-tls-client-ca-files", Concern: OfObservation, Holds: AtOnce, Text: "certificates by which clients are known; none: any client", read: setList(func(c *Config) *[]string { return &c.Metrics.ClientCAs })},
	{Name: "debug", Default: "false", Concern: OfObservation, syntax: boolean, have: off, Instead: "programs log more with a flag of their own"},
}

var encryption = []Key{
	{Name: "enable-wireguard", Default: "false", Concern: OfEncryption, syntax: boolean, have: off, Protection: true, Instead: plaintext},
	{Name: "enable-ipsec", Default: "false", Concern: OfEncryption, syntax: boolean, have: off, Protection: true, Instead: plaintext},
	{Name: "enable-ztunnel", Default: "false", Concern: OfEncryption, syntax: boolean, have: off, Protection: true, Instead: plaintext},
	{Name: "encryption-node", Default: "false", Concern: OfEncryption, syntax: boolean, have: off, Protection: true, Instead: plaintext},
	{Name: "encrypt-node", Default: "false", Concern: OfEncryption, syntax: boolean, have: off, Protection: true, Instead: plaintext},
	{Name: "enable-encryption-strict-mode", Default: "false", Concern: OfEncryption, syntax: boolean, have: off, Protection: true, Instead: plaintext},
	{Name: "enable-encryption-strict-mode-egress", Default: "false", Concern: OfEncryption, syntax: boolean, have: off, Protection: true, Instead: plaintext},
	{Name: "enable-encryption-strict-mode-ingress", Default: "false", Concern: OfEncryption, syntax: boolean, have: off, Protection: true, Instead: plaintext},
}
