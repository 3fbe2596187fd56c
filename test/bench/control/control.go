// Package control is as much of a Kubernetes API server as kube-proxy needs: it lists a node, services and
// EndpointSlices that never change, and lets be watched that nothing happens.
//
// # The world it models
//
//	kube-proxy --list, watch--> Server: the node "bench", N services, a slice for each
//	kube-proxy --rules--> iptables or nftables of its network namespace
//
// So the rules beside which Weftnet is measured are those that the real kube-proxy writes.
//
// # Invariants
//
//   - Lists are the same as long as the server lives, under one resource version.
//   - What kube-proxy reports (events) is thrown away.
//
// # Example
//
//	s := control.New(node, control.Services(1000, server, 8080))
//	go http.Serve(listener, s)
package control

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Node is the name of the only node.
const Node = "bench"

// Address is that of the first of the services.
var Address = netip.MustParseAddr("10.96.0.1")

// AddressOf is that of the i-th of the services, from 0.
func AddressOf(i int) netip.Addr {
	first := Address.As4()
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(first[:])+uint32(i))))
}

// Port is that of all services.
const Port = 80

// Cluster is services and where they lead.
type Cluster struct {
	Services []*corev1.Service
	Slices   []*discoveryv1.EndpointSlice
}

// Services makes n services, TCP and UDP, at addresses one after the other. All lead to a server's port.
func Services(n int, server netip.Addr, port int32) (c Cluster) {
	for i := range n {
		address, name := AddressOf(i), fmt.Sprintf("bench-%d", i)
		s := &corev1.Service{TypeMeta: metav1.TypeMeta{Kind: "Service", APIVersion: "v1"}, ObjectMeta: metadata(name)}
		s.Spec.Type, s.Spec.SessionAffinity = corev1.ServiceTypeClusterIP, corev1.ServiceAffinityNone
		s.Spec.ClusterIP, s.Spec.ClusterIPs, s.Spec.IPFamilies = address.String(), []string{address.String()}, []corev1.IPFamily{corev1.IPv4Protocol}
		e := &discoveryv1.EndpointSlice{
			TypeMeta:   metav1.TypeMeta{Kind: "EndpointSlice", APIVersion: "discovery.k8s.io/v1"},
			ObjectMeta: metadata(name), AddressType: discoveryv1.AddressTypeIPv4,
		}
		e.Labels = map[string]string{discoveryv1.LabelServiceName: name}
		for _, protocol := range []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP} {
			portName := strings.ToLower(string(protocol))
			s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: portName, Protocol: protocol, Port: Port})
			e.Ports = append(e.Ports, discoveryv1.EndpointPort{Name: &portName, Protocol: &protocol, Port: &port})
		}
		ready := true
		e.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{server.String()}, Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &ready}}}
		c.Services, c.Slices = append(c.Services, s), append(c.Slices, e)
	}
	return c
}

// Objects are all of them.
func (c Cluster) Objects() (list []runtime.Object) {
	for i := range c.Services {
		list = append(list, c.Services[i], c.Slices[i])
	}
	return list
}

func metadata(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: name, UID: types.UID(name), ResourceVersion: "1"}
}

// Server answers kube-proxy.
type Server struct{ lists map[string]any }

// New makes a server for a cluster whose node has an address.
func New(node netip.Addr, c Cluster) *Server {
	n := corev1.Node{TypeMeta: metav1.TypeMeta{Kind: "Node", APIVersion: "v1"}, ObjectMeta: metav1.ObjectMeta{Name: Node, UID: Node, ResourceVersion: "1"}}
	n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: node.String()}, {Type: corev1.NodeHostName, Address: Node}}
	version := metav1.ListMeta{ResourceVersion: "1"}
	services := corev1.ServiceList{TypeMeta: metav1.TypeMeta{Kind: "ServiceList", APIVersion: "v1"}, ListMeta: version}
	slices := discoveryv1.EndpointSliceList{TypeMeta: metav1.TypeMeta{Kind: "EndpointSliceList", APIVersion: "discovery.k8s.io/v1"}, ListMeta: version}
	for i := range c.Services {
		services.Items, slices.Items = append(services.Items, *c.Services[i]), append(slices.Items, *c.Slices[i])
	}
	return &Server{map[string]any{
		"/api/v1/nodes/" + Node:                    n,
		"/api/v1/nodes":                            corev1.NodeList{TypeMeta: metav1.TypeMeta{Kind: "NodeList", APIVersion: "v1"}, ListMeta: version, Items: []corev1.Node{n}},
		"/api/v1/services":                         services,
		"/apis/discovery.k8s.io/v1/endpointslices": slices,
		"/apis/networking.k8s.io/v1/servicecidrs": networkingv1.ServiceCIDRList{
			TypeMeta: metav1.TypeMeta{Kind: "ServiceCIDRList", APIVersion: "networking.k8s.io/v1"}, ListMeta: version,
		},
	}}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	answer := func(code int, v any) {
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(v) // who does not listen has gone
	}
	status := func(code int32, reason metav1.StatusReason) {
		answer(int(code), metav1.Status{
			TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: code, Reason: reason,
		})
	}
	list, known := s.lists[r.URL.Path]
	switch q := r.URL.Query(); {
	case r.Method != http.MethodGet:
		status(http.StatusForbidden, metav1.StatusReasonForbidden)
	case !known:
		status(http.StatusNotFound, metav1.StatusReasonNotFound)
	case q.Get("sendInitialEvents") == "true":
		status(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid) // clients list, then
	case q.Get("watch") == "true" || q.Get("watch") == "1":
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	default:
		answer(http.StatusOK, list)
	}
}
