package address

import (
	"net/netip"
	"slices"
)

// Address is one of a NIC, with the length of its subnet. Gateway zero: none.
type Address struct {
	Prefix  netip.Prefix `json:"prefix"`
	Gateway netip.Addr   `json:"gateway,omitzero"`
}

// Route is one that a NIC brings. Numbers that are 0 are left to the kernel.
type Route struct {
	Destination netip.Prefix `json:"destination"`
	Gateway     netip.Addr   `json:"gateway,omitzero"` // zero: on the link
	MTU         int          `json:"mtu,omitempty"`    // bytes
	AdvMSS      int          `json:"advmss,omitempty"` // bytes
	Priority    int          `json:"priority,omitempty"`
	Table       int          `json:"table,omitempty"`
	Scope       int          `json:"scope,omitempty"`
}

// DNS is what a network says of name servers.
type DNS struct {
	Nameservers []string `json:"nameservers,omitempty"`
	Domain      string   `json:"domain,omitempty"`
	Search      []string `json:"search,omitempty"`
	Options     []string `json:"options,omitempty"`
}

// Grant is what a NIC gets.
type Grant struct {
	Addresses []Address `json:"addresses,omitempty"`
	Routes    []Route   `json:"routes,omitempty"`
	DNS       DNS       `json:"dns,omitzero"`
	Notes     []string  `json:"notes,omitempty"` // what of the configuration does nothing, in sentences
}

// Complete gives routes without a gateway that of the first address of their family that has one.
func (g *Grant) Complete() {
	for i := range g.Routes {
		r := &g.Routes[i]
		if r.Gateway.IsValid() {
			continue
		}
		at := slices.IndexFunc(g.Addresses, func(a Address) bool {
			return a.Gateway.IsValid() && a.Gateway.Is4() == r.Destination.Addr().Is4()
		})
		if at >= 0 {
			r.Gateway = g.Addresses[at].Gateway
		}
	}
}

// Owner is a workload whose name outlives its pods. Zero: the container alone is the owner.
type Owner struct {
	APIVersion string `json:"apiVersion"` // of the object: apps/v1, kubevirt.io/v1
	Kind       string `json:"kind"`       // StatefulSet, VirtualMachine
	Namespace  string `json:"namespace"`
	Name       string `json:"name"` // of the object
	UID        string `json:"uid,omitempty"`
	Pod        string `json:"pod,omitempty"` // which of its pods, of a StatefulSet; empty: it has one at a time, or two while it migrates
}

// String is like "StatefulSet shop/db, pod db-0"; empty of the zero Owner.
func (o Owner) String() string {
	if o == (Owner{}) {
		return ""
	}
	text := o.Kind + " " + o.Namespace + "/" + o.Name
	if o.Pod != "" {
		text += ", pod " + o.Pod
	}
	return text
}

// Keeps tells whether objects of a kind are such workloads.
func Keeps(kind string) bool {
	return kind == "StatefulSet" || kind == "VirtualMachine" || kind == "VirtualMachineInstance"
}

// Is tells whether an object of the owner's namespace is the owner: a virtual machine and its instance are one.
func (o Owner) Is(kind, name string) bool {
	return name == o.Name && (kind == o.Kind || kind == "VirtualMachineInstance" && o.Kind == "VirtualMachine")
}
