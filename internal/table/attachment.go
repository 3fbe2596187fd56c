package table

import (
	"fmt"
	"net/netip"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/column"
)

// Attachment is a NIC that a CNI ADD asked for and that no DEL has taken away. source/cni journals it.
type Attachment struct {
	ContainerID string
	Interface   string // name inside the workload's network namespace
	Netns       string // path
	Namespace   string // of the pod; empty outside Kubernetes
	Pod, UID    string
	Network     uint32         // network id, 0 = the pod network; others are overlay networks
	Overlay     attach.Overlay `json:"overlay,omitzero"` // of these
	Addresses   []netip.Addr
	MAC         string // of the workload's side, aa:bb:cc:dd:ee:ff
	HostMAC     string // of the host's side
	HostName    string // name of the host's side, e.g. weft0a1b2c3d4e
	Incarnation uint32 // number of this attachment on this node, never used twice
	MTU         int
	Further     Further `json:"further,omitzero"`
	Leaving     bool    `json:"-"`                // its DEL is under way: what hangs on it goes first
	Multus      bool    `json:"multus,omitempty"` // Multus called, or a plugin like it: it attaches the pod's further NICs
}

// Further is what an attachment is that is not its container's first: a NIC in the pod network, or an overlay network, that its pod asks for.
type Further struct {
	First      string `json:"first"` // interface of the container's first NIC; empty: this is it
	Definition string `json:"definition"`
	Number     uint32 `json:"number"`
	Request    string `json:"request"`
}

func (Attachment) Header() []string {
	return []string{"ContainerID", "Interface", "Pod", "Addresses", "MAC", "HostName", "Incarnation"}
}

func (a Attachment) Row() []string {
	return []string{a.ContainerID, a.Interface, a.Namespace + "/" + a.Pod, column.List(a.Addresses), a.MAC, a.HostName, fmt.Sprint(a.Incarnation)}
}

// Indexes of Attachments.
const (
	ByDevice = "device" // name of the host side
	ByNumber = "number" // incarnation
)

var _ = declare(&tables.Attachments, "attachments", func(r Attachment) state.Key { return AttachmentKey(r.ContainerID, r.Interface) },
	state.Index[Attachment]{Name: ByPod, Keys: func(r Attachment) []state.Key { return []state.Key{ObjectKey(r.Namespace, r.Pod)} }},
	state.Index[Attachment]{Name: ByDevice, Keys: func(r Attachment) []state.Key { return []state.Key{state.Join(r.HostName)} }},
	state.Index[Attachment]{Name: ByNumber, Keys: func(r Attachment) []state.Key { return []state.Key{state.Join(r.Incarnation)} }},
	byAddress(func(r Attachment) []netip.Addr { return r.Addresses }))

// AttachmentKey is the key of an Attachment and of all that derives from it one to one.
func AttachmentKey(containerID, ifname string) state.Key { return state.Join(containerID, ifname) }
