package kind

import (
	"net/netip"
	"slices"
	"strings"
	"unique"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"weftnet.io/weftnet/internal/language"
	"weftnet.io/weftnet/internal/language/netobject"
	"weftnet.io/weftnet/internal/table"
)

// ConfigNamespace and ConfigName say where the configuration is.
const (
	ConfigNamespace = "kube-system"
	ConfigName      = "cilium-config"
)

// protocols are IP protocol numbers by the names Kubernetes has for them. An absent protocol is TCP.
var protocols = map[corev1.Protocol]uint8{"": 6, corev1.ProtocolTCP: 6, corev1.ProtocolUDP: 17, corev1.ProtocolSCTP: 132}

func namespaceRow(o metav1.Object) (table.Namespace, bool) {
	return table.Namespace{Name: o.GetName(), Labels: o.GetLabels(), Audit: language.Audits(o.GetAnnotations()), Pools: netobject.PoolsOf(o.GetAnnotations()), NICs: language.FurtherNICs(o.GetAnnotations())}, true
}

func podRow(p *corev1.Pod) (table.Pod, bool) {
	row := table.Pod{
		Namespace: p.Namespace, Name: p.Name, UID: string(p.UID), Mirrors: p.Annotations[corev1.MirrorPodAnnotationKey], Labels: p.Labels,
		ServiceAccount: p.Spec.ServiceAccountName, Node: p.Spec.NodeName, HostNetwork: p.Spec.HostNetwork,
		Finished:  p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed,
		Addressed: p.Status.PodIP != "" && p.DeletionTimestamp == nil,
		Networks:  netobject.Asked(p.Annotations),
		Owner:     netobject.Owner(p),
		Default:   netobject.AskedFirst(p.Annotations),
		Pools:     netobject.PoolsOf(p.Annotations),
		Ready: p.DeletionTimestamp == nil && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		}),
	}
	if row.Networks != "" {
		row.Joined = netobject.Joined(p.Annotations)
	}
	row.Made.Kind, row.Made.Name = madeBy(p)
	containers := p.Spec.Containers
	for _, c := range p.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways { // a sidecar serves like any other
			containers = append(containers[:len(containers):len(containers)], c)
		}
	}
	for _, c := range containers {
		for _, port := range c.Ports {
			proto, known := protocols[port.Protocol]
			if port.HostPort > 0 && port.HostPort < 1<<16 && known && port.ContainerPort > 0 && port.ContainerPort < 1<<16 {
				host, _ := netip.ParseAddr(port.HostIP)
				row.HostPorts = append(row.HostPorts, table.PodHostPort{HostIP: host, Protocol: proto, HostPort: uint16(port.HostPort), Port: uint16(port.ContainerPort)})
			}
			if port.Name != "" && known && port.ContainerPort > 0 && port.ContainerPort < 1<<16 {
				row.NamedPorts = append(row.NamedPorts, table.NamedPort{
					Name: port.Name, Protocol: proto, Port: uint16(port.ContainerPort),
				})
			}
		}
	}
	return row, true
}

func serviceRow(s *corev1.Service) (table.Service, bool) {
	row := table.Service{
		Namespace: s.Namespace, Name: s.Name,
		Labels:        s.Labels,
		Selector:      s.Spec.Selector,
		Headless:      s.Spec.ClusterIP == corev1.ClusterIPNone,
		ExternalLocal: s.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal,
		Sources:       sources(s),
		Forwarding:    forwarding(s),
		Algorithm:     strings.ToLower(strings.TrimSpace(s.Annotations[algorithm])),
		InternalLocal: s.Spec.InternalTrafficPolicy != nil && *s.Spec.InternalTrafficPolicy == corev1.ServiceInternalTrafficPolicyLocal,
	}
	if s.Spec.Type == corev1.ServiceTypeExternalName || row.Headless {
		return row, true // only DNS knows it
	}
	clusterIPs := s.Spec.ClusterIPs
	if len(clusterIPs) == 0 {
		clusterIPs = []string{s.Spec.ClusterIP}
	}
	row.HealthCheckNodePort = uint16(s.Spec.HealthCheckNodePort)
	row.ClusterIPs = addresses(clusterIPs...)
	row.ExternalIPs = addresses(s.Spec.ExternalIPs...)
	for _, in := range s.Status.LoadBalancer.Ingress {
		if in.IPMode == nil || *in.IPMode == corev1.LoadBalancerIPModeVIP { // a proxy wants to see its packets itself
			row.LoadBalancerIPs = append(row.LoadBalancerIPs, addresses(in.IP)...)
		}
	}
	row.ExternalIPs = append(row.ExternalIPs, row.LoadBalancerIPs...)
	if s.Spec.SessionAffinity == corev1.ServiceAffinityClientIP {
		row.AffinitySeconds = uint32(corev1.DefaultClientIPServiceAffinitySeconds)
		if c := s.Spec.SessionAffinityConfig; c != nil && c.ClientIP != nil && c.ClientIP.TimeoutSeconds != nil && *c.ClientIP.TimeoutSeconds > 0 {
			row.AffinitySeconds = uint32(*c.ClientIP.TimeoutSeconds)
		}
	}
	for _, p := range s.Spec.Ports {
		if proto, known := protocols[p.Protocol]; known {
			row.Ports = append(row.Ports, table.ServicePort{
				Name: p.Name, Protocol: proto, Port: uint16(p.Port), NodePort: uint16(p.NodePort),
			})
		}
	}
	return row, true
}

