package nettest

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/api/cilium/v2alpha1"
	"weftnet.io/weftnet/internal/nettest/netns"
	"weftnet.io/weftnet/internal/nettest/wire"
)

func uid(n uint64) types.UID { return types.UID(fmt.Sprintf("00000000-0000-0000-0000-%012d", n)) }

func nodeObject(n *Node) *v2.CiliumNode {
	o := &v2.CiliumNode{}
	o.Name = n.Name
	for _, a := range n.Addresses {
		o.Spec.Addresses = append(o.Spec.Addresses, v2.NodeAddress{Type: v2.NodeInternalIP, IP: a.String()})
	}
	v4, v6 := wire.PodPrefixes(n.Index)
	o.Spec.IPAM.PodCIDRs = []string{v4.String(), v6.String()}
	return o
}

// inNamespace puts an object that a file names without a namespace into the one that kubectl would.
func inNamespace(o runtime.Object) error {
	switch o.(type) {
	case *v2.CiliumNode, *v2.CiliumIdentity, *v2.CiliumClusterwideNetworkPolicy, *v1alpha2.ClusterNetworkPolicy, *corev1.Namespace, *corev1.Node, *v2alpha1.CiliumPodIPPool:
		return nil
	}
	a, err := meta.Accessor(o)
	if err == nil && a.GetNamespace() == "" {
		a.SetNamespace(corev1.NamespaceDefault)
	}
	return err
}

// controlSlices makes EndpointSlices of services with a selector and of pods with addresses. The caller has the lock.
func (c *Cluster) controlSlices() error {
	want := map[key]*discoveryv1.EndpointSlice{}
	for _, o := range c.objects {
		if s, ok := o.Object.(*corev1.Service); ok && len(s.Spec.Selector) > 0 {
			for _, family := range []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6} {
				slice := c.slice(s, family)
				want[keyOf(slice)] = slice
			}
		}
	}
	for k, o := range c.objects {
		if s, ok := o.Object.(*discoveryv1.EndpointSlice); ok && s.Labels[discoveryv1.LabelManagedBy] == managedBy && want[k] == nil {
			c.remove(k)
		}
	}
	for _, s := range want {
		if err := c.put(s); err != nil {
			return err
		}
	}
	return nil
}

const managedBy = "nettest.weftnet.io"

func (c *Cluster) slice(s *corev1.Service, family discoveryv1.AddressType) *discoveryv1.EndpointSlice {
	out := &discoveryv1.EndpointSlice{AddressType: family}
	out.Namespace, out.Name = s.Namespace, s.Name+"-"+strings.ToLower(string(family))
	out.Labels = map[string]string{discoveryv1.LabelServiceName: s.Name, discoveryv1.LabelManagedBy: managedBy}
	for _, o := range c.objects {
		p, ok := o.Object.(*corev1.Pod)
		if !ok || p.Namespace != s.Namespace || !labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(p.Labels)) {
			continue
		}
		if out.Ports == nil {
			out.Ports = slicePorts(s, p)
		}
		for _, ip := range p.Status.PodIPs {
			if strings.Contains(ip.IP, ":") == (family == discoveryv1.AddressTypeIPv6) {
				ready, node := true, p.Spec.NodeName
				out.Endpoints = append(out.Endpoints, discoveryv1.Endpoint{
					Addresses: []string{ip.IP}, NodeName: &node, Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &ready},
				})
			}
		}
	}
	slices.SortFunc(out.Endpoints, func(a, b discoveryv1.Endpoint) int { return strings.Compare(a.Addresses[0], b.Addresses[0]) })
	return out
}

// slicePorts are the ports of a service at its pods, all of which are taken to be alike.
func slicePorts(s *corev1.Service, p *corev1.Pod) (ports []discoveryv1.EndpointPort) {
	for _, sp := range s.Spec.Ports {
		number := sp.TargetPort.IntVal
		if sp.TargetPort == (intstr.IntOrString{}) {
			number = sp.Port
		}
		for _, cp := range p.Spec.Containers[0].Ports {
			if sp.TargetPort.Type == intstr.String && cp.Name == sp.TargetPort.StrVal {
				number = cp.ContainerPort
			}
		}
		ports = append(ports, discoveryv1.EndpointPort{Name: &sp.Name, Port: &number, Protocol: &sp.Protocol})
	}
	return ports
}

// podIPs is what a pod's status says of its addresses.
func podIPs(p *netns.Station) (list []corev1.PodIP) {
	for _, a := range p.Addresses {
		list = append(list, corev1.PodIP{IP: a.String()})
	}
	return list
}
