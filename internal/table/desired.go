package table

import (
	"fmt"
	"net/netip"
	"strings"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/state"
)

// Workload is an Attachment joined with what Kubernetes says of its pod.
type Workload struct {
	ContainerID string
	Interface   string
	Namespace   string
	Pod         string
	UID         string
	Network     uint32
	Addresses   []netip.Addr
	NamedPorts  []NamedPort
	Subject             // as whom the kernel is to take it
	Second      Subject // while that changes: whom it will be, or still is to the kernel; this set has to be there, too
}

// Subject is who a workload is to policy.
type Subject struct {
	Labels   identity.Labels // empty while the pod is not known
	Identity identity.Number // 0 while the cluster has not agreed on one
	Set      state.Key       // of the PolicySet that governs it; empty while the identity is 0
}

// Subjects are the one or two that a workload is.
func (w Workload) Subjects() []Subject {
	if w.Second == (Subject{}) {
		return []Subject{w.Subject}
	}
	return []Subject{w.Subject, w.Second}
}

// Claims are labels of a workload that need a number; empty: none.
func (w Workload) Claims() identity.Labels {
	for _, s := range w.Subjects() {
		if s.Identity == 0 {
			return s.Labels
		}
	}
	return identity.Labels{}
}

// IdentityClaim asks the cluster for a number for a label set that a workload of this node has.
type IdentityClaim struct{ Labels identity.Labels }

// PublishedEndpoint is the CiliumEndpoint object that this node owes the cluster for a local pod.
type PublishedEndpoint struct {
	Namespace  string
	Name       string
	PodUID     string
	Identity   identity.Number
	Labels     identity.Labels
	Addresses  []netip.Addr
	Node       netip.Addr
	NamedPorts []NamedPort
}

// Link is a veth pair: its host side here, its other side configured inside a workload's network namespace.
type Link struct {
	HostName    string
	Kind        string // veth, netkit: of a link that is made; one that is there stays as it is
	HostMAC     string
	ContainerID string
	Interface   string
	Netns       string
	MAC         string
	MTU         int
	Addresses   []netip.Addr
	Incarnation uint32
}

// Tunnel is the overlay device of this node (collect-metadata VXLAN).
type Tunnel struct {
	Name      string
	Kind      string // vxlan
	Port      uint16
	MTU       int
	Underlay6 bool
}

// Route is a route of this node's own table.
type Route struct {
	Prefix  netip.Prefix
	Device  string
	Gateway netip.Addr // zero: on link
	Source  netip.Addr // preferred source; zero: none
	MTU     int        // 0: the device's
}

// PolicySet is what the NICs of one identity (and one set of named ports) may send and receive.
type PolicySet struct {
	Identity   identity.Number
	NamedPorts string // canonical text, "" when none
	Entries    []policy.Entry
	Ranges     []policy.Range // classes of addresses, peers of entries beside identities
}

// SetStatus is written by the sink that keeps policy sets in the kernel: where a set lives and since when.
type SetStatus struct {
	Set      state.Key
	Identity identity.Number
	Slot     uint32
	Revision uint64
	Entries  int
	Ranges   int
}

// SetList is the distinct lists of rules behind the entries of a policy set, each with the number that it wants.
type SetList struct {
	Set   state.Key
	Lists []RuleList // sorted
}

// RuleList is a numbered list of the rules that made an entry; events carry the number.
type RuleList struct {
	Number uint32
	Rules  []policy.Origin
}

// NIC is a row of the kernel's map nics.
type NIC struct {
	Device      string // name of the host side; the kernel's map does not hold it
	Ifindex     uint32
	Incarnation uint32
	Identity    identity.Number
	Slot        uint32 // of its policy set
	Network     uint32
	IPv4        netip.Addr
	IPv6        netip.Addr
	MAC         string
	HostMAC     string
}

// NICStatus is written by the sink that keeps NICs in the kernel: as whom the kernel takes what an attachment sends and
// receives.
type NICStatus struct {
	Incarnation uint32
	Identity    identity.Number
}

