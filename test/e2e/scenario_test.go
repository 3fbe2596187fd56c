//go:build e2e

package e2e

// Who has which files, and which ports every pod serves.
const everyPort = "80 443 5432 8080 8443"

// scenarios say of every file of policies what it does, as its language has it. Each row is a connection, made over both
// families, and reads as a sentence: from one end to a port of another; it is to arrive or not, and which policy decides.
var scenarios = []scenario{
	{
		file: "requests.yaml",
		says: "web may look up names and nothing else: its way to the database is for requests (L7), and fails closed",
		pods: []workload{
			{name: "shop-web/web", labels: "tier=front"},
			{name: "shop-web/other", labels: "tier=other", node: "node2"},
			{name: "shop-web/db", labels: "tier=store,stage=live", node: "node2"},
			{name: "shop-db/db", labels: "tier=store,stage=live", node: "node2"},
			{name: "shop-api/api", labels: "tier=orders", node: "node2"},
			{name: "shop-api/web", labels: "tier=front"},
			{name: "partner/stranger", labels: "tier=stranger"},
		},
		rows: []row{
			{"shop-web/web", "kube-dns", "53/udp", allow, "cnp shop-web/names-only"},
			{"shop-web/other", "kube-dns", "53/udp", allow, "cnp shop-web/names-only"},
			{"shop-web/web", "kube-dns", "53", deny, "cnp shop-web/names-only"},
			{"shop-web/web", "shop-web/db", "5432", deny, "cnp shop-web/front-asks-store"},
			{"shop-web/web", "shop-db/db", "5432", deny, "cnp shop-web/front-asks-store"},
			{"shop-web/other", "shop-web/db", "5432", deny, "cnp shop-web/names-only"},
			{"shop-web/other", "partner/stranger", "80", deny, "cnp shop-web/names-only"},
			{"shop-web/other", "partner/stranger", "icmp", deny, "cnp shop-web/names-only"},
			{"partner/stranger", "shop-web/db", "5432", allow, ""}, // ingress: [] isolates nothing
			{"shop-api/web", "shop-api/api", "8080", deny, "cnp shop-api/orders-take-two-requests"},
			{"partner/stranger", "shop-api/api", "8080", deny, "cnp shop-api/orders-take-two-requests"},
			{"shop-web/web", "shop-api/api", "8080", deny, "cnp shop-web/names-only"},
			{"shop-api/api", "partner/stranger", "80", allow, ""},
		},
		partly: []string{"shop-web/front-asks-store", "shop-api/orders-take-two-requests"},
	},
	{
		file: "bandwidth.yaml",
		says: "a limit of bandwidth closes nothing",
		pods: []workload{{name: "shop-web/web", labels: "tier=front"}, {name: "partner/stranger", node: "node2"}},
		rows: []row{
			{"shop-web/web", "partner/stranger", "80", allow, ""},
			{"partner/stranger", "shop-web/web", "80", allow, ""},
		},
	},
	{
		file: "clusterwide.yaml",
		says: "pods may reach the mesh gateways and nothing else; nodes are closed but for what the API server sends to control planes",
		pods: []workload{
			{name: "team/any"},
			{name: "team/far", node: "node2"},
			{name: "mesh/gateway", node: "node2"},
			{name: "metering/meter", account: "meter"},
		},
		nodes: true,
		rows: []row{
			{"team/any", "mesh/gateway", "8443", allow, "ccnp pods-to-mesh"},
			{"team/any", "mesh/gateway", "80", deny, "ccnp pods-to-mesh"},
			{"team/any", "team/far", "80", deny, "ccnp pods-to-mesh"},
			{"team/any", "kube-dns", "53/udp", deny, "ccnp pods-to-mesh"},
			{"mesh/gateway", "team/any", "80", deny, "ccnp pods-to-mesh"},
			{"metering/meter", "node:node1", "10250", deny, "ccnp pods-to-mesh"},
			{"node:node1", "team/any", "80", allow, ""},
			{"node:node1", "team/far", "80", allow, ""},
			{"node:node1", "node:node2", "10250", deny, "ccnp api-server-to-control-planes"},
			{"node:node1", "node:node3", "10250", deny, "ccnp meter-to-kubelets"},
			{"node:node1", "node:node3", "4240", allow, ""}, // what nodes need to be one
			{"outside", "node:node1", "10250", deny, "ccnp api-server-to-control-planes"},
			{"apiserver", "node:node1", "10250", allow, "ccnp api-server-to-control-planes"},
			{"apiserver", "node:node3", "10250", deny, "ccnp meter-to-kubelets"},
		},
	},
	{
		file: "clusterwide.yaml", only: []string{"meter-to-kubelets", "api-server-to-control-planes"},
		says: "the rules for nodes alone: the meter reaches the kubelet of every node, other pods none",
		pods: []workload{
			{name: "team/any"},
			{name: "metering/meter", account: "meter"},
			{name: "metering/other"},
		},
		nodes: true,
		rows: []row{
			{"metering/meter", "node:node1", "10250", allow, "ccnp meter-to-kubelets"},
			{"metering/meter", "node:node2", "10250", allow, "ccnp meter-to-kubelets"},
			{"metering/meter", "node:node3", "10250", allow, "ccnp meter-to-kubelets"},
			{"metering/meter", "node:node3", "22", deny, "ccnp meter-to-kubelets"},
			{"metering/other", "node:node3", "10250", deny, "ccnp meter-to-kubelets"},
			{"team/any", "node:node1", "10250", deny, "ccnp meter-to-kubelets"},
			{"team/any", "node:node3", "10250", deny, "ccnp meter-to-kubelets"},
			{"team/any", "node:node3", "icmp", deny, "ccnp meter-to-kubelets"},
			{"team/any", "metering/other", "80", allow, ""},
			{"node:node3", "team/any", "80", allow, ""},
		},
	},
	{
		file: "http.yaml", namespace: "web",
		says: "requests to the catalogue are for the pages, and as long as no proxy reads requests, no pod may send any",
		pods: []workload{
			{name: "web/catalogue", labels: "part=catalogue", node: "node2"},
			{name: "web/pages", labels: "part=pages"},
			{name: "web/other"},
		},
		rows: []row{
			{"web/pages", "web/catalogue", "80", deny, "cnp web/pages-ask-catalogue"},
			{"web/pages", "web/catalogue", "8080", deny, "cnp web/pages-ask-catalogue"},
			{"web/other", "web/catalogue", "80", deny, "cnp web/pages-ask-catalogue"},
			{"web/other", "web/pages", "80", allow, ""},
			{"web/catalogue", "web/pages", "80", allow, ""},
		},
		partly: []string{"web/pages-ask-catalogue"},
	},
	{
		file: "namespaces.yaml", namespace: "scraping",
		says: "all inside the namespace, nothing across it, but for the scraper, which reaches one other namespace",
		pods: []workload{
			{name: "scraping/agent", account: "scraper"},
			{name: "scraping/peer", node: "node2"},
			{name: "scraped/target", node: "node2"},
			{name: "partner/stranger"},
		},
		rows: []row{
			{"scraping/agent", "scraping/peer", "80", allow, "cnp scraping/inside-only"},
			{"scraping/peer", "scraping/agent", "icmp", allow, "cnp scraping/inside-only"},
			{"scraping/agent", "scraped/target", "80", allow, "cnp scraping/scraper-to-scraped"},
			{"scraping/peer", "scraped/target", "80", deny, "cnp scraping/inside-only"},
			{"scraping/agent", "partner/stranger", "80", deny, "cnp scraping/inside-only"},
			{"scraping/agent", "kube-dns", "53/udp", deny, "cnp scraping/inside-only"},
			{"scraped/target", "scraping/agent", "80", deny, "cnp scraping/inside-only"},
			{"partner/stranger", "scraping/peer", "80", deny, "cnp scraping/inside-only"},
			{"partner/stranger", "scraped/target", "80", allow, ""},
		},
	},
	{
		file: "machines.yaml",
		says: "the gateway reaches the web machine on two ports, and that its database on one",
		pods: []workload{
			{name: "machines/web", labels: "machine=web"},
			{name: "machines/gateway", labels: "machine=gateway", node: "node2"},
			{name: "machines/store", labels: "machine=store", node: "node2"},
			{name: "partner/gateway", labels: "machine=gateway"},
		},
		rows: []row{
			{"machines/gateway", "machines/web", "80", allow, "cnp machines/machine-ports"},
			{"machines/gateway", "machines/web", "443", allow, "cnp machines/machine-ports"},
			{"machines/gateway", "machines/web", "8080", deny, "cnp machines/machine-ports"},
			{"machines/gateway", "machines/web", "icmp", deny, "cnp machines/machine-ports"},
			{"partner/gateway", "machines/web", "80", deny, "cnp machines/machine-ports"},
			{"machines/store", "machines/web", "80", deny, "cnp machines/machine-ports"},
			{"machines/web", "machines/store", "5432", allow, "cnp machines/machine-ports"},
			{"machines/web", "machines/store", "80", deny, "cnp machines/machine-ports"},
			{"machines/web", "kube-dns", "53/udp", deny, "cnp machines/machine-ports"},
			{"machines/gateway", "machines/store", "5432", allow, ""},
		},
	},
}
