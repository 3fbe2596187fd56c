// Package network has the tables of further NICs of pods: the networks that there are, the NICs that pods ask for, what keeps some of them
// away, and what has been made.
//
// # The world it models
//
// A pod's annotation names NetworkAttachmentDefinitions. Each is a NIC beside the first one, which a CNI ADD made:
//
//	Definitions   prod/storage  {"type": "macvlan", "master": "ens224", …}         a fact, of the API server
//	Interfaces    c1 net1  prod/storage  static 10.0.200.10/24                     what should be
//	Troubles      c1 net2  prod/vlan-100 "prod/vlan-100 is not there; …"           why something is not
//	Made          c1 net1  10.0.200.10/24 02:00:0a:00:c8:0a mtu 1500               what a plugin has made, kept on disk
//	Impairments   prod/storage  STATUS of sour: …                                  what plugins of a network say, if that is nothing good
//	Statuses      prod/web [{"name": "prod/storage", "interface": "net1", …}]      what the pod's annotation says of it
//
// NICs in the pod network and in overlay networks (type cilium-cni) are made by the agent itself: each is a row of table attachments, as the first
// one is, and not of Made.
//
// # Invariants
//
//   - An Interface that has been made stays as it was made, whatever becomes of its definition, as long as the pod asks for the same.
//   - A row is comparable as a whole: texts that delegates are given are canonical JSON.
//
// # Example
//
//	for i := range network.Interfaces.Prefix(r, state.Join("c1")) {
//		fmt.Println(i.Interface, i.Definition)
//	}
package network

import (
	"fmt"
	"net/netip"
	"strings"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/column"
	"weftnet.io/weftnet/internal/table/grant"
)

// Definition is a NetworkAttachmentDefinition.
type Definition struct {
	Namespace, Name string
	UID             string
	Config          string // a CNI configuration, or a list of them, in JSON; empty: it lies on the nodes' disks
	Resource        string // of a device plugin, that pods take a device from; empty: none
	Wire            string // name of the wire that it leads to, in place of what its configuration tells (weftnet.io/network); empty: that
	Number          uint32 // of the network that it leads to; 0: that of pods
	Plain           uint32 // the same without Wire
	Overlay         string // name of the overlay network that it leads to, which has the number; empty: it leads to none
	Policy          string // at its NICs, in place of policy-networks; empty: as that says
}

func (Definition) Header() []string { return []string{"Namespace", "Name", "Resource", "Config"} }

func (d Definition) Row() []string {
	return []string{d.Namespace, d.Name, d.Resource, strings.Join(strings.Fields(d.Config), " ")}
}

// ByName is an index of Definitions: their names, in whatever namespace.
const ByName = "name"

// Definitions are those of the cluster.
var Definitions = table.Declare("network-definitions", func(r Definition) state.Key { return table.ObjectKey(r.Namespace, r.Name) },
	state.Index[Definition]{Name: ByName, Keys: func(r Definition) []state.Key { return []state.Key{state.Join(r.Name)} }})

// Interface is a NIC that a pod of this node asks for beside its first, or has.
type Interface struct {
	ContainerID string
	First       string // interface of the container's first NIC
	Interface   string
	Number      uint32 // in the order of the annotation, from 1
	Netns       string // path
	Namespace   string
	Pod         string
	UID         string
	Definition  string // namespace/name of what it was made by
	Request     string // what the pod says of it, in JSON: with another text it is another NIC
	Wire        string // where it leads, in words: ens192, VLAN 100
	Policy      string // what its definition said in place of policy-networks when it was made; empty: nothing
	Type        string // of the plugin that makes it
	Uplink      string // device of the node that the plugin puts it on; empty: none, or one that the plugin finds
	Own         bool   // the agent makes it, in the pod network or an overlay network

	Overlay string         // name of the overlay network that it is in; empty: none
	Network uint32         // number of that
	Subnets []netip.Prefix // of that
	MTU     int            // of that; 0: what the tunnel has room for

	// What delegates are told, in JSON: a list of CNI configurations, and what the pod asks for by capability. Empty: Own.
	Config       string
	Capabilities string

	DHCP  string // part ipam of its configuration, in JSON, if it gets its addresses by DHCP when it is made
	Owner Owner  // keeps its addresses when the pod is gone

	Addresses []netip.Prefix // asked for
	MAC       string         // asked for; empty: any
	Gateways  []netip.Addr   // of default routes that lead over it, at most one per family

	Terms grant.Terms // by which Addresses were granted; without a type: the plugins have seen to that themselves
}

func (Interface) Header() []string {
	return []string{"ContainerID", "Interface", "Pod", "Definition", "Type", "Wire", "Addresses"}
}

func (i Interface) Row() []string {
	return []string{i.ContainerID, i.Interface, i.Namespace + "/" + i.Pod, i.Definition, i.Type, i.Wire, column.List(i.Addresses)}
}