// HostFlag says what kind of place an address is; the numbers are those of abi enum host_flag.
type HostFlag uint32

// Values of HostFlag.
const (
	HostLocal   HostFlag = 1
	HostNode    HostFlag = 2
	HostCluster HostFlag = 4
	HostDirect  HostFlag = 8
)

// Host is a row of the kernel's maps hosts (single addresses) and prefixes: who lives at an address and how to get there.
type Host struct {
	Network  uint32
	Prefix   netip.Prefix
	Identity identity.Number
	Ifindex  uint32 // host side of a local NIC
	Flags    HostFlag
	Tunnel   netip.Addr // underlay address of its node; zero: none
}

// Frontend is an address and port that the datapath translates for workloads, with its backends. The unspecified address
// (0.0.0.0, ::) stands for every address of every node: a node port. Port and protocol 0, which have no backends, stand for
// whatever else is sent to a cluster address: it is refused.
type Frontend struct {
	Address         netip.Addr
	Port            uint16
	Protocol        uint8
	Namespace       string // of the Service
	Name            string
	AffinitySeconds uint32
	Outside         bool // an external address or a node port, not a cluster address
	Backends        []Backend
}

// Backend is one place that serves a Frontend.
type Backend struct {
	Address     netip.Addr
	Port        uint16
	Terminating bool // keeps its connections, takes no new ones
}

// Hook asks for a program on a device.
type Hook struct {
	Device  string
	Ifindex int
	Program string // from_pod, to_pod, from_net, to_net, from_overlay, to_overlay
	Old     bool   // only as a sink finds it: another agent's program, to be replaced in place
}

// Ready says that an attachment's link, datapath and policy are in place: the CNI ADD that waits for it may answer.
type Ready struct {
	ContainerID string
	Interface   string
	HostName    string
	Ifindex     int
}

// Finding is something an engine has to say to people about an object: not enforced, rejected, will not do what it seems to.
type Finding struct {
	Kind      string
	Namespace string
	Name      string
	UID       string
	Field     string
	Reason    gap.Reason
	Message   string
}

// UnmanagedPod is a pod of this node that runs with a network which another CNI plugin, or an agent that has been uninstalled since,
// has given to it.
type UnmanagedPod struct{ Namespace, Name string }

func (Workload) Header() []string {
	return []string{"ContainerID", "Interface", "Pod", "Addresses", "Identity", "Labels"}
}

func (w Workload) Row() []string {
	return []string{w.ContainerID, w.Interface, w.Namespace + "/" + w.Pod, join(w.Addresses), fmt.Sprint(w.Identity), w.Labels.String()}
}
func (IdentityClaim) Header() []string { return []string{"Labels"} }
func (c IdentityClaim) Row() []string  { return []string{c.Labels.String()} }
func (PublishedEndpoint) Header() []string {
	return []string{"Namespace", "Name", "Identity", "Addresses", "Node"}
}

func (e PublishedEndpoint) Row() []string {
	return []string{e.Namespace, e.Name, fmt.Sprint(e.Identity), join(e.Addresses), e.Node.String()}
}

func (Link) Header() []string {
	return []string{"HostName", "Kind", "ContainerID", "Interface", "MAC", "HostMAC", "MTU", "Addresses"}
}

