package grant

import (
	"fmt"
	"net/netip"
	"slices"

	"weftnet.io/weftnet/internal/ipam/address"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Taken is an address that a NIC was granted and cannot have: another has it already, as was seen when the NIC was to be made. It counts until the
// NIC's order goes. What a pod asks for by name, and what is kept for a workload, is never exchanged, so it is not here.
type Taken struct {
	ContainerID string
	First       string // interface of the container's first NIC
	Interface   string
	Namespace   string
	Pod         string
	UID         string
	Address     netip.Addr
	By          string // who has it, in words: the machine 02:00:00:00:00:99 on ens192
}

func (Taken) Header() []string { return []string{"ContainerID", "Interface", "Pod", "Address", "By"} }

func (t Taken) Row() []string {
	return []string{t.ContainerID, t.Interface, t.Namespace + "/" + t.Pod, t.Address.String(), t.By}
}

// Text says what comes of it.
func (t Taken) Text() string {
	return fmt.Sprintf("%s, which NIC %s was granted, is that of %s: the NIC gets another address, and none is given this one for some minutes", t.Address, t.Interface, t.By)
}

// TakenAddresses are those of NICs of this node.
var TakenAddresses = table.Declare("addresses-taken", func(r Taken) state.Key { return state.Join(r.ContainerID, r.Interface, r.Address) })

// TakenOf are those of one NIC.
func TakenOf(r state.Reader, container, device string) (list []Taken) {
	for t := range TakenAddresses.Prefix(r, state.Join(container, device)) {
		list = append(list, t)
	}
	return list
}

// Has tells whether one of these addresses is among those that a NIC has been granted.
func Has(g address.Grant, not []Taken) bool {
	return slices.ContainsFunc(g.Addresses, func(a address.Address) bool {
		return slices.ContainsFunc(not, func(t Taken) bool { return t.Address == a.Prefix.Addr().Unmap() })
	})
}

// Exchanges tells whether an address that was granted by these terms may be exchanged for another one.
func (t Terms) Exchanges(a netip.Addr) bool {
	return t.Type != "" && !t.Moves() && !slices.ContainsFunc(t.Asked, func(p netip.Prefix) bool { return p.Addr().Unmap() == a })
}