// Title names a NIC in messages.
func (i Interface) Title() string { return fmt.Sprintf("NIC %s (%s)", i.Interface, i.Definition) }

// Same tells whether a NIC that is there is the one that is wanted.
func (i Interface) Same(there Interface) bool {
	return i.ContainerID == there.ContainerID && i.Interface == there.Interface && i.Definition == there.Definition && i.Request == there.Request && i.Own == there.Own
}

// Interfaces are what should be.
var Interfaces = table.Declare("interfaces", func(r Interface) state.Key { return table.AttachmentKey(r.ContainerID, r.Interface) },
	state.Index[Interface]{Name: table.ByPod, Keys: func(r Interface) []state.Key { return []state.Key{table.ObjectKey(r.Namespace, r.Pod)} }},
	state.Index[Interface]{Name: ByUplink, Keys: func(r Interface) []state.Key { return []state.Key{state.Join(r.Uplink)} }})

// ByUplink is an index of Interfaces and Finished.
const ByUplink = "uplink"

// Trouble says why a pod lacks a NIC that it asks for, or all of them.
type Trouble struct {
	ContainerID string
	First       string
	Number      uint32
	Interface   string // empty: it is about the annotation as a whole
	Namespace   string
	Pod         string
	UID         string
	Definition  string // namespace/name; empty as above
	Lacks       string // in words
	Advice      string
	Missing     bool // there is no such definition
}

func (Trouble) Header() []string {
	return []string{"ContainerID", "Interface", "Pod", "Definition", "Lacks"}
}

func (t Trouble) Row() []string {
	return []string{t.ContainerID, t.Interface, t.Namespace + "/" + t.Pod, t.Definition, t.Lacks}
}

// Troubles are what keeps NICs away.
var Troubles = table.Declare("interface-troubles", func(r Trouble) state.Key { return state.Join(r.ContainerID, r.Number, r.Interface) })

// Made is a NIC that delegates have made, and what they said of it. It is kept on disk.
type Made struct {
	Want      Interface
	Addresses []netip.Prefix
	Gateways  []netip.Addr // of its addresses, in any number
	MAC       string
	MTU       int
	Index     int    // of its device in the pod's namespace; 0: not known
	HostName  string // of its side on the node; empty: it has none
	DNS       DNS
	Device    string // what it is made of, in JSON as device plugins have it; empty: not known
}

// Silence is the NIC as one that must not send.
func (m Made) Silence() grant.Silence {
	w := m.Want
	return grant.Silence{ContainerID: w.ContainerID, Interface: w.Interface, Netns: w.Netns, Index: m.Index, MAC: m.MAC}
}

// DNS is what a network says of name service. Nothing here acts on it.
type DNS struct {
	Servers []string `json:"nameservers,omitempty"`
	Domain  string   `json:"domain,omitempty"`
	Search  []string `json:"search,omitempty"`
	Options []string `json:"options,omitempty"`
}

func (Made) Header() []string {
	return []string{"ContainerID", "Interface", "Pod", "Definition", "Addresses", "MAC", "MTU"}
}

func (m Made) Row() []string {
	w := m.Want
	return []string{w.ContainerID, w.Interface, w.Namespace + "/" + w.Pod, w.Definition, column.List(m.Addresses), m.MAC, fmt.Sprint(m.MTU)}
}

func madeKey(r Made) state.Key { return table.AttachmentKey(r.Want.ContainerID, r.Want.Interface) }

var (
	byPod = state.Index[Made]{Name: table.ByPod, Keys: func(r Made) []state.Key {
		return []state.Key{table.ObjectKey(r.Want.Namespace, r.Want.Pod)}
	}}
	byFirst = state.Index[Made]{Name: ByFirst, Keys: func(r Made) []state.Key {
		return []state.Key{table.AttachmentKey(r.Want.ContainerID, r.Want.First)}
	}}
	byHost   = state.Index[Made]{Name: ByHost, Keys: func(r Made) []state.Key { return []state.Key{state.Join(r.HostName)} }}
	byUplink = state.Index[Made]{Name: ByUplink, Keys: func(r Made) []state.Key { return []state.Key{state.Join(r.Want.Uplink)} }}
)

// Finished is the table of what has been made.
var Finished = table.Declare("interfaces-made", madeKey, byPod, byFirst, byHost, byUplink)

// Indexes of Finished and Found.
const (
	ByFirst = "first" // key of the container's first NIC
	ByHost  = "host"  // name of its side on the node
)

// Status is what the annotation network-status of a pod is to say.
type Status struct {
	Namespace, Pod, UID string
	Text                string
}

func (Status) Header() []string { return []string{"Namespace", "Pod", "Status"} }

func (s Status) Row() []string {
	return []string{s.Namespace, s.Pod, strings.Join(strings.Fields(s.Text), " ")}
}

// Statuses are those of this node's pods.
var Statuses = table.Declare("network-statuses", func(r Status) state.Key { return table.ObjectKey(r.Namespace, r.Pod) })
