// Package station has the tables of further NICs that policy is enforced at. Those that share an uplink are each a device on another one
// (macvlan), lie in their workload's namespace, and have no side on the node where programs could stand. Others have one: a port of a bridge.
//
// # The world it models
//
//	ens192 (ifindex 3, MAC …:50:01)          Stations  3 ""                 the uplink, which is watched
//	   |                                               3 …:50:01            the node itself
//	   +-- net1 of shop/web, MAC …:0a:01               3 …:0a:01  NIC 0xc0… Members  c1 net1
//	   +-- net1 of shop/db,  MAC …:0a:02               3 …:0a:02  NIC 0xc1…          c2 net1
//
//	br0 --- port veth3f (ifindex 7), MAC …:0a:03        Stations  7 "" NIC 0xc2…  Members  c3 net1
//
// What passes the uplink with a MAC address that is not among its stations is of no NIC, and is dropped there. What passes a port is of its NIC.
//
// # Invariants
//
//   - A member's number follows from its container and name alone, so each agent gives it the same.
//   - The number of a wire follows from what it is called, in words, alone. 0 is the pod network.
//
// # Example
//
//	for m := range station.Members.By(r, station.ByUplink, state.Join("ens192")) {
//		fmt.Println(m.MAC, m.Addresses)
//	}
package station

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"strings"

	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/column"
	"weftnet.io/weftnet/internal/table/overlay"
)

// Member is a further NIC that policy is enforced at.
type Member struct {
	ContainerID string
	First       string // interface of the container's first NIC, whose identity and policy it has
	Interface   string
	Netns       string // path
	Namespace   string
	Pod         string
	Definition  string // namespace/name of the NetworkAttachmentDefinition
	Wire        string // where it leads, in words
	Network     uint32 // number of that
	Audit       bool   // what its policies would drop passes, and is told
	Uplink      string // name of the device that it lies on; of one with a port: of the bridge
	Index       int    // ifindex of that
	Port        string // name of its side on the node, a port of a bridge; empty: it has none
	PortIndex   int    // ifindex of that
	Trunk       bool   // tagged frames pass its port
	Mode        string // of macvlan: bridge, private, vepa, passthru
	MAC         string
	Addresses   []netip.Addr
}

func (Member) Header() []string {
	return []string{"ContainerID", "Interface", "Pod", "Network", "Uplink", "Port", "Mode", "MAC", "Addresses"}
}

func (m Member) Row() []string {
	return []string{m.ContainerID, m.Interface, m.Namespace + "/" + m.Pod, fmt.Sprint(m.Network), m.Uplink, m.Port, m.Mode, m.MAC, column.List(m.Addresses)}
}

// Device is the name that its row of table nics has. No device of the node is called so.
func (m Member) Device() string { return DeviceOf(m.ContainerID, m.Interface) }

// DeviceOf is the same of a NIC that may be gone.
func DeviceOf(container, name string) string { return "/" + container + "/" + name }

// Numbers of members are beyond those of attachments, which count from 1, and of what else holds a quota (abi/quota.h).
const (
	numbers = 0x40000000
	inside  = 0x80000000 // NIC_INSIDE of abi/station.h
)

// Incarnation is its number on this node.
func (m Member) Incarnation() uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(m.Device())) // it never fails
	return numbers | h.Sum32()&(numbers-1)
}

// NIC is the key of its row in table nics: no device's index.
func (m Member) NIC() uint32 { return KeyOf(m.Incarnation()) }

// KeyOf is the key in table nics of the member with a number.
func KeyOf(incarnation uint32) uint32 { return inside | incarnation }

// Stands tells whether a key of table nics is that of a member, or may be: a table that is not synced does not say.
func Stands(r state.Reader, nic uint32) bool {
	for range Members.By(r, ByNIC, state.Join(nic)) {
		return true
	}
	return nic&inside != 0 && !Members.IsSynced(r)
}

// Apart tells whether what it sends to others on its uplink goes by the switch.
func (m Member) Apart() bool { return m.Mode == "private" || m.Mode == "vepa" }

// NetworkOf is the number of a wire: 32,768 to 65,535, the upper half of what rows of connections have room for (abi/ct.h). Overlay networks have
// the lower one.
func NetworkOf(wire string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(wire))
	return overlay.Last + 1 + h.Sum32()%(overlay.Last+1)
}

// Indexes of Members.
const (
	ByUplink  = "uplink"  // name of the device, also of a bridge
	ByPort    = "port"    // name of its side on the node
	ByDevice  = "device"  // Device
	ByAddress = "address" // network, address
	ByNumber  = "number"  // Incarnation
	ByNIC     = "nic"     // NIC
	ByNetwork = "network"
)

