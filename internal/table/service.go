package table

import (
	"fmt"
	"net/netip"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/column"
)

// Service is a Kubernetes Service, what a datapath needs of it.
type Service struct {
	Namespace           string
	Name                string
	Headless            bool
	ClusterIPs          []netip.Addr
	ExternalIPs         []netip.Addr // externalIPs and addresses of load balancers
	LoadBalancerIPs     []netip.Addr // those of ExternalIPs that are a load balancer's
	Ports               []ServicePort
	AffinitySeconds     uint32   // 0: no session affinity
	InternalLocal       bool     // internalTrafficPolicy: Local
	ExternalLocal       bool     // externalTrafficPolicy: Local
	Forwarding          string   // snat, dsr, as an annotation says; else empty
	Algorithm           string   // that an annotation asks for; empty: none does
	Sources             []Source // who may call the load balancer's addresses; none: all
	Labels              map[string]string
	Selector            map[string]string // labels of the pods that serve it; empty: others say where it is served
	HealthCheckNodePort uint16            // at which nodes say how many endpoints they have; 0: none
}

func (Service) Header() []string {
	return []string{"Namespace", "Name", "ClusterIPs", "ExternalIPs", "Ports", "AffinitySeconds"}
}

func (s Service) Row() []string {
	return []string{s.Namespace, s.Name, column.List(s.ClusterIPs), column.List(s.ExternalIPs), column.List(s.Ports), fmt.Sprint(s.AffinitySeconds)}
}

var _ = declare(&tables.Services, "services", func(r Service) state.Key { return ObjectKey(r.Namespace, r.Name) },
	state.Index[Service]{Name: ByLabel, Keys: func(r Service) (keys []state.Key) {
		for key, value := range r.Selector {
			keys = append(keys, state.Join(key, value))
		}
		return keys
	}})

// ServicePort is one port of a Service.
type ServicePort struct {
	Name     string
	Protocol uint8
	Port     uint16
	NodePort uint16
}

func (p ServicePort) String() string { return fmt.Sprintf("%s:%d/%d", p.Name, p.Port, p.Protocol) }
