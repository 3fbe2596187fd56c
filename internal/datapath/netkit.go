package datapath

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"weftnet.io/weftnet/internal/datapath/pin"
)

// netkit attaches from_pod where the workload's side of a netkit pair transmits (Linux 6.8). The kernel attaches it at the host side, so
// nothing that the workload's namespace does to its own device takes the program away. What the host sends into the pair is seen at
// the host side, by to_pod as on any other device.
type netkit struct{ pin.Links }

func (netkit) name() string { return "netkit" }

func (k netkit) attach(program string, p *ebpf.Program, ifindex int) error {
	if done, err := k.Update(program, p, ifindex); done || err != nil {
		return err
	}
	l, err := link.AttachNetkit(link.NetkitOptions{Interface: ifindex, Program: p, Attach: ebpf.AttachNetkitPeer})
	if err != nil {
		return err
	}
	return k.Keep(l, program, ifindex)
}

func (k netkit) detach(program string, ifindex int) error {
	return k.Remove(link.NetkitType, program, ifindex)
}

func (k netkit) list() ([]Attachment, error) { return pinned(k.Links, link.NetkitType, k.name()) }