// Members are those of this node.
var Members = table.Declare("members", func(r Member) state.Key { return table.AttachmentKey(r.ContainerID, r.Interface) },
	state.Index[Member]{Name: ByUplink, Keys: func(r Member) []state.Key { return []state.Key{state.Join(r.Uplink)} }},
	state.Index[Member]{Name: ByPort, Keys: func(r Member) []state.Key { return []state.Key{state.Join(r.Port)} }},
	state.Index[Member]{Name: ByDevice, Keys: func(r Member) []state.Key { return []state.Key{state.Join(r.Device())} }},
	state.Index[Member]{Name: ByNumber, Keys: func(r Member) []state.Key { return []state.Key{state.Join(r.Incarnation())} }},
	state.Index[Member]{Name: ByNetwork, Keys: func(r Member) []state.Key { return []state.Key{state.Join(r.Network)} }},
	state.Index[Member]{Name: ByNIC, Keys: func(r Member) []state.Key { return []state.Key{state.Join(r.NIC())} }},
	state.Index[Member]{Name: ByAddress, Keys: func(r Member) (keys []state.Key) {
		for _, a := range r.Addresses {
			keys = append(keys, state.Join(r.Network, a))
		}
		return keys
	}})

// Scope is where its policies hold, and how.
func (m Member) Scope() Scope { return Scope{m.Network, m.Audit} }

// Scope is where policy is enforced, and how: sets of one identity are apart by it. The zero value is the pod network.
type Scope struct {
	Network uint32
	Audit   bool
}

func (s Scope) String() string {
	switch {
	case s == Scope{}:
		return ""
	case s.Audit:
		return fmt.Sprintf("audited in network %d", s.Network)
	}
	return fmt.Sprintf("in network %d", s.Network)
}

// Apart is what sets of one identity are apart by: named ports, as text, and the scope.
func (s Scope) Apart(ports string) string {
	return strings.TrimSpace(ports + " " + s.String())
}

// Set is the key of the policy set of a subject with these named ports; empty: it has none yet.
func (s Scope) Set(who table.Subject, ports []table.NamedPort) state.Key {
	if who.Set == "" || s == (Scope{}) {
		return who.Set
	}
	named := make(policy.NamedPorts, len(ports))
	for i, p := range ports {
		named[i] = policy.NamedPort(p)
	}
	return table.SetKey(who.Identity, s.Apart(named.String()))
}

// Network is one that NICs of this node are in, where policy is enforced.
type Network struct {
	Number uint32
	Wire   string
}

func (Network) Header() []string { return []string{"Number", "Wire"} }

func (n Network) Row() []string { return []string{fmt.Sprint(n.Number), n.Wire} }

// Networks are those of Members, and of NICs in overlay networks.
var Networks = table.Declare("member-networks", func(r Network) state.Key { return state.Join(r.Number) })

// Station is who has a MAC address behind an uplink, or a port of a bridge: a row of the kernel's map stations.
type Station struct {
	Device string // the device's name; the kernel's map does not hold it
	Uplink int    // ifindex
	MAC    string // empty: the device itself, which is watched while this row is there
	NIC    uint32 // key of table nics; 0: the node, and of a port: no policy is asked, MAC addresses alone are looked at
	Port   bool   // the device is a port of a bridge
	Trunk  bool   // … that tagged frames pass
	Apart  bool
	Audit  bool // what would be dropped of it, or for it, passes and is told; of the uplink: what is of no NIC
}

func (Station) Header() []string {
	return []string{"Device", "Uplink", "MAC", "NIC", "Apart", "Audit"}
}

func (s Station) Row() []string {
	return []string{s.Device, fmt.Sprint(s.Uplink), s.MAC, fmt.Sprintf("%#x", s.NIC), fmt.Sprint(s.Port), fmt.Sprint(s.Trunk), fmt.Sprint(s.Apart), fmt.Sprint(s.Audit)}
}

// Stations are those of all uplinks and ports.
var Stations = table.Declare("stations", func(r Station) state.Key { return state.Join(uint32(r.Uplink), r.MAC) },
	state.Index[Station]{Name: ByStation, Keys: func(r Station) []state.Key { return []state.Key{state.Join(r.Device)} }})

// ByStation is an index of Stations: the name of the device.
const ByStation = "device"

// Inside asks for the programs of a NIC in its workload's namespace.
type Inside struct {
	NIC       uint32
	Netns     string // path
	Interface string
	MAC       string
	Uplink    int  // ifindex
	Old       bool // only as a sink finds it: another agent's programs, to be replaced in place
}

func (Inside) Header() []string { return []string{"NIC", "Netns", "Interface", "MAC", "Uplink"} }

func (i Inside) Row() []string {
	return []string{fmt.Sprintf("%#x", i.NIC), i.Netns, i.Interface, i.MAC, fmt.Sprint(i.Uplink)}
}

// Insides are those of this node.
var Insides = table.Declare("inside-programs", func(r Inside) state.Key { return state.Join(r.NIC) })
