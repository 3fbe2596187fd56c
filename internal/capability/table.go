package capability

// Table is all of it.
var Table = []Capability{
	{
		State: Works, Topic: "CNI",
		Text: "0.3.1 to 1.1.0. ADD answers when link, policy and programs are in place; attachments survive restarts of the agent; " +
			"a DEL without an agent is done later; pods' devices are veth or netkit pairs.",
		Keys:    []string{"datapath-mode=netkit"},
		Scripts: []string{"an_add_that_is_repeated_gives_the_same", "a_delete_without_an_agent_is_done_later", "a_pod_gets_the_pair_that_is_asked_for"},
	},
	{
		State: Works, Topic: "Addresses",
		Text:    "pools carved by the operator, or `node.spec.podCIDRs`; dual-stack, IPv4 only, IPv6 only; CiliumPodIPPools that pods or namespaces name.",
		Keys:    []string{"ipam=cluster-pool", "ipam=kubernetes", "enable-ipv6=false", "enable-ipv4=false"},
		Kinds:   []string{"CiliumNode", "CiliumPodIPPool"},
		Scripts: []string{"a_cluster_may_have_one_family_only", "pods_have_addresses_of_the_pools_that_they_name"},
	},
	{
		State: Works, Topic: "Connectivity",
		Text: "pod to pod on a node and between nodes, by VXLAN and by native routing; to and from nodes and host-network pods; " +
			"to the outside by masquerade in eBPF; by VXLAN to machines that are no nodes (VTEPs); ICMP errors, fragments, hairpin. A pod can send from its own addresses only.",
		Keys: []string{"routing-mode=native", "routing-mode=tunnel", "tunnel-protocol=vxlan", "enable-bpf-masquerade=true", "auto-direct-node-routes=true", "enable-vtep=true"},
		Scripts: []string{
			"pods_of_two_nodes_talk_through_the_tunnel", "pods_of_two_nodes_talk_without_a_tunnel", "a_node_and_pods_talk",
			"a_pod_talks_to_the_outside_with_its_nodes_address", "a_pod_that_lies_about_its_address_gains_nothing", "fragments_follow_their_first",
			"a_pod_reaches_itself_through_its_service", "pods_and_what_lies_behind_a_vtep_talk",
		},
	},
	{
		State: Works, Topic: "Services that pods call",
		Text: "cluster addresses, external addresses, node ports, affinity; calls stay in the caller's zone or on its node where a service asks for that.",
		Keys: []string{"service-no-backend-response=reject", "enable-service-topology=true"},
		Scripts: []string{
			"a_service_is_reached_by_its_address", "a_node_port_is_offered_to_pods", "a_conversation_moves_when_its_backend_goes", "calls_stay_near_where_hints_say_so",
		},
	},
	{
		State: Works, Topic: "Services that processes call",
		Text: "the same at their sockets, for processes of nodes, too, with `kube-proxy-replacement` or `bpf-lb-sock`: TCP and UDP, node ports also at a node's " +
			"loopback address. The caller hears of no other address than the service's, and flows name it. A connected UDP socket whose backend is gone is ended, " +
			"so that its process calls again; one of TCP with `lb-sock-terminate-all-protos`.",
		Keys: []string{
			"kube-proxy-replacement=true", "bpf-lb-sock=true", "bpf-lb-sock-hostns-only=true", "enable-host-reachable-services=true", "cgroup-root=/run/cilium/cgroupv2",
			"bpf-lb-sock-terminate-pod-connections=true", "lb-sock-terminate-all-protos=true",
		},
		Scripts: []string{
			"a_process_reaches_a_service_from_its_socket", "a_node_calls_node_ports_at_any_address", "flows_name_the_service_that_a_socket_called",
			"calls_from_sockets_go_on_whatever_happens_to_them", "a_socket_hears_that_its_backend_is_gone",
		},
	},
	{
		State: Works, Topic: "Calls that stay on the node",
		Text: "CiliumLocalRedirectPolicy, with `enable-local-redirect-policy`: what pods and processes of a node call of a service, or of an address such as 169.254.169.254, goes to a pod of " +
			"that node while one is ready (node-local DNS, metadata), at sockets and in packets.",
		Kinds: []string{"CiliumLocalRedirectPolicy"},
		Keys:  []string{"enable-local-redirect-policy=true", "lrp-address-matcher-cidrs=169.254.169.254/32"},
		Scripts: []string{
			"calls_of_a_service_are_led_to_the_nodes_own_pod", "calls_of_an_address_are_led_to_the_nodes_own_pod",
		},
	},
	{
		State: Works, Topic: "Services that the outside calls",
		Text: "node ports, external addresses and those of load balancers, and hostPorts of pods, at the node that is called, with `kube-proxy-replacement`, cluster addresses with `bpf-lb-external-clusterip`; " +
			"backends on other nodes see the address of that node (SNAT), or, with `bpf-lb-mode`, the client's, and answer it themselves (DSR, by an option of the packet, or in a Geneve tunnel). SCTP where the port is the backend's. `externalTrafficPolicy`, `loadBalancerSourceRanges` (of calls of load balancers' addresses), health checks of load balancers. " +
			"By Maglev, on demand, all nodes lead a call to the same backend. Who calls a service without backends is told, within a budget. Packets of open calls that go on to another node do so before tc (XDP) with `bpf-lb-acceleration`, but not through the tunnel. No kube-proxy has to run; without the key it, " +
			"or another service proxy, must. `weft uninstall kube-proxy` removes what one has left.",
		Commands: []string{"uninstall kube-proxy"},
		Keys: []string{
			"enable-node-port=true", "enable-external-ips=true", "enable-host-port=true", "node-port-range=30000,32767", "bpf-lb-external-clusterip=true", "bpf-lb-mode=dsr", "bpf-lb-dsr-dispatch=geneve",
			"bpf-lb-mode-annotation=true", "node-port-bind-protection=true", "nodeport-addresses=primary", "devices=eth0", "bpf-lb-algorithm=maglev",
			"bpf-lb-algorithm-annotation=true", "bpf-lb-maglev-table-size=65521", "bpf-lb-maglev-hash-seed=AQIDBAUGBwgJCgsM",
			"bpf-lb-acceleration=native",
		},
		Scripts: []string{
			"the_outside_calls_services_at_any_node", "a_cluster_address_is_called_from_outside", "the_outside_calls_services_without_a_tunnel", "who_calls_from_outside_is_judged_by_the_backend",
			"backends_elsewhere_answer_the_outside_themselves", "backends_elsewhere_answer_without_a_tunnel",
			"backends_elsewhere_answer_by_a_tunnel_of_their_own", "backends_elsewhere_answer_by_a_tunnel_where_nodes_route", "a_node_without_geneve_carries_calls_on_by_its_address",
			"a_node_serves_as_a_backend_itself", "a_host_port_leads_to_its_pod", "load_balancers_ask_nodes_where_a_service_is",
			"what_a_kube_proxy_has_left_is_named_and_removed", "a_node_port_is_no_port_of_a_process", "a_node_port_is_offered_where_its_addresses_say",
			"a_device_that_is_named_leads_out", "a_nodes_loopback_is_its_own_whatever_route_localnet_says", "the_outside_hears_that_a_service_has_no_backend", "every_node_leads_a_client_to_the_same_backend",
		},
	},
	{
		State: Works, Topic: "Policy",
		Text: "CiliumNetworkPolicy and the clusterwide one: peers by labels, entities, CIDR, CIDR group, Service and node; ports, also ranges and by name; " +
			"ICMP types; deny, default deny, audit. NetworkPolicy in full. ClusterNetworkPolicy with its tiers, but for domain names. " +
			"A change is felt by the next packet of open connections.",
		Fields: []string{
			"endpointSelector", "ingress", "ingressDeny", "egress", "egressDeny", "enableDefaultDeny", "labels", "description", "log",
			"fromEndpoints", "fromCIDR", "fromCIDRSet", "fromEntities", "fromNodes", "toEndpoints", "toCIDR", "toCIDRSet", "toEntities", "toServices", "toNodes",
			"cidr", "cidrGroupRef", "cidrGroupSelector", "except", "toPorts", "icmps", "ports", "rules", "port", "endPort", "protocol",
			"podSelector", "namespaceSelector", "ipBlock", "policyTypes", "from", "to",
			"tier", "priority", "subject", "namespaces", "pods", "nodes", "networks", "action", "protocols", "name",
		},
		Keys: []string{
			"policy-enforcement-mode=always", "enable-node-selector-labels=true", "enable-extended-ip-protocols=true", "policy-cidr-match-mode=nodes",
			"allow-localhost=policy", "labels=k8s:app",
		},
		Kinds: []string{"CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy", "CiliumCIDRGroup", "ClusterNetworkPolicy", "CiliumIdentity", "CiliumEndpoint"},
		Scripts: []string{
			"a_direction_closes_for_the_pods_of_a_rule", "a_rule_by_address_is_about_the_outside", "peers_are_what_their_text_says", "ports_are_what_their_text_says",
			"deny_beats_allow_in_every_language", "an_administrators_policy_comes_first", "a_policy_bites_on_an_open_connection",
		},
	},
	{
		State: Works, Topic: "Host firewall",
		Text:    "policies with a nodeSelector, with `enable-host-firewall`.",
		Fields:  []string{"nodeSelector"},
		Keys:    []string{"enable-host-firewall=true"},
		Scripts: []string{"a_node_refuses_calls_that_its_policy_does_not_allow", "a_node_may_close_all_or_nothing"},
	},
	{
		State: Works, Topic: "Policy, before it bites",
		Text: "`weft policy check` says what a file does not do and what was meant, also as an admission webhook; `explain`, `effective` and `simulate` say " +
			"what policies allow, here or in files alone; audit mode by policy, namespace or cluster, and staged policies.",
		Keys:     []string{"policy-audit-mode=true"},
		Commands: []string{"policy check", "policy explain", "policy effective", "policy simulate"},
		Scripts:  []string{"a_policy_is_tried_before_it_bites"},
	},
	{
		State: Works, Topic: "Further NICs",
		Text: "pods get the NICs that annotation `k8s.v1.cni.cncf.io/networks` asks for, also while they run: by NetworkAttachmentDefinitions in both forms, " +
			"in the pod network (`cilium-cni`) and by the standard CNI plugins (macvlan, bridge, host-device, tap, tuning, …) with static and host-local addresses, or by DHCP; " +
			"VLAN devices below them on demand; " +
			"`ips`, `mac`, `interface`, `default-route`, `cni-args`; an address that is taken on its wire is not used; network-status and events as Multus writes them; `weft net list` and `show`. " +
			"OpenShift's `additionalNetworks` become definitions; where Multus calls, it attaches and the agent does not. " +
			"A definition's configuration may lie on the node's disk.",
		Keys:     []string{"network-namespace-isolation=true"},
		Kinds:    []string{"NetworkAttachmentDefinition"},
		Commands: []string{"net list", "net show"},
		Scripts: []string{
			"pods_of_two_nodes_meet_on_a_wire", "a_pod_has_a_second_address_of_the_pod_network", "nics_come_and_go_while_a_pod_runs",
			"the_default_route_leads_where_it_is_asked_to", "addresses_by_dhcp_are_kept_and_given_back", "an_address_that_is_taken_is_not_used",
			"a_vlan_device_comes_with_the_first_nic_and_goes_with_the_last", "manifests_work_as_people_have_them", "multus_attaches_further_nics_once",
			"a_definition_may_lie_on_the_disk",
		},
	},
	{
		State: Works, Topic: "Overlay networks",
		Text: "networks of their own for further NICs, between the pods of all nodes, whatever lies between these: an OverlayNetwork with subnets that another may have, too, " +
			"and definitions of type `cilium-cni` that name it. Addresses of its subnets by `ipam` of type `weft`, or `ips`; policies and flows as at the first NIC. " +
			"No gateway leads out of one yet ([docs/networks.md](docs/networks.md#overlay-networks)).",
		Kinds: []string{"OverlayNetwork"},
		Scripts: []string{
			"pods_of_two_nodes_meet_in_an_overlay_network", "equal_addresses_of_two_overlay_networks_never_meet", "an_overlay_network_gives_its_pods_addresses",
			"what_an_overlay_network_carries_is_its_own",
		},
	},
	{
		State: Works, Topic: "Policy at further NICs",
		Text: "at those in the pod network and in overlay networks always, at macvlan and bridge NICs with `policy-networks: all`, also at those that Multus has made: " +
			"policies of all kinds, narrowed to networks by annotation `k8s.v1.cni.cncf.io/policy-for`, and MultiNetworkPolicy; pods of other nodes are known there by their labels; a NIC speaks with its own addresses alone. " +
			"With `policy-networks: audit` flows tell what that would drop ([docs/networks.md](docs/networks.md#policy-at-further-nics)).",
		Keys:  []string{"policy-networks=all"},
		Kinds: []string{"MultiNetworkPolicy", "PodInterface"},
		Scripts: []string{
			"policy_holds_at_nics_that_share_an_uplink", "further_nics_are_tried_before_they_close", "a_policy_is_for_the_networks_that_it_names",
			"labels_choose_peers_of_other_nodes_on_a_wire", "a_pod_that_makes_devices_on_its_uplink_gains_nothing",
			"policy_holds_at_ports_of_a_bridge", "nics_that_multus_has_made_are_enforced",
		},
	},
	{
		State: Works, Topic: "Addresses of further NICs",
		Text: "ranges that all nodes share, none of whose addresses is given twice: configurations of whereabouts as they stand, with its books kept for nodes " +
			"on which it still runs, and `ipam` of type `weft`, in the same words, with addresses that stay with the pods of StatefulSets and with virtual machines; " +
			"IPAMClaims; `ips` without `capabilities` ([docs/networks.md](docs/networks.md#addresses-of-further-networks)).",
		Kinds: []string{"IPAMClaim", "AddressBlock", "StickyAddress"},
		Scripts: []string{
			"addresses_are_given_once_in_the_whole_cluster", "a_full_range_says_so_and_pods_wait_for_an_address",
			"addresses_stay_with_machines_and_claims", "whereabouts_finds_its_books_kept",
		},
	},
	{
		State: Works, Topic: "Virtual machines",
		Text: "those of KubeVirt: `ips`, `mac` and `macAddress` of a machine count for its further NICs, whose MAC addresses stay when it starts elsewhere; labels of its template " +
			"count for policies of every kind at once; flows, `weft observe --vm` and `weft policy explain` name it, and not its pod ([docs/virtual-machines.md](docs/virtual-machines.md)).",
		Scripts: []string{"labels_of_a_machine_count_while_it_runs", "a_machine_has_its_addresses_on_another_node_when_its_own_is_lost"},
	},
	{
		State: Works, Topic: "Checking further networks",
		Text: "`weft net check` says what is wrong with NetworkAttachmentDefinitions and with what asks for them, pods and virtual machines, before they are " +
			"applied, also as an admission webhook: what is named and is not there, with what lies near; what is defined twice; addresses that no NIC can have.",
		Commands: []string{"net check"},
	},
	{
		State: Works, Topic: "Flows",
		Text: "Hubble's observer API on the agent's socket, and `weft observe`: beginnings, first answers and ends of connections (how, " +
			"how long, packets and bytes each way, and of those that go on every minute), verdicts, drops. Each verdict names its " +
			"policies, an implicit deny those that isolate the pod.",
		Keys:     []string{"enable-hubble=true", "hubble-socket-path=/var/run/cilium/hubble.sock", "hubble-progress-interval=60s"},
		Commands: []string{"observe"},
		Scripts:  []string{"a_drop_names_the_policy_that_decided", "a_connection_that_goes_on_is_counted_once_by_whatever_agents"},
	},
	{
		State: Works, Topic: "Flows of all nodes",
		Text: "agents serve Hubble's observer and peer API on port 4244 to clients with a certificate, which the operator makes and renews; " +
			"`weft-relay` merges all nodes in the order of time, for `weft observe --server` and `hubble` alike. Clients show a Kubernetes token and see the namespaces whose flows RBAC lets them get; `weft` asks a cluster from any machine with a kubeconfig.",
		Keys: []string{
			"hubble-listen-address=:4244", "hubble-tls-cert-file=/tls.crt", "hubble-tls-key-file=/tls.key", "hubble-tls-client-ca-files=/ca.crt",
			"hubble-disable-tls=true", "hubble-prefer-ipv6=true", "hubble-relay-anonymous=true",
		},
		Commands: []string{"observe"},
	},
	{
		State: Works, Topic: "Restarts",
		Text: "connections survive restarts of the agent, upgrades (also those that change the shape of what is remembered) and changes of the " +
			"routing mode; a workload that floods uses up its own quota of the tables; `weft uninstall` leaves a node as it was.",
		Keys:     []string{"bpf-map-dynamic-size-ratio=0.01", "bpf-ct-global-tcp-max=262144"},
		Commands: []string{"uninstall"},
		Scripts: []string{
			"connections_outlive_the_agent", "an_upgrade_to_another_layout_keeps_every_connection", "maps_of_another_size_keep_every_connection",
			"a_flood_costs_its_sender_alone", "uninstall_leaves_a_node_as_it_was",
		},
	},
	{
		State: Works, Topic: "Kernels",
		Text: "6.1 (cls_bpf), 6.12 and 6.18 (tcx; netkit as an option): `make test-vm KERNEL=6.1`. amd64 is what is tested.",
		Keys: []string{"enable-tcx=true", "enable-tcx=false"},
	},
	{
		State: Works, Topic: "Operations",
		Text: "`weft status` says of every configuration key whether it is in force; `weft table` shows all that the agent knows, wants and has done, " +
			"`weft service` what the kernel has of services beside it; Prometheus metrics, on request by TLS or on the node alone; a Helm chart.",
		Keys:     []string{"prometheus-serve-addr=127.0.0.1:9962", "prometheus-enable-tls=true"},
		Commands: []string{"status", "table", "version", "lab", "service list", "service show", "service trace"},
	},
	{
		State: Works, Topic: "Metrics",
		Text: "of flows as `hubble-metrics` asks for them, with the names and labels of upstream and a bound on series; of packets and drops from counters of the " +
			"kernel; throughput by namespace, pod and virtual machine; how long policies take to hold and programs to run ([docs/metrics.md](docs/metrics.md)).",
		Keys: []string{
			"hubble-metrics=drop tcp", "hubble-metrics-server=:9091", "hubble-metrics-server-enable-tls=true", "enable-pod-throughput-metrics=true",
			"bpf-program-stats-interval=60s",
		},
		Scripts: []string{"metrics_of_flows_follow_their_keys"},
	},
	{
		State: Works, Topic: "Security",
		Text: "what a pod, the wire, a process of a node or a stolen token cannot do, and what stops it, check by check " +
			"([docs/security.md](docs/security.md)); a node writes objects about itself alone.",
		Scripts: []string{
			"a_crowd_that_calls_a_pod_takes_nothing_else_from_it", "an_error_says_nothing_to_a_third_pod",
			"a_process_of_a_node_is_the_node_whatever_its_mark", "a_tunnel_ends_at_one_address_of_a_node",
			"an_agent_needs_two_capabilities_and_no_more",
		},
	},

	{
		State: Accepted, Topic: "Encryption",
		Text: "WireGuard, IPsec, ztunnel: traffic is not encrypted, and `weft status` fails while it is asked for.",
		Keys: []string{
			"enable-wireguard=true", "enable-ipsec=true", "enable-ztunnel=true", "encryption-node=true", "encrypt-node=true", "enable-encryption-strict-mode=true",
			"enable-encryption-strict-mode-egress=true", "enable-encryption-strict-mode-ingress=true",
		},
	},
	{
		State: Accepted, Topic: "Policy fields",
		Text: "DNS names (`toFQDNs`, `rules.dns`, `domainNames`), rules for requests (HTTP, Kafka and other L7), TLS interception and server names, Envoy " +
			"listeners, groups of cloud providers, mutual authentication, and `fromRequires`, `toRequires`.",
		Fields: []string{
			"toFQDNs", "dns", "domainNames", "http", "kafka", "l7proto", "l7", "terminatingTLS", "originatingTLS", "serverNames", "listener",
			"fromGroups", "toGroups", "authentication", "fromRequires", "toRequires",
		},
		Keys: []string{"enable-l7-proxy=true", "mesh-auth-enabled=true"},
	},
	{
		State: Accepted, Topic: "Objects",
		Text: "CiliumBandwidthPolicy and bandwidth annotations, CiliumLoadBalancerIPPool, CiliumEndpointSlice: " +
			"nothing is limited, given or read.",
		Kinds: []string{"CiliumBandwidthPolicy", "CiliumLoadBalancerIPPool", "CiliumEndpointSlice"},
		Keys:  []string{"enable-bandwidth-manager=true", "enable-cilium-endpoint-slice=true"},
	},
	{
		State: Accepted, Topic: "Other modes",
		Text: "Geneve between pods, IPAM of clouds and multi-pool.",
		Keys: []string{"tunnel-protocol=geneve", "ipam=eni", "ipam=multi-pool"},
	},

	{State: Absent, Topic: "Secondary networks", Text: "a gateway out of overlay networks, bond, OVS and SR-IOV, a first NIC by another plugin; DHCP for guests of virtual machines, a MAC address of their own behind macvlan, and their live migration"},
	{
		State: Absent, Topic: "Edges", Text: "egress gateways, BGP, L2 announcements, Ingress, Gateway API and other uses of Envoy",
		Kinds: []string{"CiliumEgressGatewayPolicy", "CiliumBGPClusterConfig", "CiliumL2AnnouncementPolicy", "CiliumEnvoyConfig"},
	},
	{State: Absent, Topic: "More clusters", Text: "cluster mesh"},
	{State: Absent, Topic: "Sight", Text: "Hubble's web UI"},
}
