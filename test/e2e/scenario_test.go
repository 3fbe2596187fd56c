//go:build e2e

package e2e

// Who has which files, and which ports every pod serves.
const everyPort = "80 443 5432 8080 8443"

// scenarios say of every file of policies what it does, as its language has it. Each row is a connection, made over both
// families, and reads as a sentence: from somebody to somebody's port; it is to arrive or not, and which policy decides.
var scenarios = []scenario{
	{
		file: "adr-policies.yaml",
		says: "web may look up names and nothing else: its way to the database is for requests (L7), and fails closed",
		pods: []workload{
			{name: "app-web-prod/web", labels: "app=web-frontend"},
			{name: "app-web-prod/other", labels: "app=other", node: "node2"},
			{name: "app-web-prod/db", labels: "app=database,environment=production", node: "node2"},
			{name: "app-db/db", labels: "app=database,environment=production", node: "node2"},
			{name: "app-api-prod/api", labels: "app=api-server", node: "node2"},
			{name: "app-api-prod/web", labels: "app=web-frontend"},
			{name: "partner/stranger", labels: "app=stranger"},
		},
		rows: []row{
			{"app-web-prod/web", "kube-dns", "53/udp", allow, "cnp app-web-prod/default-deny-all"},
			{"app-web-prod/other", "kube-dns", "53/udp", allow, "cnp app-web-prod/default-deny-all"},
			{"app-web-prod/web", "kube-dns", "53", deny, "cnp app-web-prod/default-deny-all"},
			{"app-web-prod/web", "app-web-prod/db", "5432", deny, "cnp app-web-prod/web-to-database-policy"},
			{"app-web-prod/web", "app-db/db", "5432", deny, "cnp app-web-prod/web-to-database-policy"},
			{"app-web-prod/other", "app-web-prod/db", "5432", deny, "cnp app-web-prod/default-deny-all"},
			{"app-web-prod/other", "partner/stranger", "80", deny, "cnp app-web-prod/default-deny-all"},
			{"app-web-prod/other", "partner/stranger", "icmp", deny, "cnp app-web-prod/default-deny-all"},
			{"partner/stranger", "app-web-prod/db", "5432", allow, ""}, // ingress: [] isolates nothing
			{"app-api-prod/web", "app-api-prod/api", "8080", deny, "cnp app-api-prod/api-security-policy"},
			{"partner/stranger", "app-api-prod/api", "8080", deny, "cnp app-api-prod/api-security-policy"},
			{"app-web-prod/web", "app-api-prod/api", "8080", deny, "cnp app-web-prod/default-deny-all"},
			{"app-api-prod/api", "partner/stranger", "80", allow, ""},
		},
		partly: []string{"app-web-prod/web-to-database-policy", "app-api-prod/api-security-policy"},
	},
	{
		file: "bandwidth.yaml",
		says: "a limit of bandwidth closes nothing",
		pods: []workload{{name: "app-web-prod/web", labels: "app=web-frontend"}, {name: "partner/stranger", node: "node2"}},
		rows: []row{
			{"app-web-prod/web", "partner/stranger", "80", allow, ""},
			{"partner/stranger", "app-web-prod/web", "80", allow, ""},
		},
	},
	{
		file: "clusterwide.yaml",
		says: "pods may reach the mesh gateways and nothing else; nodes are closed but for what the API server sends to control planes",
		pods: []workload{
			{name: "team/any"},
			{name: "team/far", node: "node2"},
			{name: "infra-istio/gateway", node: "node2"},
			{name: "my-metrics-namespace/metrics", account: "metrics-server"},
		},
		nodes: true,
		rows: []row{
			{"team/any", "infra-istio/gateway", "8443", allow, "ccnp all-pods-to-istio-internal-access"},
			{"team/any", "infra-istio/gateway", "80", deny, "ccnp all-pods-to-istio-internal-access"},
			{"team/any", "team/far", "80", deny, "ccnp all-pods-to-istio-internal-access"},
			{"team/any", "kube-dns", "53/udp", deny, "ccnp all-pods-to-istio-internal-access"},
			{"infra-istio/gateway", "team/any", "80", deny, "ccnp all-pods-to-istio-internal-access"},
			{"my-metrics-namespace/metrics", "node:node1", "10250", deny, "ccnp all-pods-to-istio-internal-access"},
			{"node:node1", "team/any", "80", allow, ""},
			{"node:node1", "team/far", "80", allow, ""},
			{"node:node1", "node:node2", "10250", deny, "ccnp allow-control-plane-connectivity"},
			{"node:node1", "node:node3", "10250", deny, "ccnp host-firewall-allow-metrics-server-to-kubelet"},
			{"node:node1", "node:node3", "4240", allow, ""}, // what nodes need to be one
			{"outside", "node:node1", "10250", deny, "ccnp allow-control-plane-connectivity"},
			{"apiserver", "node:node1", "10250", allow, "ccnp allow-control-plane-connectivity"},
			{"apiserver", "node:node3", "10250", deny, "ccnp host-firewall-allow-metrics-server-to-kubelet"},
		},
	},
	{
		file: "clusterwide.yaml", only: []string{"host-firewall-allow-metrics-server-to-kubelet", "allow-control-plane-connectivity"},
		says: "the rules for nodes alone: the metrics server reaches the kubelet of every node, other pods none",
		pods: []workload{
			{name: "team/any"},
			{name: "my-metrics-namespace/metrics", account: "metrics-server"},
			{name: "my-metrics-namespace/other"},
		},
		nodes: true,
		rows: []row{
			{"my-metrics-namespace/metrics", "node:node1", "10250", allow, "ccnp host-firewall-allow-metrics-server-to-kubelet"},
			{"my-metrics-namespace/metrics", "node:node2", "10250", allow, "ccnp host-firewall-allow-metrics-server-to-kubelet"},
			{"my-metrics-namespace/metrics", "node:node3", "10250", allow, "ccnp host-firewall-allow-metrics-server-to-kubelet"},
			{"my-metrics-namespace/metrics", "node:node3", "22", deny, "ccnp host-firewall-allow-metrics-server-to-kubelet"},
			{"my-metrics-namespace/other", "node:node3", "10250", deny, "ccnp host-firewall-allow-metrics-server-to-kubelet"},
			{"team/any", "node:node1", "10250", deny, "ccnp host-firewall-allow-metrics-server-to-kubelet"},
			{"team/any", "node:node3", "10250", deny, "ccnp host-firewall-allow-metrics-server-to-kubelet"},
			{"team/any", "node:node3", "icmp", deny, "ccnp host-firewall-allow-metrics-server-to-kubelet"},
			{"team/any", "my-metrics-namespace/other", "80", allow, ""},
			{"node:node3", "team/any", "80", allow, ""},
		},
	},
	{
		file: "l7-http-policy.yaml", namespace: "web",
		says: "requests to the API are for its frontend, and as long as nobody looks at requests, for nobody",
		pods: []workload{
			{name: "web/api", labels: "app=web-api", node: "node2"},
			{name: "web/front", labels: "app=frontend"},
			{name: "web/other"},
		},
		rows: []row{
			{"web/front", "web/api", "80", deny, "cnp web/l7-http-policy"},
			{"web/front", "web/api", "8080", deny, "cnp web/l7-http-policy"},
			{"web/other", "web/api", "80", deny, "cnp web/l7-http-policy"},
			{"web/other", "web/front", "80", allow, ""},
			{"web/api", "web/front", "80", allow, ""},
		},
		partly: []string{"web/l7-http-policy"},
	},
	{
		file: "namespace-rules.yaml", namespace: "vmagent-system",
		says: "all inside the namespace, nothing across it, but for the scraper, which reaches one other namespace",
		pods: []workload{
			{name: "vmagent-system/agent", account: "victoria-metrics-agent-usr"},
			{name: "vmagent-system/peer", node: "node2"},
			{name: "desired-namespace/target", node: "node2"},
			{name: "partner/stranger"},
		},
		rows: []row{
			{"vmagent-system/agent", "vmagent-system/peer", "80", allow, "cnp vmagent-system/allow-ingress-egress-within-namespace"},
			{"vmagent-system/peer", "vmagent-system/agent", "icmp", allow, "cnp vmagent-system/allow-ingress-egress-within-namespace"},
			{"vmagent-system/agent", "desired-namespace/target", "80", allow, "cnp vmagent-system/vmagent-allow-desired-namespace"},
			{"vmagent-system/peer", "desired-namespace/target", "80", deny, "cnp vmagent-system/allow-ingress-egress-within-namespace"},
			{"vmagent-system/agent", "partner/stranger", "80", deny, "cnp vmagent-system/allow-ingress-egress-within-namespace"},
			{"vmagent-system/agent", "kube-dns", "53/udp", deny, "cnp vmagent-system/allow-ingress-egress-within-namespace"},
			{"desired-namespace/target", "vmagent-system/agent", "80", deny, "cnp vmagent-system/allow-ingress-egress-within-namespace"},
			{"partner/stranger", "vmagent-system/peer", "80", deny, "cnp vmagent-system/allow-ingress-egress-within-namespace"},
			{"partner/stranger", "desired-namespace/target", "80", allow, ""},
		},
	},
	{
		file: "vm-web-policy.yaml",
		says: "the gateway reaches the web machine on two ports, and that its database on one",
		pods: []workload{
			{name: "app-web-prod/web", labels: "app=web-vm"},
			{name: "app-web-prod/gateway", labels: "app=api-gateway", node: "node2"},
			{name: "app-web-prod/db", labels: "app=database-vm", node: "node2"},
			{name: "partner/gateway", labels: "app=api-gateway"},
		},
		rows: []row{
			{"app-web-prod/gateway", "app-web-prod/web", "80", allow, "cnp app-web-prod/vm-web-policy"},
			{"app-web-prod/gateway", "app-web-prod/web", "443", allow, "cnp app-web-prod/vm-web-policy"},
			{"app-web-prod/gateway", "app-web-prod/web", "8080", deny, "cnp app-web-prod/vm-web-policy"},
			{"app-web-prod/gateway", "app-web-prod/web", "icmp", deny, "cnp app-web-prod/vm-web-policy"},
			{"partner/gateway", "app-web-prod/web", "80", deny, "cnp app-web-prod/vm-web-policy"},
			{"app-web-prod/db", "app-web-prod/web", "80", deny, "cnp app-web-prod/vm-web-policy"},
			{"app-web-prod/web", "app-web-prod/db", "5432", allow, "cnp app-web-prod/vm-web-policy"},
			{"app-web-prod/web", "app-web-prod/db", "80", deny, "cnp app-web-prod/vm-web-policy"},
			{"app-web-prod/web", "kube-dns", "53/udp", deny, "cnp app-web-prod/vm-web-policy"},
			{"app-web-prod/gateway", "app-web-prod/db", "5432", allow, ""},
		},
	},
}