// forwarding is how calls from outside reach backends on other nodes, as an annotation of Cilium's says; else empty.
func forwarding(s *corev1.Service) string {
	if mode := strings.ToLower(s.Annotations["service.cilium.io/forwarding-mode"]); mode == "snat" || mode == "dsr" {
		return mode
	}
	return ""
}

// algorithm is an annotation: how a backend is chosen for what calls from outside.
const algorithm = "service.cilium.io/lb-algorithm"

// sourcesPolicy is an annotation: with "Deny" the source ranges of a Service are who may not call it.
const sourcesPolicy = "service.cilium.io/src-ranges-policy"

// sources are the clients that spec.loadBalancerSourceRanges, or its older annotation, names. What is no prefix names none.
func sources(s *corev1.Service) (out []table.Source) {
	list := s.Spec.LoadBalancerSourceRanges
	if old := s.Annotations[corev1.AnnotationLoadBalancerSourceRangesKey]; len(list) == 0 && strings.TrimSpace(old) != "" {
		list = strings.Split(old, ",")
	}
	deny, closed := strings.EqualFold(s.Annotations[sourcesPolicy], "deny"), false
	for _, text := range list {
		if p, err := netip.ParsePrefix(strings.TrimSpace(text)); err == nil {
			out = append(out, table.Source{Prefix: p.Masked(), Allowed: !deny})
		} else {
			closed = deny // it is not known which clients were meant, so none may call
		}
	}
	if closed {
		return []table.Source{{Prefix: netip.PrefixFrom(netip.IPv4Unspecified(), 0)}}
	}
	if len(list) > 0 && deny {
		out = append(out, table.Source{Prefix: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Allowed: true}, table.Source{Prefix: netip.PrefixFrom(netip.IPv6Unspecified(), 0), Allowed: true})
	} else if len(list) > 0 && len(out) == 0 {
		out = []table.Source{{Prefix: netip.PrefixFrom(netip.IPv4Unspecified(), 0)}} // none of them is one: closed, as it was meant
	}
	return out
}

func endpointSliceRow(s *discoveryv1.EndpointSlice) (table.EndpointSlice, bool) {
	row := table.EndpointSlice{
		Namespace: unique.Make(s.Namespace).Value(), Name: s.Name, Service: s.Labels[discoveryv1.LabelServiceName],
		Endpoints: make([]table.SliceEndpoint, 0, len(s.Endpoints)),
	}
	if s.AddressType == discoveryv1.AddressTypeFQDN || row.Service == "" {
		return row, false
	}
	for _, p := range s.Ports {
		var port table.NamedPort
		if p.Name != nil {
			port.Name = unique.Make(*p.Name).Value()
		}
		if p.Port != nil {
			port.Port = uint16(*p.Port)
		}
		var proto corev1.Protocol
		if p.Protocol != nil {
			proto = *p.Protocol
		}
		var known bool
		if port.Protocol, known = protocols[proto]; known {
			row.Ports = append(row.Ports, port)
		}
	}
	all := make([]netip.Addr, 0, len(s.Endpoints)) // one allocation for those of all
	for _, e := range s.Endpoints {
		first := len(all)
		all = appendAddresses(all, e.Addresses...)
		end := table.SliceEndpoint{
			Addresses: all[first:len(all):len(all)],
			Ready:     e.Conditions.Ready == nil || *e.Conditions.Ready, // nil is unknown, to be taken as true
			Serving:   e.Conditions.Serving == nil || *e.Conditions.Serving,
		}
		end.Terminating = e.Conditions.Terminating != nil && *e.Conditions.Terminating
		if e.NodeName != nil {
			end.Node = unique.Make(*e.NodeName).Value()
		}
		if e.Hints != nil {
			end.Hints = some(end.Hints)
			for _, n := range e.Hints.ForNodes {
				end.Hints.ForNodes = append(end.Hints.ForNodes, n.Name)
			}
			for _, z := range e.Hints.ForZones {
				end.Hints.ForZones = append(end.Hints.ForZones, unique.Make(z.Name).Value())
			}
		}
		row.Endpoints = append(row.Endpoints, end)
	}
	return row, true
}

// some is what a pointer may point to, empty.
func some[T any](*T) *T { return new(T) }

// addresses parses what is an address, and leaves out the rest. An IPv4-mapped address becomes the IPv4 one.
func addresses(text ...string) []netip.Addr { return appendAddresses(nil, text...) }

func appendAddresses(out []netip.Addr, text ...string) []netip.Addr {
	for _, t := range text {
		if a, err := netip.ParseAddr(t); err == nil {
			out = append(out, a.Unmap().WithZone(""))
		}
	}
	return out
}