func (l Link) Row() []string {
	return []string{l.HostName, l.Kind, l.ContainerID, l.Interface, l.MAC, l.HostMAC, fmt.Sprint(l.MTU), join(l.Addresses)}
}
func (Tunnel) Header() []string { return []string{"Name", "Kind", "Port", "MTU"} }
func (t Tunnel) Row() []string {
	return []string{t.Name, t.Kind, fmt.Sprint(t.Port), fmt.Sprint(t.MTU)}
}
func (Route) Header() []string { return []string{"Prefix", "Device", "Gateway", "Source", "MTU"} }
func (r Route) Row() []string {
	return []string{r.Prefix.String(), r.Device, address(r.Gateway), address(r.Source), fmt.Sprint(r.MTU)}
}
func (PolicySet) Header() []string { return []string{"Identity", "NamedPorts", "Entries", "Ranges"} }
func (s PolicySet) Row() []string {
	text := make([]string, len(s.Entries))
	for i, e := range s.Entries {
		text[i] = e.String()
	}
	return []string{fmt.Sprint(s.Identity), s.NamedPorts, strings.Join(text, " | "), join(s.Ranges)}
}
func (SetStatus) Header() []string { return []string{"Set", "Slot", "Revision", "Entries", "Ranges"} }
func (s SetStatus) Row() []string {
	return []string{fmt.Sprintf("%q", s.Set), fmt.Sprint(s.Slot), fmt.Sprint(s.Revision), fmt.Sprint(s.Entries), fmt.Sprint(s.Ranges)}
}
func (SetList) Header() []string  { return []string{"Set", "Lists"} }
func (l SetList) Row() []string   { return []string{fmt.Sprintf("%q", l.Set), fmt.Sprint(len(l.Lists))} }
func (RuleList) Header() []string { return []string{"Number", "Rules"} }
func (r RuleList) Row() []string  { return []string{fmt.Sprint(r.Number), join(r.Rules)} }
func (NIC) Header() []string {
	return []string{"Device", "Ifindex", "Incarnation", "Identity", "Slot", "IPv4", "IPv6", "MAC"}
}

func (n NIC) Row() []string {
	return []string{n.Device, fmt.Sprint(n.Ifindex), fmt.Sprint(n.Incarnation), fmt.Sprint(n.Identity), fmt.Sprint(n.Slot), address(n.IPv4), address(n.IPv6), n.MAC}
}

func (NICStatus) Header() []string { return []string{"Incarnation", "Identity"} }
func (n NICStatus) Row() []string  { return []string{fmt.Sprint(n.Incarnation), fmt.Sprint(n.Identity)} }

func (Host) Header() []string {
	return []string{"Network", "Prefix", "Identity", "Ifindex", "Flags", "Tunnel"}
}

func (h Host) Row() []string {
	return []string{fmt.Sprint(h.Network), h.Prefix.String(), fmt.Sprint(h.Identity), fmt.Sprint(h.Ifindex), h.Flags.String(), address(h.Tunnel)}
}

// String lists the set flags.
func (f HostFlag) String() string {
	var text []string
	for i, name := range []string{"local", "node", "cluster", "direct"} {
		if f&(1<<i) != 0 {
			text = append(text, name)
		}
	}
	return strings.Join(text, ",")
}

func (Frontend) Header() []string {
	return []string{"Address", "Port", "Protocol", "Service", "Affinity", "Outside", "Backends"}
}

func (f Frontend) Row() []string {
	return []string{f.Address.String(), fmt.Sprint(f.Port), fmt.Sprint(f.Protocol), f.Namespace + "/" + f.Name, fmt.Sprint(f.AffinitySeconds), fmt.Sprint(f.Outside), join(f.Backends)}
}

func (b Backend) String() string {
	text := netip.AddrPortFrom(b.Address, b.Port).String()
	if b.Terminating {
		text += "(terminating)"
	}
	return text
}
func (Hook) Header() []string  { return []string{"Device", "Ifindex", "Program"} }
func (h Hook) Row() []string   { return []string{h.Device, fmt.Sprint(h.Ifindex), h.Program} }
func (Ready) Header() []string { return []string{"ContainerID", "Interface", "HostName", "Ifindex"} }
func (r Ready) Row() []string {
	return []string{r.ContainerID, r.Interface, r.HostName, fmt.Sprint(r.Ifindex)}
}
func (Finding) Header() []string { return []string{"Kind", "Namespace", "Name", "Field", "Message"} }
func (f Finding) Row() []string  { return []string{f.Kind, f.Namespace, f.Name, f.Field, f.Message} }

func address(a netip.Addr) string {
	if !a.IsValid() {
		return "-"
	}
	return a.String()
}

func (UnmanagedPod) Header() []string { return []string{"Namespace", "Name"} }
func (p UnmanagedPod) Row() []string  { return []string{p.Namespace, p.Name} }
