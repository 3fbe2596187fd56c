// Package upstream names the keys that Cilium has and this project has not.
package upstream

// NotYet are the keys of the versions that people come from which do nothing here yet, and endanger no pod by it.
const NotYet = `
agent-health-port agent-health-require-k8s-connectivity agent-labels agent-liveness-update-interval agent-not-ready-taint-key
allocator-list-timeout allow-icmp-frag-needed annotate-k8s-node api-rate-limit arping-refresh-period
auto-create-cilium-node-resource auto-create-default-pod-network auto-create-network-policy
bgp-announce-lb-ip bgp-announce-pod-cidr bgp-config-path bgp-router-id-allocation-ip-pool bgp-router-id-allocation-mode
bgp-secrets-namespace blacklist-conflicting-routes
bpf-auth-map-max bpf-conntrack-accounting

bpf-distributed-lru bpf-events-default-burst-limit
bpf-events-default-rate-limit bpf-events-drop-enabled bpf-events-policy-verdict-enabled bpf-events-trace-enabled
bpf-filter-priority
bpf-lb-dsr-l4-xlate
bpf-lb-proto-diff bpf-lb-rev-nat-map-max
bpf-lb-rss-ipv4-src-cidr bpf-lb-rss-ipv6-src-cidr
bpf-lb-source-range-all-types
bpf-map-event-buffers bpf-neigh-global-max bpf-node-map-max bpf-policy-map-full-reconciliation-interval
bpf-policy-map-pressure-metrics-threshold bpf-policy-stats-map-max bpf-root bpf-sock-rev-map-max ces-dynamic-rate-limit-nodes
ces-dynamic-rate-limit-qps-burst ces-dynamic-rate-limit-qps-limit ces-enable-dynamic-rate-limit ces-max-ciliumendpoints-per-ces
ces-rate-limits ces-slice-mode ces-write-qps-burst ces-write-qps-limit cflags cilium-endpoint-gc-interval
cilium-pod-labels cilium-pod-namespace cluster-health-port cluster-pool-map clustermesh-config
clustermesh-cache-ttl clustermesh-enable-endpoint-sync clustermesh-enable-mcs-api clustermesh-ip-identities-sync-timeout
clustermesh-sync-timeout cni-chaining-mode cni-chaining-target cni-exclusive cni-external-routing cni-log-file cni-uninstall
config config-dir config-sources config-sources-overrides connectivity-probe-frequency-ratio conntrack-gc-interval
conntrack-gc-max-interval container-ip-local-reserved-ports controller-group-metrics
crd-wait-timeout custom-cni-conf debug-verbose default-lb-service-ipam derive-masq-ip-addr-from-device
direct-routing-device direct-routing-skip-unreachable disable-cnp-status-updates disable-endpoint-crd disable-envoy-version-check
disable-external-ip-mitigation disable-iptables-feeder-rules dns-max-ips-per-restored-rule dns-policy-unload-on-shutdown
dnsproxy-concurrency-limit dnsproxy-concurrency-processing-grace-period dnsproxy-enable-transparent-mode
dnsproxy-insecure-skip-transparent-mode-check dnsproxy-lock-count dnsproxy-lock-timeout dnsproxy-socket-linger-timeout
egress-gateway-policy-map-max egress-gateway-reconciliation-trigger-interval egress-masquerade-interfaces egress-multi-home-ip-rule-compat
enable-active-connection-tracking enable-auto-protect-node-port-range enable-bbr enable-bbr-hostns-only enable-bgp-control-plane
enable-bgp-control-plane-status-report enable-bgp-legacy-origin-attribute enable-bpf-clock-probe enable-bpf-tproxy
enable-cilium-api-server-access enable-cilium-clusterwide-network-policy enable-cilium-endpoint-slice enable-cilium-health-api-server-access
enable-cilium-network-policy enable-cilium-node-crd enable-custom-calls enable-drift-checker enable-dynamic-config
enable-dynamic-lifecycle-manager enable-egress-gateway enable-egress-gateway-ha-socket-termination enable-endpoint-health-checking
enable-endpoint-lockdown-on-policy-overflow enable-endpoint-routes enable-envoy-config enable-experimental-lb
enable-external-dns-proxy enable-gateway-api enable-gateway-api-alpn enable-gateway-api-app-protocol enable-gateway-api-proxy-protocol
enable-gateway-api-secrets-sync enable-gops enable-health-check-loadbalancer-ip enable-health-checking
enable-high-scale-ipcache enable-hubble-recorder-api enable-icmp-rules enable-identity-mark
enable-ingress-controller enable-ingress-proxy-protocol enable-ingress-secrets-sync enable-internal-traffic-policy enable-ip-masq-agent
enable-ipip-termination enable-ipsec-encrypted-overlay enable-ipsec-key-watcher enable-ipsec-xfrm-state-caching
enable-ipv4-big-tcp enable-ipv4-egress-gateway enable-ipv4-fragment-tracking enable-ipv4-fragments-tracking enable-ipv6-big-tcp
enable-ipv6-fragment-tracking enable-ipv6-ndp enable-k8s enable-k8s-api-discovery enable-k8s-endpoint-slice enable-k8s-event-handover
enable-k8s-networkpolicy enable-k8s-terminating-endpoint enable-l2-announcements enable-l2-neigh-discovery enable-l2-pod-announcements
enable-l7-traffic-shift enable-lb-ipam enable-legacy-vtep enable-local-node-route enable-masquerade-to-route-source
enable-metrics enable-mke enable-monitor enable-multi-network enable-nat46x64-gateway enable-network-policy
enable-no-service-endpoints-routable enable-node-ipam enable-node-port-bind-protection enable-non-default-deny-policies
enable-packetization-layer-pmtud enable-pmtu-discovery enable-policy-secrets-sync enable-policy-accounting enable-recorder enable-remote-node-identity
enable-remote-node-masquerade enable-route-mtu-for-cni-chaining enable-runtime-device-detection enable-sctp
enable-session-affinity enable-skip-cilium-ports-no-conntrack enable-socket-lb-pod-connection-termination enable-socket-lb-tracing
enable-source-ip-verification enable-srv6 enable-standalone-dns-proxy enable-stale-cilium-endpoint-cleanup enable-svc-source-range-check
enable-tracing enable-tunnel-big-tcp enable-unreachable-routes enable-well-known-identities enable-wireguard-userspace-fallback
enable-xdp-prefilter enable-xt-socket-fallback encrypt-interface encryption-strict-egress-allow-remote-node-identities
encryption-strict-egress-cidr encryption-strict-mode-allow-remote-node-identities encryption-strict-mode-cidr endpoint-bpf-prog-watchdog-interval
endpoint-gc-interval endpoint-queue-size envoy-access-log-buffer-size envoy-base-id envoy-config-retry-interval envoy-config-timeout
envoy-default-log-level envoy-keep-cap-netbindservice envoy-log envoy-secrets-namespace excess-connections-max exclude-local-address
exclude-node-label-patterns external-envoy-proxy fixed-identity-mapping fixed-zone-mapping force-device-detection fqdn-regex-compile-lru-size
gateway-api-hostnetwork-enabled gateway-api-hostnetwork-nodelabelselector gateway-api-secrets-namespace gateway-api-service-externaltrafficpolicy
gateway-api-xff-num-trusted-hops gops-port health-check-icmp-failure-threshold http-403-msg http-idle-timeout http-max-grpc-timeout
http-normalize-path http-request-timeout http-retry-count http-retry-timeout http-stream-idle-timeout
hubble-drop-events hubble-drop-events-extended hubble-drop-events-interval hubble-drop-events-reasons
hubble-dynamic-metrics-config-path hubble-event-buffer-capacity hubble-event-queue-size
hubble-lost-event-send-interval
hubble-monitor-events
hubble-network-policy-correlation-enabled hubble-recorder-sink-queue-size hubble-recorder-storage-path
hubble-redact-kafka-apikey
hubble-skip-unknown-cgroup-ids
identity-allocation-mode identity-allocation-timeout identity-change-grace-period identity-gc-interval identity-gc-rate-interval
identity-gc-rate-limit identity-heartbeat-timeout identity-management-mode identity-max-jitter identity-restore-grace-period
ingress-default-lb-mode ingress-default-secret-name ingress-default-secret-namespace ingress-default-xff-num-trusted-hops
ingress-hostnetwork-enabled ingress-hostnetwork-nodelabelselector ingress-hostnetwork-shared-listener-port ingress-lb-annotation-prefixes
ingress-secrets-namespace ingress-shared-lb-service-name install-egress-gateway-routes install-iptables-rules install-no-conntrack-iptables-rules
instance-tags-filter internal-bgp-secrets-namespace ip-masq-agent-config-path ip-tracing-option-type ipam-cilium-node-update-rate
ipam-default-ip-pool ipam-multi-pool-pre-allocation ipsec-key-file ipsec-key-rotation-duration iptables-lock-timeout iptables-random-fully
ipv4-node ipv4-pod-subnets ipv4-range ipv4-service-loopback-address ipv4-service-range ipv6-cluster-alloc-cidr ipv6-mcast-device ipv6-node
ipv6-pod-subnets ipv6-range ipv6-service-loopback-address ipv6-service-range join-cluster
k8s-api-server k8s-client-burst k8s-client-qps k8s-client-connection-keep-alive k8s-client-connection-timeout
k8s-heartbeat-timeout k8s-interface-only k8s-kubeconfig-path k8s-namespace k8s-require-ipv4-pod-cidr k8s-require-ipv6-pod-cidr
k8s-service-cache-size k8s-service-proxy-name k8s-sync-timeout k8s-watcher-endpoint-selector keep-config
kvstore kvstore-connectivity-timeout kvstore-lease-ttl kvstore-max-consecutive-quorum-errors kvstore-opt kvstore-periodic-sync
kvstore-pod-network-support kvstoremesh-enabled l2-announcements-lease-duration l2-announcements-renew-deadline l2-announcements-retry-period
l2-pod-announcements-interface l2-pod-announcements-interface-pattern label-prefix-file leader-election-lease-duration
leader-election-renew-deadline leader-election-retry-period lib-dir loadbalancer-l7 loadbalancer-l7-algorithm loadbalancer-l7-ports
local-max-addr-scope local-router-ipv4 local-router-ipv6 log-driver log-opt log-system-load
max-connected-clusters max-controller-interval max-internal-timer-delay mesh-auth-expired-gc-interval mesh-auth-gc-interval
mesh-auth-mutual-connect-timeout mesh-auth-mutual-enabled mesh-auth-mutual-listener-port mesh-auth-queue-size mesh-auth-rotated-identities-queue-size
mesh-auth-signal-backoff-duration mesh-auth-spiffe-trust-domain mesh-auth-spire-admin-socket mesh-auth-spire-agent-socket
mesh-auth-spire-server-address mesh-auth-spire-server-connection-timeout metrics-sampling-interval monitor-aggregation
monitor-aggregation-flags monitor-aggregation-interval monitor-queue-size multicast-enabled nat-map-stats-entries nat-map-stats-interval
node-encryption-opt-out-labels node-labels node-port-mode
nodes-gc-interval only-masquerade-default-pool operator-api-serve-addr operator-prometheus-serve-addr packetization-layer-pmtud-mode
parallel-alloc-workers pod-cidr-release-timeout policy-accounting policy-default-local-cluster policy-deny-response
policy-queue-size policy-restore-timeout policy-secrets-namespace policy-secrets-only-from-secrets-namespace policy-trigger-interval pprof
pprof-address pprof-block-profile-rate pprof-mutex-profile-fraction pprof-port preallocate-bpf-maps procfs
proxy-admin-port
proxy-cluster-max-connections proxy-cluster-max-requests proxy-connect-timeout proxy-gid proxy-idle-timeout-seconds proxy-initial-fetch-timeout
proxy-max-active-downstream-connections proxy-max-concurrent-retries proxy-max-connection-duration-seconds proxy-max-requests-per-connection
proxy-portrange-max proxy-portrange-min proxy-prometheus-port proxy-use-original-source-address proxy-xff-num-trusted-hops-egress
proxy-xff-num-trusted-hops-ingress read-cni-conf remove-cilium-node-taints restore restored-proxy-ports-age-limit route-metric
set-cilium-is-up-condition set-cilium-node-taints sidecar-istio-proxy-image
skip-cnp-status-startup-clean skip-crd-creation socket-path srv6-encap-mode standalone-dns-proxy-server-port state-dir static-cnp-path
status-collector-failure-threshold status-collector-interval status-collector-probe-check-timeout status-collector-stackdump-path
status-collector-warning-threshold synchronize-k8s-nodes synchronize-k8s-services sysctlfix taint-sync-workers
tofqdns-dns-reject-response-code tofqdns-enable-dns-compression tofqdns-endpoint-max-ip-per-hostname tofqdns-idle-connection-grace-period
tofqdns-max-deferred-connection-deletes tofqdns-min-ttl tofqdns-pre-allocate tofqdns-pre-cache tofqdns-preallocate-identities
tofqdns-proxy-port tofqdns-proxy-response-max-delay trace-payloadlen trace-payloadlen-overlay trace-sock tunnel-source-port-range
underlay-protocol unmanaged-pod-watcher-interval update-ec2-adapter-limit-via-api use-cilium-internal-ip-for-ipsec use-full-tls-context
version vlan-bpf-bypass vtep-sync-interval wait-bpf-mount wireguard-persistent-keepalive
wireguard-track-all-ips-fallback wireguard-userspace-fallback write-cni-conf-when-ready xds-mode`
